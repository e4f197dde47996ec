"""From a policy's name to a policy: one registry of makers, and the makers that every system has.

A maker is a function of the worlds of a comparison; one that acts on another policy takes that one's name next.  Its
keyword-only parameters are the options of the name: their annotations are the types, their defaults the defaults.  A
family's own maker takes the place of the general one.  Plain names are made on the base model, the system as known
before the change; combinators act on the newest model; ``oracle`` is the optimum of the plant itself.

Batch letters: S states, A joint actions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Literal, TypeVar

import numpy as np

from netrollout.dp import MDP, evaluate_policy, greedy, policy_iteration
from netrollout.family import Family, families, family_of
from netrollout.learn import algorithms, load, practice, recipe, tabulate, train
from netrollout.naming import given, options_of
from netrollout.places import near
from netrollout.policies import PolicyName, RandomPolicy, TablePolicy, random_table
from netrollout.rollout import (
    EstimatedRollout,
    MultiagentRollout,
    TruncatedRollout,
    multiagent_table,
    rollout_table,
    terminal_value,
)
from netrollout.seeding import spawn
from netrollout.types import Enumerable, Floats, InputError, Policy, State, listed

Terminal = Literal["base", "zero", "stale"]
Maker = TypeVar("Maker", bound=Callable[..., Any])
MAKERS: dict[str, dict[str, Callable[..., Any]]] = {}
"""Head of a name -> family (``*`` for every one) -> maker."""


@dataclass(frozen=True)
class Worlds:
    """The worlds of a comparison: three systems of one kind.

    Attributes
    ----------
    base : system on which base policies are made: the model from before the change
    model : the newest model, on which they are improved
    plant : what really happens, on which everything is judged
    seed : of everything random in making a policy
    """

    base: Any
    model: Any
    plant: Any
    seed: int = 0


def maker(head: str, *names: str) -> Callable[[Maker], Maker]:
    """Register the maker of a name, for the families named or for all."""

    def keep(function: Maker) -> Maker:
        MAKERS.setdefault(head, {}).update(dict.fromkeys(names or ("*",), function))
        return function

    return keep


def make_policy(name: PolicyName | str, worlds: Worlds) -> Policy:
    """Make the named policy for the worlds of a comparison.

    Raises
    ------
    InputError
        If the name, an option or its value is unknown, or does not fit the system.

    Examples
    --------
    >>> import netrollout
    >>> worlds = netrollout.world("walk")
    >>> policy = netrollout.make_policy("rollout(random)", worlds)
    >>> policy.predict(worlds.plant.observe(worlds.plant.states()))[0].tolist()
    [[2], [1]]
    """
    name = PolicyName.parse(name) if isinstance(name, str) else name
    function, values = resolved(name, family_of(worlds.plant))
    made: Policy = function(worlds, *([name.inner] if name.inner else []), **values)
    return made


def policy_table(name: PolicyName | str, worlds: Worlds) -> Any:
    """Return the named policy over all states, for exact judgement.

    Returns
    -------
    (S,) int joint actions; for ``random`` (S, A) probabilities

    Raises
    ------
    InputError
        As `make_policy`, and if the states cannot be listed or the policy is simulated.
    """
    if not listed(worlds.plant):
        raise InputError(f"policy {name}: {worlds.plant.name} has no table of states, so neither has a policy on it")
    return _table(make_policy(name, worlds), worlds.plant, name)


def resolved(name: PolicyName, family: Family) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the maker of a name in a family and its options, both checked with those of the names inside.

    Raises
    ------
    InputError
        If the family has no such name, it has no such option, or a value does not fit (near ones are suggested).
    """
    function = makers_of(family).get(name.head)
    if function is None:
        raise InputError(f"policy {name}: {_elsewhere(name.head, family)}")
    if acts(function) != (name.inner is not None):
        wants = "acts on no policy" if name.inner else f"needs a policy to act on, such as {name.head}(random)"
        raise InputError(f"policy {name}: {name.head} {wants}")
    if name.inner is not None:
        resolved(name.inner, family)
    return function, given(dict(name.options), options_of(function), f"policy {name}: on {family.name} {name.head}")


def makers_of(family: Family) -> dict[str, Callable[..., Any]]:
    """Return the makers that a family has, by the heads of names; its own take the place of the general ones."""
    family.part("policies")
    here = {head: of.get(family.name, of.get("*")) for head, of in MAKERS.items()}
    return {head: function for head, function in here.items() if function is not None}


def acts(function: Callable[..., Any]) -> bool:
    """Say whether a maker acts on another policy."""
    return sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in inspect.signature(function).parameters.values()) > 1


def _elsewhere(head: str, family: Family) -> str:
    """Say which families have a name that this one has not."""
    for other in families():
        other.part("policies")
    if head in MAKERS:
        return f"only {', '.join(sorted(MAKERS[head]))} has {head}; not {family.name}"
    return f"unknown policy {head!r}; {near(head, [h for h, of in MAKERS.items() if {family.name, '*'} & set(of)])}"


def tabulated(table: Any, worlds: Worlds) -> TablePolicy:
    """Return the policy of a table made for the base; at a load never met it acts as if it were the one that was."""
    return TablePolicy(worlds.plant, lift(table, worlds.plant))


def lift(table: Any, system: Enumerable) -> Any:
    """Extend a table made for fewer load levels."""
    copies = system.n_states // len(table)
    return np.concatenate([table] * copies)


def _table(policy: Policy, system: Enumerable, name: object) -> Any:
    if isinstance(policy, TablePolicy):
        return policy.table
    if isinstance(policy, RandomPolicy):
        return random_table(system)
    raise InputError(f"policy {name} is simulated and has no table; nothing exact can be made of it")


def _exact(system: Any, head: str) -> MDP:
    if not listed(system):
        raise InputError(f"policy {head}: the states of {system.name} cannot be listed, so that it cannot be planned")
    return MDP.from_system(system)


@maker("random")
def random(worlds: Worlds) -> Policy:
    """Choose uniformly among the feasible joint actions."""
    return RandomPolicy(worlds.plant, spawn(worlds.seed, "random policy"))


@maker("greedy")
def myopic(worlds: Worlds) -> Policy:
    """Maximise the expected reward of the coming cycle."""
    mdp = _exact(worlds.base, "greedy")
    return tabulated(greedy(mdp, np.zeros(mdp.n_states)), worlds)


@maker("optimal")
def optimal(worlds: Worlds) -> Policy:
    """Plan exactly on the base model."""
    return tabulated(policy_iteration(_exact(worlds.base, "optimal")).policy, worlds)


@maker("oracle")
def oracle(worlds: Worlds) -> Policy:
    """Plan exactly on the plant."""
    return tabulated(policy_iteration(_exact(worlds.plant, "oracle")).policy, worlds)


@maker("walk")
def walk(worlds: Worlds, inner: PolicyName) -> Policy:
    """Hold what is the best static setting of the newest model."""
    if str(inner) != "static":
        raise InputError(f"policy walk({inner}): walk acts on static only: walk(static)")
    return make_policy(inner, replace(worlds, base=worlds.model))


@maker("retrain")
def retrain(worlds: Worlds, inner: PolicyName, *, warm: bool = False) -> Policy:
    """Make a policy anew on the newest model; a warm start goes on from the weights of before the change."""
    now, (_, options) = replace(worlds, base=worlds.model), resolved(inner, family_of(worlds.plant))
    if not warm:
        if options.get("file"):
            raise InputError(f"policy retrain({inner}): a file is read, not retrained; warm=true goes on from ppo's")
        return make_policy(inner, now)
    if inner.head != "ppo":
        raise InputError(f"policy retrain({inner}): only ppo has weights to start warm from")
    old = learned("ppo", worlds.base, worlds.seed, **options)
    return _as_policy(learned("ppo", worlds.model, worlds.seed, **(options | {"file": None}), warm=old), now)


def learned(kind: str, model: Any, default: int, *, warm: Any = None, **options: Any) -> Any:
    """Return what an algorithm learns for a model, or where that lets a learner practise, or the policy of a file.

    Parameters
    ----------
    kind : str
        Name of the algorithm.
    model : System
    default : int
        The seed where none is named.
    warm : policy, optional
        Whose weights to begin with.
    **options
        Those of its name; ``published=true`` is short for ``variant=published``.
    """
    made, variant, file = recipe(kind), options.get("variant"), options.get("file")
    if file == "":
        raise InputError(f"policy {kind}: file= names no file; leave it out to train anew")
    if options.get("published"):
        if variant not in (None, "published"):
            raise InputError(f"policy {kind}: variant={variant} and published=true; give one of the two")
        variant = "published"
    length, seed = _or(options.get(made.unit), made.length), _or(options.get("seed"), default)
    return _learned(kind, practice(model), length, seed, file, variant, warm)


@lru_cache(maxsize=64)
def _learned(kind: str, system: Any, length: int, seed: int, file: str | None, variant: str | None, warm: Any) -> Any:
    return load(file, system, kind) if file else train(system, kind, length, seed, variant, warm=warm)


def _learns(kind: str) -> Callable[..., Policy]:
    """Return the maker of an algorithm, which trains on the base model or reads a file."""

    def by_episodes(
        worlds: Worlds, *, episodes: int | None = None, seed: int | None = None, variant: str | None = None,
        published: bool = False, file: str | None = None,
    ) -> Policy:  # fmt: skip
        options = {"episodes": episodes, "seed": seed, "variant": variant, "published": published, "file": file}
        return _as_policy(learned(kind, worlds.base, worlds.seed, **options), worlds)

    def by_steps(
        worlds: Worlds, *, steps: int | None = None, seed: int | None = None, variant: str | None = None,
        published: bool = False, file: str | None = None,
    ) -> Policy:  # fmt: skip
        options = {"steps": steps, "seed": seed, "variant": variant, "published": published, "file": file}
        return _as_policy(learned(kind, worlds.base, worlds.seed, **options), worlds)

    return by_episodes if recipe(kind).unit == "episodes" else by_steps


for _kind in algorithms():
    maker(_kind)(_learns(_kind))


def _as_policy(policy: Policy, worlds: Worlds) -> Policy:
    system = practice(worlds.base)
    return tabulated(tabulate(policy, system), worlds) if listed(system) else policy


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


@maker("rollout")
def rollout(
    worlds: Worlds,
    inner: PolicyName,
    *,
    lookahead: int | None = None,
    terminal: Terminal | None = None,
    horizon: int | None = None,
    samples: int | None = None,
) -> Policy:
    """Improve a policy by rollout: exactly where states can be listed, unless simulated paths are asked for.

    Simulated are `horizon` steps of the base policy, `samples` times, then the terminal value.
    """
    if not listed(worlds.model) or horizon is not None or samples is not None:
        if lookahead is not None:
            raise InputError("policy rollout: a simulated rollout looks one step ahead; leave out lookahead")
        kind = EstimatedRollout if family_of(worlds.plant).hidden else TruncatedRollout
        return _simulated(kind, "rollout", worlds, inner, terminal, horizon, samples)
    mdp, base = MDP.from_system(worlds.model), _table(make_policy(inner, worlds), worlds.model, inner)
    stale = stale_value(inner, worlds) if terminal == "stale" else None
    table = rollout_table(mdp, base, _or(lookahead, 1), terminal or "base", stale)
    return TablePolicy(worlds.plant, table)


@maker("multiagent")
def multiagent(
    worlds: Worlds,
    inner: PolicyName,
    *,
    terminal: Terminal | None = None,
    horizon: int | None = None,
    samples: int | None = None,
) -> Policy:
    """Improve a policy component by component; as `rollout` otherwise."""
    if not listed(worlds.model) or horizon is not None or samples is not None:
        stream = "rollout" if listed(worlds.model) else "multiagent"
        return _simulated(MultiagentRollout, stream, worlds, inner, terminal, horizon, samples)
    if terminal is not None:
        raise InputError("policy multiagent: terminal is for a simulated rollout; give horizon or samples with it")
    base = _table(make_policy(inner, worlds), worlds.model, inner)
    return TablePolicy(worlds.plant, multiagent_table(MDP.from_system(worlds.model), worlds.model.levels, base))


def _simulated(
    kind: Any, stream: str, worlds: Worlds, inner: PolicyName, terminal: Terminal | None, horizon: int | None,
    samples: int | None,
) -> Policy:  # fmt: skip
    base, model, rng = make_policy(inner, worlds), worlds.model, spawn(worlds.seed, stream)
    if not listed(model):
        if terminal not in (None, "zero"):
            raise InputError(f"policy {stream}: terminal={terminal}: the states of {model.name} cannot be listed; zero")
        made: Policy = kind(model, base, rng, _or(horizon, 4), _or(samples, 16))
        return made
    stale = stale_value(inner, worlds) if terminal == "stale" else None
    value = terminal_value(MDP.from_system(model), _table(base, model, inner), terminal or "base", stale)
    # `_at` and no lambda, which could not be pickled
    made = kind(model, base, rng, _or(horizon, 20), _or(samples, 32), partial(_at, value, model))
    return made


def stale_value(name: PolicyName, worlds: Worlds) -> Floats:
    """Return what was believed of the base policy before the change, (S,): PPO's critic, else its exact value then."""
    base = worlds.base
    if name.head == "ppo":
        from netrollout.learn.network import critic_values  # torch loads for seconds: only where it is needed

        _, options = resolved(name, family_of(worlds.plant))
        value: Floats = critic_values(learned("ppo", base, worlds.seed, **options), base)
    else:
        then = make_policy(name, replace(worlds, model=base, plant=base))
        value = evaluate_policy(MDP.from_system(base), _table(then, base, name)).value
    lifted: Floats = lift(value, worlds.model)
    return lifted


def _at(value: Floats, system: Enumerable, x: State) -> Floats:
    found: Floats = value[system.index(x)]
    return found
