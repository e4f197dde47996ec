"""The catalogue: names to systems, scenarios, plants, models and policies."""

import warnings
from typing import Any

from netrollout.catalog.registry import describe, make, make_env, outline, world
from netrollout.makers import Worlds, make_policy, policy_table
from netrollout.systems.mesh.scenario import Scenario, load_scenario

__all__ = [
    "Scenario",
    "Worlds",
    "describe",
    "load_scenario",
    "make",
    "make_env",
    "make_policy",
    "outline",
    "policy_table",
    "world",
]


def __getattr__(name: str) -> Any:
    """Know the old name of `world` for one version."""
    if name != "context":
        raise AttributeError(f"module 'netrollout.catalog' has no attribute {name!r}")
    warnings.warn("netrollout.catalog.context is now netrollout.world", DeprecationWarning, stacklevel=2)
    return world
