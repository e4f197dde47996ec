"""The management objectives: what is credited, and the published rewards to the last digit."""

from __future__ import annotations

import numpy as np
import pytest

from netrollout.studies.objectives import (
    ACTIONS,
    FLOOR,
    MO1,
    MO2,
    MO3,
    action_index,
    autoscaling_reward,
    nominal,
    outcomes,
    share,
)
from netrollout.types import InputError


def test_there_are_1296_actions_and_each_knows_its_place() -> None:
    assert ACTIONS.shape == (1296, 4)
    assert (action_index(ACTIONS) == np.arange(1296)).all()


@pytest.mark.parametrize("value", [0.3, 1.2, -0.2])
def test_a_setting_between_the_levels_is_refused(value: float) -> None:
    with pytest.raises(InputError, match=rf"setting {value} is none of the levels 0, 0.2, 0.4, 0.6, 0.8, 1"):
        action_index(np.array([[0.2, value, 0.0, 0.0]]))


def test_all_counts_within_the_bound_half_at_the_centre_and_almost_nothing_far_beyond() -> None:
    d = np.array([[0.035, 0.110], [0.050, 0.113], [0.2, 0.3]])
    assert share(d)[:2].tolist() == [[1, 1], [0.5, 0.5]]
    assert (share(d)[2] < 1e-12).all()


def test_response_times_are_rounded_before_they_meet_the_bound() -> None:
    assert share(np.array([0.03504, 0.1104])).tolist() == [1, 1]
    assert (share(np.array([0.03506, 0.1106])) < 1).all()


def test_a_closed_example() -> None:
    outcome = outcomes(np.array([1.0, 0.5]), np.array([4.0, 10.0]))
    assert outcome.tolist() == [4, 5, FLOOR - 4]
    assert [float(objective.reward(outcome)) for objective in (MO1, MO2, MO3)] == [9, 29, 3]


def test_the_nominal_carried_load_is_what_is_not_blocked() -> None:
    assert np.allclose(nominal(np.array([10.0, 20.0]), np.array([0.2, 0.4, 0.0, 0.6])), [10, 8])


def test_no_action_beats_blocking_nothing_if_nothing_is_late() -> None:
    """Without delays the throughput is largest where b = 0: a closed optimum."""
    loads = np.array([7.0, 13.0])
    reward = MO1.reward(outcomes(np.ones((1296, 2)), nominal(loads, ACTIONS)))
    assert reward.max() == 20 and (ACTIONS[reward == 20][:, 2:] == 0).all()


def test_autoscaling_pays_for_few_workers_until_the_response_time_is_late() -> None:
    d, workers = np.array([0.2, 0.6, 0.601, 1.0]), np.array([1, 3, 1, 1])
    assert np.allclose(autoscaling_reward(d, workers), [5, 3, -0.001, -0.4])
