"""The exact values on the published S2 trace (specification of the mesh, section 3)."""

import pytest

from netrollout.dp import MDP, evaluate_policy, policy_iteration
from netrollout.rollout import rollout_table
from netrollout.studies.published import published_mesh


def test_values_of_the_published_model_at_the_start(kth):
    mesh = published_mesh("after")
    before, after = MDP.from_system(published_mesh("before")), MDP.from_system(mesh)
    start = int(mesh.index(mesh.start)[0])
    old = policy_iteration(before).policy
    worth = {
        "old optimum": old,
        "one-step rollout": rollout_table(after, old),
        "zero terminal": rollout_table(after, old, terminal="zero"),
        "optimum": policy_iteration(after).policy,
    }
    values = {name: evaluate_policy(after, table).value[start] for name, table in worth.items()}
    assert values == pytest.approx(
        {"old optimum": -17.2, "one-step rollout": 20.0, "zero terminal": 20.0, "optimum": 59.0}, abs=0.3
    )
