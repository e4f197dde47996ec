"""Exact rollout: what theory gives, on random processes, and where it gives nothing."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netrollout.dp import MDP, evaluate_policy, garnet, greedy, policy_iteration, q_factors
from netrollout.dp.value import induced
from netrollout.policies import TablePolicy
from netrollout.rollout import RolloutPolicy, fortified_table, q_rollout, rollout_table, terminal_value
from netrollout.systems.toy import Walk
from netrollout.types import InputError

seeds = st.integers(0, 2**32 - 1)


@st.composite
def planned(draw):
    """A random process with a random base policy, a table or probabilities."""
    rng, states = np.random.default_rng(draw(seeds)), draw(st.integers(1, 7))
    mdp = garnet(
        rng,
        states,
        draw(st.integers(1, 5)),
        draw(st.integers(1, states)),
        draw(st.sampled_from([0.0, 0.5, 0.9, 0.99, 0.999])),
        draw(st.sampled_from([0.0, 0.4])),
        draw(st.sampled_from([0.0, 0.3])),
    )
    weights = np.where(mdp.feasible, rng.random(mdp.reward.shape), 0.0)
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    return mdp, (weights.argmax(axis=1) if draw(st.booleans()) else probabilities)


def improved(mdp, value, steps):
    for _ in range(steps):
        value = q_factors(mdp, value).max(axis=1)
    return value


def rounding(mdp):
    return 1e-9 / (1.0 - mdp.discount)


@settings(max_examples=500, deadline=None)
@given(planned(), st.integers(1, 4))
def test_lookahead_improves_on_its_base_by_at_least_its_own_steps(case, lookahead):
    """J_l >= T^l J_mu >= T^(l-1) J_mu >= J_mu."""
    mdp, base = case
    j_mu = evaluate_policy(mdp, base).value
    j_l = evaluate_policy(mdp, rollout_table(mdp, base, lookahead)).value
    chain = [j_l, improved(mdp, j_mu, lookahead), improved(mdp, j_mu, lookahead - 1), j_mu]
    for better, worse in itertools.pairwise(chain):
        assert (better >= worse - rounding(mdp)).all()


@settings(max_examples=100, deadline=None)
@given(planned(), st.integers(1, 4))
def test_the_distance_to_the_optimum_shrinks_with_the_lookahead(case, lookahead):
    """abs(J* - J_l) <= discount^l abs(J* - J_mu)."""
    mdp, base = case
    best = policy_iteration(mdp).value
    j_mu = evaluate_policy(mdp, base).value
    j_l = evaluate_policy(mdp, rollout_table(mdp, base, lookahead)).value
    assert np.abs(best - j_l).max() <= mdp.discount**lookahead * np.abs(best - j_mu).max() + rounding(mdp)


def test_more_lookahead_may_be_worse():
    """In state 2 one step sees only the base's costly circle 0 -> 2 -> 0 and stays for nothing; two steps see a way
    out to state 1 for a cost of 1."""
    transition = np.eye(3)[[[2, 1], [1, 2], [0, 2]]]
    mdp = MDP.from_arrays(transition, [[0.0, 0.0], [0.0, 0.0], [-1.0, 0.0]], 0.9)
    values = [
        evaluate_policy(mdp, rollout_table(mdp, np.zeros(3, dtype=int), steps)).value.tolist() for steps in (1, 2)
    ]
    assert values == [[0.0, 0.0, 0.0], [0.0, 0.0, -1.0]]


@settings(max_examples=150, deadline=None)
@given(planned(), st.integers(1, 3), st.integers(0, 4), seeds, st.booleans())
def test_truncated_rollout_improves_from_a_value_below_its_base_step_and_is_bounded_otherwise(
    case, lookahead, horizon, seed, lowered
):
    """J_l >= T_mu^m V if T_mu V >= V, else abs(J* - J_l) <= 2 g^l abs(T_mu^m V - J*) / (1 - g)."""
    mdp, base = case
    noise = np.random.default_rng(seed).normal(size=mdp.n_states)
    value = evaluate_policy(mdp, base).value + noise
    if lowered:  # J_mu - c satisfies T_mu V >= V for every c >= 0
        value = evaluate_policy(mdp, base).value - abs(noise[0])
    cut = terminal_value(mdp, base, terminal=value, horizon=horizon)
    j_l = evaluate_policy(mdp, rollout_table(mdp, base, lookahead, terminal=value, horizon=horizon)).value
    best = policy_iteration(mdp).value
    bound = 2 * mdp.discount**lookahead * np.abs(cut - best).max() / (1 - mdp.discount)
    assert np.abs(best - j_l).max() <= bound + rounding(mdp)
    reward, matrix = induced(mdp, base)
    if (reward + mdp.discount * (matrix @ value) >= value).all():
        assert (j_l >= cut - rounding(mdp)).all()


def test_a_terminal_value_that_is_no_base_can_be_worse_than_the_base():
    """A stale value that praises state 1 draws the policy into it for ever."""
    mdp = MDP.from_arrays(np.eye(2)[[[0, 1], [1, 0]]], [[1.0, 0.0], [0.0, 0.0]], 0.9)
    base = np.zeros(2, dtype=int)
    stale = rollout_table(mdp, base, terminal="stale", stale_value=np.array([0.0, 100.0]))
    assert evaluate_policy(mdp, stale).value[0] < evaluate_policy(mdp, base).value[0]


@settings(max_examples=60, deadline=None)
@given(planned(), st.integers(1, 4), seeds)
def test_some_states_are_answered_as_all_of_them(case, lookahead, seed):
    """The lazily reached Q-factors are those of the whole table: no state depends on what else is asked."""
    mdp, _ = case
    rng = np.random.default_rng(seed)
    value, states = rng.normal(size=mdp.n_states), rng.integers(mdp.n_states, size=3)
    whole = q_rollout(mdp, value, lookahead)
    assert np.allclose(q_rollout(mdp, value, lookahead, states), whole[states], atol=1e-12)


@pytest.mark.parametrize("lookahead", [1, 2, 3])
@pytest.mark.parametrize("branching", [1, 2])
def test_the_policy_object_decides_as_the_table(lookahead, branching):
    system = Walk(pay=tuple(np.random.default_rng(3).normal(size=12)), slip=0.1 * (branching - 1))
    mdp = MDP.from_system(system)
    base = np.ones(12, dtype=int)
    policy = RolloutPolicy(system, mdp, base, lookahead)
    observation = system.observe(system.states())
    together = policy.predict(observation)[0][:, 0]
    assert together.tolist() == rollout_table(mdp, base, lookahead).tolist()
    alone = RolloutPolicy(system, mdp, base, lookahead)
    assert [int(alone.predict(observation[k : k + 1])[0][0, 0]) for k in range(12)] == together.tolist()


def test_the_policy_object_passes_memory_through_and_shapes_actions_like_any_other():
    system = Walk(pay=(0.0, 1.0))
    policy = RolloutPolicy(system, MDP.from_system(system), np.array([1, 1]))
    other = TablePolicy(system, np.array([1, 1]))
    observation = system.observe(system.initial(np.random.default_rng(0), 4))
    actions, memory = policy.predict(observation, state="kept")
    assert actions.shape == other.predict(observation)[0].shape == (4, 1)
    assert memory == "kept"


def test_two_arms_are_told_apart_and_a_changed_sign_changes_the_choice():
    for pay, arm in (((0.0, 1.0), 1), ((0.0, -1.0), 0)):
        mdp = MDP.from_arrays(np.ones((1, 2, 1)), [pay], 0.9)
        assert rollout_table(mdp, np.array([0])).tolist() == [arm]


def test_ties_go_to_the_base():
    mdp = MDP.from_arrays(np.ones((1, 3, 1)), [[0.3, 0.1 + 0.2, 0.0]], 0.9)
    for tied in (0, 1):
        assert rollout_table(mdp, np.array([tied])).tolist() == [tied]
    assert rollout_table(mdp, np.array([[0.1, 0.6, 0.3]])).tolist() == [1]
    assert rollout_table(mdp, np.array([2])).tolist() == [0]


def test_rollout_of_the_optimum_keeps_it():
    mdp = garnet(np.random.default_rng(4), 30, 4, 3, 0.95)
    best = policy_iteration(mdp).policy
    for lookahead in (1, 2, 3):
        assert np.array_equal(rollout_table(mdp, best, lookahead), best)


def test_terminal_values():
    mdp = garnet(np.random.default_rng(4), 5, 3, 2, 0.9)
    base = greedy(mdp, np.zeros(5))
    exact = evaluate_policy(mdp, base).value
    assert np.array_equal(terminal_value(mdp, base), exact)
    assert np.array_equal(terminal_value(mdp, base, "zero"), np.zeros(5))
    assert np.array_equal(terminal_value(mdp, base, "stale", exact + 1), exact + 1)
    assert np.allclose(terminal_value(mdp, base, "zero", horizon=400), exact)
    assert np.array_equal(rollout_table(mdp, base, terminal="zero"), base)  # myopic on myopic


MDP2 = MDP.from_arrays(np.ones((2, 2, 2)) / 2, np.zeros((2, 2)), 0.9)
BASE2 = np.array([0, 0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rollout_table(MDP2, BASE2, lookahead=0), "lookahead 0 must be 1 or more steps"),
        (lambda: rollout_table(MDP2, BASE2, terminal="last"), "terminal 'last' is unknown; expected base, zero, stale"),
        (lambda: rollout_table(MDP2, BASE2, terminal="stale"), "terminal 'stale' and stale_value go together"),
        (lambda: rollout_table(MDP2, BASE2, stale_value=np.zeros(2)), "terminal 'stale' and stale_value go together"),
        (lambda: rollout_table(MDP2, BASE2, terminal=np.zeros(3)), "terminal has shape (3,); expected (2,)"),
        (lambda: rollout_table(MDP2, BASE2, terminal=np.array([0.0, np.nan])), "terminal[1] is nan; expected a finite"),
        (lambda: rollout_table(MDP2, BASE2, terminal="zero", horizon=-1), "horizon -1 must be 0 or more steps"),
        (lambda: rollout_table(MDP2, np.array([0, 5])), "policy takes action 5 in state 1"),
        (lambda: q_rollout(MDP2, np.zeros(2), 1, np.array([0, 2])), "states from 0 to 2; expected integers, 0 to 1"),
        (lambda: q_rollout(MDP2, np.zeros(2), 1, np.array([0.5])), "states from 0.5 to 0.5; expected integers"),
        (lambda: q_rollout(MDP2, np.array([np.nan, 0.0])), "value[0] is nan; expected a finite number"),
        (lambda: fortified_table(MDP2, BASE2, np.array([0, -1])), "policy takes action -1 in state 1"),
        (
            lambda: RolloutPolicy(Walk(pay=(0.0, 1.0)), MDP2, BASE2),
            "walk has 2 states and 3 joint actions; the process to plan on has 2 and 2",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=re.escape(message)):
        call()
