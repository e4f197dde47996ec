"""NetRollout: adapt the control of a networked system when it changes.

The names most programs begin with are reached from here; each loads what it needs when it is asked for::

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

HOMES = {
    "catalog": ("make", "world", "make_policy"),
    "systems.check": ("check_system",),
    "experiment": ("run", "exactly", "episodes", "Table"),
    "dp": ("MDP", "evaluate_policy", "policy_iteration", "value_iteration", "backward_induction"),
    "rollout": ("rollout_table", "TruncatedRollout", "MultiagentRollout"),
    "evaluate": ("simulate", "bootstrap"),
    "learn": ("train", "load"),
}
"""Names by the module that defines them; it is loaded when one is asked for, not before."""

_LAZY = {name: f"netrollout.{module}" for module, of in HOMES.items() for name in of}
__all__ = ["__version__", "names", "register", "systems", *_LAZY]

__version__ = "0.1.0"

names = family.names
envs.register_ids()


def register(declared: family.Family) -> None:
    """Make the systems of a family known to `make`, and its ids to Gymnasium.

    Examples
    --------
    >>> import netrollout
    >>> from netrollout.systems import toy
    >>> netrollout.register(toy.FAMILY)  # twice does no harm
    """
    family.register(declared)
    envs.register_ids()


def __getattr__(name: str) -> Any:
    """Load what a name needs when it is asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module 'netrollout' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    """List the names that are not loaded yet, too."""
    return sorted({*globals(), *__all__})
