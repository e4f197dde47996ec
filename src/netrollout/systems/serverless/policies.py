"""Policies of the serverless farm by name; what a name means is said in `netrollout.makers`.

What is learned or tuned before the change uses the base model and its log; ``retrain`` and ``walk`` use those of the
newest model.  Rollouts plan on the newest sampled queue, or with ``model=fluid`` on the fluid, in the state that the
model estimates from what was seen.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np

from netrollout.evaluate import simulate
from netrollout.makers import Worlds, make_policy, maker
from netrollout.policies import PolicyName
from netrollout.rollout import EstimatedRollout
from netrollout.seeding import spawn
from netrollout.systems.serverless.farm import Farm
from netrollout.systems.serverless.realise import fluid, load_serverless
from netrollout.systems.serverless.rules import AlwaysUp, Constant, Hpa, QueueLength, Random, Reactive, SquareRoot
from netrollout.types import Floats, InputError, Policy

ROOM = "serverless"


@lru_cache(maxsize=16)
def constants(farm: Farm) -> Floats:
    """Return the mean total reward of each constant number of workers, from the least on, over a farm's workloads."""
    n = len(farm.bank)
    w = farm.disturbance(spawn(0, "constants"), (farm.horizon, n))
    w[:, :, 0] = np.arange(n)
    runs = (simulate(farm, Constant(k), range(n), given=w) for k in range(farm.least, farm.most + 1))
    return np.array([run.rewards.sum(axis=1).mean() for run in runs])


def _best(farm: Farm) -> Policy:
    return Constant(farm.least + int(constants(farm).argmax()))


@maker("random", ROOM)
def random(worlds: Worlds) -> Policy:
    """Change at random; the range of the workers cannot be seen."""
    return Random(spawn(worlds.seed, "random policy"))


@maker("static", ROOM)
def static(worlds: Worlds, *, k: int | None = None) -> Policy:
    """Walk to a number of workers and hold it: the best on the base model's log, or k."""
    log = worlds.base.log
    if k is not None and not log.least <= k <= log.most:
        raise InputError(f"policy static(k={k}): expected {log.least} to {log.most} workers")
    return _best(log) if k is None else Constant(k)


@maker("reactive", ROOM)
def reactive(worlds: Worlds, *, rule: Literal["maximum", "average"] = "maximum") -> Policy:
    """Follow the published rule."""
    return Reactive(rule)


@maker("hpa", ROOM)
def hpa(worlds: Worlds, *, target: float = 0.7, window: int = 8, tolerance: float = 0.1) -> Policy:
    """Autoscale as Kubernetes does."""
    return Hpa(target, window, tolerance, worlds.base.beliefs.mean)


@maker("keda", ROOM)
def keda(worlds: Worlds, *, target: float = 5.0, window: int = 8) -> Policy:
    """Scale by the length of the queue."""
    return QueueLength(target, window)


@maker("sqrt", ROOM)
def sqrt(worlds: Worlds, *, waiting: float = 0.05) -> Policy:
    """Staff by the square root of the offered load."""
    return SquareRoot(waiting, worlds.base.beliefs.mean, worlds.base.most)


@maker("up", ROOM)
def up(worlds: Worlds) -> Policy:
    """Ask for one more worker in each cycle."""
    return AlwaysUp()


@maker("greedy", ROOM)
def greedy(worlds: Worlds) -> Policy:
    """Maximise the expected reward of the coming cycle (myopic), by simulation."""
    base, samples = worlds.base, load_serverless().rollout["samples"]
    return EstimatedRollout(base, _best(base.log), spawn(worlds.seed, "greedy"), horizon=0, samples=samples)


@maker("rollout", ROOM)
def rollout(
    worlds: Worlds,
    inner: PolicyName,
    *,
    model: Literal["queue", "fluid"] = "queue",
    terminal: Literal["zero"] = "zero",
    horizon: int | None = None,
    samples: int | None = None,
) -> Policy:
    """Improve a policy by simulation in the state that is estimated."""
    usual, system = load_serverless().rollout, worlds.model if model == "queue" else fluid(worlds.model)
    length, paths = (usual[k] if v is None else v for k, v in (("horizon", horizon), ("samples", samples)))
    return EstimatedRollout(system, make_policy(inner, worlds), spawn(worlds.seed, "rollout"), length, paths)
