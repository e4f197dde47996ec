"""Allocation: five services share three resources; what they hold is whole slots that take a cycle to start.

A control cycle is a quarter of an hour, a day has 96, an episode is a day.  In a cycle (i: services, r: resources)::

    y      = clip(slots + u, 0, TOP)              a slot of service i holds the bundle need_i of resources
    over_r = max(sum_i y_i need_ir - limit_r, 0)  limit: the capacity, halved while the resource has failed
    y_i    is cut to its scarcest resource's share limit_r / asked_r and rounded down, where something is over
    came   ~ Poisson(pattern[phase] times the factor of a burst or of calm)
    done   = min(waiting + came, min(y, slots))   a slot serves one job, and from the next cycle on (`setup` 0: at once)
    reward = priority . (done - lost) - cost . held - slo (waiting over the bound) - violation (over) - move (added)

What waits beyond `most` is turned away (lost).  Bursts and failures begin and end with fixed probabilities; bursts are
hidden.  All random numbers are uniforms, so that a disturbance means the same whatever is done.

Batch letters: B lanes, N services, R resources, T = 96 cycles of a day.

Source: ours, in the place of the static problem of kryptologyst/RL-Resource-Allocation, in which nothing moves in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

from netrollout.systems.compiled import compiled
from netrollout.types import Bools, Floats, InputError, Ints, Step

DAY = 96  # cycles
CELLS = 256  # of [0, 1), on which the laws of the arrivals are laid out
TOP = 12  # slots of a service
REACH = 2  # slots more or fewer of a service in a cycle at most
SEEN = 20.0  # jobs a cycle, the scale of arrivals in observations
ROUND = 1e-9  # so that a sum that equals a limit is within it


class AllocationState(NamedTuple):
    """What carries over from cycle to cycle."""

    phase: Ints  # (B,) cycle of the day that comes
    waiting: Ints  # (B, N) jobs
    slots: Ints  # (B, N) granted in the last cycle
    failed: Ints  # (B, R) 1: half of the resource is there
    burst: Ints  # (B, N) 1: the service's arrivals are in a burst; hidden
    came: Ints  # (B, N) jobs in the last cycle


@dataclass(frozen=True, eq=False)
class Allocation:
    """The allocation system.

    The action has one component per service: 2 slots fewer to 2 more.  Metrics: value (of jobs done), paid (for what is
    held), late (penalty of waiting jobs), lost and done and waiting (jobs), violations (1 where a capacity was passed),
    severity (units of resource asked beyond them), moved (slots added).

    Parameters
    ----------
    need : (N, R)
        Resources that a slot holds.
    priority, mean, swing, peak : (N,)
        Reward per job; mean arrivals per cycle, their daily swing as a share, and its peak, h.
    cost, capacity : (R,)
        Per unit and cycle; units.
    most, bound : (N,)
        Jobs that may wait; those above the bound cost `slo` each.
    burst, failure : (2,) float
        Probabilities per cycle that one begins, and that it ends.
    factors : (2,) float
        On the arrivals in calm and in a burst.
    setup : int
        Cycles until a new slot serves, 0 or 1.

    Raises
    ------
    InputError
        If the numbers of services or resources differ, or a number is out of range.
    """

    need: tuple[tuple[float, ...], ...] = (
        (0.9, 0.2, 0.3), (0.3, 0.8, 0.2), (0.2, 0.3, 0.9), (0.6, 0.5, 0.2), (0.3, 0.4, 0.6)
    )  # fmt: skip
    priority: tuple[float, ...] = (0.10, 0.08, 0.09, 0.06, 0.05)
    cost: tuple[float, ...] = (0.015, 0.010, 0.0125)
    capacity: tuple[float, ...] = (10.0, 10.0, 10.0)
    mean: tuple[float, ...] = (3.0,) * 5
    swing: tuple[float, ...] = (0.5,) * 5
    peak: tuple[float, ...] = (20.0, 20.0, 20.0, 14.0, 3.0)
    bound: tuple[int, ...] = (8, 8, 8, 40, 40)
    most: tuple[int, ...] = (40, 40, 40, 120, 120)
    start: tuple[int, ...] = (2,) * 5
    factors: tuple[float, float] = (0.75, 2.4)
    burst: tuple[float, float] = (0.04, 0.15)
    failure: tuple[float, float] = (0.02, 0.12)
    left: float = 0.5
    slo: float = 0.015
    violation: float = 0.05
    move: float = 0.02
    setup: int = 1
    name: str = "allocation"
    discount: float = 0.99
    horizon: int = DAY

    def __post_init__(self) -> None:
        """Check what a user may have changed."""
        n, each = len(self.need), (self.priority, self.mean, self.swing, self.peak, self.bound, self.most, self.start)
        if any(len(values) != n for values in each) or self.bundles.shape != (n, len(self.capacity)):
            raise InputError(f"{self.name}: {n} bundles of {len(self.capacity)} resources; expected one number of each")
        if len(self.cost) != len(self.capacity) or not min(self.capacity) > 0.0 or not 0 <= min(self.start):
            raise InputError(f"{self.name}: expected a cost and a positive capacity of each resource, slots of 0 up")
        if (np.array(self.start) @ self.bundles > np.array(self.capacity) + ROUND).any() or max(self.start) > TOP:
            raise InputError(f"{self.name}: start {self.start} is beyond the capacity {self.capacity} or {TOP} slots")
        if not all(0.0 <= p <= 1.0 for p in (*self.burst, *self.failure, *self.swing, self.left, self.discount)):
            raise InputError(f"{self.name}: swings, probabilities and the discount must be from 0 to 1")
        if self.setup not in (0, 1) or self.horizon < 1:
            raise InputError(f"{self.name}: setup {self.setup}, horizon {self.horizon}; expected 0 or 1, 1 or more")

    @cached_property
    def bundles(self) -> Floats:
        """Resources that a slot holds, (N, R)."""
        return np.array(self.need, dtype=np.float64)

    @property
    def levels(self) -> tuple[tuple[float, ...], ...]:
        """Changes of the slots of each service."""
        return (tuple(map(float, range(-REACH, REACH + 1))),) * len(self.need)

    @cached_property
    def pattern(self) -> Floats:
        """Mean arrivals (T, N) of a day, bursts and calm left aside."""
        hours = np.arange(DAY)[:, None] * 24.0 / DAY
        table: Floats = np.array(self.mean) * (
            1.0 + np.array(self.swing) * np.cos(2.0 * np.pi * (hours - np.array(self.peak)) / 24.0)
        )
        return table

    @cached_property
    def quantiles(self) -> Ints:
        """Arrivals at the middle of each cell of [0, 1), (T, N, 2, CELLS)."""
        rates = self.pattern[:, :, None, None] * np.array(self.factors)[:, None]
        return np.asarray(poisson.ppf((np.arange(CELLS) + 0.5) / CELLS, rates), dtype=np.int64)

    def initial(self, rng: np.random.Generator, n: int) -> AllocationState:
        """Begin n days calm, with nothing waiting or failed."""
        zero, idle = np.zeros((n, len(self.need)), dtype=np.int64), np.zeros((n, len(self.capacity)), dtype=np.int64)
        came = np.rint(self.pattern[-1] * self.factors[0]).astype(np.int64)
        return AllocationState(zero[:, 0], zero, zero + np.array(self.start), idle, zero, zero + came)

    def disturbance(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Draw uniforms w (*shape, 2 N + R): bursts, arrivals, failures."""
        return rng.random((*shape, 2 * len(self.need) + len(self.capacity)))

    def limits(self, x: AllocationState) -> Floats:
        """Return what there is of the resources, (B, R)."""
        limit: Floats = np.where(x.failed > 0, self.left, 1.0) * np.array(self.capacity)
        return limit

    def held(self, slots: Floats | Ints) -> Floats:
        """Return the resources (B, R) that slots (B, N) hold; the same bit by bit for one lane and for many."""
        total = np.zeros((len(slots), len(self.capacity)))
        hold(np.asarray(slots, dtype=np.float64), self.bundles, total)
        return total

    def transition(self, x: AllocationState, u: Ints, w: Floats) -> Step:
        """Move slots by u (B, N), let a cycle of jobs come and be served, and pay; see the module's equations."""
        n, priority = len(self.need), np.array(self.priority)
        wish, limit = np.clip(x.slots + np.asarray(u) - REACH, 0, TOP), self.limits(x)
        asked = self.held(wish)
        over: Floats = np.maximum(asked - limit - ROUND, 0.0)
        slots, cut = wish.astype(np.int64), (over > 0.0).any(axis=1)
        if cut.any():
            there = np.minimum(limit[cut] / np.maximum(asked[cut], ROUND), 1.0)
            share = np.where(self.bundles > 0.0, there[:, None], 1.0).min(axis=2)
            slots[cut] = np.floor(wish[cut] * share + ROUND)
        burst = shifted(x.burst, w[:, :n], self.burst)
        cell = (w[:, n : 2 * n] * CELLS).astype(np.int64)
        came = self.quantiles[x.phase[:, None], np.arange(n), burst, cell]
        work = x.waiting + came
        done = np.minimum(work, np.minimum(slots, x.slots) if self.setup else slots)
        waiting = np.minimum(work - done, self.most)
        lost, late = work - done - waiting, np.maximum(waiting - np.array(self.bound), 0).sum(axis=1)
        added, value = np.maximum(slots - x.slots, 0).sum(axis=1), (done * priority).sum(axis=1)
        paid = (self.held(slots) * np.array(self.cost)).sum(axis=1)
        fines = self.slo * late + (lost * priority).sum(axis=1) + self.violation * over.sum(axis=1) + self.move * added
        failed = shifted(x.failed, w[:, 2 * n :], self.failure)
        metrics = {
            "value": value, "paid": paid, "late": self.slo * late, "lost": lost.sum(axis=1), "moved": added,
            "done": done.sum(axis=1), "waiting": waiting.sum(axis=1), "violations": over.any(axis=1),
            "severity": over.sum(axis=1),
        }  # fmt: skip
        after = AllocationState((x.phase + 1) % DAY, waiting, slots, failed, burst, came)
        numbers = {name: np.asarray(number, dtype=np.float64) for name, number in metrics.items()}
        return Step(after, value - paid - fines, np.zeros(len(value), dtype=bool), numbers)

    def step(self, x: AllocationState, u: Ints, rng: np.random.Generator) -> Step:
        """Draw a disturbance and apply `transition`."""
        return self.transition(x, u, self.disturbance(rng, (len(x.phase),)))

    def observe(self, x: AllocationState) -> NDArray[np.float32]:
        """Return (B, 3 + 3 N + R): phase, waiting, slots, failed, came, sine and cosine of the day, all in 0 to 1."""
        angle = 2 * np.pi * x.phase / DAY
        return np.column_stack(
            [x.phase / DAY, x.waiting / np.array(self.most), x.slots / TOP, x.failed, np.minimum(x.came / SEEN, 1.0),
             (1 + np.sin(angle)) / 2, (1 + np.cos(angle)) / 2]
        ).astype(np.float32)  # fmt: skip

    def state_of(self, observation: NDArray[np.floating[Any]]) -> AllocationState:
        """Return the states behind observations; a burst is where more came than between calm and burst."""
        n, r = len(self.need), len(self.capacity)
        seen = np.asarray(observation, dtype=np.float64)
        scales = np.concatenate([[DAY], self.most, [TOP] * n, [1.0] * r, [SEEN] * n])
        parts = np.split(np.rint(seen[:, : len(scales)] * scales).astype(np.int64), np.cumsum([1, n, n, r]), axis=1)
        phase, came = parts[0][:, 0] % DAY, parts[4]
        burst = came > self.pattern[phase - 1] * sum(self.factors) / 2
        return AllocationState(phase, parts[1], parts[2], parts[3], burst.astype(np.int64), came)

    def feasible(self, x: AllocationState) -> Bools:
        """Return which changes stay within 0 and TOP, (B, 5 N)."""
        after = x.slots[:, :, None] + np.arange(-REACH, REACH + 1)
        return ((after >= 0) & (after <= TOP)).reshape(len(x.phase), -1)

    def noise_support(self) -> None:
        """Return None: arrivals are too many to be listed."""

    def expected(self, x: AllocationState, cycles: int) -> Floats:
        """Return the jobs (B, N) that are expected in the cycle after so many."""
        begins, ends = self.burst
        often = begins / (begins + ends)
        bursting = often + (x.burst - often) * (1.0 - begins - ends) ** cycles
        factor = bursting * self.factors[1] + (1.0 - bursting) * self.factors[0]
        return self.pattern[(x.phase + cycles - 1) % DAY] * factor


def shifted(events: Ints, u: Floats, law: tuple[float, float]) -> Ints:
    """Return which events go on or begin, for uniforms u of the same shape."""
    return np.where(events > 0, u >= law[1], u < law[0]).astype(np.int64)


@compiled()
def hold(slots, bundles, total):  # type: ignore[no-untyped-def]
    """Add the resources that slots (B, N) float64 hold to a total (B, R), in place."""
    for lane in range(len(slots)):
        for i in range(slots.shape[1]):
            for r in range(bundles.shape[1]):
                total[lane, r] += slots[lane, i] * bundles[i, r]
