"""The requests of one control cycle, one by one: the inner loop of `netrollout.systems.queues.dynamics`.

Each of a node's c workers has a time at which it will have finished all that was given to it; a request is given to the
worker that gets free first, which is what one queue before all of them does (Kiefer & Wolfowitz 1955).  Arrivals are
Poisson.  All random numbers of a lane come from a counter hashed with the lane's key (the finaliser of SplitMix64,
Steele, Lea & Flood 2014): the k-th request meets the same gap, route and demand whatever the policy does.

Batch letters: B lanes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from netrollout.systems.compiled import compiled, uniform
from netrollout.types import Floats, Ints

LOG_SIGMA = np.sqrt(np.log(2.0))  # of the normal law behind a log-normal one with coefficient of variation 1


class Served(NamedTuple):
    """What a cycle brought.

    Attributes
    ----------
    n : (B, 2) requests given to each node
    cpu : (B, 2) worker time that they ask for, s
    response : (B,) sum of their response times, s
    late : (B,) number of them over the bound
    """

    n: Floats
    cpu: Floats
    response: Floats
    late: Floats


def serve(
    key: Floats,
    load: Floats,
    p: Floats,
    ready: Ints,
    work: Floats,
    demand: tuple[float, float],
    exponential: bool,
    cycle: float,
    bound: float,
) -> tuple[Floats, Served]:
    """Serve a cycle's requests.

    Parameters
    ----------
    key : (B,) in [0, 1)
        What the lane's random numbers are made of.
    load : (B,) requests/s
    p : (B,)
        Probability that a request goes to node 1.
    ready : (B,) int
        Workers of node 1 that serve.
    work : (B, c + 1)
        Unfinished work of each worker of node 1 and of node 2's one at the start, s.
    demand : (2,)
        Mean worker time of a request at each node, s.
    exponential : bool
        Exponential demands, else log-normal ones with coefficient of variation 1.
    cycle : float
        Length, s.
    bound : float
        On the response time, s.

    Returns
    -------
    work : (B, c + 1) unfinished work at the end, s
    served : Served
    """
    keys = (key * 2.0**53).astype(np.uint64)
    left, out = work.copy(), np.zeros((len(key), 6))
    loop(keys, load, p, ready, left, np.asarray(demand), exponential, cycle, bound, out)
    return left, Served(out[:, 0:2], out[:, 2:4], out[:, 4], out[:, 5])


@compiled(inline="always")
def request(key, number, p):  # type: ignore[no-untyped-def]
    """Return a request: its gap and its work in units of their means, and its node; `number` is its first uniform's."""
    node = 0 if uniform(key, number + 1) < p else 1
    return -np.log(uniform(key, number)), -np.log(uniform(key, number + 2)), node


@compiled()
def loop(keys, load, p, ready, work, demand, exponential, cycle, bound, out):  # type: ignore[no-untyped-def]
    """Serve every lane's requests in place: `work` from start to end, `out` (B, 6) as in `Served`."""
    second = work.shape[1] - 1  # the column of node 2's worker
    for lane in range(len(keys)):
        free = work[lane]  # when each worker will have finished what it was given, s since the start
        time, number = 0.0, 0
        while load[lane] > 0.0:
            gap, asked, node = request(keys[lane], number, p[lane])
            time += gap / load[lane]
            if time >= cycle:
                break
            worker = second
            if node == 0:
                worker = 0
                for other in range(1, ready[lane]):
                    if free[other] < free[worker]:
                        worker = other
            if not exponential:  # Box and Muller's normal from the same draw and the next one
                normal = np.sqrt(2.0 * asked) * np.cos(2.0 * np.pi * uniform(keys[lane], number + 3))
                asked = np.exp(LOG_SIGMA * normal - 0.5 * LOG_SIGMA**2)
            asked *= demand[node]
            free[worker] = max(free[worker], time) + asked
            out[lane, node] += 1.0
            out[lane, 2 + node] += asked
            out[lane, 4] += free[worker] - time
            out[lane, 5] += free[worker] - time > bound
            number += 4
        for worker in range(second + 1):
            free[worker] = max(free[worker] - cycle, 0.0)
