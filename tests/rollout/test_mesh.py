"""Rollout on a mesh: exact values against simulated episodes, tabulated against simulated decisions."""

import numpy as np
import pytest

from netrollout.dp import MDP, evaluate_policy
from netrollout.evaluate import simulate
from netrollout.policies import TablePolicy
from netrollout.rollout import (
    MultiagentRollout,
    RolloutPolicy,
    TruncatedRollout,
    multiagent_table,
    rollout_table,
)
from netrollout.seeding import spawn
from netrollout.systems.mesh.dynamics import Control, Mesh, MeshState, Objective, ResponseTable, hold_table


@pytest.fixture(scope="module")
def mesh():
    """Two controls, two moving loads, four windows per grid point."""
    controls = (Control("p_a", (0.0, 0.5, 1.0)), Control("c_1", (1.0, 2.0, 3.0)))
    loads = np.array([[5.0], [10.0]])
    grid = np.array([[load, p, c] for load in loads[:, 0] for p in controls[0].levels for c in controls[1].levels])
    mean = 0.05 + 0.01 * grid[:, 0] * (1.2 - grid[:, 1]) / grid[:, 2]
    windows = mean[:, None, None] * spawn(0, "windows").uniform(0.7, 1.3, size=(18, 4, 1))
    start = MeshState(np.array([[2, 2]]), np.array([0]))
    objective = Objective((0.1,), (("c_1",), ("p_a",)))
    return Mesh("m", controls, ("a",), loads, 0.2, objective, ResponseTable(windows), start, discount=0.8, horizon=60)


@pytest.fixture(scope="module")
def mdp(mesh):
    return MDP.from_system(mesh)


@pytest.fixture(scope="module")
def base(mesh):
    return hold_table(mesh, np.array([2, 2]))


def test_an_exact_value_is_the_mean_of_simulated_returns(mesh, mdp, base):
    policy = RolloutPolicy(mesh, mdp, base)
    returns = simulate(mesh, policy, range(400)).returns(mesh.discount)
    exact = evaluate_policy(mdp, rollout_table(mdp, base)).value[mesh.index(mesh.start)[0]]
    assert returns.mean() == pytest.approx(exact, abs=4 * returns.std() / 20)


def test_rollout_improves_on_the_static_setting(mesh, mdp, base):
    gain = evaluate_policy(mdp, rollout_table(mdp, base)).value - evaluate_policy(mdp, base).value
    assert gain.min() >= -1e-12 and gain.max() > 0.1


def test_simulated_gains_cover_the_tabulated_ones(mesh, mdp, base):
    """18 states, up to 8 gains each, all within four and a half standard errors."""
    value = evaluate_policy(mdp, base).value
    q = mdp.reward + mdp.discount * (mdp.transition @ value).reshape(mdp.reward.shape)
    policy = TruncatedRollout(
        mesh, TablePolicy(mesh, base), spawn(1), 2, samples=300, terminal=lambda x: value[mesh.index(x)]
    )
    u, _ = TablePolicy(mesh, base).predict(mesh.observe(mesh.states()))
    found = policy.estimate(mesh.states(), u)
    lane, candidate = np.nonzero(np.isfinite(found.mean) & (np.arange(found.mean.shape[1]) > 0))
    action = np.ravel_multi_index(tuple(found.actions[lane, candidate].T), (3, 3))
    gap = found.gain[lane, candidate] - (q[lane, action] - q[lane, base[lane]])
    assert len(gap) > 36
    assert (np.abs(gap) <= 4.5 * found.error[lane, candidate] + 1e-9).all()


def test_the_multi_agent_forms_agree_where_they_are_sure(mesh, mdp, base):
    value = evaluate_policy(mdp, base).value
    policy = MultiagentRollout(
        mesh, TablePolicy(mesh, base), spawn(2), 0, samples=4000, terminal=lambda x: value[mesh.index(x)]
    )
    actions, _ = policy.predict(mesh.observe(mesh.states()))
    found = np.ravel_multi_index(tuple(actions.T), (3, 3))
    exact = multiagent_table(mdp, mesh.levels, base)
    assert (found == exact).mean() > 0.9
