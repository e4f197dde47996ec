"""The testbed, event by event: requests at workers under CPU bandwidth control, in simulation.

Arrivals are Poisson and the CPU time that a request asks for is exponential.  A worker may burn at most quota x period
of CPU in each period of a fixed grid of its own phase, then it sleeps to the next one, as the kernel throttles a pod
(`netrollout.testbed.worker`).  A worker that was idle begins with the rest of a fresh budget, so it serves a request in
less than demand / quota; one that is never idle does not.  Each node has one queue, first come, first served; a worker
beyond a lowered number finishes what it has.  Proxy and client add `overhead` to each response, and a request whose
response would take longer than `timeout` ends there: it leaves the queue, but a worker that has it goes on.  With the
overhead alone chosen, windows of this simulator have the mean and the spread of those of the live mesh.

`ThrottledMesh` is the plant of scenario S5: controls, day, start-up and reward are those of
`netrollout.systems.queues`, the requests are these.  In each cycle all CPU demands are multiplied by exp(mood z), z
normal.  As on the live mesh, what is counted are the requests that *ended* in the cycle.

Batch letters: B lanes, Q places in a queue, W workers of both nodes, node 1's first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
from scipy.special import ndtri

from netrollout.seeding import spawn
from netrollout.systems.compiled import compiled
from netrollout.systems.queues.dynamics import MOST, MOST_LATE, Pattern, QueueMesh, QueueState
from netrollout.systems.queues.requests import request
from netrollout.types import Floats, InputError, Ints, Step

NEVER = -1e9  # s, the end of the job of a worker that had none


class Jobs(NamedTuple):
    """Requests in the system at the end of a cycle; times in s since then, so at most 0 but for `end`."""

    end: Floats  # (B, W) when each worker is done with what it has
    came: Floats  # (B, W) when that came
    used: Floats  # (B, W) CPU s used in the period in which it is done
    waiting: Floats  # (B, 2, Q, 2) each node's queue: when it came, CPU s that it asks for
    number: Ints  # (B, 2) requests in each queue


class ThrottledState(NamedTuple):
    """As `netrollout.systems.queues.QueueState`, and the requests in the system."""

    phase: Ints
    burst: Ints
    setting: Ints
    starting: Ints
    work: Floats  # (B, W) s, an estimate: requests in the queue times demand / quota, spread over the ready workers
    load: Floats
    busy: Floats
    late: Floats
    end: Floats  # these five as in `Jobs`
    came: Floats
    used: Floats
    waiting: Floats
    number: Ints

    @property
    def jobs(self) -> Jobs:
        """The requests in the system."""
        return Jobs(*self[-5:])


@dataclass(frozen=True)
class ThrottledMesh(QueueMesh):
    """The mesh of `QueueMesh` with the workers of the testbed; `demand` is CPU time, s.

    Metrics of a step, where they differ: n_1, n_2 requests completed; cpu_1, cpu_2 worker time in use, s; queue_1,
    queue_2 requests that wait; ended, the number of requests that the share late is of.

    Parameters
    ----------
    quota : float
        CPU limit of a worker, cores.
    period : float
        Of the limit, s; the cycle must be a multiple of it.
    overhead : float
        Of proxy and client on each response time, s.
    timeout : float
        s.
    mood : float
        Standard deviation of the log of the factor on all demands of a cycle.

    Raises
    ------
    InputError
        As `QueueMesh`, and if the cycle is no multiple of the period.
    """

    demand: tuple[float, float] = (0.018, 0.018)
    law: str = "exponential"
    quota: float = 0.2
    period: float = 0.02
    overhead: float = 0.005
    timeout: float = 5.0
    mood: float = 0.05

    def __post_init__(self) -> None:
        """Check what a user may have changed."""
        super().__post_init__()
        if abs(self.cycle / self.period - round(self.cycle / self.period)) > 1e-6:
            raise InputError(f"{self.name}: cycle {self.cycle} s must be a multiple of the period {self.period} s")

    @property
    def _places(self) -> int:
        """Places in a queue; who waits longer than the timeout leaves it."""
        top = self.pattern.load(np.arange(self.pattern.day), np.ones(self.pattern.day, dtype=np.int64)).max()
        mean = float(top) * (self.timeout + self.cycle)
        return int(mean + 8.0 * np.sqrt(mean)) + 16

    def initial(self, rng: np.random.Generator, n: int) -> ThrottledState:  # type: ignore[override]
        """Begin n episodes at the start of a day, with empty queues."""
        x, workers = super().initial(rng, n), MOST + 1
        none = np.full((n, workers), NEVER)
        jobs = Jobs(none, none, np.zeros((n, workers)), np.zeros((n, 2, self._places, 2)), np.zeros((n, 2), np.int64))
        return ThrottledState(*x, *jobs)

    def disturbance(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Draw uniforms (*shape, 3): whether the burst moves, the key of the cycle's stream of requests, the mood."""
        return rng.random((*shape, 3))

    def transition(self, x: QueueState, u: Ints, w: Floats) -> Step:
        """Move the controls by u (B, 2), serve a cycle's requests, and pay."""
        before = cast(ThrottledState, x)
        setting, starting = self.asked(x.setting, x.starting, u)
        asked, ready = setting[:, 1] + 1, setting[:, 1] + 1 - starting.sum(axis=1)
        burst = self.pattern.move(x.burst, w[:, 0])
        load, p = self.pattern.load(x.phase, burst), np.asarray(self.controls[0].levels)[setting[:, 0]]
        demand = np.outer(np.exp(self.mood * ndtri(np.clip(w[:, 2], 1e-9, 1.0 - 1e-9))), self.demand)
        jobs, seen = self.serve(w[:, 1], load, p, ready, before.jobs, demand)
        late, moves = seen[:, LATE] / np.maximum(seen[:, ENDED], 1.0), np.abs(setting - x.setting).sum(axis=1)
        used, offered = seen[:, BUSY] / (ready * self.cycle), seen[:, CAME] / self.cycle
        metrics = {
            "late": late, "workers": asked.astype(float), "moves": moves.astype(float),
            "d_compute": seen[:, RESPONSE] / np.maximum(seen[:, DONE] + seen[:, DONE + 1], 1.0), "load": offered,
            "busy": used, "n_1": seen[:, DONE], "n_2": seen[:, DONE + 1], "cpu_1": seen[:, BUSY],
            "cpu_2": seen[:, BUSY + 1], "over": (late > MOST_LATE).astype(float), "ended": seen[:, ENDED],
            "queue_1": jobs.number[:, 0].astype(float), "queue_2": jobs.number[:, 1].astype(float),
        }  # fmt: skip
        shifted = np.concatenate([starting[:, 1:], np.zeros_like(starting[:, :1])], axis=1)
        work = backlog(jobs.number, np.asarray(self.demand) / self.quota, ready + starting[:, 0])
        phase = (x.phase + 1) % self.pattern.day
        state = ThrottledState(phase, burst, setting, shifted, work, offered, used, late, *jobs)
        reward = -self.worker_cost * asked - self.late_cost * late - self.move_cost * moves
        return Step(state, reward, np.zeros(len(reward), dtype=bool), metrics)

    def serve(
        self, key: Floats, load: Floats, p: Floats, ready: Ints, jobs: Jobs, demand: Floats
    ) -> tuple[Jobs, Floats]:
        """Serve a cycle's requests.

        Parameters
        ----------
        key : (B,) in [0, 1)
            What the lane's random numbers are made of.
        load : (B,) requests/s
        p : (B,)
            Probability that a request goes to node 1.
        ready : (B,) int
            Workers of node 1 that are given requests.
        jobs : Jobs
        demand : (B, 2)
            Mean CPU time of a request at each node, s.

        Returns
        -------
        jobs : Jobs
            At the end of the cycle.
        seen : (B, 8)
            Requests completed at each node, worker time in use at each, s, their summed response times, s, requests
            that ended, those of them over the bound, and requests that came.
        """
        left = jobs._replace(**{key: part.copy() for key, part in jobs._asdict().items()})
        seen = np.zeros((len(key), 8))
        limits = np.array([self.cycle, self.quota * self.period, self.period, self.overhead, self.timeout, self.bound])
        _loop((key * 2.0**53).astype(np.uint64), load, p, ready, demand, *left, _phases() * self.period, limits, seen)
        return left, seen


DONE, BUSY, RESPONSE, ENDED, LATE, CAME = 0, 2, 4, 5, 6, 7  # columns of `seen`; the first two have one per node


def _phases() -> Floats:
    """Return the phase of each worker's grid, (W,), in periods, as `netrollout.testbed.node` spreads them."""
    return np.append((np.arange(MOST) + 0.5) / MOST, 1.0 / MOST)


def backlog(count: Floats | Ints, service: Floats, ready: Ints) -> Floats:
    """Return the work (B, W), s, of requests in the queues, (B, 2), each `service` (2,) s of worker time long."""
    first = np.where(np.arange(MOST) < ready[:, None], (count[:, 0] * service[0] / ready)[:, None], 0.0)
    return np.concatenate([first, (count[:, 1] * service[1])[:, None]], axis=1)


def window_means(
    load: float, demand: float, p: float, c: int, n: int, seed: int = 0, window: float = 2.0, settle: int = 3
) -> Floats:
    """Return the mean response times, s, of n windows at a setting, (n,); `settle` windows come before each.

    Parameters
    ----------
    load : float
        Requests/s.
    demand : float
        Mean CPU time of a request, s.
    p : float
        Routing weight.
    c : int
        Workers of node 1.
    window : float
        Length, s.
    """
    pattern = Pattern(mean=load, amplitude=0.0, day=1, enter=0.0)
    system = ThrottledMesh(pattern=pattern, demand=(demand, demand), cycle=window)
    jobs, rng = system.initial(spawn(seed), n).jobs, spawn(seed, "windows")
    asked, weight, rate = np.full((n, 2), demand), np.full(n, p), np.full(n, load)
    for _ in range(settle + 1):
        jobs, seen = system.serve(rng.random(n), rate, weight, np.full(n, c, dtype=np.int64), jobs, asked)
    means: Floats = seen[:, RESPONSE] / np.maximum(seen[:, DONE] + seen[:, DONE + 1], 1.0)
    return means


@compiled()
def _finish(start, asked, phase, end, used, budget, period):  # type: ignore[no-untyped-def]
    """Return when a job begun at `start` is done, and the CPU used in that period; `end`, `used` of the one before."""
    number = np.floor((start - phase) / period)
    if np.floor((end - phase) / period) != number:
        used = 0.0
    over = (number + 1.0) * period + phase
    can = min(budget - used, over - start)
    if asked <= can:
        return start + asked, used + asked
    asked -= max(can, 0.0)
    whole = np.ceil(asked / budget) - 1.0
    rest = asked - whole * budget
    return over + whole * period + rest, rest


@compiled()
def _note(came, end, node, limits, out):  # type: ignore[no-untyped-def]
    """Count a request that a worker is done with at `end`, if it ends within the cycle and has not ended before."""
    cycle, overhead, timeout, bound = limits[0], limits[3], limits[4], limits[5]
    response = end - came + overhead
    ends = min(came + response, came + timeout)
    if ends <= 0.0 or ends > cycle:
        return
    out[ENDED] += 1.0
    out[LATE] += response > bound
    if response <= timeout:
        out[DONE + node] += 1.0
        out[RESPONSE] += response


@compiled()
def _dispatch(until, node, first, last, active, end, came, used, waiting, count, phases, limits, out):  # type: ignore[no-untyped-def]
    """Give a node's waiting requests to its workers first .. first + active - 1, as far as one is free by `until`.

    Returns how many left the head of the queue; the caller moves the rest up.
    """
    cycle, budget, period, overhead, timeout = limits[0], limits[1], limits[2], limits[3], limits[4]
    head = 0
    while head < count:
        arrival = waiting[head, 0]
        worker = first
        for other in range(first + 1, first + active):
            if end[worker] <= max(arrival, 0.0):
                break  # the first idle one
            if end[other] < end[worker]:
                worker = other
        start = max(end[worker], arrival, 0.0)
        given_up = arrival + timeout - overhead
        if given_up <= min(start, until):
            out[ENDED] += 1.0
            out[LATE] += 1.0
        elif start > until:
            break
        else:
            end[worker], used[worker] = _finish(
                start, waiting[head, 1], phases[worker], end[worker], used[worker], budget, period
            )
            came[worker] = arrival
            out[BUSY + node] += min(end[worker], cycle) - start
            _note(arrival, end[worker], node, limits, out)
        head += 1
    return head


@compiled()
def _loop(keys, load, p, ready, demand, end, came, used, waiting, count, phases, limits, seen):  # type: ignore[no-untyped-def]
    """Serve every lane's requests in place: the jobs from start to end of the cycle, `seen` (B, 8)."""
    cycle, second = limits[0], end.shape[1] - 1
    for lane in range(len(keys)):
        out = seen[lane]
        for worker in range(second + 1):  # what was begun in an earlier cycle
            node = 1 if worker == second else 0
            if end[lane, worker] > 0.0:
                out[BUSY + node] += min(end[lane, worker], cycle)
            _note(came[lane, worker], end[lane, worker], node, limits, out)
        time, number = 0.0, 0
        while load[lane] > 0.0:
            gap, asked, node = request(keys[lane], number, p[lane])
            time += gap / load[lane]
            if time >= cycle:
                break
            place = count[lane, node]
            if place < waiting.shape[2]:
                waiting[lane, node, place, 0] = time
                waiting[lane, node, place, 1] = asked * demand[lane, node]
                count[lane, node] += 1
            out[CAME] += 1.0
            number += 3
        for node in range(2):
            queue, total = waiting[lane, node], count[lane, node]
            first, active = (0, ready[lane]) if node == 0 else (second, 1)
            gone = _dispatch(
                cycle, node, first, second, active, end[lane], came[lane], used[lane], queue, total, phases, limits, out
            )
            for k in range(gone, total):
                queue[k - gone, 0], queue[k - gone, 1] = queue[k, 0] - cycle, queue[k, 1]
            count[lane, node] = total - gone
        for worker in range(second + 1):
            end[lane, worker] = max(end[lane, worker] - cycle, NEVER)
            came[lane, worker] = max(came[lane, worker] - cycle, NEVER)
