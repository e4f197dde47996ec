"""The published allocation problem: one instance, repeated; nothing in it moves in time.

A share a_ir of resource r goes to task i, all in [0, 1]::

    effect = mean over i of priority_i min(1, sum_r a_ir / demand_i)
    reward = effect - 0.1 sum a_ir cost_r - 10 sum_r max(sum_i a_ir - there_r, 0)^2

The published wrapper adds a tenth of the effect and takes off half of the excess that has piled up.  The reward is
concave; within what is there it is piecewise linear, so the best allocation is a linear programme, and filling the
cheapest resource with the task that pays most for it solves it.

Batch letters: N tasks, R resources.

Source: kryptologyst/RL-Resource-Allocation, re-implemented from facts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog

from netrollout.seeding import spawn
from netrollout.types import Floats

TASKS, RESOURCES, STEPS = 5, 3, 100
PRICE, EXCESS = 0.1, 10.0  # on costs and on squared excess
SHAPING = (0.1, 0.5)  # of the effect, and of the excess that has piled up


class Instance(NamedTuple):
    """One draw of the problem; cost and priority are not shown to an agent."""

    cost: Floats  # (R,)
    priority: Floats  # (N,)
    there: Floats  # (R,) of each resource
    demand: Floats  # (N,)


def instance(seed: int) -> Instance:
    """Draw an instance as published, with a seed of its own."""
    rng = spawn(seed, "static allocation")
    bounds = ((0.1, 1.0, RESOURCES), (0.5, 1.0, TASKS), (0.5, 1.0, RESOURCES), (0.3, 0.8, TASKS))
    return Instance(*(rng.uniform(*bound) for bound in bounds))


def reward(a: Floats, one: Instance) -> tuple[float, float]:
    """Return the reward and the excess of an allocation (N, R)."""
    effect = float((one.priority * np.minimum(1.0, a.sum(axis=1) / one.demand)).mean())
    excess = float((np.maximum(a.sum(axis=0) - one.there, 0.0) ** 2).sum())
    return effect - PRICE * float((a @ one.cost).sum()) - EXCESS * excess, excess


def shaped_return(a: Floats, one: Instance) -> float:
    """Return the shaped reward of an episode in which an allocation (N, R) stands."""
    value, excess = reward(a, one)
    effect = float((one.priority * np.minimum(1.0, a.sum(axis=1) / one.demand)).mean())
    piled = EXCESS * excess * np.arange(1, STEPS + 1)
    return float(STEPS * (value + SHAPING[0] * effect) - SHAPING[1] * piled.sum())


def greedy_shares(one: Instance, cost: Floats | None = None, priority: Floats | None = None) -> Floats:
    """Return the greedy allocation (N, R): the task that pays most gets the cheapest resource, while it pays.

    An agent does not see costs and priorities; where None, all count as equal, as for one who does not know.
    """
    price = PRICE * (np.full(RESOURCES, 0.55) if cost is None else cost)
    worth = (np.full(TASKS, 0.75) if priority is None else priority) / (TASKS * one.demand)
    a, left, need = np.zeros((TASKS, RESOURCES)), one.there.copy(), one.demand.copy()
    for i in np.argsort(-worth):
        for r in np.argsort(price):
            if worth[i] > price[r]:
                a[i, r] = min(left[r], need[i])
                left[r], need[i] = left[r] - a[i, r], need[i] - a[i, r]
    return a


def best_shares(one: Instance) -> tuple[Floats, float]:
    """Return the optimal allocation (N, R) within what is there, by HiGHS, and its reward."""
    worth = np.repeat(one.priority / (TASKS * one.demand), RESOURCES) - PRICE * np.tile(one.cost, TASKS)
    tasks, resources = np.kron(np.eye(TASKS), np.ones(RESOURCES)), np.kron(np.ones(TASKS), np.eye(RESOURCES))
    found = linprog(-worth, A_ub=np.vstack([tasks, resources]), b_ub=np.r_[one.demand, one.there], bounds=(0.0, 1.0))
    return found.x.reshape(TASKS, RESOURCES), -float(found.fun)
