"""NetRollout: adapt the control of a networked system when it changes.

The names most programs begin with are reached from here, without loading anything heavy::

    import netrollout

    netrollout.names()              # the systems that `make` knows
    netrollout.make("mesh-s2")      # a system to step, plan on, or train in
    netrollout.register(FAMILY)     # a system of one's own: see `netrollout.family`
    netrollout.check_system(mine)   # whether it keeps its promises

Importing the package registers the Gymnasium ids ``netrollout/<System>-v0``.
"""

from importlib import import_module
from typing import Any

from netrollout import envs, family, systems
from netrollout.family import names

__all__ = ["__version__", "check_system", "make", "names", "register", "systems"]

__version__ = "0.1.0"

envs.register()


def register(declared: family.Family) -> None:
    """Make the systems of a family known to `make`, and its ids to Gymnasium."""
    family.register(declared)
    envs.register()


def make(name: str, /, side: str = "plant", **options: Any) -> Any:
    """Make a system by name: `netrollout.catalog.make`, which is loaded now and not before."""
    return import_module("netrollout.catalog").make(name, side, **options)


def __getattr__(name: str) -> Any:
    """Load what a name needs when it is asked for, not before."""
    if name == "check_system":
        return import_module("netrollout.systems.check").check_system
    raise AttributeError(f"module 'netrollout' has no attribute {name!r}")
