"""Expected outcomes: leaf means are Meinshausen's weighted means."""

from __future__ import annotations

import numpy as np
import pytest

from netrollout.models.outcomes import OutcomeForest
from netrollout.types import Floats, InputError


def data(n: int = 300) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, size=(n, 2)).astype(float)
    return x, np.exp(x.sum(axis=1, keepdims=True) + rng.normal(size=(n, 2)))


def test_it_equals_the_weighted_mean_over_the_training_windows() -> None:
    x, d = data()
    outcome = np.column_stack([d[:, 0] > 5, d[:, 1] ** 2])
    forest = OutcomeForest(trees=15, min_leaf=7).fit(x, d, outcome)
    query = x[:5]
    same = forest._forest.apply(query)[:, None] == forest._forest.apply(x)[None]  # (5, n, trees)
    weights = (same / same.sum(axis=1, keepdims=True)).mean(axis=2)
    assert np.allclose(forest.expect(query), weights @ outcome)


def test_a_visited_configuration_with_full_leaves_gets_its_own_mean() -> None:
    x = np.repeat([[0.0], [1.0]], 50, axis=0)
    d = np.random.default_rng(1).normal(x * 9, 1, size=(100, 1))
    expected = OutcomeForest(trees=30, min_leaf=15).fit(x, d, (d > 0.5).astype(float)).expect(np.array([[0.0], [1.0]]))
    assert np.allclose(expected[:, 0], [(d[:50] > 0.5).mean(), 1])


def test_a_threshold_is_averaged_and_not_applied_to_the_average() -> None:
    x, d = np.zeros((100, 1)), np.tile([[0.0], [1.0]], (50, 1))
    late = (d > 0.4).astype(float)
    assert OutcomeForest(trees=5).fit(x, d, late).expect(x[:1])[0, 0] == pytest.approx(0.5)


def test_same_seed_same_numbers() -> None:
    x, d = data()
    first, second = (OutcomeForest(trees=5, seed=3).fit(x, d, d).expect(x) for _ in range(2))
    assert (first == second).all()


def test_rows_that_do_not_match_or_are_not_finite_are_named() -> None:
    x, d = data(10)
    with pytest.raises(InputError, match="outcome has 9 rows, features have 10"):
        OutcomeForest().fit(x, d, d[1:])
    d[4, 1] = np.nan
    with pytest.raises(InputError, match="response: row 4 is not finite"):
        OutcomeForest().fit(x, d, x)
