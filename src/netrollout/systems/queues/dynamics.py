"""Scenario S4: a service mesh with dynamics, in which no configuration is right all day.

One service, two processing nodes: node 1 has as many workers as the controller asks for (1 to 6), node 2 has one.  In
a control cycle of 5 s requests arrive at the offered load of the time of day, times a factor in bursts; each goes to
node 1 with the routing weight p and waits in its node's queue, first come, first served.  Work that is left at the end
of the cycle is carried over.  With setting s, asked-for workers c and disturbance w::

    s'      = clip(s + u)                            the controls move by one level
    ready   = c' - starting                          a worker asked for now serves from the third cycle on
    burst'  = 1 with probability enter (or 1 - leave) the burst moves at the start of the cycle
    load    = pattern(phase, burst')                 requests/s
    late    = share of the cycle's requests whose response time is over the bound
    r       = - worker_cost c' - late_cost late - move_cost |s' - s|

A worker that is given up stops at once; the newest starting one goes first.  Work of a worker that stops, or waiting
when one gets ready, is shared among the ready ones as if one queue stood before them all.  The controller sees the
measured load and the time of day, but not whether a burst is on.

The plant draws log-normal demands, the model (`netrollout.systems.queues.model`) exponential ones with learned means.
Batch letters: B lanes, M controls (2), D observation size.

Source: ours; parameters frozen before any policy ran (scenarios/mesh-s4.yml).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netrollout.systems.mesh.dynamics import INCREMENTS, Control, level_of
from netrollout.systems.queues.requests import serve
from netrollout.types import Bools, Floats, InputError, Ints, Step

CYCLE = 5.0  # s, of S4, as all of these
BOUND = 0.4  # s, response time
MOST_LATE = 0.05  # of the requests of a cycle; with more the cycle is over
WORKER_COST, LATE_COST, MOVE_COST = 0.06, 2.0, 0.01  # reward per worker, per share late, per level
START_CYCLES = 3  # until a worker serves
MOST = 6  # workers of node 1
TOP_LOAD = 100.0  # requests/s that an observation of 1 stands for
TOP_WAIT = 5.0  # s of work per ready worker that an observation of 1 stands for
LAWS = ("lognormal", "exponential")


@dataclass(frozen=True)
class Pattern:
    """The offered load: a daily sine with Markov-modulated bursts.

    Parameters
    ----------
    mean, amplitude : float
        Requests/s.
    shift : float
        By how many cycles the day is late.
    day : int
        Control cycles in a day.
    burst : float
        Factor on the load in a burst.
    enter, leave : float
        Probabilities per cycle that a burst begins, and ends.
    """

    mean: float = 22.0
    amplitude: float = 16.0
    shift: float = 0.0
    day: int = 96
    burst: float = 1.5
    enter: float = 1 / 18
    leave: float = 1 / 6

    def load(self, phase: Ints, burst: Ints) -> Floats:
        """Return the offered load (B,), requests/s, at cycles of the day and with bursts 0 or 1."""
        load: Floats = np.maximum(self.calm(phase), 0.0) * np.where(burst, self.burst, 1.0)
        return load

    def calm(self, phase: Ints) -> Floats:
        """Return the load (B,) without bursts, requests/s."""
        sine: Floats = self.mean + self.amplitude * np.sin(2 * np.pi * (phase - self.shift) / self.day)
        return sine

    def move(self, burst: Ints, u: Floats) -> Ints:
        """Return whether the coming cycle is in a burst, (B,), for uniforms u."""
        moved: Ints = np.where(burst, u >= self.leave, u < self.enter).astype(np.int64)
        return moved


@dataclass(frozen=True)
class WorkingDay(Pattern):
    """A day in place of the sine: low by night, and within `ramp` cycles high, until the evening.

    By night the load is the mean less the amplitude, by day the mean and the amplitude.

    Parameters
    ----------
    rise, fall : float
        When the load begins to rise and to fall, as shares of the day.
    ramp : float
        Cycles that a rise or a fall takes.
    """

    rise: float = 0.25
    fall: float = 0.65
    ramp: float = 3.0

    def calm(self, phase: Ints) -> Floats:
        """Return the load (B,) without bursts, requests/s."""
        time = (np.asarray(phase) - self.shift) % self.day
        up, down = (np.clip((time - share * self.day) / self.ramp, 0.0, 1.0) for share in (self.rise, self.fall))
        load: Floats = self.mean + self.amplitude * (2.0 * (up - down) - 1.0)
        return load


class QueueState(NamedTuple):
    """What carries over from cycle to cycle."""

    phase: Ints  # (B,) cycle of the day that comes
    burst: Ints  # (B,) 1 if the last cycle was in a burst
    setting: Ints  # (B, 2) level of p and of c
    starting: Ints  # (B, start_cycles) workers that serve after the coming 1, 2, .. cycles
    work: Floats  # (B, 7) s, unfinished work of node 1's workers (the ready ones first) and of node 2's
    load: Floats  # (B,) requests/s, offered load measured in the last cycle
    busy: Floats  # (B,) share of the time of node 1's ready workers in use in the last cycle
    late: Floats  # (B,) share of the last cycle's requests over the bound


@dataclass(frozen=True)
class QueueMesh:
    """A service mesh with queues that carry over, slow starts of workers, and a day.

    ===========  ===============================================  =================
    observation  unit                                             1 stands for
    ===========  ===============================================  =================
    phase        cycle of the day that comes                      a day
    load         offered load of the last cycle                   100 requests/s
    p, c         level of the control                             its highest
    starting     3 numbers: workers ready after 1, 2, 3 cycles    6 workers
    wait         2 numbers: work per ready worker of each node    5 s (clipped)
    busy         time in use of node 1's ready workers            all of it
    late         share of requests over the bound                 all of them
    burst        not seen; `state_of` infers it from the load
    ===========  ===============================================  =================

    Actions: one increment (down, hold, up) for the routing weight p and one for the workers c of node 1.  Metrics of a
    step: late (share), workers, moves (levels), d_compute (s, mean response time), load (requests/s), busy (share),
    n_1, n_2 (requests), cpu_1, cpu_2 (s of worker time that they asked for), over (1 if more than 5 % were late).
    Nothing terminates.

    Parameters
    ----------
    name : str
    pattern : Pattern
    demand : tuple of float
        Mean worker time that a request asks for at node 1 and at node 2, s.
    law : str
        ``lognormal`` (coefficient of variation 1) or ``exponential`` demands.
    start : tuple of float
        Routing weight and workers at the start of an episode, which is the start of a day with empty queues.
    discount : float
        Per control cycle.
    horizon : int
        Control cycles per episode.
    cycle : float
        Length of a control cycle, s.
    bound : float
        On the response time of a request, s.
    late_cost, worker_cost, move_cost : float
        Reward that is lost per share late, per worker and per level moved.
    start_cycles : int
        Cycles from asking for a worker until it serves.

    Raises
    ------
    InputError
        If the law is unknown, a demand, the cycle, the bound or the cycles of a start are not positive, or the start is
        not on the grid.
    """

    name: str = "mesh-s4"
    pattern: Pattern = field(default_factory=Pattern)
    demand: tuple[float, float] = (0.1, 0.1)
    law: str = "lognormal"
    start: tuple[float, float] = (1.0, 4.0)
    discount: float = 0.99
    horizon: int = 192
    cycle: float = CYCLE
    bound: float = BOUND
    late_cost: float = LATE_COST
    worker_cost: float = WORKER_COST
    move_cost: float = MOVE_COST
    start_cycles: int = START_CYCLES
    controls: tuple[Control, ...] = (
        Control("p_compute", (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        Control("c_1", (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)),
    )

    def __post_init__(self) -> None:
        """Check what a user may have changed."""
        if self.law not in LAWS:
            raise InputError(f"{self.name}: law {self.law!r}; choose one of {', '.join(LAWS)}")
        if len(self.demand) != 2 or not all(np.isfinite(d) and d > 0.0 for d in self.demand):
            raise InputError(f"{self.name}: demand {self.demand} must be two positive numbers, s")
        if not 0.0 <= self.discount < 1.0:
            raise InputError(f"{self.name}: discount {self.discount} must be at least 0 and below 1")
        if self.horizon < 1:
            raise InputError(f"{self.name}: horizon {self.horizon} must be at least 1 cycle")
        if not (self.cycle > 0.0 and self.bound > 0.0) or self.start_cycles < 1:
            raise InputError(
                f"{self.name}: cycle {self.cycle} s, bound {self.bound} s and start_cycles {self.start_cycles} "
                "must be positive"
            )
        self.setting(dict(zip(("p", "c"), self.start, strict=True)))

    @property
    def levels(self) -> tuple[tuple[float, ...], ...]:
        """Increments of the routing weight and of the workers."""
        return (INCREMENTS, INCREMENTS)

    def setting(self, values: dict[str, float]) -> Ints:
        """Return the levels (2,) of named control values, p and c; see `Mesh.setting` for the errors."""
        return level_of(self.name, self.controls, values)

    def initial(self, rng: np.random.Generator, n: int) -> QueueState:
        """Begin n episodes at the start of a day, with empty queues."""
        setting = np.tile(self.setting(dict(zip(("p", "c"), self.start, strict=True))), (n, 1))
        none = np.zeros(n, dtype=np.int64)
        load = self.pattern.load(none - 1, none)
        return QueueState(
            none, none, setting, np.zeros((n, self.start_cycles), dtype=np.int64), np.zeros((n, MOST + 1)), load,
            np.full(n, 0.5), np.zeros(n),
        )  # fmt: skip

    def disturbance(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Draw uniforms (*shape, 2): whether the burst moves, and the key of the cycle's stream of requests.

        All arrivals, routes and demands of a cycle follow from the key, so policies that meet the same w meet the same
        requests whatever they do.
        """
        return rng.random((*shape, 2))

    def transition(self, x: QueueState, u: Ints, w: Floats) -> Step:
        """Move the controls by u (B, 2), serve a cycle's requests, and pay; see the module's equations."""
        setting, starting = self.asked(x.setting, x.starting, u)
        asked, ready_before = setting[:, 1] + 1, x.setting[:, 1] + 1 - x.starting.sum(axis=1)
        ready = asked - starting.sum(axis=1)
        work = shared(x.work, ready_before, ready)
        burst = self.pattern.move(x.burst, w[:, 0])
        load, p = self.pattern.load(x.phase, burst), np.asarray(self.controls[0].levels)[setting[:, 0]]
        used = work[:, :MOST].sum(axis=1)
        left, seen = serve(
            w[:, 1], load, p, ready, work, self.demand, self.law == "exponential", self.cycle, self.bound
        )
        count = np.maximum(seen.n.sum(axis=1), 1.0)
        late = seen.late / count
        moves = np.abs(setting - x.setting).sum(axis=1)
        used = (used + seen.cpu[:, 0] - left[:, :MOST].sum(axis=1)) / (ready * self.cycle)
        reward = -self.worker_cost * asked - self.late_cost * late - self.move_cost * moves
        offered = seen.n.sum(axis=1) / self.cycle
        metrics = {
            "late": late, "workers": asked.astype(float), "moves": moves.astype(float),
            "d_compute": seen.response / count, "load": offered, "busy": used, "n_1": seen.n[:, 0], "n_2": seen.n[:, 1],
            "cpu_1": seen.cpu[:, 0], "cpu_2": seen.cpu[:, 1], "over": (late > MOST_LATE).astype(float),
        }  # fmt: skip
        shifted = np.concatenate([starting[:, 1:], np.zeros_like(starting[:, :1])], axis=1)
        # A worker that gets ready at the end of this cycle finds the queue as it is shared then.
        left = shared(left, ready, ready + starting[:, 0])
        phase = (x.phase + 1) % self.pattern.day
        return Step(
            QueueState(phase, burst, setting, shifted, left, offered, used, late),
            reward,
            np.zeros(len(reward), dtype=bool),
            metrics,
        )

    def asked(self, setting: Ints, starting: Ints, u: Ints) -> tuple[Ints, Ints]:
        """Return levels (B, 2) and starting workers (B, start_cycles) after u: a new one starts, the newest goes first.

        Parameters
        ----------
        setting : (B, 2) int
        starting : (B, start_cycles) int
        u : (B, 2) int
        """
        moved: Ints = np.clip(setting + np.asarray(u) - 1, 0, MOST - 1)
        after, change = starting.copy(), moved[:, 1] - setting[:, 1]
        after[change > 0, -1] += 1
        newest = self.start_cycles - 1 - (after[:, ::-1] > 0).argmax(axis=1)
        lanes = np.flatnonzero((change < 0) & (after.sum(axis=1) > 0))
        after[lanes, newest[lanes]] -= 1
        return moved, after

    def step(self, x: QueueState, u: Ints, rng: np.random.Generator) -> Step:
        """Draw a disturbance and apply `transition`."""
        return self.transition(x, u, self.disturbance(rng, (len(x.phase),)))

    def observe(self, x: QueueState) -> NDArray[np.float32]:
        """Return what the controller sees, (B, 8 + start_cycles); see the table above."""
        ready = x.setting[:, 1] + 1 - x.starting.sum(axis=1)
        parts = [
            x.phase / self.pattern.day, x.load / TOP_LOAD, *(x.setting / (MOST - 1)).T, *(x.starting / MOST).T,
            x.work[:, :MOST].sum(axis=1) / ready / TOP_WAIT, x.work[:, MOST] / TOP_WAIT, x.busy, x.late,
        ]  # fmt: skip
        seen: NDArray[np.float32] = np.clip(np.stack(parts, axis=1), 0.0, 1.0).astype(np.float32)
        return seen

    def state_of(self, observation: NDArray[np.floating]) -> QueueState:
        """Return the states behind observations (B, 8 + start_cycles).

        The queue is spread evenly over the ready workers, and a burst is on where the measured load is nearer to the
        load of a burst, by this system's pattern, than to the calm one.
        """
        o = np.asarray(observation, dtype=np.float64)
        phase = np.rint(o[:, 0] * self.pattern.day).astype(np.int64)
        load, last, none = o[:, 1] * TOP_LOAD, (phase - 1) % self.pattern.day, np.zeros_like(phase)
        burst = (load > 0.5 * (1.0 + self.pattern.burst) * self.pattern.load(last, none)).astype(np.int64)
        setting = np.rint(o[:, 2:4] * (MOST - 1)).astype(np.int64)
        wait = 4 + self.start_cycles  # where the columns of the starting workers end
        starting = np.rint(o[:, 4:wait] * MOST).astype(np.int64)
        ready = setting[:, 1] + 1 - starting.sum(axis=1)
        work = np.where(np.arange(MOST) < ready[:, None], o[:, wait : wait + 1] * TOP_WAIT, 0.0)
        work = np.concatenate([work, o[:, wait + 1 : wait + 2] * TOP_WAIT], axis=1)
        return QueueState(phase, burst, setting, starting, work, load, o[:, wait + 2], o[:, wait + 3])

    def feasible(self, x: QueueState) -> Bools:
        """Return which increments stay within the range, (B, 6)."""
        can = np.stack([x.setting > 0, np.ones_like(x.setting, dtype=bool), x.setting < MOST - 1], axis=2)
        return can.reshape(len(x.setting), 6)

    def noise_support(self) -> None:
        """Return None: a cycle's requests cannot be listed."""


def shared(work: Floats, before: Ints, after: Ints) -> Floats:
    """Return the work (B, 7) of node 1's queue after its ready workers changed from `before` to `after`, (B,) each.

    Where the number changes, all of node 1's unfinished work is shared evenly by the workers that are ready now; the
    total is kept.
    """
    total = work[:, :MOST].sum(axis=1)
    even = np.where(np.arange(MOST) < after[:, None], (total / after)[:, None], 0.0)
    pool = np.where((before == after)[:, None], work[:, :MOST], even)
    return np.concatenate([pool, work[:, MOST:]], axis=1)
