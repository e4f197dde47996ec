"""The catalogue: names to systems (`make`), and the worlds in which a named policy is made and judged."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gymnasium

import netrollout.systems  # noqa: F401  (its families register themselves)
from netrollout.batch import sizes
from netrollout.envs.gym import NetEnv
from netrollout.family import family_named
from netrollout.learn import practice
from netrollout.makers import Worlds, make_policy, policy_table
from netrollout.naming import given, options_of
from netrollout.types import InputError, listed

__all__ = ["Summary", "Worlds", "describe", "make", "make_env", "make_policy", "outline", "policy_table", "world"]

SIDES = ("plant", "model", "log")
EVERYWHERE = {"discount": float, "horizon": int}
LONGEST = 1_000_000  # cycles of an episode


@dataclass(frozen=True)
class Summary:
    """A line of `netrollout systems`."""

    summary: str
    controls: str
    states: int | None
    actions: int


def describe(name: str) -> Summary:
    """Return what there is to say of a system without reading its traces."""
    family, system = family_named(name), outline(name)
    controls = ", ".join(control.name for control in getattr(system, "controls", ())) or family.control
    states = system.n_states if listed(system) else None
    return Summary(family.systems[name], controls, states, math.prod(sizes(system.levels)))


def outline(name: str) -> Any:
    """Return a system of the same spaces and controls, for asking about these only: no trace is read."""
    realise = family_named(name).part("realise")
    return _named(getattr(realise, "outline", realise.plant), name)()


def make(name: str, /, side: str = "plant", **options: Any) -> Any:
    """Make a system by name.

    Parameters
    ----------
    name : str
        One of `netrollout.names`.
    side : str
        ``plant`` (what really happens), ``model`` (what was learned of it) or ``log`` (where a learner may practise:
        what the model was learned from, if its family keeps that).
    **options
        ``discount`` and ``horizon`` in place of the scenario's, and what the side's function in
        ``netrollout.systems.<family>.realise`` takes; texts are converted, so ``seed="3"`` is ``seed=3``.

    Returns
    -------
    System

    Raises
    ------
    InputError
        If the name, an option or its value is unknown (near ones are suggested), the side has no such option, or its
        traces are not there.

    Examples
    --------
    >>> import netrollout
    >>> netrollout.make("walk", discount=0.5).discount
    0.5
    """
    function = _side(name, side)
    values = given(options, options_of(function) | EVERYWHERE, f"{name}, side {side},")
    changed = {key: values.pop(key) for key in EVERYWHERE if key in values}
    if not 1 <= changed.get("horizon", 1) <= LONGEST:
        raise InputError(f"option horizon={changed['horizon']}: expected a whole number from 1 to {LONGEST}")
    if not 0.0 <= changed.get("discount", 0.0) <= 1.0:
        raise InputError(f"option discount={changed['discount']:g}: expected a number from 0 to 1")
    system = _named(function, name)(**values)
    if side == "log" and practice(system) is system:
        raise InputError(f"option side=log: {name} keeps no log to practise on; choose plant or model")
    return replace(practice(system) if side == "log" else system, **changed)


def world(name: str, /, seed: int | str = 0, **options: Any) -> Worlds:
    """Return base model, newest model and plant of a system; each gets those of the options that it has.

    Raises
    ------
    InputError
        As `make`, and for a ``side``: a comparison plans on the model and judges on the plant.

    Examples
    --------
    >>> import netrollout
    >>> worlds = netrollout.world("mesh-s2", phase="after")
    >>> worlds.plant.name, worlds.plant.n_states
    ('mesh-s2', 30)
    """
    if "side" in options:
        raise InputError("option side: a comparison always plans on the model and judges on the plant")
    mine = {side: set(options_of(_side(name, side))) for side in ("plant", "model")}
    known = dict.fromkeys([*options_of(_side(name, "model")), *options_of(_side(name, "plant")), *EVERYWHERE], Any)
    number = given({"seed": seed}, {"seed": int}, name)["seed"]
    everything = given(options, known, name) | {"seed": number}

    def made(side: str, **more: Any) -> Any:
        return make(name, side, **{k: v for k, v in (everything | more).items() if k in mine[side] | set(EVERYWHERE)})

    return Worlds(made("model", phase="before"), made("model"), made("plant"), number)


def make_env(name: str, flat: bool = False, render_mode: str | None = None, **options: Any) -> gymnasium.Env[Any, Any]:
    """Make a system as a Gymnasium environment: the entry point of the ids netrollout/<System>-v0.

    `flat` and `render_mode` are those of `NetEnv`, the options those of `make`.
    """
    return NetEnv(make(name, **options), flat, render_mode)


def _side(name: str, side: str) -> Callable[..., Any]:
    """Return the function that makes a side; a system without a model is its own."""
    if side not in SIDES:
        raise InputError(f"option side={side}: choose one of {', '.join(SIDES)}")
    realise = family_named(name).part("realise")
    function: Callable[..., Any] = realise.plant if side == "plant" else getattr(realise, "model", realise.plant)
    return function


def _named(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return a function of a family with several systems told which one is meant."""
    takes = any(p.kind is p.POSITIONAL_OR_KEYWORD for p in inspect.signature(function).parameters.values())
    return (lambda **values: function(name, **values)) if takes else function


def __getattr__(name: str) -> Any:
    """Know the old name of `world` for one version."""
    if name != "context":
        raise AttributeError(f"module 'netrollout.catalog' has no attribute {name!r}")
    warnings.warn("netrollout.catalog.context is now netrollout.world", DeprecationWarning, stacklevel=2)
    return world
