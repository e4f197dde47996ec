"""Everybody is given the same tables: 900 states, 81 actions, rewards as published."""

import numpy as np
import pytest
from benchmarks.problem import published_problem


@pytest.fixture(scope="module")
def problem():
    return published_problem()


def test_the_size_is_that_of_the_published_scenario(problem):
    assert problem.mdp.reward.shape == (900, 81)
    assert problem.mdp.feasible.all()
    assert problem.mdp.discount == 0.99


def test_moves_hold_at_the_edge_of_the_grid(problem):
    assert problem.mdp.successors[0, 0] == 0
    assert problem.mdp.successors[899, 80] == 899
    assert (problem.mdp.successors[:, 40] == np.arange(900)).all()  # every increment zero


def test_the_reward_takes_delays_at_the_next_state_and_savings_at_the_present_one(problem):
    state, action = 899, 0  # everything at its largest, everything down
    after = problem.mdp.successors[state, action]
    excess = np.maximum(problem.delays[after] - problem.system.objective.bounds, 0.0).sum()
    expected = -excess if excess > 0 else 0.0  # five workers each, all weight on node 1: nothing is saved
    assert problem.mdp.reward[state, action] == pytest.approx(expected)
