"""A learned system differs from the given one in its response only."""

import numpy as np
import pytest

from netrollout.models import Table, bootstrap_visits, certain, tabulate
from netrollout.systems.mesh.dynamics import Control, Mesh, Objective, ResponseTable
from netrollout.types import InputError


@pytest.fixture
def mesh():
    controls = (Control("p_a", (0.0, 0.5, 1.0)), Control("c_1", (1.0, 2.0)))
    objective = Objective((0.1,), (("c_1",),))
    response = ResponseTable(np.full((6, 1, 1), 9.0))
    return Mesh("tiny", controls, ("a",), np.array([[5.0]]), 0.0, objective, response, None, 0.9, 10)


@pytest.fixture
def surrogate(mesh):
    x = np.repeat(mesh.grid_features(), 3, axis=0)
    return Table().fit(x, np.arange(1.0, 19.0)[:, None], np.arange(18))


def test_tabulates_in_the_order_of_the_grid(mesh, surrogate):
    table = tabulate(surrogate, mesh, q=3)
    np.testing.assert_allclose(table.windows.mean(axis=1)[:, 0], 3 * np.arange(6) + 2)


def test_only_the_response_is_replaced(mesh, surrogate):
    learned = mesh.with_response(tabulate(surrogate, mesh, q=3))
    assert learned.response.windows.shape == (6, 3, 1)
    assert (learned.controls, learned.objective, learned.discount) == (mesh.controls, mesh.objective, mesh.discount)


def test_certain_table_keeps_only_the_mean(mesh, surrogate):
    windows = certain(tabulate(surrogate, mesh, q=3)).windows
    assert windows.shape == (6, 1, 1)
    np.testing.assert_allclose(windows[:, 0, 0], 3 * np.arange(6) + 2)


def test_bootstrap_draws_whole_visits_of_every_configuration():
    groups = np.arange(60) // 5
    configuration = np.arange(60) // 20
    rows = bootstrap_visits(groups, configuration, np.random.default_rng(1))
    assert len(rows) == 60
    assert (np.bincount(configuration[rows]) == 20).all()
    assert len(set(groups[rows])) < 12
    for visit in set(groups[rows]):
        counts = np.bincount(rows, minlength=60)[groups == visit]
        assert (counts == counts[0]).all()


def test_bootstrap_refuses_a_visit_in_two_configurations():
    with pytest.raises(InputError, match="row 1: visit 0"):
        bootstrap_visits(np.array([0, 0]), np.array([1, 2]), np.random.default_rng(0))
