"""A constant rate of arrivals and a constant number of workers: what the farm does, and what two models believe.

A fluid has no chance in it: while the workers can do the work, nothing waits.  A queue has.

Batch letters: K constants, N episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netrollout.evaluate import simulate
from netrollout.systems.serverless.farm import Farm
from netrollout.systems.serverless.model import QueueModel, learned
from netrollout.systems.serverless.realise import fluid
from netrollout.systems.serverless.rules import Constant
from netrollout.systems.serverless.tasks import bank
from netrollout.systems.serverless.workload import BASE_RATE, Phase, published
from netrollout.types import Floats, InputError, System


@dataclass(frozen=True, eq=False)
class AtRate:
    """Share of the collected tasks in time, (K, N) each."""

    farm: Floats
    queue: Floats
    fluid: Floats


def at_rate(rate: float, workers: Sequence[int], duration: float = 600.0, episodes: int = 8, seed: int = 0) -> AtRate:
    """Return what constants bring at a rate that does not change.

    Parameters
    ----------
    rate : float
        tasks/s.
    workers : sequence of int, (K,)
    duration : float
        Of an episode, s, in which all workers are there from the start.
    episodes : int
        N.
    seed : int
        Of the first workload.

    Raises
    ------
    InputError
        If a number is not positive.
    """
    if not (rate > 0.0 and duration > 0.0 and episodes >= 1 and min(workers) >= 1):
        raise InputError(f"rate {rate:g}/s, {duration:g} s, {episodes} episodes, workers {list(workers)}: all above 0")
    seeds = range(seed, seed + episodes)
    phase = (Phase(rate / BASE_RATE, duration),)
    past, judged = (bank([published(s, phase) for s in part], part) for part in (range(1000, 1000 + episodes), seeds))
    horizon = int(duration / 8.0) + 8
    found: dict[str, list[Floats]] = {"farm": [], "queue": [], "fluid": []}
    for k in workers:
        model = QueueModel(learned(past), start=k, most=max(32, k), horizon=horizon)
        farm = Farm(judged, start=k, most=max(32, k), horizon=horizon)
        found["farm"].append(_qos(farm, k, seeds))
        found["queue"].append(_qos(model, k, seeds))
        found["fluid"].append(_qos(fluid(model), k, seeds))
    return AtRate(**{name: np.stack(rows) for name, rows in found.items()})


def _qos(system: System, k: int, seeds: Sequence[int]) -> Floats:
    run = simulate(system, Constant(k), seeds)
    completed, late = run.metrics["completed"].sum(axis=1), run.metrics["violations"].sum(axis=1)
    share: Floats = 1.0 - late / completed
    return share
