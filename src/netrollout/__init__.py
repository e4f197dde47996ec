"""NetRollout: adapt the control of a networked system when it changes.

The names most programs begin with are reached from here, without loading anything heavy::

    import netrollout

    netrollout.systems()            # the names that `make` knows
    netrollout.make("mesh-s2")      # a system to step, plan on, or train in
    netrollout.check_system(mine)   # whether a system of your own keeps its promises

Importing the package registers the Gymnasium ids ``netrollout/<System>-v0``.
"""

from importlib import import_module
from types import ModuleType
from typing import Any

from netrollout import envs, systems

__all__ = ["__version__", "check_system", "envs", "make", "systems"]

__version__ = "0.1.0"


class _Systems(ModuleType):
    """The sub-package `netrollout.systems`, which is also the public function of that name."""

    def __call__(self) -> list[str]:
        """Name every system that `netrollout.make` knows."""
        names: list[str] = import_module("netrollout.catalog").systems()
        return names


# Importing the sub-package would overwrite a function of the same name, so the module itself answers the call.
systems.__class__ = _Systems


_HOMES = {"make": "netrollout.catalog", "check_system": "netrollout.systems.check"}


def __getattr__(name: str) -> Any:
    """Load what a name needs when it is asked for, not before."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'netrollout' has no attribute {name!r}")
