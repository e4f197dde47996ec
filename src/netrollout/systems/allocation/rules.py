"""Rules, linear programmes and a bound for the allocation system.

A rule says at which rate each service should be served; rates are made whole slots that fit the resources there are,
and walked to.  The linear programme plans expected arrivals over some cycles with slots divisible (certainty
equivalence), of which the first cycle is done; over a known day it bounds every policy (`known_arrivals`), since
divisible slots that may be given back at once are worth no less than whole ones.

Batch letters: B lanes, N services, R resources, H cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import linprog

from netrollout.batch import BatchPolicy
from netrollout.seeding import spawn
from netrollout.systems.allocation.dynamics import REACH, ROUND, TOP, Allocation, AllocationState
from netrollout.systems.compiled import compiled
from netrollout.types import Floats, InputError, Ints

CALIBRATION = range(5000, 5016)  # seeds of the days on which statics are compared; no judged day is among them
ENOUGH = 0.25  # a fraction of a slot above this is rounded up where it fits


class Rule(BatchPolicy):
    """Walks to the whole slots that fit its rates; this one holds what there is, the most trivial base of a rollout."""

    def __init__(self, system: Allocation) -> None:
        self.system = system

    def rates(self, x: AllocationState) -> Floats:
        """Return the slots (B, N) that the rule wants, divisible, within the resources there are."""
        return self.shrunk(x, x.slots.astype(np.float64))

    def wish(self, x: AllocationState) -> Floats:
        """Return the slots (B, N) that would serve what waits and comes."""
        jobs = x.waiting + self.system.expected(x, 1 + self.system.setup)
        return np.minimum(jobs, TOP)

    def shrunk(self, x: AllocationState, slots: Floats) -> Floats:
        """Return slots (B, N) shrunk alike until they fit."""
        held = np.maximum(self.system.held(slots), ROUND)
        fitting: Floats = slots * np.minimum(self.system.limits(x) / held, 1.0).min(axis=1, keepdims=True)
        return fitting

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, N) that never ask for more than there is, but where a resource has just failed."""
        system, x = self.system, self.system.state_of(observation)
        limit = system.limits(x)
        goal = x.slots + np.clip(whole(system, self.rates(x), limit) - x.slots, -REACH, REACH)
        slots = np.minimum(goal, x.slots)
        for i in np.argsort(-np.array(system.priority)):
            for _ in range(REACH):
                slots = added(system, slots, limit, np.full(len(slots), i), slots[:, i] < goal[:, i])
        change: Ints = slots - x.slots + REACH
        return change, state


def added(system: Allocation, slots: Ints, limit: Floats, service: Ints, wanted: NDArray[np.bool_]) -> Ints:
    """Return slots (B, N) with one more of a service (B,), where it is wanted and fits."""
    more = slots.copy()
    add_one(more, limit + ROUND, service, wanted, system.bundles)
    return more


@compiled()
def add_one(slots, limit, service, wanted, bundles):  # type: ignore[no-untyped-def]
    """Add one slot of a service (B,) to slots (B, N), in place, where it is wanted (B,) and within limits (B, R)."""
    for lane in range(len(slots)):
        fits = wanted[lane]
        for r in range(bundles.shape[1]):
            total = 0.0
            for i in range(len(bundles)):
                total += (slots[lane, i] + (i == service[lane])) * bundles[i, r]
            fits = fits and total <= limit[lane, r]
        slots[lane, service[lane]] += fits


def whole(system: Allocation, rates: Floats, limit: Floats) -> Ints:
    """Return whole slots (B, N) for rates: rounded down, then one more by the largest fraction where it fits."""
    rates = np.clip(rates, 0.0, TOP)
    slots = np.floor(rates + 1e-6).astype(np.int64)
    fraction, lanes = rates - slots, np.arange(len(rates))
    for service in np.argsort(-fraction, axis=1, kind="stable").T:
        wanted = (fraction[lanes, service] > ENOUGH) & (slots[lanes, service] < TOP)
        slots = added(system, slots, limit, service, wanted)
    return slots


class Static(Rule):
    """Keeps a number of slots of each service (N,)."""

    def __init__(self, system: Allocation, slots: Ints) -> None:
        super().__init__(system)
        self.slots = np.asarray(slots)

    def rates(self, x: AllocationState) -> Floats:
        """Return the slots, shrunk where a resource has failed."""
        return self.shrunk(x, np.tile(self.slots.astype(np.float64), (len(x.phase), 1)))


class Proportional(Rule):
    """Gives every service the same share of what it needs."""

    def rates(self, x: AllocationState) -> Floats:
        """Return what is needed, shrunk."""
        return self.shrunk(x, self.wish(x))


class DominantShare(Rule):
    """Dominant-resource fairness: all grow alike by their share of their scarcest resource (Ghodsi et al. 2011)."""

    def rates(self, x: AllocationState) -> Floats:
        """Return the rates by progressive filling."""
        wish, limit = self.wish(x), self.system.limits(x)
        rates, left, grows = np.zeros_like(wish), limit.copy(), wish > ROUND
        speed = 1.0 / (self.system.bundles / limit[:, None, :]).max(axis=2)
        for _ in range(wish.shape[1]):
            pace = np.where(grows, speed, 0.0)
            used = self.system.held(pace)
            full = np.where(used > ROUND, left / np.maximum(used, ROUND), np.inf).min(axis=1)
            met = np.where(grows, (wish - rates) / np.maximum(pace, ROUND), np.inf).min(axis=1)
            time = np.minimum(full, met)
            time = np.where(np.isfinite(time), time, 0.0)[:, None]
            rates, left = rates + pace * time, np.maximum(left - used * time, 0.0)
            blocked = ((self.system.bundles > 0.0) & (left < ROUND)[:, None, :]).any(axis=2)
            grows = grows & (rates < wish - ROUND) & ~blocked
        return rates


class Greedy(Rule):
    """Serves the services in the order of their gain per share of the scarcest resource."""

    def rates(self, x: AllocationState) -> Floats:
        """Return the rates, the most valuable service first."""
        system, wish, left = self.system, self.wish(x), self.system.limits(x)
        gain = np.array(system.priority) - system.bundles @ np.array(system.cost)
        order = np.argsort(-gain / (system.bundles / left[:, None, :]).max(axis=2), axis=1)
        rates, lanes = np.zeros_like(wish), np.arange(len(wish))
        for service in order.T:
            bundle = system.bundles[service]
            room = np.where(bundle > 0.0, left / np.maximum(bundle, ROUND), np.inf).min(axis=1)
            rates[lanes, service] = np.minimum(wish[lanes, service], room)
            left = np.maximum(left - rates[lanes, service][:, None] * bundle, 0.0)
        return rates


class Programme:
    """The linear programme of H cycles: slots, done, waiting, over the bound, lost and added of every service."""

    def __init__(self, system: Allocation, horizon: int) -> None:
        n, r = len(system.need), len(system.capacity)
        size, every = horizon * n, np.ones(horizon * n)
        one, before, zero = sp.identity(size), sp.csr_matrix(sp.eye(size, k=-n)), sp.csr_matrix((size, size))
        resources = sp.kron(sp.identity(horizon), system.bundles.T)
        rows = [[zero, zero, one, -one, zero, zero], [-one, one, zero, zero, zero, zero],
                [one - before, zero, zero, zero, zero, -one]]  # fmt: skip
        if system.setup:
            rows.append([-before, one, zero, zero, zero, zero])
        self._balance = sp.hstack([zero, one, one - before, zero, one, zero]).tocsr()
        self._within = sp.vstack(
            [sp.hstack([resources, sp.csr_matrix((horizon * r, 5 * size))]), *(sp.hstack(row) for row in rows)]
        ).tocsr()
        worth = np.tile(system.priority, horizon)
        self._cost = np.concatenate(
            [np.tile(system.bundles @ np.array(system.cost), horizon), -worth, 0.0 * every, system.slo * every, worth,
             system.move * every]
        )  # fmt: skip
        free = np.full(size, np.inf)
        most = [TOP * every, free, np.tile(np.array(system.most, dtype=np.float64), horizon), free, free, REACH * every]
        self._bounds = np.stack([np.zeros(6 * size), np.concatenate(most)], axis=1)
        self._system, self._horizon = system, horizon

    def solve(self, waiting: Ints, slots: Ints, came: Floats, limits: Floats) -> tuple[float, Floats]:
        """Return the best total reward and the slots (N,) of the first cycle, for arrivals (H, N) and limits (H, R)."""
        first = np.zeros_like(came)
        first[0] = slots
        flow = came.astype(np.float64)
        flow[0] += waiting
        right = [limits.ravel(), np.tile(self._system.bound, self._horizon), 0.0 * first.ravel(), first.ravel()]
        if self._system.setup:
            right.append(first.ravel())
        found = linprog(
            self._cost, A_ub=self._within, b_ub=np.concatenate(right), A_eq=self._balance, b_eq=flow.ravel(),
            bounds=self._bounds, method="highs",
        )  # fmt: skip
        if found.x is None:
            raise InputError(f"{self._system.name}: the linear programme has no solution: {found.message}")
        return -float(found.fun), np.asarray(found.x[: len(slots)])


class Lp(Rule):
    """Does the first cycle of the linear programme over the expected arrivals of some cycles."""

    def __init__(self, system: Allocation, horizon: int = 8) -> None:
        super().__init__(system)
        if horizon < 1:
            raise InputError(f"lp: horizon {horizon}; expected 1 cycle or more")
        self._programme, self._horizon = Programme(system, horizon), horizon

    def rates(self, x: AllocationState) -> Floats:
        """Return the planned slots, divisible."""
        system, cycles = self.system, range(self._horizon)
        begins, ends = system.failure
        often = begins / (begins + ends)
        came = np.stack([system.expected(x, k + 1) for k in cycles], axis=1)
        failed = np.stack([often + (x.failed - often) * (1.0 - begins - ends) ** k for k in cycles], axis=1)
        limits = np.array(system.capacity) * (1.0 - failed * (1.0 - system.left))
        lanes = zip(x.waiting, x.slots, came, limits, strict=True)
        return np.stack([self._programme.solve(*lane)[1] for lane in lanes])


def slot_means(system: Allocation, seeds: Sequence[int] = CALIBRATION) -> tuple[Ints, Floats]:
    """Return the slots (S, N) to which nothing more fits, and the mean reward per cycle of keeping each, (S,)."""
    every = np.stack(np.unravel_index(np.arange((TOP + 1) ** len(system.need)), (TOP + 1,) * len(system.need)), axis=1)
    left = np.array(system.capacity) + ROUND - every @ system.bundles
    full = (left[:, None] < system.bundles).any(axis=2) | (every == TOP)
    every = every[(left >= 0.0).all(axis=1) & full.all(axis=1)]
    goal = np.repeat(every, len(seeds), axis=0)
    w = np.stack([system.disturbance(spawn(seed, "disturbance"), (system.horizon,)) for seed in seeds], axis=1)
    x, total = system.initial(spawn(0), len(goal)), np.zeros(len(goal))
    for now in w:
        u = np.clip(goal - x.slots, -REACH, REACH) + REACH
        step = system.transition(x, u, np.tile(now, (len(every), 1)))
        x, total = step.state, total + step.reward
    return every, total.reshape(len(every), -1).mean(axis=1) / system.horizon


@lru_cache(maxsize=16)
def best_slots(system: Allocation) -> Ints:
    """Return the best slots (N,) to keep on the days of calibration."""
    every, means = slot_means(system)
    best: Ints = every[int(means.argmax())]
    return best


def known_arrivals(system: Allocation, w: Floats) -> float:
    """Return a bound of the mean reward per cycle of any policy on a known episode w (T, 2 N + R)."""
    x, came, limits = system.initial(np.random.default_rng(0), 1), [], []
    begin, hold = x, np.full((1, len(system.need)), REACH)
    for now in w:  # arrivals and failures do not depend on what is done
        limits.append(system.limits(x)[0])
        x = system.transition(x, hold, now[None]).state
        came.append(x.came[0])
    total, _ = Programme(system, len(w)).solve(begin.waiting[0], begin.slots[0], np.array(came), np.array(limits))
    return total / len(w)
