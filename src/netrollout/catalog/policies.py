"""From a policy's name to a policy: what it is made on, and how it is improved on the newest model.

Plain names are made on the base model, the system as known before the change; combinators act on the newest model;
``oracle`` is the optimum of the plant itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from netrollout.baselines.mesh import greedy_table, reactive_table, static_table
from netrollout.catalog.farm_policies import farm_policy
from netrollout.catalog.options import choice, number, training, whole
from netrollout.catalog.queue_policies import queue_policy
from netrollout.dp import MDP, evaluate_policy, policy_iteration
from netrollout.learn import load, tabulate, train
from netrollout.policies import PolicyName, RandomPolicy, TablePolicy, hold_table, random_table
from netrollout.rollout import MultiagentRollout, TruncatedRollout, multiagent_table, rollout_table, terminal_value
from netrollout.seeding import spawn
from netrollout.systems.mesh import Mesh
from netrollout.systems.queues import QueueMesh
from netrollout.systems.serverless import Farm
from netrollout.types import Enumerable, Floats, InputError, Ints, Policy, State

if TYPE_CHECKING:
    from netrollout.catalog.registry import Context

TERMINALS = ("base", "zero", "stale")
OF_THE_FARM = ("keda", "sqrt", "up", "sarsa", "qlearning", "dqn")
OF_THE_QUEUES = ("predictive", "hold")
OF_ONE_SYSTEM = {
    ("reactive", "rule"): (Farm, "serverless"),
    ("rollout", "model"): (Farm, "serverless"),
    ("rollout", "select"): (QueueMesh, "mesh-s4"),
    ("rollout", "halving"): (QueueMesh, "mesh-s4"),
    ("hpa", "tuned"): (QueueMesh, "mesh-s4"),
}


def make_policy(name: PolicyName | str, worlds: Context) -> Policy:
    """Make the named policy for the worlds of a comparison.

    Raises
    ------
    InputError
        If the name, an option or its value is unknown, or does not fit the system.
    """
    name = PolicyName.parse(name) if isinstance(name, str) else name
    _refuse_what_belongs_elsewhere(name, worlds)
    if isinstance(worlds.plant, Farm):
        return farm_policy(name, worlds)
    if isinstance(worlds.plant, QueueMesh):
        return queue_policy(name, worlds)
    if name.head == "random":
        return RandomPolicy(worlds.plant, spawn(worlds.seed, "random policy"))
    if _is_sampled(name):
        return _sampled(name, worlds)
    return TablePolicy(worlds.plant, policy_table(name, worlds))


def policy_table(name: PolicyName | str, worlds: Context) -> Any:
    """Return the named policy over all states, for exact judgement.

    Returns
    -------
    (S,) int joint actions; for ``random`` and ``reactive`` (S, A) probabilities
    """
    name = PolicyName.parse(name) if isinstance(name, str) else name
    if not isinstance(worlds.plant, Enumerable):
        raise InputError(f"policy {name}: {worlds.plant.name} has no table of states, so neither has a policy on it")
    _refuse_what_belongs_elsewhere(name, worlds)
    if name.head == "hpa":
        raise InputError(
            f"policy {name}: only mesh-s4 measures utilisation; reactive is the rule for {worlds.plant.name}"
        )
    if name.head in PLAIN:
        return lift(PLAIN[name.head](name, worlds), worlds.model)
    return COMBINED[name.head](name, worlds)


def _refuse_what_belongs_elsewhere(name: PolicyName, worlds: Context) -> None:
    """Refuse a name, or one inside it, that has a meaning on another system only."""
    if name.inner is not None:
        _refuse_what_belongs_elsewhere(name.inner, worlds)
    if name.head in OF_THE_FARM and not isinstance(worlds.plant, Farm):
        raise InputError(f"policy {name}: only serverless has {name.head}; not {worlds.plant.name}")
    if name.head in OF_THE_QUEUES and not isinstance(worlds.plant, QueueMesh):
        raise InputError(f"policy {name}: only mesh-s4 has {name.head}; not {worlds.plant.name}")
    for (head, key), (system, label) in OF_ONE_SYSTEM.items():
        if name.head == head and name.option(key, "") and not isinstance(worlds.plant, system):
            raise InputError(f"policy {name}: option {key} has a meaning on {label} only; leave it out")


def lift(table: Any, system: Enumerable) -> Any:
    """Extend a table made for fewer load levels: at a load never met, act as if it were the one that was."""
    copies = system.n_states // len(table)
    return np.concatenate([table] * copies)


def _static(name: PolicyName, worlds: Context) -> Ints:
    base = _mesh(worlds.base, name)
    if not name.options:
        return static_table(base)
    values = {key: number(value, key, name) for key, value in name.options}
    return hold_table(base, base.setting(values))


@lru_cache(maxsize=4)
def _ppo_model(name: PolicyName, system: Any, seed: int) -> Any:
    file = name.option("file", "")
    return load(file, system, "ppo") if file else train(system, "ppo", *training(name, seed))


def _ppo(name: PolicyName, worlds: Context) -> Ints:
    return tabulate(_ppo_model(name, worlds.base, worlds.seed), worlds.base)


def _optimal(system: Enumerable) -> Ints:
    table: Ints = policy_iteration(MDP.from_system(system)).policy
    return table


PLAIN: dict[str, Callable[[PolicyName, Context], Any]] = {
    "random": lambda name, worlds: random_table(worlds.base),
    "static": _static,
    "greedy": lambda name, worlds: greedy_table(_mesh(worlds.base, name)),
    "reactive": lambda name, worlds: reactive_table(_mesh(worlds.plant, name)),
    "optimal": lambda name, worlds: _optimal(worlds.base),
    "oracle": lambda name, worlds: _optimal(worlds.plant),
    "ppo": _ppo,
}


def _rollout(name: PolicyName, worlds: Context) -> Ints:
    if _is_sampled(name):
        raise InputError(f"policy {name} is simulated and has no table; nothing can be made of it in turn")
    base, mdp = policy_table(_inner(name), worlds), MDP.from_system(worlds.model)
    terminal = choice(name, "terminal", TERMINALS)
    lookahead = whole(name, "lookahead", 1)
    stale = stale_value(_inner(name), worlds) if terminal == "stale" else None
    return rollout_table(mdp, base, lookahead=lookahead, terminal=terminal, stale_value=stale)


def stale_value(name: PolicyName, worlds: Context) -> Floats:
    """Return what was believed of the base policy before the change, (S,): PPO's critic, else its exact value then."""
    if name.head == "ppo":
        from netrollout.learn.network import critic_values  # torch loads for seconds: only where it is needed

        value: Floats = critic_values(_ppo_model(name, worlds.base, worlds.seed), worlds.base)
    else:
        before = replace(worlds, model=worlds.base)
        value = evaluate_policy(MDP.from_system(worlds.base), policy_table(name, before)).value
    lifted: Floats = lift(value, worlds.model)
    return lifted


def _multiagent(name: PolicyName, worlds: Context) -> Ints:
    if name.options:
        raise InputError(f"policy {name}: terminal is for a simulated rollout; give horizon or samples with it")
    return multiagent_table(MDP.from_system(worlds.model), worlds.model.levels, policy_table(_inner(name), worlds))


def _retrain(name: PolicyName, worlds: Context) -> Any:
    """Make the inner policy anew on the newest model; a warm start goes on from the weights of before the change."""
    inner = _inner(name)
    if choice(name, "warm", ("false", "true")) == "true":
        return _warm(name, worlds)
    if inner.option("file", ""):
        raise InputError(f"policy {name}: a file is read, not retrained; retrain({inner}, warm=true) goes on from it")
    return policy_table(inner, replace(worlds, base=worlds.model))


def _warm(name: PolicyName, worlds: Context) -> Ints:
    inner = _inner(name)
    if inner.head != "ppo":
        raise InputError(f"policy {name}: only ppo has weights to start warm from")
    old = _ppo_model(inner, worlds.base, worlds.seed)
    return tabulate(train(worlds.model, "ppo", *training(inner, worlds.seed), warm=old), worlds.model)


def _walk(name: PolicyName, worlds: Context) -> Ints:
    return static_table(_mesh(worlds.model, name))


COMBINED: dict[str, Callable[[PolicyName, Context], Any]] = {
    "rollout": _rollout,
    "multiagent": _multiagent,
    "retrain": _retrain,
    "walk": _walk,
}


def _sampled(name: PolicyName, worlds: Context) -> Policy:
    """Monte-Carlo truncated rollout: `horizon` steps of the base policy, `samples` times, then the terminal value."""
    if name.option("lookahead", ""):
        raise InputError(f"policy {name}: a simulated rollout looks one step ahead; leave out lookahead")
    base = policy_table(_inner(name), worlds)
    terminal = choice(name, "terminal", TERMINALS)
    stale = stale_value(_inner(name), worlds) if terminal == "stale" else None
    value = terminal_value(MDP.from_system(worlds.model), base, terminal, stale)
    kind = MultiagentRollout if name.head == "multiagent" else TruncatedRollout
    return kind(
        worlds.model,
        make_policy(_inner(name), worlds),
        rng=spawn(worlds.seed, "rollout"),
        horizon=whole(name, "horizon", 20),
        samples=whole(name, "samples", 32),
        terminal=partial(_at, value, worlds.model),  # a lambda could not be pickled
    )


def _at(value: Floats, system: Enumerable, x: State) -> Floats:
    found: Floats = value[system.index(x)]
    return found


def _is_sampled(name: PolicyName) -> bool:
    return name.head in ("rollout", "multiagent") and bool({"horizon", "samples"} & {key for key, _ in name.options})


def _inner(name: PolicyName) -> PolicyName:
    assert name.inner is not None
    return name.inner


def _mesh(system: Enumerable, name: PolicyName) -> Mesh:
    if not isinstance(system, Mesh):
        raise InputError(f"policy {name} is defined for meshes; {system.name} has random, optimal, greedy and rollout")
    return system
