"""Solvers against closed forms, against each other, and against their stated guarantees."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from netrollout.dp import (
    MDP,
    backward_induction,
    evaluate_policy,
    garnet,
    greedy,
    modified_policy_iteration,
    policy_iteration,
    q_factors,
    value_iteration,
)
from netrollout.systems.toy import Walk
from netrollout.types import InputError

ITERATIONS = (value_iteration, modified_policy_iteration)


DISCOUNTS = (0.0, 0.5, 0.9, 0.99, 0.999)


@st.composite
def processes(draw, discounts=DISCOUNTS):
    states = draw(st.integers(1, 7))
    return garnet(
        np.random.default_rng(draw(st.integers(0, 2**32 - 1))),
        states,
        draw(st.integers(1, 5)),
        draw(st.integers(1, states)),
        draw(st.sampled_from(discounts)),
        draw(st.sampled_from([0.0, 0.4])),
        draw(st.sampled_from([0.0, 0.3])),
    )


def puterman(discount: float) -> MDP:
    """Puterman 1994, section 3.1: state 0 stays half of the time for 5 or moves on for 10, state 1 costs 1 for ever."""
    transition = [[[0.5, 0.5], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]]
    return MDP.from_arrays(transition, [[5.0, 10.0], [-1.0, 0.0]], discount, [[True, True], [True, False]])


@pytest.mark.parametrize("discount", [0.1, 0.9, 0.92, 0.99])
@pytest.mark.parametrize("solve", [policy_iteration, *ITERATIONS])
def test_the_two_state_example_has_its_closed_form(solve, discount):
    """J(1) = -1 / (1 - g); J(0) = max(10 + g J(1), (5 + g J(1) / 2) / (1 - g / 2)); they cross at g = 10 / 11."""
    last = -1.0 / (1.0 - discount)
    stay, move = (5.0 + 0.5 * discount * last) / (1.0 - 0.5 * discount), 10.0 + discount * last
    solution = solve(puterman(discount))
    assert solution.converged
    assert solution.value == pytest.approx([max(stay, move), last], abs=1e-6)
    assert solution.policy.tolist() == [int(move > stay), 0]


def test_a_walk_is_worth_its_geometric_series():
    mdp = MDP.from_system(Walk(pay=(0.0, 0.0, 0.0, 1.0), discount=0.9))
    assert policy_iteration(mdp).value == pytest.approx([10 * 0.9 ** max(2 - k, 0) for k in range(4)])


def test_the_optimum_changes_when_the_reward_changes_sign():
    mdp = garnet(np.random.default_rng(3), 6, 3, 2, 0.9)
    flipped = MDP(mdp.transition, -mdp.reward, mdp.discount, mdp.feasible)
    assert not np.array_equal(policy_iteration(mdp).policy, policy_iteration(flipped).policy)


@settings(max_examples=500, deadline=None)
@given(processes())
def test_policy_iteration_value_iteration_and_the_linear_programme_agree(mdp):
    scale = 1e-8 / (1.0 - mdp.discount)
    best = policy_iteration(mdp)
    assert best.converged and best.residual <= scale
    allowed = mdp.feasible.ravel()
    rows = np.repeat(np.eye(mdp.n_states), mdp.n_actions, axis=0) - mdp.discount * mdp.transition.toarray()
    programme = linprog(
        np.ones(mdp.n_states), A_ub=-rows[allowed], b_ub=-mdp.reward.ravel()[allowed], bounds=(None, None)
    )
    values = [
        evaluate_policy(mdp, greedy(mdp, programme.x)).value,  # judged by its policy: linprog's own value is coarser
        value_iteration(mdp, epsilon=scale).value,
        modified_policy_iteration(mdp, epsilon=scale).value,
    ]
    for value in values:
        assert np.abs(value - best.value).max() <= scale


@settings(max_examples=60, deadline=None)
@given(processes(), st.sampled_from(ITERATIONS), st.sampled_from([1.0, 1e-2, 1e-5]))
def test_iterations_keep_their_epsilon(mdp, solve, epsilon):
    best, found = policy_iteration(mdp).value, solve(mdp, epsilon=epsilon)
    rounding = 1e-10 / (1.0 - mdp.discount)
    assert found.converged
    assert np.abs(found.value - best).max() <= epsilon / 2 + rounding
    assert (best - evaluate_policy(mdp, found.policy).value).max() <= epsilon + rounding


def test_an_iteration_that_is_cut_short_says_so():
    mdp = garnet(np.random.default_rng(0), 20, 3, 2, 0.99, ending=0.2)
    assert not value_iteration(mdp, epsilon=1e-9, limit=2).converged
    assert not policy_iteration(mdp, limit=1).converged


@settings(max_examples=60, deadline=None)
@given(processes((0.0, 0.9, 0.999)))
def test_evaluation_solves_its_equation_for_tables_and_probabilities(mdp):
    """The dense solve is the reference; path doubling and the sparse solve agree with it."""
    table = mdp.feasible.argmax(axis=1)
    weights = np.eye(mdp.n_actions)[table]
    rows = mdp.transition.toarray()[np.arange(mdp.n_states) * mdp.n_actions + table]
    reward = mdp.reward[np.arange(mdp.n_states), table]
    exact = np.linalg.solve(np.eye(mdp.n_states) - mdp.discount * rows, reward)
    for policy in (table, weights):
        assert evaluate_policy(mdp, policy).value == pytest.approx(exact, abs=1e-10 / (1.0 - mdp.discount))


def test_a_large_sparse_process_is_solved_without_dense_matrices(monkeypatch):
    mdp = garnet(np.random.default_rng(5), 400, 3, 2, 0.95)
    dense = evaluate_policy(mdp, np.zeros(400, dtype=int)).value
    monkeypatch.setattr("netrollout.dp.value.DENSE_STATES", 1000)
    assert evaluate_policy(mdp, np.zeros(400, dtype=int)).value == pytest.approx(dense)


@settings(max_examples=40, deadline=None)
@given(processes(), st.integers(0, 8))
def test_backward_induction_is_repeated_improvement(mdp, horizon):
    solution = backward_induction(mdp, horizon)
    value = np.zeros(mdp.n_states)
    for t in reversed(range(horizon)):
        value = q_factors(mdp, value).max(axis=1)
        assert np.allclose(solution.value[t], value)
    assert solution.value.shape == (horizon + 1, mdp.n_states)


def test_backward_induction_from_the_optimum_stays_there():
    mdp = garnet(np.random.default_rng(1), 6, 3, 2, 0.9)
    best = policy_iteration(mdp)
    solution = backward_induction(mdp, 5, best.value)
    assert np.allclose(solution.value, best.value)
    assert (solution.policy == best.policy).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_undiscounted_processes_that_end_are_solved(seed):
    rng = np.random.default_rng(seed)
    drawn = garnet(rng, 6, 3, 3, 0.5, ending=0.5)
    stop = np.maximum(drawn.ends, 0.05)
    transition = drawn.transition.toarray().reshape(6, 3, 6) * ((1 - stop) / (1 - drawn.ends))[:, :, None]
    mdp = MDP.from_arrays(transition, drawn.reward, 1.0, ends=stop)
    best = policy_iteration(mdp)
    assert np.abs(value_iteration(mdp, epsilon=1e-10).value - best.value).max() < 1e-7


def test_a_deterministic_path_to_the_end_is_summed_without_discount():
    n = 9
    transition = np.eye(n, k=1)[:, None, :]
    mdp = MDP.from_arrays(transition, np.full((n, 1), -1.0), 1.0, ends=(np.arange(n) == n - 1).astype(float)[:, None])
    assert evaluate_policy(mdp, np.zeros(n, dtype=int)).value.tolist() == list(range(-n, 0))


def test_ties_go_to_the_preferred_action_else_to_the_lowest():
    """Three actions, of which 1 and 2 are equal but for rounding (0.1 + 0.2 is not 0.3 in binary)."""
    mdp = MDP.from_arrays(np.ones((1, 3, 1)), [[0.0, 0.3, 0.1 + 0.2]], 0.0)
    assert greedy(mdp, np.zeros(1)).tolist() == [1]
    assert greedy(mdp, np.zeros(1), prefer=np.array([2])).tolist() == [2]
    assert greedy(mdp, np.zeros(1), prefer=np.array([0])).tolist() == [1]


def test_policy_iteration_keeps_a_tied_start():
    mdp = MDP.from_arrays(np.ones((1, 3, 1)), [[1.0, 1.0, 0.0]], 0.9)
    assert policy_iteration(mdp, np.array([1])).policy.tolist() == [1]


MDP2 = MDP.from_arrays(np.ones((2, 2, 2)) / 2, np.zeros((2, 2)), 0.9, [[True, True], [True, False]])


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (np.array([0, 1]), "policy takes action 1 in state 1; feasible there: [0]"),
        (np.array([0, 2]), "policy takes action 2 in state 1"),
        (np.array([0]), "policy of shape (1,) and type int64; expected (2,) integers"),
        (np.array([0.0, 1.0]), "policy of shape (2,) and type float64; expected (2,) integers"),
        (np.array([[0.5, 0.6], [1.0, 0.0]]), "policy[0] sums to 1.1; expected 1"),
        (np.array([[0.5, 0.5], [0.5, 0.5]]), "policy[1, 1] is 0.5; expected a probability, 0 where"),
        (np.array([[np.nan, 0.5], [1.0, 0.0]]), "policy[0, 0] is nan; expected a probability"),
        (np.array([[1.0], [1.0]]), "policy has shape (2, 1); expected (2,) or (2, 2)"),
    ],
)
def test_policies_that_do_not_fit_are_named(policy, message):
    with pytest.raises(InputError, match=re.escape(message)):
        evaluate_policy(MDP2, policy)


def test_an_endless_policy_without_discount_is_named():
    """State 0 may stay for ever (action 0) or end (action 1)."""
    mdp = MDP.from_arrays([[[1.0], [0.0]]], [[-1.0, 0.0]], 1.0, ends=[[0.0, 1.0]])
    for policy in (np.array([0]), np.array([[1.0, 0.0]])):
        with pytest.raises(InputError, match="from state 0 the policy never ends"):
            evaluate_policy(mdp, policy)
    assert policy_iteration(mdp).policy.tolist() == [1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: q_factors(MDP2, np.zeros(3)), "value has shape (3,); expected (2,)"),
        (lambda: value_iteration(MDP2, epsilon=0.0), "epsilon 0.0"),
        (lambda: backward_induction(MDP2, -1), "horizon -1 must be 0 or more steps"),
        (lambda: backward_induction(MDP2, 1, np.zeros(3)), "terminal has shape (3,); expected (2,)"),
        (lambda: backward_induction(MDP2, 1, [0.0, np.nan]), "terminal[1] is nan; expected a finite number"),
        (lambda: value_iteration(MDP2, value=[np.inf, 0.0]), "value[0] is inf; expected a finite number"),
        (lambda: greedy(MDP2, np.zeros(2), prefer=np.array([0, 1])), "policy takes action 1 in state 1"),
    ],
)
def test_other_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=re.escape(message)):
        call()


@settings(max_examples=60, deadline=None)
@given(processes(), st.integers(0, 2**32 - 1))
def test_the_simulation_lemma_bounds_what_a_wrong_model_costs(mdp, seed):
    """abs(J_mu - J'_mu) <= (e_r + discount * e_p * span(J'_mu) / 2) / (1 - discount), with e_r the largest error of a
    reward and e_p that of a row of probabilities in the 1-norm (Kearns & Singh 2002, lemma 4)."""
    rng = np.random.default_rng(seed)
    shape = (mdp.n_states, mdp.n_actions, mdp.n_states)
    true = mdp.transition.toarray().reshape(shape)
    alive = true.sum(axis=2, keepdims=True)
    other = 0.9 * true + 0.1 * alive * rng.dirichlet(np.ones(mdp.n_states), size=shape[:2])
    reward = np.where(mdp.feasible, mdp.reward, 0.0) + rng.uniform(-0.1, 0.1, size=shape[:2])
    model = MDP.from_arrays(other, reward, mdp.discount, mdp.feasible, mdp.ends)
    table = mdp.feasible.argmax(axis=1)
    states = np.arange(mdp.n_states)
    e_r = np.abs(mdp.reward[states, table] - reward[states, table]).max()
    e_p = np.abs(true[states, table] - other[states, table]).sum(axis=1).max()
    on_model = evaluate_policy(model, table).value
    distance = np.abs(evaluate_policy(mdp, table).value - on_model).max()
    bound = (e_r + mdp.discount * e_p * np.ptp(on_model) / 2) / (1 - mdp.discount)
    assert distance <= bound + 1e-9 / (1 - mdp.discount)
