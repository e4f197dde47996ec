"""The serverless task farm: an emitter, up to 32 worker functions and a collector, scaled by one worker a cycle.

A task waits in one queue, first come, first served, for a worker function, which takes its service time; it is in time
if its sojourn is at most twice that.  In a control cycle::

    w'       = clip(w + d, least, most)                        the replica count moves at once
    joins    = t + L - POLLED          if d > 0                a new worker is there after most of the scaling time L
    leaves   = t + LEAVE               if d < 0                the next worker that gets free after it leaves
    t'       = t + max(8, L [d > 0] + 0.2) + e                 a slow start stretches the cycle; e: overhead of a step
    queue'   by `kernel.advance`                               tasks of the workload in (t, t']
    R        by `reward.Reward`                                of the observation at t'

The episode ends when all tasks are collected, or after 30 cycles; then up to 8 s more are waited for tasks on their
way.  The disturbance is the workload (arrivals, services and polling, a row of the farm's `Bank`), which a lane takes
from the w of its first cycle, and L and e of every cycle: a recorded or seeded episode can be passed in its place.

Batch letters: B lanes, W workloads, N tasks, P phases, M workers at most, D observation size (9).

Source: lilanpei/AI-based-Autonomic-Management-of-Structured-Parallel-Programs (serverless facts, sections 1, 2, 8).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from netrollout.batch import take
from netrollout.systems.serverless import kernel
from netrollout.systems.serverless.reward import Reward
from netrollout.systems.serverless.tasks import Bank, seeded
from netrollout.types import Bools, Floats, InputError, Ints, Step

CYCLE = WINDOW = 8.0  # s, a step and the window that it observes
FIRST_SEEN = 0.9  # s from the start of generation to the first observation
POLLED = 1.05  # s by which a new worker is there before its scaling is reported done
LEAVE = 0.3  # s until a worker reads that it should leave
MARGIN = 0.2  # s that a scaling step takes besides the scaling
DRAIN = 8.0  # s that the end of an episode waits for tasks on their way
FASTEST, SLOWEST = -2.08, 4.25  # standard deviations from the mean: 5.2 s and 9.0 s of the published scaling time
OVERHEAD = (0.05, 0.1)  # s, of a step
TICK = 1e-9  # s, so that an episode that is over divides by something
STEP = CYCLE + sum(OVERHEAD) / 2  # s, of a usual step
NO_TASK = 1.5  # s, reported as the sojourn time of an empty window
INCREMENTS = (-1.0, 0.0, 1.0)
OBSERVATION = (
    "input_q", "worker_q", "result_q", "output_q", "workers", "avg_time", "max_time", "arrival_rate", "qos_rate",
)  # fmt: skip
EDGES = {
    "input_q": (0.5, 1.5, 2.5),
    "worker_q": (0.5, 2.5, 5.5, 9.5, 15.5, 30.5),
    "workers": (3.5, 7.5, 11.5, 12.5, 16.5, 20.5, 24.5),
    "avg_time": (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0),
    "arrival_rate": (0.15, 0.5, 1.5, 3.5),
    "qos_rate": (0.5, 0.8, 0.9, 0.95, 0.999),
}
"""Published bins of a table, 53,760 states; the other observations are left out (serverless facts, 4.1)."""


class FarmState(NamedTuple):
    """What carries over from cycle to cycle."""

    cycle: Ints  # (B,) cycles since the start of the episode
    time: Floats  # (B,) s since the start of generation
    workload: Ints  # (B,) row of the bank; -1 before the first cycle
    workers: Ints  # (B,) replicas asked for
    begun: Ints  # (B,) tasks given to a worker
    oldest: Ints  # (B,) all tasks before it were collected before the last window
    free: Floats  # (B, M) s, when each worker is free; infinite: no such worker
    finish: Floats  # (B, N) s, of the tasks that have begun
    collect: Floats  # (B, N) s
    collected: Floats  # (B,) tasks
    done: Bools  # (B,) the episode is over
    seen: Floats  # (B, 9) the observation


@dataclass(frozen=True)
class Farm:
    """The plant: an event-level simulator of the published task farm.

    ============  ============================================================  =========
    observation   meaning                                                       unit
    ============  ============================================================  =========
    input_q       phases that have not begun                                    phases
    worker_q      waiting tasks                                                 tasks
    result_q      finished, not yet collected                                   tasks
    output_q      collected in this episode                                     tasks
    workers       replicas asked for                                            workers
    avg_time      mean sojourn of the tasks collected in the last 8 s           s
    max_time      largest of them                                               s
    arrival_rate  tasks enqueued since the last observation, per time           tasks/s
    qos_rate      share of the tasks of the last 8 s in time (1 if none)        1
    ============  ============================================================  =========

    The action has one component: a worker fewer, none, one more.  Metrics: completed and violations (tasks collected in
    the cycle and late ones of them, the last cycle with the tasks waited for), qos (of the window), workers, queue,
    applied (absolute change), requested (1 if a change was asked for), arrivals, and the terms of the reward, reward_*.
    The QoS of an episode is 1 - sum violations / sum completed.

    Parameters
    ----------
    bank : Bank
        The workloads that episodes are drawn from.
    reward : Reward
    start, least, most : int
        Workers at the start of an episode, and their range.
    scale_up : tuple of float
        Mean and standard deviation of the scaling time L, s.
    name : str
    discount : float
        Per control cycle.
    horizon : int
        Control cycles per episode.

    Raises
    ------
    InputError
        If the workers are not in order, the scaling time is not positive, or discount or horizon is out of range.
    """

    bank: Bank = field(default_factory=lambda: seeded(range(42, 52)))
    reward: Reward = field(default_factory=Reward)
    start: int = 12
    least: int = 1
    most: int = 32
    scale_up: tuple[float, float] = (6.45, 0.6)
    name: str = "serverless"
    discount: float = 0.99
    horizon: int = 30

    def __post_init__(self) -> None:
        """Check what a user may have changed."""
        if not 1 <= self.least <= self.start <= self.most:
            raise InputError(
                f"{self.name}: workers least {self.least}, start {self.start}, most {self.most}; "
                "expected 1 or more, in this order"
            )
        if not (self.scale_up[0] > POLLED and self.scale_up[1] >= 0.0):
            raise InputError(f"{self.name}: scale_up {self.scale_up}; expected a mean above {POLLED} s and a deviation")
        if not 0.0 <= self.discount <= 1.0 or self.horizon < 1:
            raise InputError(
                f"{self.name}: discount {self.discount}, horizon {self.horizon}; expected 0 to 1 and 1 cycle or more"
            )

    @property
    def levels(self) -> tuple[tuple[float, ...], ...]:
        """Changes of the number of workers."""
        return (INCREMENTS,)

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        """Least and largest values of observations, (9,) each."""
        length = longest(self.horizon, self.scale_up)
        return limits(self.bank.begins.shape[1] - 1, self.bank.tasks, (self.least, self.most), length)

    @property
    def usual_bounds(self) -> tuple[Floats, Floats]:
        """Observations that a network sees as 0 and 1, (9,) each."""
        return usual(self.bank.tasks, (self.least, self.most))

    @property
    def edges(self) -> tuple[tuple[float, ...], ...]:
        """Where a table cuts observations."""
        return published_edges()

    def initial(self, rng: np.random.Generator, n: int) -> FarmState:
        """Begin n episodes with idle workers; no workload is chosen yet."""
        none = np.zeros(n, dtype=np.int64)
        free = np.full((n, self.most), np.inf)
        free[:, : self.start] = 0.0
        seen = np.tile([self.bank.begins.shape[1] - 1.0, 0, 0, 0, self.start, NO_TASK, NO_TASK, 0, 1], (n, 1))
        never = np.full((n, self.bank.tasks), np.inf)
        return FarmState(
            none, np.full(n, FIRST_SEEN), none - 1, none + self.start, none, none, free, never, never, np.zeros(n),
            none > 0, seen,
        )  # fmt: skip

    def disturbance(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Draw w (*shape, 3): row of the bank, scaling time L in s, overhead e of the step in s.

        Only the row of an episode's first cycle counts.
        """
        u = rng.random((*shape, 3))
        return np.concatenate([np.floor(u[..., :1] * len(self.bank)), durations(u[..., 1:], self.scale_up)], axis=-1)

    def transition(self, x: FarmState, u: Ints, w: Floats) -> Step:
        """Scale by u (B, 1), run a cycle, observe and pay; see the module's equations.  Lanes that are over stay so."""
        scaled = scale(x.workers, u, w[:, 1:], x.done, (self.least, self.most))
        row = np.where(x.workload < 0, w[:, 0].astype(np.int64), x.workload)
        time, workers = x.time + scaled.length, x.workers + scaled.change
        after = x._replace(cycle=x.cycle + 1, time=time, workload=row, workers=workers)
        after, count = self._run(x.time, after, x.time + scaled.joins, x.time + scaled.leaves)
        left = (self.bank.begins[row] > time[:, None]).sum(axis=1)
        seen = np.where(x.done[:, None], x.seen, sight(after, count, scaled.length, left))
        after = after._replace(seen=seen)
        return self._paid(x, after, count, scaled)

    def _run(self, now: Floats, x: FarmState, joins: Floats, leaves: Floats) -> tuple[FarmState, Floats]:
        """Return the state at its time after the event loop since `now`, and the counts (B, 9) of `kernel.measure`."""
        begun, oldest, free = x.begun.copy(), x.oldest.copy(), x.free.copy()
        finish, collect, count = x.finish.copy(), x.collect.copy(), np.empty((len(now), 9))
        b, row = self.bank, x.workload
        kernel.advance(b.arrival, b.service, b.poll, row, x.time, joins, leaves, begun, free, finish, collect)
        kernel.measure(b.arrival, b.service, row, now, x.time - WINDOW, x.time, oldest, begun, finish, collect, count)
        done = x.collected + count[:, kernel.COLLECTED]
        return x._replace(begun=begun, oldest=oldest, free=free, finish=finish, collect=collect, collected=done), count

    def _paid(self, x: FarmState, after: FarmState, count: Floats, scaled: Scaled) -> Step:
        """Return the step with its end, reward and metrics."""
        last = after.cycle >= self.horizon
        finished = (after.seen[:, :3].sum(axis=1) == 0.0) & (after.collected >= self.bank.tasks)
        terms = self.reward.terms(after.seen[:, 8], after.seen[:, 1], after.workers, scaled.change)
        terms["reward_end"] = self.reward.final(finished, last, self.bank.tasks - after.collected)
        count = count + self._drained(after, ~x.done & last & ~finished)
        done = x.done | finished
        return paid(after._replace(done=done), x.done, count, scaled, terms)

    def _drained(self, x: FarmState, ends: Bools) -> Floats:
        """Return the counts (B, 9) of what is collected while the end of an episode waits, where one ends."""
        count, lanes = np.zeros((len(ends), 9)), np.flatnonzero(ends)
        if len(lanes):
            late, never = take(x, lanes), np.full(len(lanes), np.inf)
            count[lanes] = self._run(late.time, late._replace(time=late.time + DRAIN), never, never)[1]
        return count

    def step(self, x: FarmState, u: Ints, rng: np.random.Generator) -> Step:
        """Draw a disturbance and apply `transition`."""
        return self.transition(x, u, self.disturbance(rng, (len(x.cycle),)))

    def observe(self, x: FarmState) -> NDArray[np.float32]:
        """Return what the controller sees, (B, 9); see the table above."""
        return x.seen.astype(np.float32)

    def state_of(self, observation: NDArray[np.floating]) -> FarmState:
        """Raise: nine numbers do not tell the ages of tasks; a model (`serverless.model`) estimates them."""
        raise InputError(f"{self.name}: the plant's state is not visible; plan on a model, which has estimate(history)")

    def feasible(self, x: FarmState) -> Bools:
        """Return which changes stay within the range, (B, 3)."""
        return np.stack([x.workers > self.least, np.ones_like(x.done), x.workers < self.most], axis=1)

    def noise_support(self) -> None:
        """Return None: workloads cannot be listed."""


def longest(horizon: int, scale_up: tuple[float, float]) -> float:
    """Return the longest time that an episode takes, s: every cycle is stretched by the slowest start."""
    mean, deviation = scale_up
    stretched = max(CYCLE, mean + SLOWEST * deviation + MARGIN)
    return FIRST_SEEN + horizon * (stretched + OVERHEAD[1]) + DRAIN


def limits(phases: float, tasks: float, workers: tuple[int, int], length: float) -> tuple[Floats, Floats]:
    """Return the least and largest values of observations, (9,) each, of episodes of a length in s."""
    low = np.zeros(len(OBSERVATION))
    low[4] = workers[0]
    return low, np.array([phases, tasks, tasks, tasks, workers[1], length, length, tasks / CYCLE, 1.0])


def usual(tasks: float, workers: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return the published bounds of observations, (9,) each (serverless facts, 2.2).

    The widest possible ones would leave a network small differences; what is beyond these is clipped.
    """
    low = np.zeros(len(OBSERVATION))
    low[4] = workers[0]
    return low, np.array([3.0, 800.0, 10.0, tasks, max(workers[1], workers[0] + 1.0), 150.0, 160.0, 12.0, 1.0])


def published_edges() -> tuple[tuple[float, ...], ...]:
    """Return where a table cuts each of the 9 observations."""
    return tuple(EDGES.get(name, ()) for name in OBSERVATION)


class Scaled(NamedTuple):
    """What an action does to the farm."""

    change: Ints  # (B,) workers
    requested: Floats  # (B,) 1 where a change was asked for
    length: Floats  # (B,) s, of the cycle
    joins: Floats  # (B,) s into the cycle, when a new worker is there; infinite: none
    leaves: Floats  # (B,) s into the cycle, when a worker is told to leave; infinite: none


def durations(u: Floats, scale_up: tuple[float, float]) -> Floats:
    """Return scaling times L and overheads e of steps, (..., 2), s, for uniforms u (..., 2)."""
    mean, deviation = scale_up
    scaling = mean + deviation * np.clip(ndtri(u[..., 0]), FASTEST, SLOWEST)
    return np.stack([scaling, OVERHEAD[0] + (OVERHEAD[1] - OVERHEAD[0]) * u[..., 1]], axis=-1)


def scale(workers: Ints, u: Ints, w: Floats, done: Bools, limits: tuple[int, int]) -> Scaled:
    """Return what actions u (B, 1) do under scaling times and overheads w (B, 2); nothing where the episode is over."""
    wish = np.where(done, 0, np.asarray(u)[:, 0] - 1)
    change = np.clip(workers + wish, *limits) - workers
    length = np.maximum(CYCLE, np.where(change > 0, w[:, 0] + MARGIN, 0.0)) + w[:, 1]
    joins = np.where(change > 0, w[:, 0] - POLLED, np.inf)
    leaves = np.where(change < 0, LEAVE, np.inf)
    return Scaled(change, (wish != 0).astype(np.float64), np.where(done, 0.0, length), joins, leaves)


def paid(after: Any, over: Bools, count: Floats, scaled: Scaled, terms: dict[str, Floats]) -> Step:
    """Return the step to a state `after` (with `seen`, `workers` and `done`), nothing paid in lanes that were over."""
    terms = {name: np.where(over, 0.0, term) for name, term in terms.items()}
    metrics = {
        "completed": count[:, kernel.COLLECTED], "violations": count[:, kernel.LATE],
        "arrivals": count[:, kernel.ARRIVED], "qos": after.seen[:, 8], "queue": after.seen[:, 1],
        "workers": after.workers.astype(np.float64), "applied": np.abs(scaled.change).astype(np.float64),
        "requested": scaled.requested, **terms,
    }  # fmt: skip
    reward: Floats = np.sum(list(terms.values()), axis=0)
    return Step(after, reward, after.done.copy(), metrics)


def sight(x: Any, count: Floats, length: Floats, phases_left: Ints | Floats) -> Floats:
    """Return the nine numbers (B, 9), in double precision, of a state with `collected` and `workers`.

    Parameters
    ----------
    x : NamedTuple
    count : (B, 9)
        As `kernel.measure` counts.
    length : (B,) s
        Of the cycle.
    phases_left : (B,)
    """
    some, inside = count[:, kernel.WINDOW] > 0, np.maximum(count[:, kernel.WINDOW], 1.0)
    columns = [
        phases_left, count[:, kernel.WAITING], count[:, kernel.FINISHED], x.collected, x.workers,
        np.where(some, count[:, kernel.TOTAL] / inside, NO_TASK), np.where(some, count[:, kernel.LONGEST], NO_TASK),
        count[:, kernel.ARRIVED] / np.maximum(length, TICK), np.where(some, count[:, kernel.GOOD] / inside, 1.0),
    ]  # fmt: skip
    return np.stack(columns, axis=1)


def enqueued(observation: Floats, before: Floats) -> Floats:
    """Return the published counter of tasks that have come, (B,), which is not observed.

    It is summed up from the arrival rates and the usual length of a step, rounded to whole tasks, and kept between the
    tasks that are certainly there (waiting, finished, collected) and those and one more per worker.

    Parameters
    ----------
    observation : (B, 9)
    before : (B,)
        The counter one cycle earlier.
    """
    present = observation[:, 1:4].sum(axis=1)
    counted = before + np.rint(observation[:, 7] * STEP)
    return np.clip(counted, present, present + observation[:, 4])
