"""Every surrogate learns a known response and says how sure it is."""

import numpy as np
import pytest

from netrollout.models import SURROGATES, Forest, Queueing, make_surrogate
from netrollout.types import InputError

VISITS, WINDOWS, NOISE = 4, 15, 0.2
CONTROLS, SERVICES = ("p_compute", "c_1"), ("compute",)
DISTRIBUTIONS = [name for name in SURROGATES if name != "mean-forest"]


def truth(x):
    """Log response time of one service: smooth in routing weight, workers and load."""
    return -3.0 + 0.8 * x[:, 0] - 0.2 * x[:, 1] + 0.01 * x[:, 2]


def grid():
    axes = np.meshgrid(np.arange(6) / 5, np.arange(1.0, 6.0), [5.0, 20.0], indexing="ij")
    return np.stack(axes, axis=-1).reshape(-1, 3)


def sample(seed, noise=NOISE, visits=VISITS):
    rng = np.random.default_rng(seed)
    x = np.repeat(grid(), visits * WINDOWS, axis=0)
    d = np.exp(truth(x) + noise * rng.standard_normal(len(x)))
    return x, d[:, None], np.arange(len(x)) // WINDOWS


def made(name, seed=0):
    return make_surrogate(name, seed, CONTROLS, SERVICES)


@pytest.mark.parametrize("name", [name for name in SURROGATES if name != "queueing"])
def test_learns_a_known_response(name):
    mean = made(name).fit(*sample(1)).mean(grid())[:, 0]
    expected = np.exp(truth(grid()) + NOISE**2 / 2)
    assert np.mean(np.abs(mean - expected)) < 0.1 * expected.mean()


@pytest.mark.parametrize("name", [name for name in DISTRIBUTIONS if name != "queueing"])
def test_central_windows_cover_their_nominal_share(name):
    windows = made(name).fit(*sample(1)).windows(grid(), 10)[:, :, 0]
    _, d, _ = sample(2)
    low, high = (np.repeat(windows[:, i], VISITS * WINDOWS) for i in (1, 8))  # levels .15 and .85
    assert np.mean((low <= d[:, 0]) & (d[:, 0] <= high)) == pytest.approx(0.7, abs=0.07)


def test_published_forest_predicts_a_point():
    windows = made("mean-forest").fit(*sample(1)).windows(grid(), 3)
    assert np.ptp(windows, axis=1).max() == 0


def test_reward_of_the_mean_is_not_the_mean_reward_at_a_bound():
    windows = Forest().fit(*sample(1)).windows(grid()[:1], 100)[:, :, 0]
    bound = windows.mean() + 1e-6

    def reward(d):
        return np.where(d <= bound, 1.0, bound - d)

    assert reward(windows.mean()) == 1.0
    assert reward(windows).mean() < 0.7


@pytest.mark.parametrize("name", SURROGATES)
def test_same_seed_same_windows_and_rising_levels(name):
    data = sample(1, visits=2)
    first, second = (made(name, seed=3).fit(*data).windows(grid(), 5) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (60, 5, 1)
    assert (np.diff(first, axis=1) >= 0).all()


@pytest.mark.parametrize("name", [name for name in SURROGATES if name != "queueing"])
def test_missing_windows_of_one_service_do_not_touch_the_other(name):
    x, d, visits = sample(1, visits=2)
    other = np.where(np.arange(len(d)) % 3 == 0, np.nan, d[:, 0])
    both = made(name).fit(x, np.column_stack([d[:, 0], other]), visits).windows(grid(), 4)
    assert np.isfinite(both).all()
    np.testing.assert_array_equal(both[:, :, 0], made(name).fit(x, d, visits).windows(grid(), 4)[:, :, 0])
    kept = np.isfinite(other)
    alone = made(name).fit(x[kept], d[kept], visits[kept]).windows(grid(), 4)[:, :, 0]
    np.testing.assert_array_equal(both[:, :, 1], alone)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, d, g: (x, np.where(np.arange(len(d))[:, None] == 7, 0.0, d), g), "row 7, service 0 is 0"),
        (lambda x, d, g: (x, np.full_like(d, np.nan), g), "service 0 has no measured row"),
        (lambda x, d, g: (np.where(np.arange(len(x))[:, None] == 4, np.nan, x), d, g), "row 4 is not finite"),
        (lambda x, d, g: (x, d[:-1], g), "must be"),
    ],
)
def test_bad_training_data_is_named(change, message):
    with pytest.raises(InputError, match=message):
        Forest().fit(*change(*sample(1, visits=1)))


def test_one_visit_has_no_spread_between_visits():
    x, d, visits = sample(1, visits=1)
    with pytest.raises(InputError, match="1 visit"):
        made("linear").fit(x, d, np.zeros_like(visits))


def test_asking_before_fitting_or_for_no_window_is_refused():
    with pytest.raises(InputError, match="Forest is not fitted"):
        Forest().mean(grid())
    with pytest.raises(InputError, match="q=0"):
        made("table").fit(*sample(1, visits=1)).windows(grid(), 0)


def test_unknown_name_suggests_a_near_one():
    with pytest.raises(InputError, match="did you mean forest"):
        make_surrogate("forrest")
    with pytest.raises(InputError, match="names of the controls"):
        make_surrogate("queueing")


def test_queueing_refuses_controls_that_it_cannot_place():
    with pytest.raises(InputError, match="'b_1'"):
        Queueing(("p_a", "b_1"), ("a",))
    with pytest.raises(InputError, match="no control p_b"):
        Queueing(("p_a",), ("a", "b"))
