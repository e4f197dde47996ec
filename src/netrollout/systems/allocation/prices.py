"""A bound for the allocation system by prices of resources (Lagrangian relaxation).

What all services hold may not pass the capacities.  Price that: a service pays lambda_tr for what it holds of resource
r in cycle t, and may then hold what it likes.  The services part, each a small dynamic programme over (waiting, slots,
burst), and for all prices of 0 or more::

    best mean total  <=  sum_i V_i(lambda)  +  sum_tr lambda_tr E limit_tr

(Adelman & Mersereau 2008, "Relaxations of weakly coupled stochastic dynamic programs", Operations Research 56).
Bursts are taken as known and slots as given back at once, so it bounds every policy, in the mean over days.  The prices
that make it least are found by subgradients: the expected limit less what is held.

Batch letters: T cycles, R resources, N services, K jobs that may come.
"""

from __future__ import annotations

import numpy as np

from netrollout.systems.allocation.dynamics import CELLS, DAY, REACH, TOP, Allocation
from netrollout.systems.compiled import compiled
from netrollout.types import Floats

STEP = 0.02  # first length of a step of the prices, euro per unit and cycle for each unit too many


def price_bound(system: Allocation, rounds: int = 30) -> tuple[float, Floats]:
    """Return a bound of the mean reward per cycle of a day, and the prices (T, R)."""
    often = system.failure[0] / sum(system.failure)
    failed = often * (1.0 - (1.0 - sum(system.failure)) ** np.arange(DAY))
    limit = np.outer(1.0 - (1.0 - system.left) * failed, system.capacity)
    prices, best = np.zeros_like(limit), (np.inf, np.zeros_like(limit))
    for k in range(rounds):
        worth, held = _served(system, prices)
        bound = (worth + float((prices * limit).sum())) / DAY
        best = min(best, (bound, prices), key=lambda pair: pair[0])
        prices = np.maximum(prices - STEP / np.sqrt(k + 1.0) * (limit - held), 0.0)
    return best


def _served(system: Allocation, prices: Floats) -> tuple[float, Floats]:
    """Return what all services are worth under prices, and what they hold (T, R) in expectation."""
    total, held = 0.0, np.zeros_like(prices)
    enters, leaves = system.burst
    burst = np.array([[1.0 - enters, enters], [leaves, 1.0 - leaves]])
    for i, bundle in enumerate(system.bundles):
        rent = (prices + np.array(system.cost)) @ bundle
        laws = system.quantiles[:, i]
        law = np.stack([(laws == k).sum(axis=2) for k in range(laws.max() + 1)], axis=2) / CELLS
        pay = np.array([system.priority[i], system.slo, system.move])
        worth, slots = service(law, burst, rent, pay, system.most[i], system.bound[i], system.start[i], system.setup)
        total, held = total + worth, held + np.outer(slots, bundle)
    return total, held


@compiled()
def service(law, burst, rent, pay, most, bound, start, setup):  # type: ignore[no-untyped-def]
    """Plan one service: its worth from the start of a day, and its expected slots (T,).

    `law` (T, 2, K) are the arrivals in calm and in a burst, `burst` (2, 2) how these follow, `rent` (T,) the cost of a
    slot, `pay` priority, penalty of waiting and fee of a new slot.
    """
    cycles, jobs, n = law.shape[0], law.shape[2], TOP + 1
    value, best = np.zeros((most + 1, n, 2)), np.zeros((cycles, most + 1, n, 2), np.int64)
    for t in range(cycles - 1, -1, -1):
        after, now = np.zeros((2, most + 1, n, n)), np.full((most + 1, n, 2), -1e18)
        for b in range(2):  # what a cycle with k slots that serve brings, and what follows with y slots
            for waiting in range(most + 1):
                for k in range(n):
                    for came in range(jobs):
                        if law[t, b, came] > 0.0:
                            left = max(waiting + came - k, 0)
                            kept = min(left, most)
                            got = pay[0] * (waiting + came - left - (left - kept)) - pay[1] * max(kept - bound, 0)
                            for y in range(k, n):
                                after[b, waiting, k, y] += law[t, b, came] * (got + value[kept, y, b])
        for waiting in range(most + 1):
            for s in range(n):
                for y in range(min(s + REACH, TOP) + 1):
                    k = min(y, s) if setup else y
                    cost = rent[t] * y + pay[2] * max(y - s, 0)
                    for b in range(2):
                        q = burst[b, 0] * after[0, waiting, k, y] + burst[b, 1] * after[1, waiting, k, y] - cost
                        if q > now[waiting, s, b]:
                            now[waiting, s, b], best[t, waiting, s, b] = q, y
        value = now
    return value[0, start, 0], expected_slots(law, burst, best, most, start, setup)


@compiled()
def expected_slots(law, burst, best, most, start, setup):  # type: ignore[no-untyped-def]
    """Return the expected slots (T,) under a plan (T, most + 1, TOP + 1, 2)."""
    where, slots = np.zeros(best.shape[1:]), np.zeros(len(law))
    where[0, start, 0] = 1.0
    for t in range(len(law)):
        then = np.zeros(best.shape[1:])
        for waiting, s, b in np.ndindex(best.shape[1:]):
            if where[waiting, s, b] > 1e-12:
                y = best[t, waiting, s, b]
                slots[t] += where[waiting, s, b] * y
                for c in range(2):
                    for came in range(law.shape[2]):
                        kept = min(max(waiting + came - (min(y, s) if setup else y), 0), most)
                        then[kept, y, c] += where[waiting, s, b] * burst[b, c] * law[t, c, came]
        where = then
    return slots
