"""Names of algorithms to what they are: kind, unit, default length, settings and their named variants.

All of it stands in ``algorithms.yml``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import yaml

from netrollout.places import near
from netrollout.types import Enumerable, InputError, System

OLD = {"q-learning": "qlearning"}
MORE = ("learning_rate", "step_size", "batch_size", "buffer_size", "lanes", "n_steps", "max_grad_norm", "reward_limit",
        "target_every")  # fmt: skip
SHARES = ("step_size", "discount", "decay", "epsilon", "epsilon_factor", "epsilon_least", "target_share", "ent_coef",
          "clip_range")  # fmt: skip
WORDS = {"traces": ("accumulating", "replacing", "dutch"), "ties": ("least", "largest")}
MOST_UNITS, MOST_COUNT = 4096, 10**7  # of a layer; of anything that is counted


@dataclass(frozen=True)
class Recipe:
    """An algorithm with all its settings.

    Attributes
    ----------
    name : str
    variant : str or None
    kind : str
        ``table`` or ``network``.
    unit : str
        Of a training's length: ``episodes`` or ``steps``.
    length : int
        Where nobody says.
    maker, actions : str
        Of a network: its class, and which view it has of actions (see `netrollout.learn.network`).
    settings : dict
    """

    name: str
    variant: str | None
    kind: str
    unit: str
    length: int
    maker: str
    actions: str
    settings: dict[str, Any]

    def about(self) -> dict[str, Any]:
        """Return what makes it, as JSON knows it."""
        return {"algorithm": self.name, "variant": self.variant, "settings": self.settings}


@dataclass(frozen=True)
class Identity:
    """What a learned policy is, and on what it was learned: it fits nothing else.

    Attributes
    ----------
    recipe : Recipe
    system : str
        Its name.
    width : int
        D, observations.
    levels : tuple of K tuples of float
        Settings of the action components.
    """

    recipe: Recipe
    system: str
    width: int
    levels: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, system: System, recipe: Recipe) -> Identity:
        """Return the identity of what is learned on a system."""
        width = system.observe(system.initial(np.random.default_rng(0), 1)).shape[1]
        return cls(recipe, system.name, width, tuple(tuple(float(v) for v in row) for row in system.levels))

    def shape(self) -> str:
        """Say what weights or a table must fit."""
        return f"{self.width} observations and levels {[len(row) for row in self.levels]}"

    def about(self) -> dict[str, Any]:
        """Return it as JSON knows it."""
        levels = [list(row) for row in self.levels]
        return {"system": self.system, "observations": self.width, "levels": levels, **self.recipe.about()}


@cache
def _table() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(
        (resources.files("netrollout.learn") / "algorithms.yml").read_text(encoding="utf-8")
    )
    return found


def algorithms() -> tuple[str, ...]:
    """Return the names that `recipe` knows."""
    return tuple(_table())


def canonical(algorithm: str) -> str:
    """Return the one name of an algorithm.

    Raises
    ------
    InputError
        If it is unknown.
    """
    name = OLD.get(algorithm, algorithm)
    if name not in _table():
        raise InputError(f"unknown algorithm {algorithm!r}; {near(algorithm, _table())}")
    return name


def recipe(algorithm: str, system: System | None = None, variant: str | None = None, **given: Any) -> Recipe:
    """Return an algorithm with its settings.

    Parameters
    ----------
    algorithm : str
        One of `algorithms`; the old spelling ``q-learning`` is understood.
    system : System, optional
        Some settings depend on whether its states can be listed.
    variant : str, optional
        Named set of settings.
    **given
        Single settings, in place of all others.

    Raises
    ------
    InputError
        If a name is unknown or a setting is out of range.
    """
    name = canonical(algorithm)
    entry = _table()[name]
    variants = entry["variants"]
    if variant is not None and variant not in variants:
        raise InputError(f"{name} has no variant {variant!r}; {near(variant, variants)}")
    unlisted = entry.get("unlisted", {}) if system is not None and not isinstance(system, Enumerable) else {}
    usual = {**entry["settings"], **unlisted}
    chosen = {**entry, **usual, **(variants[variant] if variant else {})}
    settings = {key: given.get(key, chosen[key]) for key in usual}
    for key, value in given.items():
        if key not in usual:
            raise InputError(f"{name} has no setting {key!r}; {near(key, usual)}")
        _refuse_another_type(key, usual[key], value)
    _refuse_out_of_range(settings)
    words = (chosen["kind"], chosen["unit"], chosen["length"], chosen.get("class", ""), chosen.get("actions", ""))
    return Recipe(name, variant, *words, settings)


def exploring(settings: dict[str, Any], episode: float) -> float:
    """Return the probability of a random action in an episode, the first being 0."""
    found: float = max(settings["epsilon_least"], settings["epsilon"] * settings["epsilon_factor"] ** episode)
    return found


def _refuse_another_type(key: str, usual: Any, value: Any) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    right = {
        bool: isinstance(value, bool),
        int: isinstance(value, int) and number,
        float: number and math.isfinite(value),
        type(None): value is None or (number and math.isfinite(value)),
        str: isinstance(value, str),
        list: isinstance(value, list | tuple) and all(isinstance(units, int) for units in value),
    }[type(usual)]
    if not right:
        raise InputError(f"{key} {value!r}; expected something like {usual!r}")


def _refuse_out_of_range(settings: dict[str, Any]) -> None:
    for key, value in settings.items():
        if key == "step_size" and not 0.0 < value <= 1.0:
            raise InputError(f"step_size {value:g}; expected more than 0, at most 1")
        if key in MORE and not value > 0:
            raise InputError(f"{key} {value:g}; expected {'1 or more' if isinstance(value, int) else 'more than 0'}")
        if isinstance(value, int) and value > MOST_COUNT:
            raise InputError(f"{key} {value}; expected at most {MOST_COUNT:,}")
        if key in SHARES and value is not None and not 0.0 <= value <= 1.0:
            raise InputError(f"{key} {value:g}; expected 0 to 1")
        if key in WORDS and value not in WORDS[key]:
            raise InputError(f"{key} {value!r}; expected {', '.join(WORDS[key][:-1])} or {WORDS[key][-1]}")
        if key == "hidden" and not (0 < len(value) < 10 and all(0 < units <= MOST_UNITS for units in value)):
            raise InputError(f"hidden {list(value)}; expected a few layers of 1 to {MOST_UNITS} units")
