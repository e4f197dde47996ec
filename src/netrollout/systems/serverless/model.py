"""What a controller may believe about the serverless farm: a sampled queue, and a fluid.

Both have the farm's actions, observations and reward, and rates, service law and schedule estimated from past
workloads.  `QueueModel` samples tasks and keeps who waits how long; `FluidModel` knows means only, and so believes that
all tasks are in time wherever the workers can do the work: it is the ablation.  Where the schedule is not known the
arrival rate stays what it was, but for jumps as rare and as large as those of the past.

Neither sees the plant's state: `estimate` makes one of the observations, the most likely one in the model's own terms.

Batch letters: B lanes, M workers at most, Q waiting tasks at most, L points of the service law, P phases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netrollout.systems.serverless import kernel, sampled
from netrollout.systems.serverless.farm import (
    INCREMENTS,
    NO_TASK,
    STEP,
    Scaled,
    durations,
    enqueued,
    limits,
    longest,
    paid,
    published_edges,
    scale,
    sight,
    usual,
)
from netrollout.systems.serverless.reward import Reward
from netrollout.systems.serverless.tasks import Bank
from netrollout.systems.serverless.workload import services
from netrollout.types import Bools, Floats, InputError, Ints, Step

WAITING = 256  # tasks that can wait; who comes then is late anyway
POINTS = 513  # of the service law
LEVELS = 65  # of the arrival rate
GOLDEN = 0.6180339887  # spreads ages over tasks without a pattern
History = Sequence[tuple[NDArray[Any], NDArray[Any] | None]]


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What was learned from past workloads.

    Parameters
    ----------
    law : (L,) s
        Equidistant quantiles of the service time, rising.
    dispersion : float
        Variance over mean of the tasks of a second, 1 or more; 1 is a Poisson process.
    bounds : (P,)
        Tasks that have come at the end of each phase; the last is the number of an episode.
    rates : (P,) tasks/s, optional
        Of the phases; where None, the rate is held at what was last seen.
    jump : float
        Probability per cycle that a rate which is held becomes one of the `levels`.
    levels : (J,) tasks/s
        Equally likely.
    """

    law: Floats = field(default_factory=lambda: np.quantile(services(0, 20_000), np.linspace(0.0, 1.0, POINTS)))
    bounds: Floats = field(default_factory=lambda: np.array([1140.0]))
    rates: Floats | None = None
    dispersion: float = 1.0
    jump: float = 0.0
    levels: Floats = field(default_factory=lambda: np.zeros(1))

    def __post_init__(self) -> None:
        """Check what was estimated."""
        if not (self.law > 0.0).all() or (np.diff(self.law) < 0.0).any() or (np.diff(self.bounds) <= 0.0).any():
            raise InputError("beliefs: the service law must be positive and rising, the bounds of the phases rising")
        if not self.dispersion >= 1.0:
            raise InputError(f"beliefs: dispersion {self.dispersion:g}; expected 1 (Poisson arrivals) or more")
        if not 0.0 <= self.jump <= 1.0 or not (self.levels >= 0.0).all():
            raise InputError(f"beliefs: jump {self.jump:g}; expected a probability, and levels of 0 tasks/s or more")
        if self.rates is not None and (len(self.rates) != len(self.bounds) or not (self.rates > 0.0).all()):
            raise InputError(f"beliefs: rates {self.rates} for {len(self.bounds)} phases; expected a positive one each")

    @property
    def mean(self) -> float:
        """Mean service time, s."""
        return float(np.trapezoid(self.law) / (len(self.law) - 1))


def learned(bank: Bank, schedule: bool = True) -> Beliefs:
    """Return what past workloads teach.

    Parameters
    ----------
    bank : Bank
    schedule : bool
        Whether the phases are learned too: right where every episode has the same order of them.
    """
    law = np.quantile(bank.service, np.linspace(0.0, 1.0, POINTS))
    if not schedule:
        jump, levels = _jumps(bank)
        return Beliefs(law, np.array([float(bank.tasks)]), None, _dispersion(bank), jump, levels)
    ends = np.concatenate([bank.begins[:, 1:], bank.arrival[:, -1:]], axis=1)
    came = np.stack([np.searchsorted(a, e, side="left") for a, e in zip(bank.arrival, ends, strict=True)])
    came[:, -1] = bank.tasks
    bounds = came.mean(axis=0)
    rates = np.diff(bounds, prepend=0.0) / (ends - bank.begins).mean(axis=0)
    return Beliefs(law, bounds, rates, _dispersion(bank))


def _dispersion(bank: Bank, window: float = STEP) -> float:
    """Return how much more the tasks of neighbouring windows differ than Poisson counts do, 1 or more.

    The difference of neighbours has twice the variance of one, and slow changes of the rate hardly touch it.
    """
    half, mean, usual = _neighbours(bank, bank.arrival.max() + window, window)
    return float(max(1.0, half[usual].sum() / mean[usual].sum()))


def _jumps(bank: Bank, window: float = STEP) -> tuple[float, Floats]:
    """Return how often neighbouring windows differ by more than chance, and quantiles of the rates where they do not.

    Only windows before the end of the shortest workload count.
    """
    _, mean, usual = _neighbours(bank, bank.arrival[:, -1].min(), window)
    return float(1.0 - usual.mean()), np.quantile(mean[usual] / window, np.linspace(0.0, 1.0, LEVELS))


def _neighbours(bank: Bank, until: float, window: float) -> tuple[Floats, Floats, Bools]:
    """Return half the squared differences of the tasks in neighbouring windows, their means, and which do not jump."""
    edges = np.arange(0.0, until, window)
    counts = np.stack([np.histogram(arrival, edges)[0] for arrival in bank.arrival])
    half = np.diff(counts, axis=1) ** 2 / 2.0
    usual = half <= 4.0 * np.median(half) + 4.0 * counts.mean()  # without the jumps between phases
    return half, 0.5 * (counts[:, 1:] + counts[:, :-1]), usual


class QueueState(NamedTuple):
    """What carries over from cycle to cycle in both models; the fluid has no ages, and its workers no tasks."""

    cycle: Ints  # (B,)
    workers: Ints  # (B,)
    free: Floats  # (B, M) s, until a worker is free; infinite: there is none
    sojourn: Floats  # (B, M) s, of the task that a worker has; negative: none
    late: Floats  # (B, M) 1 if that is too long
    waiting: Floats  # (B,) tasks
    age: Floats  # (B, Q) s, of the waiting tasks, the oldest first
    rate: Floats  # (B,) tasks/s, where no schedule is known
    enqueued: Floats  # (B,) tasks that have come
    collected: Floats  # (B,) tasks
    done: Bools  # (B,)
    seen: Floats  # (B, 9)


@dataclass(frozen=True)
class QueueModel:
    """The farm as a sampled multi-server queue; see `netrollout.systems.serverless.sampled`.

    Parameters
    ----------
    beliefs : Beliefs
    reward : Reward
    start, least, most : int
        Workers.
    scale_up : tuple of float
        Mean and standard deviation of the scaling time, s.
    name : str
    discount : float
    horizon : int
        As in `netrollout.systems.serverless.Farm`.
    """

    beliefs: Beliefs = field(default_factory=Beliefs)
    reward: Reward = field(default_factory=Reward)
    start: int = 12
    least: int = 1
    most: int = 32
    scale_up: tuple[float, float] = (6.45, 0.6)
    name: str = "serverless-queue"
    discount: float = 0.99
    horizon: int = 30

    def __post_init__(self) -> None:
        """Check what a user may have changed."""
        if not 1 <= self.least <= self.start <= self.most:
            raise InputError(
                f"{self.name}: workers least {self.least}, start {self.start}, most {self.most}; "
                "expected 1 or more, in this order"
            )

    @property
    def levels(self) -> tuple[tuple[float, ...], ...]:
        """Changes of the number of workers."""
        return (INCREMENTS,)

    @property
    def tasks(self) -> float:
        """Tasks of an episode."""
        return float(self.beliefs.bounds[-1])

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        """Least and largest values of observations, (9,) each."""
        length = longest(self.horizon, self.scale_up)
        return limits(max(3, len(self.beliefs.bounds) - 1), self.tasks, (self.least, self.most), length)

    @property
    def usual_bounds(self) -> tuple[Floats, Floats]:
        """Observations that a network sees as 0 and 1, (9,) each."""
        return usual(self.tasks, (self.least, self.most))

    @property
    def edges(self) -> tuple[tuple[float, ...], ...]:
        """Where a table cuts observations."""
        return published_edges()

    def initial(self, rng: np.random.Generator, n: int) -> QueueState:
        """Begin n episodes with idle workers."""
        first = [3.0, 0, 0, 0, self.start, NO_TASK, NO_TASK, 0, 1]
        return self.estimate([(np.tile(first, (n, 1)), None)])

    def disturbance(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Draw w (*shape, 5): key of the cycle's tasks, scaling time and overhead of the step, s, and of a jump."""
        u = rng.random((*shape, 5))
        return np.concatenate([u[..., :1], durations(u[..., 1:3], self.scale_up), u[..., 3:]], axis=-1)

    def transition(self, x: QueueState, u: Ints, w: Floats) -> Step:
        """Scale by u (B, 1), run a cycle, observe and pay.  Lanes that are over, or beyond the time limit, stay so."""
        over = x.done | (x.cycle >= self.horizon)  # a simulation may look beyond the last cycle, where nothing is paid
        scaled = scale(x.workers, u, w[:, 1:3], over, (self.least, self.most))
        levels = self.beliefs.levels[(w[:, 4] * len(self.beliefs.levels)).astype(np.int64)]
        x = x._replace(rate=np.where(~over & (w[:, 3] < self.beliefs.jump), levels, x.rate))
        after, count = self._cycle(x, scaled, w[:, 0])
        counts = np.where(over[:, None], 0.0, count)
        after = after._replace(
            cycle=x.cycle + 1,
            workers=x.workers + scaled.change,
            collected=x.collected + counts[:, kernel.COLLECTED],
            enqueued=x.enqueued + counts[:, kernel.ARRIVED],
        )
        seen = sight(after, counts, scaled.length, self._phases_left(x, after.enqueued))
        finished = ~over & (after.collected >= self.tasks - 0.5)
        after = after._replace(seen=np.where(over[:, None], x.seen, seen), done=x.done | finished)
        terms = self.reward.terms(seen[:, 8], seen[:, 1], after.workers, scaled.change)
        terms["reward_end"] = self.reward.final(finished, after.cycle >= self.horizon, self.tasks - after.collected)
        return paid(after, over, counts, scaled, terms)

    def _cycle(self, x: QueueState, scaled: Scaled, key: Floats) -> tuple[QueueState, Floats]:
        """Return the state after a cycle, and the counts (B, 9) of it."""
        keys, count = (key * 2.0**53).astype(np.uint64), np.empty((len(key), 9))
        free, sojourn, late, age = x.free.copy(), x.sojourn.copy(), x.late.copy(), x.age.copy()
        waiting, came = x.waiting.astype(np.int64), x.enqueued.astype(np.int64)
        sampled.run(
            keys, self.beliefs.law, np.rint(self.beliefs.bounds), self._rates(x), self.beliefs.dispersion - 1.0,
            scaled.length, scaled.joins, scaled.leaves, came, free, sojourn, late, waiting, age, count,
        )  # fmt: skip
        return x._replace(free=free, sojourn=sojourn, late=late, waiting=waiting.astype(np.float64), age=age), count

    def _rates(self, x: QueueState) -> Floats:
        """Return the arrival rate of every phase, (B, P), tasks/s."""
        known = self.beliefs.rates
        shape = (len(x.rate), len(self.beliefs.bounds))
        return np.ascontiguousarray(np.broadcast_to(x.rate[:, None] if known is None else known, shape))

    def _phases_left(self, x: QueueState, came: Floats) -> Floats:
        """Return the phases that have not begun, (B,): as last seen, where no schedule is known."""
        if self.beliefs.rates is None:
            return x.seen[:, 0]
        inside = np.searchsorted(np.rint(self.beliefs.bounds), came, side="right")
        left: Floats = np.maximum(len(self.beliefs.bounds) - 1.0 - inside, 0.0)
        return left

    def step(self, x: QueueState, u: Ints, rng: np.random.Generator) -> Step:
        """Draw a disturbance and apply `transition`."""
        return self.transition(x, u, self.disturbance(rng, (len(x.cycle),)))

    def observe(self, x: QueueState) -> NDArray[np.float32]:
        """Return the nine numbers, (B, 9); see `netrollout.systems.serverless.Farm`."""
        return x.seen.astype(np.float32)

    def state_of(self, observation: NDArray[np.floating]) -> QueueState:
        """Return the states behind single observations (B, 9)."""
        return self.estimate([(observation, None)])

    def estimate(self, history: History) -> QueueState:
        """Return the hidden states behind what was observed and done.

        The tasks in service are those that have come and are neither waiting nor through, or one per worker where tasks
        wait; each is as far as a task of the service law seen at a random moment.  The waiting tasks came at the last
        rate.  A task in service is late if the last tasks waited longer than it takes.

        Parameters
        ----------
        history : sequence of (observation (B, 9), action (B, 1) or None)
            The oldest first, from the start of the episode if possible; the last one is now.  A history of one tells
            less: how many are in service is then taken from the arrival rate.
        """
        if not history:
            raise InputError(f"{self.name}: an empty history; expected an observation or more, the oldest first")
        o = np.asarray(history[-1][0], dtype=np.float64)
        came, cycle = self._came(o, history)
        rates = np.mean([np.asarray(seen, dtype=np.float64)[:, 7] for seen, _ in history[-2:]], axis=0)
        changed = np.asarray(history[-2][0])[:, 0] != o[:, 0] if len(history) > 1 else np.zeros(len(o), dtype=bool)
        rate = np.where(changed, o[:, 7], rates)
        # Before the first cycle no rate was seen: the mean rate of an episode stands in.
        rate = np.where((o[:, 7] == 0.0) & (o[:, 3] == 0.0), self.tasks / (self.horizon * STEP), rate)
        busy = np.where(o[:, 1] > 0, o[:, 4], np.clip(came - o[:, 1:4].sum(axis=1), 0.0, o[:, 4]))
        free, sojourn, late = self._in_service(o, busy)
        waiting = np.minimum(o[:, 1], WAITING)
        age = (waiting[:, None] - np.arange(WAITING) - 0.5) / np.maximum(rate, 0.1)[:, None]
        done = o[:, 3] >= self.tasks
        return QueueState(
            cycle, o[:, 4].astype(np.int64), free, sojourn, late, waiting, np.maximum(age, 0.0), rate, came,
            o[:, 3] + o[:, 2], done, o,
        )  # fmt: skip

    def _came(self, o: Floats, history: History) -> tuple[Floats, Ints]:
        """Return the tasks that have come, and the cycle, (B,) each."""
        if len(history) > 1:
            came = np.zeros(len(o))
            for seen, _ in history:
                came = enqueued(np.asarray(seen, dtype=np.float64), came)
            return came, np.full(len(o), len(history) - 1)
        present = o[:, 1:4].sum(axis=1)
        inside = np.where(o[:, 1] > 0, o[:, 4], np.minimum(np.rint(o[:, 7] * self.beliefs.mean), o[:, 4]))
        came = np.minimum(present + inside, self.tasks)
        rates = self.beliefs.rates if self.beliefs.rates is not None else np.array([self.tasks / (self.horizon * STEP)])
        ends = np.cumsum(np.diff(self.beliefs.bounds, prepend=0.0) / rates)
        time = np.interp(came, np.concatenate([[0.0], self.beliefs.bounds]), np.concatenate([[0.0], ends]))
        return came, np.clip(np.rint(time / STEP), 0, self.horizon - 1).astype(np.int64)

    def _in_service(self, o: Floats, busy: Floats) -> tuple[Floats, Floats, Floats]:
        """Return when each worker is free, and the sojourn time and lateness of its task, (B, M) each."""
        place = np.arange(self.most)
        has, exists = place < busy[:, None], place < o[:, 4:5]
        # A task that is seen in service is the longer the likelier, and its age is uniform.
        weight = np.cumsum(self.beliefs.law) / self.beliefs.law.sum()
        asked = np.interp((place + 0.5) / np.maximum(busy, 1.0)[:, None], weight, self.beliefs.law)
        left = asked * ((place + 1) * GOLDEN % 1.0)
        waited = np.maximum(o[:, 5:6] - self.beliefs.mean - sampled.PASSING - kernel.OVERHEAD, 0.0)
        waited = np.where(o[:, 1:2] > 0, waited, np.minimum(waited, left.mean()))
        sojourn = waited + asked + kernel.OVERHEAD + sampled.PASSING
        late = sojourn > np.clip(kernel.DEADLINE * asked, kernel.LEAST, kernel.MOST)
        free = np.where(exists, np.where(has, left, 0.0), np.inf)
        return free, np.where(has, sojourn, -1.0), (late & has).astype(np.float64)

    def feasible(self, x: QueueState) -> Bools:
        """Return which changes stay within the range, (B, 3)."""
        return np.stack([x.workers > self.least, np.ones_like(x.done), x.workers < self.most], axis=1)

    def noise_support(self) -> None:
        """Return None: a cycle's tasks cannot be listed."""


@dataclass(frozen=True)
class FluidModel(QueueModel):
    """The farm as a fluid: work flows in at the arrival rate and out at the rate that the workers can do.

    The waiting tasks w of the end of a cycle mean a wait of v = w / (workers / mean service time); a task is in time if
    it takes longer than it waited, so the QoS is 1 without a queue and the share of services over v with one.  Chance
    has no part in it, except in the scaling time and in jumps of the rate.
    """

    name: str = "serverless-fluid"

    def _cycle(self, x: QueueState, scaled: Scaled, key: Floats) -> tuple[QueueState, Floats]:
        """Return the state after a cycle, and the counts (B, 9) of it."""
        mean, arrivals, workers = self.beliefs.mean, self._arrivals(x, scaled.length), x.workers + scaled.change
        new = np.where(scaled.joins < np.inf, scaled.length - scaled.joins, 0.0)
        gone = np.where(scaled.leaves < np.inf, scaled.length - scaled.leaves, 0.0)
        able = (x.workers * scaled.length + new - gone) / mean
        inside = x.enqueued - x.collected + arrivals  # waiting, in service, and coming
        # At the end as many are in service as arrive in a service time; none once all have come.
        more = x.enqueued + arrivals < self.tasks - 0.5
        busy = np.where(more, arrivals / np.maximum(scaled.length, STEP) * mean, 0.0)
        through = np.clip(np.minimum(inside - busy, able), 0.0, None)
        waiting = np.maximum(inside - through - workers, 0.0)
        wait = waiting * mean / workers
        good = 1.0 - np.interp(wait, self.beliefs.law, np.linspace(0.0, 1.0, len(self.beliefs.law)))
        good = np.where(waiting > 0.0, good, 1.0)
        count = np.zeros((len(key), 9))
        count[:, kernel.ARRIVED], count[:, kernel.WAITING] = arrivals, waiting
        count[:, kernel.COLLECTED] = count[:, kernel.WINDOW] = through
        count[:, kernel.LATE], count[:, kernel.GOOD] = through * (1.0 - good), through * good
        count[:, kernel.TOTAL] = through * (mean + wait)
        count[:, kernel.LONGEST] = self.beliefs.law[-1] + wait
        return x._replace(waiting=waiting), count

    def _arrivals(self, x: QueueState, length: Floats) -> Floats:
        """Return the expected tasks of a cycle, (B,): the phases flow one after the other."""
        rates, came, left = self._rates(x), x.enqueued.copy(), length.copy()
        for phase, bound in enumerate(self.beliefs.bounds):
            room = np.maximum(bound - came, 0.0)
            flow = np.minimum(rates[:, phase] * left, room)
            came, left = came + flow, left - flow / np.maximum(rates[:, phase], 1e-9)
        return came - x.enqueued
