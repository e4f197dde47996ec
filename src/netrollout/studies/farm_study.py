"""The comparison on the serverless farm: its worlds, what bounds it, and its estimates.

What is learned (a model from its log, a learner's training on that log) is repeated for R seeds.  Seeds and episodes
are crossed; intervals are Student's over the trainings, or over the episodes of a policy that is not trained.

Batch letters: R trainings (each with its own log), N episodes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from joblib import Parallel, delayed

from netrollout.catalog import Worlds
from netrollout.evaluate import Estimate, over_units
from netrollout.experiment import Values, crossed
from netrollout.studies.farm_play import MEASURES, Recorded, disturbances, play
from netrollout.systems.serverless.clairvoyant import in_time_bound, plan
from netrollout.systems.serverless.realise import farm_model, farm_plant
from netrollout.systems.serverless.relaxation import reward_bound
from netrollout.types import Floats, Ints

TAIL = 0.05  # share of the worst episodes


def worlds(family: str, training: int, episodes: int = 100, phase: str = "before", change: str = "double",
           log: str = "mixed") -> Worlds:  # fmt: skip
    """Return the worlds of a comparison: models learned from the log of a training, a plant with a law of arrivals.

    Parameters
    ----------
    family : str
        Law of the plant's arrivals.
    training : int
        Seed of the log and of all learners.
    episodes : int
        Workloads of the plant's bank.
    phase, change, log : str
        As `netrollout.make` takes them for serverless.
    """
    base, model = (farm_model(when, change, log, training) for when in ("before", phase))
    return Worlds(base, model, farm_plant(family, phase, change, episodes), training)


def bounds(family: str, episodes: int = 100, seed: int = 0, phase: str = "before", change: str = "double") -> Values:
    """Return what no policy exceeds in each episode, (N,) each: ``reward``, ``steady``, ``in_time``."""
    plant = farm_plant(family, phase, change, episodes)
    w, calm = disturbances(plant, seed), replace(plant.reward, up=0.0, down=0.0)
    return {
        "reward": reward_bound(plant, w), "steady": reward_bound(replace(plant, reward=calm), w),
        "in_time": in_time_bound(plant),
    }  # fmt: skip


def clairvoyant(
    family: str, episodes: int = 20, seed: int = 0, phase: str = "before", change: str = "double", width: int = 8
) -> Values:
    """Return what a search that knows the episodes gets in the first of them: a feasible value."""
    plant = farm_plant(family, phase, change, episodes)
    w = disturbances(plant, seed)
    jobs = (delayed(plan)(plant, w[:, i], width) for i in range(episodes))
    found: list[tuple[Ints, float]] = Parallel(n_jobs=-1)(jobs)
    return play(plant, Recorded(np.stack([actions for actions, _ in found], axis=1)), w)


def tail_mean(values: Floats) -> Floats:
    """Return the mean of the worst twentieth of each row, (draws,): the CVaR at 5 %."""
    worst = max(1, int(np.ceil(TAIL * values.shape[1])))
    mean: Floats = np.partition(values, worst - 1, axis=1)[:, :worst].mean(axis=1)
    return mean


def estimates(played: Values) -> dict[str, Estimate]:
    """Return every measure's mean, and ``cvar`` of the reward, with intervals (the tail's is a bootstrap)."""
    found = {name: over_units(played[name]) for name in MEASURES}
    return found | {"cvar": crossed(played["reward"], tail_mean)}
