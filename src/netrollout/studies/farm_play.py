"""Episodes of a comparison on the serverless farm, and what a policy brings in them.

An episode is a workload and its scaling times; policies are paired by it.

Batch letters: N episodes, T cycles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import BatchPolicy
from netrollout.evaluate import Episodes, simulate
from netrollout.experiment import Judge, Values, episodes
from netrollout.seeding import spawn
from netrollout.systems.serverless.farm import Farm
from netrollout.types import Floats, Ints, Policy

MEASURES = {"qos": "share", "in_time": "share", "workers": "workers", "scaling": "changes", "reward": "reward",
            "steady": "reward"}  # fmt: skip
"""Measures of an episode, and their units.

``qos`` is the share of the collected tasks that were in time (the published final QoS), ``in_time`` that of all tasks;
``workers`` is the mean over the cycles, ``scaling`` the changes asked for, as the published table counts them;
``reward`` is the sum over the episode, ``steady`` that without the term for the direction of changes.
"""


class Recorded(BatchPolicy):
    """Plays actions (T, N, 1) cycle by cycle; its memory is the cycle (N,)."""

    def __init__(self, actions: Ints) -> None:
        self._actions = actions

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (N, 1)."""
        cycle = np.zeros(len(observation), dtype=np.int64) if state is None else state
        return self._actions[cycle, np.arange(len(cycle))], cycle + 1


def disturbances(plant: Farm, seed: int = 0) -> Floats:
    """Return those (T, N, 3) of the episodes of a comparison: episode i has workload i of the plant's bank."""
    rows = [plant.disturbance(spawn(seed, "scaling", i), (plant.horizon,)) for i in range(len(plant.bank))]
    w = np.stack(rows, axis=1)
    w[:, :, 0] = np.arange(len(rows))
    return w


def measures(plant: Farm, run: Episodes) -> Values:
    """Return every one of `MEASURES`, (N,) each."""
    m, total = run.metrics, run.rewards.sum(axis=1)
    completed, late = m["completed"].sum(axis=1), m["violations"].sum(axis=1)
    parts = (
        1.0 - late / np.maximum(completed, 1.0), (completed - late) / plant.bank.tasks,
        (m["workers"] * run.alive).sum(axis=1) / run.alive.sum(axis=1), (m["requested"] * run.alive).sum(axis=1),
        total, total - (m["reward_direction"] * run.alive).sum(axis=1),
    )  # fmt: skip
    return dict(zip(MEASURES, parts, strict=True))


def play(plant: Farm, policy: Policy, w: Floats) -> Values:
    """Return what a policy brings in episodes with the disturbances w (T, N, 3)."""
    return measures(plant, simulate(plant, policy, range(w.shape[1]), given=w))


def paired(number: int, seed: int = 0) -> Judge:
    """Judge policies by the episodes of a plant whose bank has this number of workloads; `seed` draws scaling times."""
    return episodes(range(number), measures, lambda plant: disturbances(plant, seed))
