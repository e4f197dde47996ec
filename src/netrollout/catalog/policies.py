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
from netrollout.dp import MDP, evaluate_policy, policy_iteration
from netrollout.policies import PolicyName, RandomPolicy, TablePolicy, hold_table, random_table
from netrollout.rollout import TruncatedRollout, multiagent_table, rollout_table, terminal_value
from netrollout.seeding import SEEDS, spawn
from netrollout.systems.mesh import Mesh
from netrollout.types import Enumerable, Floats, InputError, Ints, Policy, State

if TYPE_CHECKING:
    from netrollout.catalog.registry import Context

PPO_STEPS = 30_000
TERMINALS = ("base", "zero", "stale")


def make_policy(name: PolicyName | str, worlds: Context) -> Policy:
    """Make the named policy for the worlds of a comparison.

    Raises
    ------
    InputError
        If the name, an option or its value is unknown, or does not fit the system.
    """
    name = PolicyName.parse(name) if isinstance(name, str) else name
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
    if name.head in PLAIN:
        return lift(PLAIN[name.head](name, worlds), worlds.model)
    return COMBINED[name.head](name, worlds)


def lift(table: Any, system: Enumerable) -> Any:
    """Extend a table made for fewer load levels: at a load never met, act as if it were the one that was."""
    copies = system.n_states // len(table)
    return np.concatenate([table] * copies)


def _static(name: PolicyName, worlds: Context) -> Ints:
    base = _mesh(worlds.base, name)
    if not name.options:
        return static_table(base)
    values = {key: _number(value, key, name) for key, value in name.options}
    return hold_table(base, base.setting(values))


@lru_cache(maxsize=4)
def _ppo_model(name: PolicyName, system: Any, seed: int) -> Any:
    from netrollout.train import load, train  # torch loads for seconds: only where it is needed

    file = name.option("file", "")
    if file:
        return load(file, system)
    return train(system, "ppo", *_budget(name, seed))


def _budget(name: PolicyName, seed: int) -> tuple[int, int]:
    """Return the environment steps and the seed of a training."""
    return _whole(name, "steps", PPO_STEPS), _whole(name, "seed", seed)


def _ppo(name: PolicyName, worlds: Context) -> Ints:
    from netrollout.train import policy_table as greedy_of

    table: Ints = greedy_of(_ppo_model(name, worlds.base, worlds.seed), worlds.base)  # type: ignore[arg-type]
    return table


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
    terminal = _choice(name, "terminal", TERMINALS)
    lookahead = _whole(name, "lookahead", 1)
    stale = stale_value(_inner(name), worlds) if terminal == "stale" else None
    return rollout_table(mdp, base, lookahead=lookahead, terminal=terminal, stale_value=stale)


def stale_value(name: PolicyName, worlds: Context) -> Floats:
    """Return what was believed of the base policy before the change, (S,): PPO's critic, else its exact value then."""
    if name.head == "ppo":
        from netrollout.train import critic_values

        value: Floats = critic_values(_ppo_model(name, worlds.base, worlds.seed), worlds.base)  # type: ignore[arg-type]
    else:
        before = replace(worlds, model=worlds.base)
        value = evaluate_policy(MDP.from_system(worlds.base), policy_table(name, before)).value
    lifted: Floats = lift(value, worlds.model)
    return lifted


def _multiagent(name: PolicyName, worlds: Context) -> Ints:
    return multiagent_table(MDP.from_system(worlds.model), worlds.model.levels, policy_table(_inner(name), worlds))


def _retrain(name: PolicyName, worlds: Context) -> Any:
    """Make the inner policy anew on the newest model; a warm start goes on from the weights of before the change."""
    inner = _inner(name)
    if _choice(name, "warm", ("false", "true")) == "true":
        return _warm(name, worlds)
    if inner.option("file", ""):
        raise InputError(f"policy {name}: a file is read, not retrained; retrain({inner}, warm=true) goes on from it")
    return policy_table(inner, replace(worlds, base=worlds.model))


def _warm(name: PolicyName, worlds: Context) -> Ints:
    from netrollout.train import policy_table as greedy_of
    from netrollout.train import train

    inner = _inner(name)
    if inner.head != "ppo":
        raise InputError(f"policy {name}: only ppo has weights to start warm from")
    old = _ppo_model(inner, worlds.base, worlds.seed)  # type: ignore[arg-type]
    table: Ints = greedy_of(train(worlds.model, "ppo", *_budget(inner, worlds.seed), warm=old), worlds.model)
    return table


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
    terminal = _choice(name, "terminal", TERMINALS)
    stale = stale_value(_inner(name), worlds) if terminal == "stale" else None
    value = terminal_value(MDP.from_system(worlds.model), base, terminal, stale)
    return TruncatedRollout(
        worlds.model,
        make_policy(_inner(name), worlds),
        rng=spawn(worlds.seed, "rollout"),
        horizon=_whole(name, "horizon", 20),
        samples=_whole(name, "samples", 32),
        terminal=partial(_at, value, worlds.model),  # a lambda could not be pickled
    )


def _at(value: Floats, system: Enumerable, x: State) -> Floats:
    found: Floats = value[system.index(x)]
    return found


def _is_sampled(name: PolicyName) -> bool:
    return name.head == "rollout" and bool({"horizon", "samples"} & {key for key, _ in name.options})


def _inner(name: PolicyName) -> PolicyName:
    assert name.inner is not None
    return name.inner


def _mesh(system: Enumerable, name: PolicyName) -> Mesh:
    if not isinstance(system, Mesh):
        raise InputError(f"policy {name} is defined for meshes; {system.name} has random, optimal, greedy and rollout")
    return system


def _choice(name: PolicyName, key: str, known: tuple[str, ...]) -> str:
    value = name.option(key, known[0])
    if value not in known:
        raise InputError(f"policy {name}: {key}={value}; choose one of {', '.join(known)}")
    return value


def _number(text: str, key: str, name: PolicyName) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"policy {name}: {key}={text} is not a number") from None


def _whole(name: PolicyName, key: str, default: int) -> int:
    number = _number(name.option(key, str(default)), key, name)
    if not number.is_integer() or not 0 <= number < SEEDS:
        raise InputError(f"policy {name}: {key}={number:g}; expected a whole number from 0 to {SEEDS - 1}")
    return int(number)
