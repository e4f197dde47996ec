"""The workload of the serverless task farm: when tasks arrive and how long each takes.

The published emitter walks through phases of 60 windows of 1 s.  With R tasks of the phase left in window k of n it
draws Poisson(R / (n - k)) tasks, at most R and in the last window all R, and spreads them by exponential gaps of mean
1 s / count; the next window begins where the last gap ends.  A window without a task is skipped at once, so a phase of
low load is shorter than it says; and the rates of the oscillating phases are computed but never used.  `published`
repeats both, draw for draw.  `intended` does what was meant: windows of fixed length, and rates that oscillate.

Batch letters: N tasks, P phases, K windows.

Source: lilanpei/AI-based-Autonomic-Management-of-Structured-Parallel-Programs.  Its generators are Python's `random`
and NumPy's legacy generator with the same seed, which is why both are used here.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from netrollout.seeding import SEEDS, spawn
from netrollout.types import Floats, InputError, Ints

BASE_RATE = 5.0  # tasks/s at multiplier 1
WINDOW = 1.0  # s
QUADRATIC, CONSTANT = 1.7099013205346125e-07, 0.0016654777540409116  # service time of an image: s/px^2 and s
SMALLEST, LARGEST = 512, 4096  # px
SHAPE, SCALE = 4.0, 0.375  # of the gamma law that service times are drawn from; scale in s
TRIES, MEAN = 5, 1.5  # draws until one can be inverted, and the s that stand in when none can
FAMILIES = ("flash", "diurnal", "bursty")


@dataclass(frozen=True)
class Phase:
    """A stretch of the episode.

    Parameters
    ----------
    multiplier : float
        Of the base rate.
    duration : float
        s.
    low, high : float
        The range of a sine around the multiplier, as its factors, where the phase is meant to oscillate.
    cycles : int
        Of the sine within the phase.
    """

    multiplier: float
    duration: float = 60.0
    low: float = 1.0
    high: float = 1.0
    cycles: int = 0

    @property
    def tasks(self) -> int:
        """How many tasks the phase has, exactly."""
        return int(BASE_RATE * self.multiplier * self.duration)

    @property
    def windows(self) -> int:
        """How many windows the phase has."""
        return int(self.duration / WINDOW)

    def rates(self) -> Floats:
        """Return the intended rate of each window, (K,), tasks/s."""
        progress = np.arange(self.windows) / self.windows
        wave = (self.high + self.low) / 2 + (self.high - self.low) / 2 * np.sin(2 * np.pi * self.cycles * progress)
        rates: Floats = BASE_RATE * self.multiplier * wave
        return rates


PUBLISHED = (Phase(0.3), Phase(1.5), Phase(1.0, low=0.5, high=1.5, cycles=1), Phase(1.0, low=0.3, high=1.7, cycles=4))


@dataclass(frozen=True, eq=False)
class Workload:
    """One episode's tasks in the order of their arrival; time 0 is the first window's start.

    Parameters
    ----------
    arrival : (N,) s
    service : (N,) s
    window : (N,) int
        How many windows with tasks came before the task's.
    begins : (P,) s
        When each phase begins.

    Raises
    ------
    InputError
        If there is no task, an arrival or the begin of a phase is before the one in front of it, or a service time is
        not positive.
    """

    arrival: Floats
    service: Floats
    window: Ints
    begins: Floats

    def __post_init__(self) -> None:
        """Check what a recorded workload may have wrong."""
        if not len(self.arrival) == len(self.service) == len(self.window) > 0:
            raise InputError(
                f"workload: {len(self.arrival)} arrivals, {len(self.service)} service times and {len(self.window)} "
                "windows; expected one of each per task, and a task"
            )
        for name, good in (("arrival", np.diff(self.arrival, prepend=0.0) >= 0.0), ("service", self.service > 0.0)):
            if not (good & np.isfinite(getattr(self, name))).all():
                k = int((~(good & np.isfinite(getattr(self, name)))).argmax())
                right = "times of 0 or more that do not fall" if name == "arrival" else "positive times"
                raise InputError(f"workload: {name} of task {k} is {getattr(self, name)[k]:g} s; expected {right}")
        good = (np.diff(self.begins, prepend=0.0) >= 0.0) & np.isfinite(self.begins)
        if not good.all():
            k = int((~good).argmax())
            raise InputError(
                f"workload: phase {k} begins at {self.begins[k]:g} s; expected times of 0 or more that do not fall"
            )


def service_time(size: Floats | float) -> Floats:
    """Return the calibrated service time, s, of square images of `size` px."""
    time: Floats = QUADRATIC * np.asarray(size, dtype=np.float64) ** 2 + CONSTANT
    return time


def services(seed: int, n: int) -> Floats:
    """Return the published emitter's n service times (n,), s, of a seed: gamma, cut to whole pixels of an image."""
    draw = random.Random(seed)
    wished = np.array([_wished(draw) for _ in range(n)])
    wished = np.clip(wished, service_time(SMALLEST), service_time(LARGEST))
    size = np.clip(np.sqrt((wished - CONSTANT) / QUADRATIC).astype(np.int64), SMALLEST, LARGEST)
    return service_time(size.astype(np.float64))


def _wished(draw: random.Random) -> float:
    for _ in range(TRIES):
        time = draw.gammavariate(SHAPE, SCALE)
        if time > CONSTANT:
            return time
    return MEAN


def shuffled(seed: int, phases: Sequence[Phase] = PUBLISHED) -> tuple[Phase, ...]:
    """Return the phases in the order that a shuffle seed gives them."""
    order = list(phases)
    random.Random(seed).shuffle(order)
    return tuple(order)


def published(seed: int, phases: Sequence[Phase] = PUBLISHED) -> Workload:
    """Return the workload that the published emitter makes of a seed, bit by bit.

    Raises
    ------
    InputError
        If the seed is not one of NumPy's legacy generator, or there is no phase.
    """
    _check(seed, phases)
    draw = np.random.RandomState(seed)
    time, arrivals, counts, begins = 0.0, [], [], []
    for phase in phases:
        begins.append(time)
        left = phase.tasks
        for k in range(phase.windows):
            mean = left / (phase.windows - k)
            count = min(int(draw.poisson(mean)), left) if k < phase.windows - 1 else left
            if count:
                gaps = draw.exponential(WINDOW / count, count)
                arrivals.append(time + np.concatenate([[0.0], np.cumsum(gaps)[:-1]]))
                counts.append(count)
                time, left = time + float(gaps.sum()), left - count
    windows = np.repeat(np.arange(len(counts)), counts)
    return Workload(np.concatenate(arrivals), services(seed, len(windows)), windows, np.array(begins))


def intended(seed: int, phases: Sequence[Phase] = PUBLISHED) -> Workload:
    """Return what the emitter was meant to make: the same counts and services, fixed windows, rates that oscillate.

    Raises
    ------
    InputError
        As `published`.
    """
    _check(seed, phases)
    parts = [following(seed, phase.rates(), phase.tasks, "phase", number) for number, phase in enumerate(phases)]
    lengths = np.array([phase.duration for phase in phases])
    begins = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    arrival = np.concatenate([begin + part for begin, part in zip(begins, parts, strict=True)])
    return Workload(arrival, services(seed, len(arrival)), _windows(arrival), begins)


def family(name: str, seed: int, tasks: int = 1140, duration: float = 240.0) -> Workload:
    """Return a workload of a family that no published run has seen; four quarters stand for the phases.

    ``flash``: a calm rate, and at a random moment five times as much, which dies away with a time constant of 20 s.
    ``diurnal``: one period of a sine with amplitude .8 and a random start.
    ``bursty``: the rate of each stretch of a random length (mean 5 s) is log-normal with coefficient of variation 1.3:
    bursts of seconds over a heavy-tailed base, as in the invocation traces of public clouds [1]_.

    Raises
    ------
    InputError
        If the family is unknown, or as `published`.

    References
    ----------
    .. [1] M. Shahrad et al., "Serverless in the Wild", USENIX ATC 2020, section 3.
    """
    _check(seed, (name,))
    if name not in FAMILIES:
        raise InputError(f"workload: family {name!r}; choose one of {', '.join(FAMILIES)}")
    rng, t = spawn(seed, "family", name), np.arange(int(duration / WINDOW)) * WINDOW
    if name == "flash":
        since = t - rng.uniform(0.2, 0.7) * duration
        rates = 1.0 + 4.0 * np.where(since >= 0.0, np.exp(-np.maximum(since, 0.0) / 20.0), 0.0)
    elif name == "diurnal":
        rates = 1.0 + 0.8 * np.sin(2 * np.pi * (t / duration + rng.random()))
    else:
        sigma = np.sqrt(np.log1p(1.3**2))
        stretch = np.cumsum(rng.random(len(t)) < WINDOW / 5.0)
        rates = np.exp(sigma * rng.standard_normal(len(t)))[stretch]
    arrival = following(seed, rates, tasks, "arrivals", name)
    begins = np.arange(4) * duration / 4
    return Workload(arrival, services(seed, tasks), _windows(arrival), begins)


def following(seed: int, rates: Floats, tasks: int, *path: int | str) -> Floats:
    """Return `tasks` arrivals (N,), s, of a Poisson process with the shape of window rates (K,), given their number."""
    rng = spawn(seed, "following", *path)
    chosen = rng.choice(len(rates), size=tasks, p=rates / rates.sum())
    return np.sort((chosen + rng.random(tasks)) * WINDOW)


def faster(load: Sequence[Phase], factor: float) -> tuple[Phase, ...]:
    """Return the phases with `factor` times the tasks in the same time."""
    return tuple(replace(phase, multiplier=phase.multiplier * factor) for phase in load)


def _windows(arrival: Floats) -> Ints:
    return (arrival // WINDOW).astype(np.int64)


def _check(seed: int, phases: Sequence[object]) -> None:
    if not 0 <= seed < SEEDS or not phases:
        raise InputError(
            f"workload: seed {seed} and {len(phases)} phases; expected a seed from 0 to {SEEDS - 1} and a phase"
        )
