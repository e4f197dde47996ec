"""The catalogue: names to systems, scenarios, plants, models and policies."""

from netrollout.catalog.judge import judge
from netrollout.catalog.policies import make_policy, policy_table
from netrollout.catalog.published import published_mesh
from netrollout.catalog.registry import Context, context, describe, make, make_env, systems
from netrollout.catalog.rule import bound_by_rule, feasible_share
from netrollout.catalog.scenario import Scenario, load_scenario
from netrollout.catalog.study import Judged, Repair, adaptation, repairs, setting_path

__all__ = [
    "Context",
    "Judged",
    "Repair",
    "Scenario",
    "adaptation",
    "bound_by_rule",
    "context",
    "describe",
    "feasible_share",
    "judge",
    "load_scenario",
    "make",
    "make_env",
    "make_policy",
    "policy_table",
    "published_mesh",
    "repairs",
    "setting_path",
    "systems",
]
