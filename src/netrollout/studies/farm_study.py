"""The comparison on the serverless farm: every policy on the same episodes, and what a constant would do.

An episode is a workload and its scaling times; policies are paired by it.  What is learned (a model from its log, a
learner's training on that log) is repeated for R seeds.  Seeds and episodes are crossed, so intervals resample both
(`netrollout.evaluate.bootstrap` with ``crossed=True``).

Batch letters: R trainings (each with its own log), N episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from netrollout.baselines.clairvoyant import in_time_bound, plan
from netrollout.baselines.relaxation import reward_bound
from netrollout.catalog.farm import farm_model, farm_plant, load_serverless
from netrollout.catalog.farm_policies import farm_policy
from netrollout.catalog.registry import Context
from netrollout.evaluate import Estimate, bootstrap
from netrollout.policies import PolicyName
from netrollout.studies.farm_frontier import beats_frontier, frontier
from netrollout.studies.farm_play import MEASURES, Played, Recorded, disturbances, play, stacked
from netrollout.types import Floats, InputError, Ints

TAIL = 0.05  # share of the worst episodes


def judged(
    rows: Sequence[str], families: Sequence[str], episodes: int = 100, seed: int = 0, trainings: int = 1,
    phase: str = "before", change: str = "double", log: str = "mixed",
) -> dict[tuple[str, str], Played]:  # fmt: skip
    """Judge policies on plants.

    Parameters
    ----------
    rows : sequence of str
        Names of policies.
    families : sequence of str
        Laws of the plants' arrivals.
    episodes : int
        N.
    seed : int
        Of the first training; also of the scaling times.
    trainings : int
        R; number r has the seed + r.
    phase, change, log : str
        As `netrollout.make` takes them for serverless.

    Returns
    -------
    dict of (row, family) to Played

    Raises
    ------
    InputError
        If a name is unknown; all are parsed before anything is learned.
    """
    names = [PolicyName.parse(text) for text in rows]
    if min(episodes, trainings) < 1:
        raise InputError(f"comparison: {episodes} episodes, {trainings} trainings; expected 1 or more of each")
    arguments = (names, families, episodes, seed, phase, change, log)
    jobs = (delayed(_training)(*arguments, seed + r) for r in range(trainings))
    parts: list[dict[tuple[str, str], Played]] = Parallel(n_jobs=-1 if trainings > 1 else 1)(jobs)
    keys = [(row, family) for family in families for row in rows]
    return {
        (row, family): stacked([part[str(PolicyName.parse(row)), family] for part in parts]) for row, family in keys
    }


def _training(
    names: Sequence[PolicyName], families: Sequence[str], episodes: int, seed: int, phase: str, change: str, log: str,
    training: int,
) -> dict[tuple[str, str], Played]:  # fmt: skip
    base, model = (farm_model(when, change, log, training) for when in ("before", phase))
    found = {}
    for family in families:
        plant = farm_plant(family, phase, change, episodes)
        w = disturbances(plant, seed)
        for name in names:
            policy = farm_policy(name, Context(base, model, plant, training))
            found[str(name), family] = play(plant, policy, w)
    return found


def bounds(
    family: str, episodes: int = 100, seed: int = 0, phase: str = "before", change: str = "double"
) -> dict[str, Floats]:
    """Return what no policy exceeds in each episode of `judged`, (N,) each: ``reward``, ``steady``, ``in_time``."""
    plant = farm_plant(family, phase, change, episodes)
    w, calm = disturbances(plant, seed), replace(plant.reward, up=0.0, down=0.0)
    return {
        "reward": reward_bound(plant, w), "steady": reward_bound(replace(plant, reward=calm), w),
        "in_time": in_time_bound(plant),
    }  # fmt: skip


def clairvoyant(
    family: str, episodes: int = 20, seed: int = 0, phase: str = "before", change: str = "double", width: int = 8
) -> Played:
    """Return what a search that knows the episodes gets in the first of those of `judged`: a feasible value."""
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


def estimates(played: Played) -> dict[str, Estimate]:
    """Return every measure's mean, and ``cvar`` of the reward, with intervals over trainings and episodes."""
    found = {name: bootstrap(getattr(played, name), crossed=True) for name in MEASURES}
    return found | {"cvar": bootstrap(played.reward, tail_mean, crossed=True)}


def compare(
    rows: Sequence[str], families: Sequence[str], episodes: int = 100, seed: int = 0, change: str | None = None,
    trainings: int = 1, log: str = "mixed", known: int = 0,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the table: a record for every policy, family and phase, then the search and the bound.

    Parameters
    ----------
    rows, families, episodes, seed, trainings, log
        As `judged` takes them.
    change : str, optional
        Judge before and after this change; before only where None.
    known : int
        Episodes for the clairvoyant search, a second of computing each; 0 leaves it out.

    Returns
    -------
    list of dict
        ``policy``, ``workload``, ``held_out``, ``phase``, ``change``, ``log``, ``episodes``, ``trainings``; then an
        Estimate of each of `MEASURES`, ``cvar``, and ``above`` (`beats_frontier` in QoS), and ``beats``, whether all of
        its interval is above 0.  The row ``clairvoyant`` has ``known`` episodes; the row ``bound`` has reward, steady
        and in_time only.
    """
    table = []
    for phase in ("before",) if change is None else ("before", "after"):
        where: dict[str, Any] = {"seed": seed, "phase": phase, "change": change or "double"}
        found = judged(rows, families, episodes, trainings=trainings, log=log, **where)
        for family in families:
            about = {"workload": family, "held_out": family in load_serverless().held_out, "phase": phase,
                     "change": change, "log": log}  # fmt: skip
            constants = frontier(family, episodes, **where)
            for row in rows:
                above = beats_frontier(found[row, family], constants)
                table.append({"policy": row, **about, "episodes": episodes, "trainings": trainings,
                              **estimates(found[row, family]), "above": above, "beats": above.low > 0.0})  # fmt: skip
            if known:
                searched = estimates(clairvoyant(family, known, **where))
                table.append({"policy": "clairvoyant", **about, "episodes": known, "trainings": 1, **searched})
            limits = {name: bootstrap(values) for name, values in bounds(family, episodes, **where).items()}
            table.append({"policy": "bound", **about, "episodes": episodes, "trainings": 1, **limits})
    return table
