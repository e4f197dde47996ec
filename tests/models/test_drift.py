"""Detectors notice what changed, stay quiet otherwise, and are compared at the same rate of false alarms."""

import numpy as np
import pytest

from netrollout.models.drift import (
    DETECTORS,
    LADDER,
    alarms,
    calibrate,
    change_point,
    delay_study,
    informative,
    log_moments,
    make_detector,
    residuals,
    upper_rate,
)
from netrollout.systems.mesh.dynamics import ResponseTable
from netrollout.types import InputError


@pytest.fixture(scope="module")
def quiet():
    return np.random.default_rng(1).standard_normal((20, 500))


@pytest.fixture(scope="module")
def tables():
    """Two grid points: the change triples the first response and leaves the second as it was."""
    logs = np.log(0.05) + 0.3 * np.random.default_rng(2).standard_normal((2, 25, 1))
    moved = logs + np.log([[[3.0]], [[1.0]]])
    return ResponseTable(np.exp(logs)), ResponseTable(np.exp(moved))


def test_a_residual_counts_standard_deviations_of_the_log(tables):
    before, _ = tables
    mean, deviation = log_moments(before)
    d = np.exp(mean + 2.0 * deviation)
    assert residuals(before, np.array([0, 1]), d) == pytest.approx([2.0, 2.0])


def test_a_scale_of_the_response_leaves_the_residuals_as_they_are(tables):
    before, _ = tables
    slower = ResponseTable(10.0 * before.windows)
    d = before.windows[:, 3]
    assert residuals(slower, np.array([0, 1]), 10.0 * d) == pytest.approx(residuals(before, np.array([0, 1]), d))


@pytest.mark.parametrize("name", DETECTORS)
def test_a_calibrated_detector_keeps_the_rate_and_notices_a_shift(name, quiet):
    setting = calibrate(name, quiet)
    count = sum(len(alarms(make_detector(name, setting), stream)) for stream in quiet)
    assert upper_rate(count, quiet.size) <= 2e-3
    detector = make_detector(name, setting)
    assert not alarms(detector, quiet[0][:50]).size
    assert alarms(detector, quiet[1][:30] + 2.5)[0] < 12


@pytest.mark.parametrize("name", DETECTORS)
def test_the_next_more_sensitive_setting_would_break_the_rate(name, quiet):
    at = LADDER[name].index(calibrate(name, quiet))
    if at:
        count = sum(len(alarms(make_detector(name, LADDER[name][at - 1]), stream)) for stream in quiet)
        assert upper_rate(count, quiet.size) > 2e-3


@pytest.mark.parametrize("name", DETECTORS)
def test_one_stray_window_is_no_change(name, quiet):
    stream = quiet[2][:100].copy()
    stream[60] = 50.0
    assert not alarms(make_detector(name, calibrate(name, quiet)), stream).size


def test_too_few_quiet_cycles_are_refused():
    with pytest.raises(InputError, match=r"100 quiet cycles cannot show a rate of 0\.002; at least 1501 can"):
        calibrate("adwin", np.zeros((1, 100)))


def test_streams_that_are_not_quiet_are_refused():
    with pytest.raises(InputError, match=r"page-hinkley: no setting raises fewer than"):
        calibrate("page-hinkley", np.tile(np.repeat([-4.0, 4.0], 25), (40, 10)))


def test_an_unknown_detector_is_named():
    with pytest.raises(InputError, match="unknown detector 'cusum'; known: adwin, page-hinkley"):
        make_detector("cusum", 1.0)


def test_the_moment_of_a_change_is_found():
    z = np.concatenate([np.zeros(40), np.full(7, 2.0)])
    assert change_point(z) == 7
    assert change_point(-z) == 7


def test_the_upper_limit_of_a_rate_is_poisson():
    assert upper_rate(0, 1000) == pytest.approx(-np.log(0.05) / 1000)


def test_the_informative_configuration_comes_first(tables):
    assert informative(*tables).tolist() == [0, 1]


def test_delay_falls_with_the_size_of_the_change_and_nothing_is_seen_where_nothing_changes(tables):
    rows = delay_study(*tables, points=[0, 1], sizes=[0.3, 1.0], cycles=5000, repeats=20, patience=100)
    assert {row.detector for row in rows} == set(DETECTORS)
    for name in DETECTORS:
        small, full, *unseen = [row for row in rows if row.detector == name]
        assert full.median < small.median and full.detected == 1.0
        assert full.shift == pytest.approx(small.shift / 0.3)
        assert all(row.detected < 0.5 for row in unseen)
        assert all(row.false_alarms <= 4.0 for row in rows)
