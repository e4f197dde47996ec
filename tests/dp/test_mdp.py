"""What an MDP is made from, and what is refused."""

import dataclasses
import re

import numpy as np
import pytest
from scipy import sparse

from netrollout.dp import MDP, evaluate_policy, garnet, greedy, policy_iteration, q_factors
from netrollout.systems.toy import Walk
from netrollout.types import InputError

# Two states; action 0 stays, action 1 goes to the other one.
P = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
R = np.array([[0.0, -1.0], [2.0, -1.0]])


def test_dense_and_sparse_arrays_give_the_same_process():
    dense = MDP.from_arrays(P, R, 0.9)
    rows = MDP.from_arrays(sparse.coo_array(P.reshape(4, 2)), R, 0.9)
    assert np.array_equal(dense.transition.toarray(), rows.transition.toarray())
    assert dense.successors.tolist() == rows.successors.tolist() == [[0, 1], [1, 0]]


def test_successors_exist_only_where_every_step_has_one():
    assert garnet(np.random.default_rng(0), 5, 3, 1, 0.9).successors is not None
    assert garnet(np.random.default_rng(0), 5, 3, 2, 0.9).successors is None
    assert garnet(np.random.default_rng(0), 5, 3, 1, 0.9, ending=1.0).successors is None


def test_gather_and_matrix_give_the_same_q_factors():
    mdp = garnet(np.random.default_rng(1), 7, 4, 1, 0.9, infeasible=0.3)
    value = np.random.default_rng(2).normal(size=7)
    product = mdp.reward + 0.9 * (mdp.transition @ value).reshape(7, 4)
    assert np.allclose(q_factors(mdp, value), product, atol=1e-14)


def test_what_is_written_for_infeasible_actions_is_ignored():
    junk, nan = P.copy(), R.copy()
    junk[0, 1], nan[0, 1] = [7.0, -3.0], np.nan
    mdp = MDP.from_arrays(junk, nan, 0.9, feasible=[[True, False], [True, True]])
    assert mdp.reward[0, 1] == -np.inf
    assert greedy(mdp, np.array([0.0, 100.0]))[0] == 0


def test_an_end_is_missing_probability_and_worth_nothing():
    mdp = MDP.from_arrays([[[0.0]]], [[3.0]], 1.0, ends=[[1.0]])
    assert evaluate_policy(mdp, np.array([0])).value.tolist() == [3.0]
    half = MDP.from_arrays([[[0.5]]], [[3.0]], 1.0, ends=[[0.5]])
    assert evaluate_policy(half, np.array([0])).value == pytest.approx([6.0])
    assert half.ends.tolist() == [[0.5]]


def test_an_absorbing_state_is_an_end_when_the_discount_is_one():
    transition = np.array([[[0.0, 1.0]], [[0.0, 1.0]]])
    mdp = MDP.from_arrays(transition, [[5.0], [0.0]], 1.0)
    assert evaluate_policy(mdp, np.array([0, 0])).value.tolist() == [5.0, 0.0]
    assert mdp.ends.tolist() == [[0.0], [1.0]]


def test_a_system_is_enumerated_with_expected_rewards():
    mdp = MDP.from_system(Walk(pay=(0.0, 1.0, 5.0), slip=0.25))
    up, down = 2, 0
    assert mdp.reward[0, up] == pytest.approx(0.75)  # noise of +-1 averages out
    assert mdp.transition.toarray()[0 * 3 + up].tolist() == pytest.approx([0.25, 0.75, 0.0])
    assert not mdp.feasible[0, down] and not mdp.feasible[2, up]


def test_termination_of_a_system_becomes_missing_probability():
    mdp = MDP.from_system(Walk(pay=(-1.0, -1.0, 10.0), end=True, discount=1.0))
    assert mdp.ends[1, 2] == 1.0
    assert policy_iteration(mdp).value[:2] == pytest.approx([9.0, 10.0])


def test_chunks_do_not_change_the_result(monkeypatch):
    whole = MDP.from_system(Walk(pay=(0.0, 1.0, 5.0, 2.0), slip=0.25))
    monkeypatch.setattr("netrollout.dp.mdp.CHUNK", 5)
    parts = MDP.from_system(Walk(pay=(0.0, 1.0, 5.0, 2.0), slip=0.25))
    assert np.array_equal(whole.reward, parts.reward)
    assert np.array_equal(whole.transition.toarray(), parts.transition.toarray())


def test_a_system_without_listed_noise_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Endless(Walk):
        def noise_support(self):
            return None

    with pytest.raises(InputError, match="walk: exact planning needs a noise that can be listed"):
        MDP.from_system(Endless())


def _with(array, index, value):
    changed = array.copy()
    changed[index] = value
    return changed


def test_what_rounding_leaves_of_the_end_is_no_error():
    thirds = np.full((3, 1, 3), 0.1) * [1.0, 2.0, 7.0]
    ended = MDP.from_arrays(thirds, np.zeros((3, 1)), 0.9, ends=1.0 - thirds.sum(axis=2) - 1e-16)
    assert not ended.ends.any()


def test_single_precision_is_corrected_and_not_more():
    thirds = np.full((3, 1, 3), 1 / 3, dtype=np.float32)
    for given in (thirds, sparse.csr_array(thirds[:, 0])):
        mdp = MDP.from_arrays(given, np.zeros((3, 1)), 0.9)
        assert np.abs(mdp.transition.sum(axis=1) - 1.0).max() < 1e-15
    with pytest.raises(InputError, match=r"sums to 0\.9"):
        MDP.from_arrays(thirds * np.float32(0.99), np.zeros((3, 1)), 0.9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(transition=_with(P, (1, 0, 1), 0.9)), "transition[1, 0] with ends[1, 0] = 0 sums to 0.9; expected 1"),
        (dict(transition=_with(P, (0, 1, 0), -0.1)), "transition[0, 1, 0] is -0.1; expected a probability"),
        (dict(transition=_with(P, (0, 1, 0), np.nan)), "transition[0, 1, 0] is nan; expected a probability"),
        (dict(transition=P[:, :, :1]), "transition has shape (2, 2, 1)"),
        (dict(transition=sparse.csr_array(P[0])), "transition has shape (2, 2); with reward of shape (2, 2)"),
        (dict(reward=R[:, :1]), "transition has shape (2, 2, 2); with reward of shape (2, 1) expected (2, 1, 2)"),
        (dict(reward=R.ravel()), "reward has shape (4,); expected (S, A)"),
        (dict(reward=_with(R, (1, 1), np.nan)), "reward[1, 1] is nan; expected a finite number"),
        (dict(reward=_with(R, (0, 1), -np.inf)), "reward[0, 1] is -inf; expected a finite number"),
        (dict(discount=1.5), "discount 1.5 must be at least 0 and at most 1"),
        (dict(discount=np.nan), "discount nan must be"),
        (dict(discount=1.0), "discount 1.0: from state 0 no policy reaches the end"),
        (dict(feasible=[[True, True], [False, False]]), "state 1 has no feasible action"),
        (dict(feasible=[[np.nan, True], [True, True]]), "feasible: expected only True and False, or 1 and 0"),
        (dict(feasible=[True, True]), "feasible has shape (2,); expected that of reward, (2, 2)"),
        (dict(ends=[[0.0, 0.0], [0.5, 0.0]]), "transition[1, 0] with ends[1, 0] = 0.5 sums to 1.5; expected 1"),
        (dict(ends=[0.0]), "ends has shape (1,); expected that of reward, (2, 2)"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        MDP.from_arrays(**{"transition": P, "reward": R, "discount": 0.9, **arguments})
