"""The event loop of the task farm: every task of a control cycle, one by one.

Tasks start in the order of their arrival.  Worker i is free from free_i on (infinite: there is no such worker).  A task
that arrives at a while j workers are idle is found by the first of them that looks, after POLL times the smallest of j
uniforms; otherwise it starts when the first worker gets free.  It finishes after its service time and a fixed overhead,
and is collected after up to POLL more.  A worker that is told to leave does so when it is idle or done with its task:
the first that gets free after the message leaves.

Batch letters: B lanes, W workloads, N tasks, M workers at most.

Source: the published task farm, with constants fitted to its recorded episodes (serverless facts, section 8).
"""

from __future__ import annotations

import numpy as np

from netrollout.systems.compiled import compiled

POLL = 0.101  # s between two looks into an empty queue
OVERHEAD = 0.008  # s a task takes a worker beyond its service time
COLLECT = 0.003  # s the collector takes for a task
DEADLINE, LEAST, MOST = 2.0, 0.1, 30.0  # deadline as a multiple of the service time, and its limits in s
ARRIVED, WAITING, FINISHED, COLLECTED, LATE, WINDOW, GOOD, TOTAL, LONGEST = range(9)  # columns of `seen`


@compiled()
def advance(arrival, service, poll, row, until, joins, leaves, begun, free, finish, collect):  # type: ignore[no-untyped-def]
    """Start every task that can start by `until`, in place.

    Parameters
    ----------
    arrival, service : (W, N) s
    poll : (W, N, 2)
    row : (B,) int
        Workload of a lane.
    until : (B,) s
    joins, leaves : (B,) s
        When a new worker is there, and when a worker is told to leave; infinite where none is.
    begun : (B,) int
        Tasks given to a worker so far.
    free : (B, M) s
    finish, collect : (B, N) s
    """
    for lane in range(len(row)):
        times, asked, luck, ready = arrival[row[lane]], service[row[lane]], poll[row[lane]], free[lane]
        if joins[lane] < np.inf:
            ready[np.argmax(ready)] = joins[lane]  # an infinite one: a place without a worker
        leave, k = leaves[lane], begun[lane]
        while k < len(times):
            first = np.argmin(ready)
            start = max(times[k], ready[first])
            if leave <= start and leave <= until[lane]:
                ready[first], leave = np.inf, np.inf
                continue
            if start > until[lane]:
                break
            if ready[first] <= times[k]:
                idle = 0
                for other in range(len(ready)):
                    idle += ready[other] <= times[k]
                start += POLL * (1.0 - (1.0 - luck[k, 0]) ** (1.0 / idle))
            finish[lane, k] = start + asked[k] + OVERHEAD
            collect[lane, k] = finish[lane, k] + POLL * luck[k, 1] + COLLECT
            ready[first] = finish[lane, k]
            k += 1
        if leave <= until[lane]:
            ready[np.argmin(ready)] = np.inf
        begun[lane] = k


@compiled()
def measure(arrival, service, row, since, opened, until, oldest, begun, finish, collect, seen):  # type: ignore[no-untyped-def]
    """Count what can be seen at `until`, in place.

    Parameters
    ----------
    since, opened : (B,) s
        End of the last cycle, and start of the observation window.
    oldest : (B,) int
        All tasks before it were collected before the last window; moved on.
    seen : (B, 9)
        Of the cycle: tasks that arrived, were collected, and were collected late.  At `until`: tasks that wait, and
        that are finished but not collected.  Of the window: tasks collected, those in time, sum and largest of the
        sojourn times, s.  In the order of the columns' names.
    """
    for lane in range(len(row)):
        times, asked, out = arrival[row[lane]], service[row[lane]], seen[lane]
        out[:] = 0.0
        enqueued = np.searchsorted(times, until[lane], side="right")
        out[ARRIVED] = enqueued - np.searchsorted(times, since[lane], side="right")
        out[WAITING] = enqueued - begun[lane]
        moving = True
        for k in range(oldest[lane], begun[lane]):
            gone = collect[lane, k]
            start = finish[lane, k] - asked[k] - OVERHEAD
            out[WAITING] += start > until[lane] and times[k] <= until[lane]
            out[FINISHED] += finish[lane, k] <= until[lane] and gone > until[lane]
            if moving and gone <= opened[lane]:
                oldest[lane] = k + 1
            else:
                moving = False
            if gone > until[lane]:
                continue
            sojourn = gone - times[k]
            late = sojourn > min(max(DEADLINE * asked[k], LEAST), MOST)
            if gone > since[lane]:
                out[COLLECTED] += 1.0
                out[LATE] += late
            if gone > opened[lane]:
                out[WINDOW] += 1.0
                out[GOOD] += not late
                out[TOTAL] += sojourn
                out[LONGEST] = max(out[LONGEST], sojourn)
