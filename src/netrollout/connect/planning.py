"""Plans on a grid: two base policies, rollout, the exact optimum, and when a plan is clear enough to be followed.

Letters: C settings of the controls, L loads, S = L C states, which are grid points G, A joint actions, R draws.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from netrollout.connect.grid import Grid, Rows
from netrollout.dp import evaluate_policy, policy_iteration, q_factors
from netrollout.types import Floats, Ints

EXACT = 200_000  # state-action pairs up to which the exact optimum is computed
ENOUGH = 0.75  # share of the draws in which an action has to gain over holding
CAUTION = 0.25  # quantile of the draws that plans count on where nothing was measured, if it is below the mean


class Plan(NamedTuple):
    """What was planned on one model."""

    optimal: Ints | None  # (S,)
    rollout: Ints  # (S,)
    hold: Ints  # (S,)
    walk: Ints  # (S,)
    q: Floats  # (S, A) of the method that decides

    @property
    def table(self) -> Ints:
        """The action of every state, (S,)."""
        return self.rollout if self.optimal is None else self.optimal


def counted_on(rewards: Floats, told: Floats) -> Floats:
    """Return the reward (G,) that a plan counts on at every grid point.

    Parameters
    ----------
    rewards : (R, G) float64
        Draws.
    told : (G,) float64
        Mean measured reward, NaN where nothing was measured; a plan must not lose what is known for what is hoped.
    """
    mean = rewards.mean(axis=0)
    return np.where(np.isnan(told), np.minimum(mean, np.quantile(rewards, CAUTION, axis=0)), mean)


def plan_on(grid: Grid, rows: Rows, reward: Floats) -> Plan:
    """Plan on grid points that pay `reward` (G,)."""
    mdp = grid.rewarded(reward)
    share = np.bincount(rows.load, minlength=len(grid.loads)) / len(rows.load)
    seen = np.unique(rows.setting)
    best = seen[(share @ reward.reshape(len(grid.loads), -1))[seen].argmax()]
    hold, walk = np.full(mdp.n_states, grid.hold), grid.towards(np.full(len(grid.loads), best))
    value = np.maximum(evaluate_policy(mdp, hold).value, evaluate_policy(mdp, walk).value)
    q = q_factors(mdp, value)
    rollout: Ints = q.argmax(axis=1).astype(np.int64)
    if mdp.n_states * mdp.n_actions > EXACT:
        return Plan(None, rollout, hold, walk, q)
    solved = policy_iteration(mdp, rollout)
    return Plan(solved.policy, rollout, hold, walk, q_factors(mdp, solved.value))


def outlook(grid: Grid, reward: Floats, plan: Plan, state: int) -> dict[str, float]:
    """Return the expected mean reward over the horizon, from here, of holding, walking and the plan."""
    mdp, states = grid.rewarded(reward), np.arange(len(plan.hold))
    found = {}
    for name, table in (("hold", plan.hold), ("walk", plan.walk), ("plan", plan.table)):
        value, moves = np.zeros(len(states)), mdp.transition[states * mdp.n_actions + table]
        for _ in range(grid.spec.horizon):
            value = mdp.reward[states, table] + moves @ value
        found[name] = float(value[state] / grid.spec.horizon)
    return found


def followed_values(grid: Grid, table: Ints, rewards: Floats) -> Floats:
    """Return what following a table (S,) is worth where grid points pay each row of `rewards` (R, G), (R, S)."""
    states, process = np.arange(len(table)), grid.process
    moves = process.transition[states * process.n_actions + table]
    matrix = sparse.csc_array(sparse.eye_array(len(table)) - process.discount * moves)
    return np.ascontiguousarray(splu(matrix).solve(np.ascontiguousarray(rewards[:, grid.ahead(states, table)].T)).T)


def advised(grid: Grid, plan: Plan, rewards: Floats) -> Ints:
    """Return the plan's table (S,) with holding where it gains over waiting for a cycle in too few of the draws."""
    values = followed_values(grid, plan.table, rewards)
    stay = grid.process.transition[np.arange(len(plan.hold)) * grid.process.n_actions + plan.hold]
    wait = rewards + grid.spec.discount * (stay @ values.T).T
    return np.where((values > wait).mean(axis=0) >= ENOUGH, plan.table, plan.hold)


def end_of(grid: Grid, table: Ints, states: Ints) -> Ints:
    """Return the grid points where following a table leads from states, at the load of each."""
    for _ in range(sum(grid.shape)):
        states = grid.ahead(states, table[states])
    return states


def most_informative(rewards: Floats) -> int | None:
    """Return the column of `rewards` (R, C) of which knowing the value would improve the choice of one most, if any.

    The improvement by knowing column c is E max(r_c, best mean of the others) - best mean.
    """
    mean = rewards.mean(axis=0)
    top = np.argsort(mean)[::-1]
    others = np.full(len(mean), mean[top[0]])
    others[top[0]] = mean[top[1]] if len(top) > 1 else -np.inf
    worth = np.maximum(rewards, others).mean(axis=0) - mean[top[0]]
    best = int(worth.argmax())
    return best if worth[best] > 1e-9 * (1.0 + abs(mean[top[0]])) else None
