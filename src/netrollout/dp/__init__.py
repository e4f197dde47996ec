"""Exact dynamic programming on finite Markov decision processes."""

from netrollout.dp.garnet import garnet
from netrollout.dp.mdp import MDP
from netrollout.dp.newton import Line, LinearQuadratic, along_line
from netrollout.dp.solve import backward_induction, modified_policy_iteration, policy_iteration, value_iteration
from netrollout.dp.value import Solution, evaluate_policy, greedy, q_factors

__all__ = [
    "MDP",
    "Line",
    "LinearQuadratic",
    "Solution",
    "along_line",
    "backward_induction",
    "evaluate_policy",
    "garnet",
    "greedy",
    "modified_policy_iteration",
    "policy_iteration",
    "q_factors",
    "value_iteration",
]
