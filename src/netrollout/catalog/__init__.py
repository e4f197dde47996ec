"""The catalogue: names to systems, scenarios, plants, models and policies."""

from netrollout.catalog.registry import context, describe, make, make_env, outline
from netrollout.makers import Worlds, make_policy, policy_table
from netrollout.systems.mesh.scenario import Scenario, load_scenario

__all__ = [
    "Scenario",
    "Worlds",
    "context",
    "describe",
    "load_scenario",
    "make",
    "make_env",
    "make_policy",
    "outline",
    "policy_table",
]
