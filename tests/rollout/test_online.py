"""Repeated online improvement."""

import numpy as np
import pytest

from netrollout.dp import MDP, evaluate_policy, policy_iteration, q_factors
from netrollout.rollout import OnlineImprovement
from netrollout.seeding import spawn
from netrollout.systems.toy import Walk
from netrollout.types import InputError

SYSTEM = Walk(pay=tuple(np.random.default_rng(8).normal(size=9)), slip=0.2, discount=0.95)
HOLD = np.ones(9, dtype=np.int64)


def run(policy, steps):
    """Follow one lane; return the sequence of exact values."""
    x, rng, values = SYSTEM.initial(spawn(0), 1), spawn(1), [policy.value]
    for _ in range(steps):
        actions, _ = policy.predict(SYSTEM.observe(x))
        x = SYSTEM.step(x, actions, rng).state
        values.append(policy.value)
    return np.array(values)


def test_values_never_fall_and_changes_end():
    policy = OnlineImprovement(SYSTEM, MDP.from_system(SYSTEM), HOLD)
    values = run(policy, 200)
    assert (np.diff(values, axis=0) >= -1e-9).all()
    settled = policy.improvements
    assert settled > 0
    run(policy, 200)
    assert policy.improvements == settled


def test_it_ends_greedy_for_its_own_value_where_it_keeps_coming_by():
    mdp = MDP.from_system(SYSTEM)
    policy = OnlineImprovement(SYSTEM, mdp, HOLD)
    run(policy, 400)
    q = q_factors(mdp, policy.value)
    assert q[0].max() == pytest.approx(policy.value[0])  # state 0, where it began


def test_asked_everywhere_it_is_policy_iteration():
    mdp = MDP.from_system(SYSTEM)
    policy = OnlineImprovement(SYSTEM, mdp, HOLD)
    everywhere = SYSTEM.observe(SYSTEM.states())
    for _ in range(20):
        policy.predict(everywhere)
    assert policy.value == pytest.approx(policy_iteration(mdp).value)


def test_its_base_is_not_changed():
    base = HOLD.copy()
    run(OnlineImprovement(SYSTEM, MDP.from_system(SYSTEM), base), 20)
    assert np.array_equal(base, HOLD)


def test_it_improves_on_one_pass_of_rollout_it_started_from():
    mdp = MDP.from_system(SYSTEM)
    policy = OnlineImprovement(SYSTEM, mdp, HOLD)
    run(policy, 200)
    assert (policy.value >= evaluate_policy(mdp, HOLD).value - 1e-9).all()


def test_a_base_that_does_not_fit_is_named():
    with pytest.raises(InputError, match="policy takes action 0 in state 0"):
        OnlineImprovement(SYSTEM, MDP.from_system(SYSTEM), np.zeros(9, dtype=np.int64))
