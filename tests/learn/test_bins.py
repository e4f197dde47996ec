"""Bins, the greedy policy of a table, and its file."""

import numpy as np
import pytest

from netrollout.catalog import make
from netrollout.learn import Bins, Identity, LearnedTable, bins_of, learner, recipe
from netrollout.systems.serverless.farm import Farm
from netrollout.systems.serverless.model import QueueModel
from netrollout.systems.toy import Walk
from netrollout.types import InputError

LEVELS = ((-1.0, 0.0, 1.0),)
FARM_START = [3.0, 0, 0, 0, 12, 1.5, 1.5, 0, 1]


@pytest.fixture(scope="module")
def farm():
    return Farm()


def table(q, ties="least", visits=None):
    q = np.asarray(q, dtype=float)
    visits = np.ones(q.shape, dtype=np.int64) if visits is None else visits
    return LearnedTable(Identity(recipe("sarsa", ties=ties), "walk", 1, LEVELS), Bins([[0.5]]), q, visits)


def test_a_value_on_an_edge_belongs_to_the_bin_above():
    assert Bins([[0.5, 1.5]]).index(np.array([[0.4], [0.5], [1.4], [1.5]])).tolist() == [0, 1, 1, 2]


def test_the_share_19_of_20_is_not_below_the_edge_of_95_percent():
    assert Bins([[0.95]]).index(np.array([[19 / 20]], dtype=np.float32)).tolist() == [1]


def test_an_observation_without_edges_is_left_out():
    bins = Bins([[0.5], [], [0.5, 1.5]])
    assert bins.n_states == 6
    index = bins.index(np.array([[1, 7, 0], [0, -7, 2], [1, 0, 2]]))
    assert index.tolist() == [3, 2, 5]
    assert np.stack(np.unravel_index(index, bins.shape), 1).tolist() == [[1, 0, 0], [0, 0, 2], [1, 0, 2]]


def test_the_farm_has_the_published_bins_and_so_has_its_model(farm):
    bins = bins_of(farm)
    assert bins.n_states == 53_760
    start = np.unravel_index(bins.index(np.array([FARM_START])), bins.shape)
    assert np.ravel(start).tolist() == [3, 0, 0, 0, 3, 2, 0, 0, 5]
    assert bins_of(QueueModel()).shape == bins.shape


def test_every_state_of_a_system_that_can_list_them_has_its_bin():
    walk = Walk(pay=(0.0, 0.0, 0.0, 1.0))
    assert bins_of(walk).index(walk.observe(walk.states())).tolist() == [0, 1, 2, 3]


def test_elsewhere_the_bins_come_from_what_random_actions_meet():
    system = make("mesh-s4", side="model", horizon=24)
    bins = bins_of(system)
    assert 100 <= bins.n_states <= 10**5
    assert [row.tolist() for row in bins.edges] == [row.tolist() for row in bins_of(system).edges]
    made = learner(system, "sarsa")
    made.advance(2)
    assert made.policy().visits.sum() == 48


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([[1.0, 1.0]], "the edges of observation 0 are"),
        ([[], [np.nan]], "the edges of observation 1 are"),
        ([np.arange(1000)] * 3, "1e[+]09 states; expected at most 1e[+]08"),
    ],
)
def test_edges_that_make_no_table_are_refused(edges, message):
    with pytest.raises(InputError, match=message):
        Bins(edges)


def test_observations_of_another_width_are_refused():
    with pytest.raises(InputError, match=r"observations of shape \(1, 2\); expected \(lanes, 1\)"):
        Bins([[0.5]]).index(np.zeros((1, 2)))


def test_the_best_action_is_chosen_in_every_lane():
    actions, memory = table([[3, 1, 2], [1, 2, 3]]).predict(np.array([[0.0], [1.0], [0.0]]))
    assert actions.tolist() == [[0], [2], [0]] and memory is None


def test_of_equal_actions_the_least_change_is_chosen_or_as_published_the_last():
    nothing = np.zeros((1, 1))
    assert table(np.zeros((2, 3))).predict(nothing)[0].tolist() == [[1]]
    assert table([[2, 0, 2], [0, 0, 0]]).predict(nothing)[0].tolist() == [[0]]
    assert table(np.zeros((2, 3)), "largest").predict(nothing)[0].tolist() == [[2]]


def test_masks_are_obeyed():
    best = table([[3, 1, 2], [0, 0, 0]])
    masks = np.array([[False, True, True]])
    assert best.predict(np.zeros((1, 1)), action_masks=masks)[0].tolist() == [[2]]


def test_components_are_chosen_jointly():
    identity = Identity(recipe("sarsa"), "pair", 1, ((0.0, 1.0), (0.0, 1.0)))
    pair = LearnedTable(identity, Bins([[]]), np.array([[0.0, 1, 2, 3]]), np.ones((1, 4), dtype=int))
    assert pair.predict(np.zeros((2, 1)))[0].tolist() == [[1, 1], [1, 1]]
