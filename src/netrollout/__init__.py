"""NetRollout: adapt the control of a networked system when it changes.

The two names most programs begin with are reached from here, without loading anything heavy::

    import netrollout

    netrollout.systems()            # the names that `make` knows
    netrollout.make("mesh-s2")      # a system to step, plan on, or train in

Importing the package registers the Gymnasium ids ``netrollout/<System>-v0``.
"""

from importlib import import_module
from types import ModuleType
from typing import Any

from netrollout import envs, systems

__all__ = ["__version__", "envs", "make", "systems"]

__version__ = "0.1.0"


class _Systems(ModuleType):
    """The sub-package `netrollout.systems`, which is also the public function of that name."""

    def __call__(self) -> list[str]:
        """Name every system that `netrollout.make` knows."""
        names: list[str] = import_module("netrollout.catalog").systems()
        return names


# Importing the sub-package would overwrite a function of the same name, so the module itself answers the call.
systems.__class__ = _Systems


def __getattr__(name: str) -> Any:
    """Load the catalog when `make` is asked for, not before."""
    if name == "make":
        return import_module("netrollout.catalog").make
    raise AttributeError(f"module 'netrollout' has no attribute {name!r}")
