"""Policies of scenario S4 by name; what a name means is said in `netrollout.catalog.policies`.

Rollouts are simulated (a cycle's requests cannot be listed), the optimum is that of the lattice
(`netrollout.baselines.lattice`), and ``terminal`` is ``zero``, ``lattice`` (the newest model's) or ``stale`` (that of
the model from before the change).  A rollout's ``select`` is ``best``, ``safe`` (leave the base only for a gain beyond
its sampling error) or ``constrained`` (among the actions that are expected to keep the share of late requests within
the plant's limit); with ``halving=true`` it spends the same number of paths by sequential halving.  ``hold`` stays
where it is, so ``rollout(hold, horizon=6)`` is model predictive control; ``hpa(tuned=true)`` has the target and the
routing that earn most on the model from before the change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from netrollout.baselines.lattice import Lattice
from netrollout.baselines.queues import Hold, Hpa, Predictive, Stay, Threshold, best_static, tuned_hpa
from netrollout.catalog.options import choice, number, training, whole
from netrollout.learn import load, train
from netrollout.policies import PolicyName, RandomPolicy
from netrollout.rollout import MultiagentRollout, TruncatedRollout, best, constrained, safe
from netrollout.seeding import spawn
from netrollout.systems.queues import MOST_LATE, QueueMesh
from netrollout.types import Floats, InputError, Policy

if TYPE_CHECKING:
    from netrollout.catalog.registry import Context

HORIZON, SAMPLES = 4, 16  # of a rollout, unless its name says otherwise; fixed before rollout was run (mesh-s4.yml)
TERMINALS = ("zero", "lattice", "stale")
SELECTS = ("best", "safe", "constrained")
ERRORS = 2.0  # standard errors by which a gain must differ from zero for `safe`


def queue_policy(name: PolicyName, worlds: Context) -> Policy:
    """Make the named policy; `netrollout.catalog.policies.make_policy` calls this for S4."""
    return MAKERS[name.head](name, worlds)


@lru_cache(maxsize=8)
def lattice(system: QueueMesh) -> Lattice:
    """Return the solved lattice of a system; it takes seconds, so the last few are kept."""
    return Lattice(system)


def _static(name: PolicyName, worlds: Context) -> Policy:
    if not name.options:
        return Hold(worlds.base, best_static(worlds.base))
    values = {key: number(value, key, name) for key, value in name.options}
    return Hold(worlds.base, worlds.base.setting(values))


def _hpa(name: PolicyName, worlds: Context) -> Policy:
    if choice(name, "tuned", ("false", "true")) == "true":
        if len(name.options) > 1:
            raise InputError(f"policy {name}: tuned=true chooses target and routing; leave the other options out")
        return tuned_hpa(worlds.base)
    given: dict[str, Any] = {key: number(value, key, name) for key, value in name.options if key != "tuned"}
    if "window" in given:
        given["window"] = whole(name, "window", 0)
    return Hpa(worlds.base, **given)


def _greedy(name: PolicyName, worlds: Context) -> Policy:
    """Maximise the expected reward of the coming cycle (myopic), by simulation."""
    hold = Hold(worlds.base, best_static(worlds.base))
    return TruncatedRollout(worlds.base, hold, spawn(worlds.seed, "greedy"), horizon=0, samples=SAMPLES)


@lru_cache(maxsize=8)
def _network(system: QueueMesh, steps: int, seed: int, file: str, warm: Any = None) -> Any:
    return load(file, system, "ppo") if file else train(system, "ppo", steps, seed, warm=warm)


def _ppo(name: PolicyName, worlds: Context) -> Policy:
    steps, seed = training(name, worlds.seed)
    policy: Policy = _network(worlds.base, steps, seed, name.option("file", ""))
    return policy


def _rollout(name: PolicyName, worlds: Context) -> Policy:
    assert name.inner is not None
    if name.option("lookahead", "1") != "1":
        raise InputError(f"policy {name}: on {worlds.plant.name} rollout is simulated, one step ahead; leave it out")
    base, rng, terminal = queue_policy(name.inner, worlds), spawn(worlds.seed, name.head), _terminal(name, worlds)
    horizon, samples = whole(name, "horizon", HORIZON), whole(name, "samples", SAMPLES)
    if name.head == "multiagent":
        return MultiagentRollout(worlds.model, base, rng, horizon, samples, terminal)
    halving = choice(name, "halving", ("false", "true")) == "true"
    select = {
        "best": best,
        "safe": safe(0.0, ERRORS),
        "constrained": constrained(MOST_LATE * (worlds.model.discount ** np.arange(horizon + 1)).sum()),
    }[choice(name, "select", SELECTS)]
    return TruncatedRollout(
        worlds.model, base, rng, horizon, samples, terminal, select=select, halving=halving, watch="late"
    )


def _terminal(name: PolicyName, worlds: Context) -> Callable[[Any], Floats] | None:
    chosen = choice(name, "terminal", TERMINALS)
    if chosen == "zero":
        return None
    return lattice(worlds.model if chosen == "lattice" else worlds.base).value


def _retrain(name: PolicyName, worlds: Context) -> Policy:
    """Make the inner policy anew on the newest model; a warm start goes on from the weights of before the change."""
    assert name.inner is not None
    inner = name.inner
    if choice(name, "warm", ("false", "true")) == "false":
        if inner.option("file", ""):
            raise InputError(f"policy {name}: a file is read, not retrained; retrain({inner}, warm=true) goes on")
        return queue_policy(inner, replace(worlds, base=worlds.model))
    if inner.head != "ppo":
        raise InputError(f"policy {name}: only ppo has weights to start warm from")
    steps, seed = training(inner, worlds.seed)
    old = _network(worlds.base, steps, seed, inner.option("file", ""))
    policy: Policy = _network(worlds.model, steps, seed, "", old)
    return policy


MAKERS: dict[str, Callable[[PolicyName, Context], Policy]] = {
    "random": lambda name, worlds: RandomPolicy(worlds.plant, spawn(worlds.seed, "random policy")),
    "static": _static,
    "greedy": _greedy,
    "reactive": lambda name, worlds: Threshold(worlds.plant),
    "hpa": _hpa,
    "predictive": lambda name, worlds: Predictive(worlds.base),
    "hold": lambda name, worlds: Stay(),
    "optimal": lambda name, worlds: lattice(worlds.base),
    "oracle": lambda name, worlds: lattice(worlds.plant),
    "ppo": _ppo,
    "rollout": _rollout,
    "multiagent": _rollout,
    "retrain": _retrain,
    "walk": lambda name, worlds: Hold(worlds.model, best_static(worlds.model)),
}


def setting_of(system: QueueMesh, levels: Any) -> dict[str, float]:
    """Return the control values at levels (2,), for tables that people read."""
    return {c.name: float(np.asarray(c.levels)[k]) for c, k in zip(system.controls, levels, strict=True)}
