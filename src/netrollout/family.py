"""What a system declares of itself, and who has declared: read without importing any dynamics.

A room is the package (or the one module) in which a family of systems lives.  Its parts have fixed names: ``realise``
(functions `plant` and, where there are any, `model`, `practice` and `outline`) and ``policies`` (makers of names).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from netrollout.places import near
from netrollout.types import InputError

COMMON = {"return": "reward", "mean_reward": "reward/cycle", "violation": "share", "saved": "share", "d_*": "s"}
"""Units of what is measured everywhere: the judge's own measures, the share of cycles over a bound, response times."""


@dataclass(frozen=True)
class Family:
    """What a room declares.

    Parameters
    ----------
    room : str
        Dotted name of the package or module.
    systems : mapping of str to str
        What each name of `netrollout.make` is, in one line.
    ids : mapping of str to str
        Gymnasium's ids to names of systems.
    units : mapping of str to str
        Units of the metrics that `Step.metrics` holds, beyond `COMMON`; ``x_*`` speaks of all that begin so.
    control : str
        What an action moves, where the system has no named `controls`.
    hidden : bool
        Whether an observation tells less than the state.
    ends : bool
        Whether an episode may end before the horizon.
    loops : mapping of str to str
        What each closed loop of its part ``loops`` is, in one line.
    """

    room: str
    systems: Mapping[str, str]
    ids: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    control: str = ""
    hidden: bool = False
    ends: bool = False
    loops: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How policies' makers name the family: the last word of its room."""
        return self.room.rpartition(".")[2]

    def part(self, name: str) -> ModuleType:
        """Import a part of the room; a room that is one module, or lacks the part, is imported itself."""
        room, part = import_module(self.room), f"{self.room}.{name}"
        return import_module(part) if hasattr(room, "__path__") and find_spec(part) else room

    def unit(self, metric: str) -> str:
        """Return the unit of a metric.

        Raises
        ------
        InputError
            If it is not declared.
        """
        for pattern, unit in {**COMMON, **self.units}.items():
            if fnmatchcase(metric, pattern):
                return unit
        raise InputError(f"{self.room}: metric {metric!r} has no unit; declare it in units of its Family")


_FAMILIES: dict[str, Family] = {}


def register(family: Family) -> None:
    """Make the systems of a family known to `netrollout.make`; twice does no harm.

    Raises
    ------
    InputError
        If another family has a system of the same name.
    """
    for other in families():
        if other.room != family.room and (taken := sorted(set(other.systems) & set(family.systems))):
            raise InputError(f"{family.room}: {taken[0]} is already the name of a system of {other.room}")
    _FAMILIES[family.room] = family


def families() -> list[Family]:
    """Return the families that are registered, the first first."""
    return list(_FAMILIES.values())


def names() -> list[str]:
    """Return the names of systems that `netrollout.make` knows.

    Examples
    --------
    >>> import netrollout
    >>> "mesh-s2" in netrollout.names()
    True
    """
    return [name for family in families() for name in family.systems]


def family_named(name: str) -> Family:
    """Return the family that declares a system.

    Raises
    ------
    InputError
        If none does (near names are suggested).
    """
    for family in families():
        if name in family.systems:
            return family
    raise InputError(f"unknown system {name!r}; {near(name, names())}")


def family_of(system: Any) -> Family:
    """Return the family in whose room the class of a system, or one that it extends, is defined.

    Raises
    ------
    InputError
        If there is none.
    """
    homes = [kind.__module__ for kind in type(system).__mro__]
    for family in families():
        if any(f"{home}.".startswith(f"{family.room}.") for home in homes):
            return family
    raise InputError(f"{type(system).__name__} belongs to no family; declare one and call netrollout.register")
