"""The Gaussian process on logs: windows where there are any, neighbours elsewhere, and how sure it is."""

import numpy as np
import pytest

from netrollout.models.smooth import believe

PLACE = np.arange(6.0)[:, None]


def learn(means, visits=3, windows=20, noise=0.05, metrics=1, seed=0):
    """Visit the points of `means`, place -> median; the others were never measured."""
    rng, point, y, visit = np.random.default_rng(seed), [], [], []
    for number, g in enumerate(list(means) * visits):
        point += [g] * windows
        y += list(means[g] * np.exp(noise * rng.standard_normal((windows, metrics))))
        visit += [number] * windows
    return believe(PLACE, np.array(point), np.array(y), np.array(visit), np.random.default_rng(1)), np.array(y)


def test_a_measured_point_keeps_its_windows_even_beside_a_cliff():
    belief, y = learn({0: 0.05, 1: 0.06, 2: 5.0, 3: 6.0})
    found = belief.windows()[:, :, 0]
    for k, g in enumerate((0, 1, 2, 3)):
        own = y.reshape(3, 4, 20)[:, k]
        assert found[g].mean() == pytest.approx(own.mean(), rel=0.03)
        assert np.quantile(found[g], [0.1, 0.9]) == pytest.approx(np.quantile(own, [0.1, 0.9]), rel=0.05)


def test_few_noisy_windows_are_moved_towards_their_neighbours():
    smooth = {g: 0.1 for g in (0, 1, 2, 4, 5)}
    rng = np.random.default_rng(0)
    point = np.repeat([*smooth] * 8 + [3], 2)
    logs = np.log(0.1) + 0.4 * rng.standard_normal(len(point))
    logs[-2:] = np.log(0.2)
    belief = believe(PLACE, point, np.exp(logs)[:, None], np.arange(len(point)) // 2, np.random.default_rng(0))
    assert np.log(0.1) < belief.mean[3, 0] < np.log(0.18)


def test_what_was_never_measured_is_less_certain_the_farther_it_lies():
    belief, _ = learn({0: 0.05, 1: 0.06, 2: 0.07})
    deviation = belief.draws[:, :, 0].std(axis=0)
    assert deviation[:3].max() < 0.1 < deviation[3] < deviation[5]
    np.testing.assert_allclose(belief.draws.mean(axis=0), belief.mean, atol=1e-9)


def test_metrics_that_may_be_zero_or_negative_are_foreseen_only_where_they_were_met():
    point, visit = np.repeat([0, 1, 2], 4), np.repeat([0, 1, 2], 4)
    y = np.column_stack([np.repeat([-1.0, 0.0, 2.0], 4), np.zeros(12), np.full(12, np.nan)])
    found = believe(PLACE, point, y, visit, np.random.default_rng(0)).windows()
    assert found[:, :, 0].min() >= -1.0 and found[:, :, 0].max() <= 2.0
    assert (found[:, :, 1] == 0.0).all() and np.isfinite(found).all()


def test_two_peaks_stay_two_peaks():
    rng = np.random.default_rng(0)
    y = np.where(rng.random(60) < 0.5, 0.01, 0.17)[:, None]
    found = believe(PLACE, np.zeros(60, dtype=int), y, np.arange(60) // 30, rng).around[0, :, 0]
    assert (np.diff(np.sort(found)) > 1.0).sum() >= 1


def test_the_same_stream_gives_the_same_belief():
    assert np.array_equal(learn({0: 1.0, 3: 2.0})[0].draws, learn({0: 1.0, 3: 2.0})[0].draws)
