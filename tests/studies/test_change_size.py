"""The size of a change: nothing to repair without one, and the worlds of every size are of the same mesh."""

import numpy as np

from netrollout import experiment
from netrollout.studies.change_size import STATIC, costs, release, released


def test_without_a_change_nobody_gains_and_with_one_replanning_does():
    table = experiment.run(released([1.0, 2.25], 1), STATIC, experiment.exactly())
    same, heavier = table.at(1.0), table.at(2.25)
    assert abs(same["start", "full replanning"] - same["start", "no replanning"]).max() < 2.0
    assert (heavier["start", "full replanning"] - heavier["start", "no replanning"] > 20.0).all()
    for found in (same, heavier):
        assert all((found["start", row] <= found["start", "oracle"] + 1e-9).all() for row in STATIC)


def test_a_measurement_is_a_measurement_of_its_own():
    one, other = release(1.5, 0).response.windows, release(1.5, 1).response.windows
    assert one.shape == other.shape and not np.array_equal(one, other)


def test_whoever_replans_must_measure():
    found = costs(1.5)
    assert found["no replanning"].measuring == 0.0 and found["full replanning"].measuring > 60.0
