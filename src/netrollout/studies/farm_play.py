"""Episodes of a comparison on the serverless farm, and what a policy brings in them.

An episode is a workload and its scaling times; policies are paired by it.

Batch letters: R trainings, N episodes, T cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import BatchPolicy
from netrollout.evaluate import simulate
from netrollout.seeding import spawn
from netrollout.systems.serverless import Farm
from netrollout.types import Floats, Ints, Policy

MEASURES = {"qos": "share", "in_time": "share", "workers": "workers", "scaling": "changes", "reward": "reward",
            "steady": "reward"}  # fmt: skip
"""Measures of an episode, and their units."""


@dataclass(frozen=True, eq=False)
class Played:
    """What a policy brought, R trainings by N episodes.

    Attributes
    ----------
    qos : (R, N) share of the collected tasks that were in time (the published final QoS)
    in_time : (R, N) share of all tasks that were
    workers : (R, N) mean over the cycles
    scaling : (R, N) changes asked for, as the published table counts them
    reward : (R, N) sum over the episode
    steady : (R, N) that without the term for the direction of changes
    """

    qos: Floats
    in_time: Floats
    workers: Floats
    scaling: Floats
    reward: Floats
    steady: Floats


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


def play(plant: Farm, policy: Policy, w: Floats) -> Played:
    """Return what a policy brings in episodes with the disturbances w (T, N, 3), with R = 1."""
    run = simulate(plant, policy, range(w.shape[1]), given=w)
    m, total = run.metrics, run.rewards.sum(axis=1)
    completed, late = m["completed"].sum(axis=1), m["violations"].sum(axis=1)
    parts = (
        1.0 - late / np.maximum(completed, 1.0), (completed - late) / plant.bank.tasks,
        (m["workers"] * run.alive).sum(axis=1) / run.alive.sum(axis=1), (m["requested"] * run.alive).sum(axis=1),
        total, total - (m["reward_direction"] * run.alive).sum(axis=1),
    )  # fmt: skip
    return Played(*(part[None] for part in parts))


def stacked(parts: Sequence[Played]) -> Played:
    """Return one after the other along R."""
    return Played(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Played)))
