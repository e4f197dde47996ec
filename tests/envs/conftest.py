"""A small mesh whose controls, load and windows all vary."""

import numpy as np
import pytest

from netrollout.systems.mesh.dynamics import Control, Mesh, Objective, ResponseTable


@pytest.fixture
def mesh():
    controls = (Control("p_a", (0.0, 0.5, 1.0)), Control("c_1", (1.0, 2.0, 3.0, 4.0)))
    response = ResponseTable(np.random.default_rng(0).random((24, 8, 1)))
    objective = Objective((0.5,), (("c_1",),))
    return Mesh("small", controls, ("a",), np.array([[5.0], [9.0]]), 0.3, objective, response, horizon=7)
