"""Rollout: improve any base policy by looking ahead on a model."""

from netrollout.rollout.candidates import drawn, every_action, one_component
from netrollout.rollout.estimated import EstimatedRollout
from netrollout.rollout.fortified import FortifiedRollout
from netrollout.rollout.lookahead import RolloutPolicy, fortified_table, q_rollout, rollout_table, terminal_value
from netrollout.rollout.multiagent import MultiagentRollout, multiagent_policy_iteration, multiagent_table
from netrollout.rollout.truncated import Estimates, TruncatedRollout, best, constrained, safe

__all__ = [
    "EstimatedRollout",
    "Estimates",
    "FortifiedRollout",
    "MultiagentRollout",
    "RolloutPolicy",
    "TruncatedRollout",
    "best",
    "constrained",
    "drawn",
    "every_action",
    "fortified_table",
    "multiagent_policy_iteration",
    "multiagent_table",
    "one_component",
    "q_rollout",
    "rollout_table",
    "safe",
    "terminal_value",
]
