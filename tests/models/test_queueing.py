"""The queueing formula agrees with textbook cases and recovers its parameters."""

import numpy as np
import pytest

from netrollout.models import Queueing
from netrollout.models.queueing import Parameters, erlang_c

CONTROLS, SERVICES = ("c_1", "p_a", "p_b"), ("a", "b")
TRUE = Parameters(np.array([[0.05, 0.08], [0.02, 0.03]]), np.array([0.005, 0.003]), 0.5, 20.0)


def grid():
    axes = np.meshgrid(np.arange(1.0, 4.0), np.arange(6) / 5, np.arange(6) / 5, [5.0, 15.0], [10.0], indexing="ij")
    return np.stack(axes, axis=-1).reshape(-1, 5)


def test_erlang_c_of_one_worker_is_its_utilisation():
    np.testing.assert_allclose(erlang_c(np.array([1.0, 1.0]), np.array([0.3, 0.8])), [0.3, 0.8])


def test_erlang_c_of_two_workers_at_one_erlang_is_a_third():
    np.testing.assert_allclose(erlang_c(np.array([2.0]), np.array([1.0])), [1 / 3])


def test_one_worker_and_exponential_times_is_the_mm1_formula():
    model = Queueing(("p_a",), ("a",))
    d = model.formula(np.array([[1.0, 8.0]]), Parameters(np.full((1, 2), 0.1), np.array([0.0]), 1.0, 1.0))
    assert d[0, 0] == pytest.approx(1 / (10 - 8))


def test_overload_grows_in_proportion_to_its_length():
    model = Queueing(("p_a",), ("a",))
    p = Parameters(np.full((1, 2), 0.1), np.array([0.0]), 1.0, 10.0)
    at = model.formula(np.array([[1.0, 9.5], [1.0, 19.5]]), p)[:, 0]
    assert at[1] - at[0] == pytest.approx((1.95 - 0.95) * 10 / 2)


def test_recovers_its_parameters():
    rng = np.random.default_rng(0)
    x = np.repeat(grid(), 4, axis=0)
    model = Queueing(CONTROLS, SERVICES)
    d = model.formula(x, TRUE) * np.exp(0.02 * rng.standard_normal((len(x), 2)))
    d[::7, 1] = np.nan
    fitted = model.fit(x, d, np.arange(len(x)) // 2).parameters
    np.testing.assert_allclose(fitted.demand, TRUE.demand, rtol=0.05)
    assert fitted.variability == pytest.approx(TRUE.variability, rel=0.2)
    assert fitted.overload == pytest.approx(TRUE.overload, rel=0.1)
    np.testing.assert_allclose(model.mean(grid()), model.formula(grid(), TRUE), rtol=0.15)
    assert model.windows(grid(), 3).shape == (len(grid()), 3, 2)
