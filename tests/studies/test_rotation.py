"""Every visit is the plant once; an interval over folds holds the plant's noise."""

import numpy as np
import pytest

from netrollout import experiment
from netrollout.results import Results
from netrollout.studies.rotation import known_static, plant_resolution, record_difference, rotated, signs, tell


@pytest.mark.parametrize(
    ("folds", "word"), [([1.0, 2.0, 0.0], "same"), ([-1.0, 0.0], "same"), ([0.0, 0.0], "same"), ([1.0, -0.1], "mixed")]
)
def test_one_fold_of_the_other_sign_is_said(folds, word):
    assert signs(np.array(folds)[:, None]) == word


def test_after_the_release_rollout_gains_on_every_visit():
    cells = rotated("mesh-release", refits=1, folds=3)
    rows = {name: name for name in ("optimal", "rollout(optimal)", "oracle")} | {"known": known_static}
    table = experiment.run(cells, rows, experiment.exactly())
    gain = table["start", "rollout(optimal)"] - table["start", "optimal"]
    assert table.axes == ((0, 1, 2), (0,)) and (gain > 0.0).all()
    assert (table["start", "known"] <= table["start", "oracle"] + 1e-9).all()
    assert plant_resolution(table, "start", rows) > 0.0


@pytest.mark.parametrize(
    ("folds", "start"),
    [
        ([1.0, 1.1, 0.9, 1.0], "It gains 1.00 (0.87 to 1.13; few: 4), the same sign"),
        ([5.0, 5.0, 5.0, -0.5, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0], "It gains 4.45 (3.21 to 5.69), though not on every"),
        ([-1.0, -1.1, -0.9, -1.0], "It loses \u22121.00"),
        ([1.0, -1.0, 1.0, -1.0], "The held-out visits do not decide whether it gains: 0.00"),
        ([1e-3, -1e-3, 0.0], "Nothing that matters depends on whether it gains"),
    ],
)
def test_a_difference_is_told_in_the_sentence_that_holds(folds, start):
    results = Results("05_the_service_changes", "quick", {})
    results.value("margin", 0.1)
    record_difference(results, "gain", np.array(folds)[:, None])
    assert tell(results, "gain", "It gains", "It loses", "whether it gains", "margin").startswith(start)
