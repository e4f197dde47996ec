"""Held-out errors: the measures, and splits that never share a visit or a configuration."""

import numpy as np
import pytest

from netrollout.models import Table, grouped_folds, held_out_error, nmae, r2
from netrollout.types import InputError


class Spy:
    """A surrogate that predicts one and records what it was fitted on and asked for."""

    calls: list

    def fit(self, features, response, groups):
        self.calls.append([features[:, 0], groups, None])
        return self

    def mean(self, features):
        self.calls[-1][2] = features[:, 0]
        return np.ones((len(features), 1))

    def windows(self, features, q):
        return np.ones((len(features), q, 1))


def data():
    configuration = np.repeat(np.arange(6.0), 20)
    d = 0.1 * (1 + configuration)
    return configuration[:, None], d[:, None], np.arange(120) // 10


def test_measures():
    assert nmae(np.array([1.0, 3.0]), np.array([2.0, 3.0])) == pytest.approx(0.25)
    assert r2(np.array([1.0, 3.0]), np.array([1.0, 3.0])) == 1.0
    assert r2(np.array([1.0, 3.0]), np.array([2.0, 2.0])) == 0.0
    assert np.isnan(r2(np.array([2.0, 2.0]), np.array([1.0, 1.0])))


def test_folds_partition_the_groups_and_never_split_one():
    labels = np.arange(40) // 3
    tests = list(grouped_folds(labels, 4, np.random.default_rng(0)))
    assert (np.sum(tests, axis=0) == 1).all()
    for test in tests:
        assert not set(labels[test]) & set(labels[~test])


def test_held_out_configuration_was_never_fitted():
    Spy.calls = []
    held_out_error(Spy, *data(), by="configuration", folds=3)
    assert len(Spy.calls) == 3
    for fitted, _, asked in Spy.calls:
        assert not set(fitted) & set(asked)


def test_a_table_knows_visited_configurations_only():
    by_visit, _ = held_out_error(Table, *data(), by="visit", folds=12)
    by_configuration, _ = held_out_error(Table, *data(), by="configuration", folds=6)
    assert by_visit.nmae == pytest.approx(0.0, abs=1e-12)
    assert by_visit.r2 == pytest.approx(1.0)
    assert by_configuration.nmae > 0.2


def test_rows_of_all_and_of_the_operating_region():
    Spy.calls = []
    x, d, visits = data()
    d[0] = np.nan
    rows = held_out_error(Spy, x, d, visits, region=0.35)
    assert [(row.region, row.rows) for row in rows] == [("all", 119), ("operating", 59)]
    assert rows[0].nmae == pytest.approx(nmae(d[1:, 0], np.ones(119)))


def test_wrong_arguments_are_named():
    with pytest.raises(InputError, match="by='row'"):
        held_out_error(Spy, *data(), by="row")
    with pytest.raises(InputError, match="folds=13: expected 2 to 12"):
        held_out_error(Table, *data(), folds=13)
