"""What could be had on the serverless farm by one who knows every arrival: a plan that works, and a bound.

`plan` searches for the actions with the largest total reward on one known episode.  What it finds can be done, so its
reward is a lower bound of the best; no controller that learns of arrivals as they come can rely on it.

`in_time_bound` is an upper bound by information relaxation: whatever a policy does and knows, the share of an episode's
tasks that are collected in time is at most this.  With the most workers from the first moment on and no delay before a
task is found, every task of a first-come, first-served queue starts no later than under any policy (Kiefer & Wolfowitz
1955), and its collection takes what it takes.  It bounds the final QoS of every policy that gets all tasks done.

Batch letters: W workloads, T cycles, B lanes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from netrollout import batch
from netrollout.systems.serverless.farm import CYCLE, Farm, FarmState
from netrollout.types import Floats, InputError, Ints

TARGETS = (8, 10, 12, 14, 15, 16, 17, 18, 20, 24)  # workers that the completions of a plan walk to
CHANGES = 3
ENOUGH = 60.0  # s after the last arrival


def plan(farm: Farm, w: Floats, width: int = 8) -> tuple[Ints, float]:
    """Return the best actions found for a known episode, (T, 1), and their total reward.

    A beam search: each of the `width` best beginnings is continued by every action; a beginning is worth its reward and
    the best of what follows if the workers then walk to one of `TARGETS` and stay there.  So the plan is at least as
    good as every one of those constants.

    Parameters
    ----------
    farm : Farm
    w : (T, 3)
        The episode's disturbance, T the horizon of the farm.
    width : int

    Raises
    ------
    InputError
        If the disturbance does not fit the horizon, or the width is below 1.
    """
    if w.shape != (farm.horizon, 3) or width < 1:
        raise InputError(
            f"plan: a disturbance of shape {w.shape}, width {width}; expected ({farm.horizon}, 3) and 1 or more"
        )
    x, earned = farm.initial(np.random.default_rng(0), 1), np.zeros(1)
    begun = np.zeros((1, 0), dtype=np.int64)
    best, value = begun, -np.inf
    for t in range(farm.horizon):
        u = np.tile(np.arange(CHANGES), len(earned))
        begun = np.concatenate([np.repeat(begun, CHANGES, axis=0), u[:, None]], axis=1)
        step = farm.transition(batch.repeat(x, CHANGES), u[:, None], np.tile(w[t], (len(u), 1)))
        x, earned = step.state, np.repeat(earned, CHANGES) + step.reward
        rest, target = _completed(farm, x, w[t + 1 :])
        worth = earned + rest
        if worth.max() > value + 1e-9:
            k = int(worth.argmax())
            value, best = float(worth[k]), np.concatenate([begun[k], _walk(farm, x, k, int(target[k]), w[t + 1 :])])
        kept = _distinct(worth, x.workers)[:width]
        x, earned, begun = batch.take(x, kept), earned[kept], begun[kept]
    return best[:, None], value


def in_time_bound(farm: Farm) -> Floats:
    """Return an upper bound (W,) of the share of each workload's tasks that any policy gets collected in time."""
    poll = farm.bank.poll.copy()
    poll[..., 0] = 0.0
    best = replace(farm, bank=replace(farm.bank, poll=poll), start=farm.most)
    n = len(farm.bank)
    x, good = best.initial(np.random.default_rng(0), n), np.zeros(n)
    longer = max(0.0, (farm.bank.arrival.max() + ENOUGH) / farm.horizon - CYCLE)  # so that all tasks get done
    w = np.stack([np.arange(n), np.zeros(n), np.full(n, longer)], axis=1)
    for _ in range(farm.horizon):
        step = best.transition(x, np.ones((n, 1), dtype=np.int64), w)
        x, good = step.state, good + step.metrics["completed"] - step.metrics["violations"]
    share: Floats = good / farm.bank.tasks
    return share


def _completed(farm: Farm, x: FarmState, w: Floats) -> tuple[Floats, Ints]:
    """Return the best reward (B,) of walking to a target and staying, and the target (B,)."""
    goals = np.array([goal for goal in TARGETS if farm.least <= goal <= farm.most] or [farm.start])
    y, goal = batch.repeat(x, len(goals)), np.tile(goals, batch.length(x))
    total = np.zeros(len(goal))
    for now in w:
        step = farm.transition(y, np.sign(goal - y.workers)[:, None] + 1, np.tile(now, (len(goal), 1)))
        y, total = step.state, total + step.reward
    totals = total.reshape(-1, len(goals))
    return totals.max(axis=1), goals[totals.argmax(axis=1)]


def _walk(farm: Farm, x: FarmState, lane: int, goal: int, w: Floats) -> Ints:
    """Return the actions of a lane that walks to a goal and stays there."""
    y, actions = batch.take(x, np.array([lane])), []
    for now in w:
        u = np.sign(goal - y.workers)[:, None] + 1
        actions.append(int(u[0, 0]))
        y = farm.transition(y, u, now[None]).state
    return np.array(actions, dtype=np.int64)


def _distinct(worth: Floats, workers: Ints) -> Ints:
    """Return the lanes, the best first, one of each worth and number of workers."""
    order = np.argsort(-worth, kind="stable")
    marks = np.stack([np.round(worth[order], 9), workers[order]], axis=1)
    _, first = np.unique(marks, axis=0, return_index=True)
    return order[np.sort(first)]
