"""The catalogue: names to systems, scenarios, plants, models and policies."""

from netrollout.catalog.policies import make_policy, policy_table
from netrollout.catalog.registry import Context, context, describe, make, make_env, systems
from netrollout.catalog.scenario import Scenario, load_scenario

__all__ = [
    "Context",
    "Scenario",
    "context",
    "describe",
    "load_scenario",
    "make",
    "make_env",
    "make_policy",
    "policy_table",
    "systems",
]
