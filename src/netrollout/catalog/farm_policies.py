"""Policies of the serverless farm by name; what a name means is said in `netrollout.catalog.policies`.

What is learned or tuned before the change uses the base model and its log; ``retrain`` and ``walk`` use those of the
newest model.  Rollouts plan on the newest sampled queue, or with ``model=fluid`` on the fluid, in the state that the
model estimates from what was seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from netrollout.baselines.serverless import AlwaysUp, Constant, Hpa, QueueLength, Random, Reactive, SquareRoot
from netrollout.catalog.farm import LoggedQueue, fluid, load_serverless
from netrollout.catalog.options import choice, number, whole
from netrollout.evaluate import simulate
from netrollout.learn import load, recipe, train
from netrollout.policies import PolicyName
from netrollout.rollout import EstimatedRollout
from netrollout.seeding import spawn
from netrollout.systems.serverless import Farm
from netrollout.types import Floats, InputError, Policy

if TYPE_CHECKING:
    from netrollout.catalog.registry import Context

YES = ("false", "true")


def farm_policy(name: PolicyName, worlds: Context) -> Policy:
    """Make the named policy; `netrollout.catalog.policies.make_policy` calls this for serverless.

    Raises
    ------
    InputError
        If the name or an option has no meaning here.
    """
    if name.head not in MAKERS:
        raise InputError(f"policy {name}: not on {worlds.plant.name}; {INSTEAD[name.head]}")
    return MAKERS[name.head](name, worlds)


INSTEAD = {
    "optimal": "its optimum is not known, `netrollout.studies.farm_study.bounds` bounds it",
    "oracle": "`netrollout.studies.farm_study.clairvoyant` searches with the arrivals known",
    "multiagent": "its action has one component, so rollout says the same",
}


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


def _static(name: PolicyName, worlds: Context) -> Policy:
    log = _model(worlds.base).log
    given = dict(name.options)
    if not given:
        return _best(log)
    if set(given) != {"k"}:
        raise InputError(f"policy {name}: expected static(k=17), a number of workers")
    k = whole(name, "k", log.start)
    if not log.least <= k <= log.most:
        raise InputError(f"policy {name}: expected {log.least} to {log.most} workers")
    return Constant(k)


def _given(name: PolicyName, whole_ones: tuple[str, ...] = ("window",)) -> dict[str, Any]:
    """Return the options of a name as numbers."""
    return {k: whole(name, k, 0) if k in whole_ones else number(v, k, name) for k, v in name.options}


def _hpa(name: PolicyName, worlds: Context) -> Policy:
    if name.option("p", ""):
        raise InputError(f"policy {name}: p is a routing weight, which {worlds.plant.name} has not")
    return Hpa(**_given(name), service=_model(worlds.base).beliefs.mean)


def _sqrt(name: PolicyName, worlds: Context) -> Policy:
    model = _model(worlds.base)
    return SquareRoot(**_given(name), service=model.beliefs.mean, most=model.most)


def _learned(name: PolicyName, worlds: Context) -> Policy:
    """Learn on the base model's log, or read a file."""
    seed, kind = whole(name, "seed", worlds.seed), name.head
    unit = recipe(kind).unit
    length = whole(name, unit, load_serverless().learning[kind])
    if length < 1:
        raise InputError(f"policy {name}: {unit}={length}; expected 1 or more")
    published = choice(name, "published", YES) == "true"
    return _trained(kind, _model(worlds.base), length, seed, published, name.option("file", ""))


@lru_cache(maxsize=64)
def _trained(kind: str, model: LoggedQueue, length: int, seed: int, published: bool, file: str) -> Policy:
    log = model.log
    return load(file, log, kind) if file else train(log, kind, length, seed, "published" if published else None)


def _rollout(name: PolicyName, worlds: Context) -> Policy:
    if name.option("lookahead", "1") != "1":
        raise InputError(f"policy {name}: on {worlds.plant.name} rollout is simulated, one step ahead; leave it out")
    choice(name, "terminal", ("zero",))
    model = fluid(worlds.model) if choice(name, "model", ("queue", "fluid")) == "fluid" else worlds.model
    usual = load_serverless().rollout
    return EstimatedRollout(
        model,
        farm_policy(_inner(name), worlds),
        spawn(worlds.seed, name.head),
        horizon=whole(name, "horizon", usual["horizon"]),
        samples=whole(name, "samples", usual["samples"]),
    )


def _greedy(name: PolicyName, worlds: Context) -> Policy:
    """Maximise the expected reward of the coming cycle (myopic), by simulation."""
    base, samples = _model(worlds.base), load_serverless().rollout["samples"]
    return EstimatedRollout(base, _best(base.log), spawn(worlds.seed, "greedy"), horizon=0, samples=samples)


def _retrain(name: PolicyName, worlds: Context) -> Policy:
    """Make the inner policy anew on the newest model and its log."""
    inner = _inner(name)
    if choice(name, "warm", YES) == "true":
        raise InputError(f"policy {name}: on {worlds.plant.name} learners begin anew; leave out warm")
    if inner.option("file", ""):
        raise InputError(f"policy {name}: a file is read, not retrained")
    return farm_policy(inner, replace(worlds, base=worlds.model))


def _inner(name: PolicyName) -> PolicyName:
    assert name.inner is not None
    return name.inner


def _model(system: Any) -> LoggedQueue:
    assert isinstance(system, LoggedQueue)
    return system


MAKERS: dict[str, Callable[[PolicyName, Context], Policy]] = {
    "random": lambda name, worlds: Random(spawn(worlds.seed, "random policy")),
    "static": _static,
    "reactive": lambda name, worlds: Reactive(choice(name, "rule", ("maximum", "average"))),
    "hpa": _hpa,
    "keda": lambda name, worlds: QueueLength(**_given(name)),
    "sqrt": _sqrt,
    "up": lambda name, worlds: AlwaysUp(),
    "greedy": _greedy,
    "sarsa": _learned,
    "qlearning": _learned,
    "dqn": _learned,
    "ppo": _learned,
    "rollout": _rollout,
    "retrain": _retrain,
    "walk": lambda name, worlds: _best(_model(worlds.model).log),
}
