"""States as batches, product action spaces, independent streams."""

from typing import NamedTuple

import numpy as np

from netrollout import batch
from netrollout.seeding import spawn


class Pair(NamedTuple):
    a: np.ndarray
    b: np.ndarray


X = Pair(np.array([1, 2, 3]), np.array([[1.0, 1.5], [2.0, 2.5], [3.0, 3.5]]))
LEVELS = ((0.0, 1.0), (-1.0, 0.0, 1.0))


def test_repeat_keeps_lanes_together():
    assert batch.repeat(X, 2).a.tolist() == [1, 1, 2, 2, 3, 3]


def test_take_and_length():
    assert batch.length(batch.take(X, np.array([2, 0]))) == 2
    assert batch.take(X, np.array([2, 0])).b.tolist() == [[3.0, 3.5], [1.0, 1.5]]


def test_where_chooses_by_lane():
    other = Pair(-X.a, -X.b)
    assert batch.where(np.array([True, False, True]), X, other).b[:, 0].tolist() == [1.0, -2.0, 3.0]


def test_joint_actions_and_their_index_are_inverse():
    table = batch.joint_actions(LEVELS)
    assert table.shape == (6, 2)
    assert np.array_equal(batch.joint_index(table, LEVELS), np.arange(6))


def test_joint_feasibility_is_that_of_every_component():
    mask = np.array([[True, False, False, True, True]])
    allowed = batch.joint_actions(LEVELS)[batch.joint_feasible(mask, LEVELS)[0]]
    assert allowed.tolist() == [[0, 1], [0, 2]]


def test_streams_depend_on_their_path_only():
    assert spawn(1, "a", 2).random() == spawn(1, "a", 2).random()
    assert len({spawn(1, "a").random(), spawn(1, "b").random(), spawn(2, "a").random(), spawn(1).random()}) == 4
