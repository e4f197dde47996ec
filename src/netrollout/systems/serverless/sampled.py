"""The event loop of the sampled queue: the farm as a model sees it, arrivals and services drawn as they are needed.

It is the plant's queue (`netrollout.systems.serverless.kernel`) with three things simplified: a finished task is
collected after the mean time that polling takes; arrivals have a rate that depends on how many tasks have come, times a
log-normal factor anew in every second, so that they may be burstier than a Poisson process; and times are relative to
the start of the cycle, so that a state does not hold the past.  What cannot wait because the list of waiting tasks is
full counts as late at once.  All draws of a lane come from a counter hashed with the lane's key, as in
`netrollout.systems.queues.requests`.

Batch letters: B lanes, M workers at most, Q waiting tasks at most, L points of the service law, P phases.
"""

from __future__ import annotations

import numpy as np

from netrollout.systems.compiled import compiled, uniform
from netrollout.systems.serverless.kernel import (
    ARRIVED,
    COLLECT,
    COLLECTED,
    DEADLINE,
    GOOD,
    LATE,
    LEAST,
    LONGEST,
    MOST,
    OVERHEAD,
    POLL,
    TOTAL,
    WAITING,
    WINDOW,
)

PASSING = 0.5 * POLL + COLLECT  # s from the end of a task to its collection, on average
DRAWS = 3  # per task: its gap, its poll, its service time
SECONDS = 1 << 20  # where the draws of the seconds begin


@compiled()
def run(keys, law, bounds, rates, excess, length, joins, leaves, enqueued, free, sojourn, late, waiting, age, seen):  # type: ignore[no-untyped-def]
    """Run a cycle, in place.

    Parameters
    ----------
    keys : (B,) uint64
    law : (L,) s
        Equidistant quantiles of the service time.
    bounds : (P,)
        Tasks that have come at the end of each phase; none come after the last.
    rates : (B, P) tasks/s
    excess : float
        Variance over mean of the tasks of a second, less 1.
    length, joins, leaves : (B,) s
        Of the cycle; when a new worker is there, and when one is told to leave (infinite: none).
    enqueued : (B,) int
        Tasks that have come.
    free : (B, M) s
        When each worker is free; infinite: there is none.
    sojourn, late : (B, M)
        Of the task that a worker has: its sojourn time, s, and 1 if that is too long; no task: a negative sojourn time.
    waiting : (B,) int
    age : (B, Q) s
        Of the waiting tasks, the oldest first.
    seen : (B, 9)
        As in `kernel.measure`, the window being the cycle.
    """
    for lane in range(len(keys)):
        ready, times, bad, out = free[lane], sojourn[lane], late[lane], seen[lane]
        out[:] = 0.0
        if joins[lane] < np.inf:
            place = np.argmax(ready)
            ready[place], times[place] = joins[lane], -1.0
        leave, end, clock, number = leaves[lane], length[lane], 0.0, 0
        old, kept, taken = waiting[lane], 0, 0
        phase = np.searchsorted(bounds, enqueued[lane], side="right")
        while True:
            if taken < old:
                came = -age[lane, taken]
                taken += 1
            else:
                if phase >= len(bounds) or rates[lane, phase] <= 0.0:
                    break
                clock = _next(keys[lane], number, clock, end, rates[lane, phase], excess)
                if clock > end:
                    break
                came = clock
                out[ARRIVED] += 1.0
                enqueued[lane] += 1
                phase += enqueued[lane] >= bounds[phase]
            number += DRAWS
            first = np.argmin(ready)
            start = max(max(came, 0.0), ready[first])
            if leave <= start and leave <= end:
                _counted(times, bad, first, True, out)  # what it still does counts now
                ready[first], leave = np.inf, np.inf
                first = np.argmin(ready)
                start = max(max(came, 0.0), ready[first])
            if start > end:
                if kept < age.shape[1]:
                    age[lane, kept] = end - came
                    kept += 1
                else:
                    out[COLLECTED] += 1.0
                    out[LATE] += 1.0
                continue
            if ready[first] <= came:
                idle = 0
                for other in range(len(ready)):
                    idle += ready[other] <= came
                start += POLL * (1.0 - (1.0 - uniform(keys[lane], number + 1)) ** (1.0 / idle))
            place = uniform(keys[lane], number + 2) * (len(law) - 1)
            asked = law[int(place)] + (place - int(place)) * (law[int(place) + 1] - law[int(place)])
            _counted(times, bad, first, True, out)
            ready[first] = start + asked + OVERHEAD
            times[first] = ready[first] + PASSING - came
            bad[first] = times[first] > min(max(DEADLINE * asked, LEAST), MOST)
        for worker in range(len(ready)):
            _counted(times, bad, worker, ready[worker] <= end, out)
        if leave <= end:
            first = np.argmin(ready)
            _counted(times, bad, first, True, out)
            ready[first] = np.inf
        for worker in range(len(ready)):
            ready[worker] = max(ready[worker] - end, 0.0)
        waiting[lane], out[WAITING] = kept, kept


@compiled()
def _next(key, number, clock, end, rate, excess):  # type: ignore[no-untyped-def]
    """Return when the next task comes, s: the second's factor on the rate has mean 1 and variance excess / rate."""
    hazard, second = -np.log(uniform(key, number)), int(clock)
    spread = np.sqrt(np.log1p(excess / rate))
    while True:
        u, angle = uniform(key, SECONDS + 2 * second), uniform(key, SECONDS + 2 * second + 1)
        normal = np.sqrt(-2.0 * np.log(u)) * np.cos(2.0 * np.pi * angle)
        intensity = rate * np.exp(spread * normal - 0.5 * spread**2)
        if clock + hazard / intensity <= second + 1 or second > end:
            return clock + hazard / intensity
        hazard, second = hazard - intensity * (second + 1 - clock), second + 1
        clock = float(second)


@compiled(inline="always")
def _counted(times, bad, worker, finished, out):  # type: ignore[no-untyped-def]
    """Count a worker's task if it has one and it is finished."""
    if finished and times[worker] >= 0.0:
        out[COLLECTED] += 1.0
        out[LATE] += bad[worker]
        out[WINDOW] += 1.0
        out[GOOD] += 1.0 - bad[worker]
        out[TOTAL] += times[worker]
        out[LONGEST] = max(out[LONGEST], times[worker])
        times[worker] = -1.0
