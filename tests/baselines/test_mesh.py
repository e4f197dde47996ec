"""Baselines of the mesh against brute force on a small one."""

import numpy as np
import pytest

from netrollout.batch import joint_actions
from netrollout.dp import MDP, evaluate_policy, policy_iteration
from netrollout.systems.mesh.dynamics import Control, Mesh, Objective, ResponseTable, hold_table
from netrollout.systems.mesh.policies import best_static, greedy_table, reactive_table, static_table

HOLD = 4  # joint action (hold, hold)


@pytest.fixture
def mesh():
    controls = (Control("p_s", (0.0, 0.5, 1.0)), Control("c_1", (1.0, 2.0, 3.0)))
    windows = np.random.default_rng(3).uniform(0.01, 0.09, size=(9, 4, 1))
    return Mesh("m", controls, ("s",), np.array([[1.0]]), 0.0, Objective((0.05,), (("c_1",),)), ResponseTable(windows))


def test_best_static_is_the_best_setting_to_hold(mesh):
    mdp = MDP.from_system(mesh)
    held = evaluate_policy(mdp, np.full(9, HOLD)).value
    assert np.ravel_multi_index(tuple(best_static(mesh)), (3, 3)) == held.argmax()


def test_static_walks_one_level_per_cycle_and_holds(mesh):
    table = hold_table(mesh, np.array([2, 0]))
    moves = joint_actions(mesh.levels)[table].reshape(3, 3, 2) - 1
    assert moves[0, 2].tolist() == [1, -1]
    assert moves[2, 0].tolist() == [0, 0]


def test_static_is_never_better_than_the_optimum(mesh):
    mdp = MDP.from_system(mesh)
    assert np.all(evaluate_policy(mdp, static_table(mesh)).value <= policy_iteration(mdp).value + 1e-9)


def test_greedy_takes_the_best_coming_cycle(mesh):
    mdp = MDP.from_system(mesh)
    assert np.array_equal(mdp.reward[np.arange(9), greedy_table(mesh)], mdp.reward.max(axis=1))


def test_reactive_adds_a_worker_where_most_windows_are_late_and_takes_one_away_elsewhere(mesh):
    moves = joint_actions(mesh.levels)[reactive_table(mesh)] - 1
    workers = mesh.states().setting[:, 1]
    wanted = np.where(mesh.late_share() > 0.5, 1, -1)
    assert np.array_equal(moves[:, 1], np.clip(workers + wanted, 0, 2) - workers)
    assert not moves[:, 0].any()
