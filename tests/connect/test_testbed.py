"""The testbed behind the protocols: with a stand-in for the mesh, and live where there is Envoy."""

import pytest

from netrollout.connect.protocols import Actuator, ConnectError, Sensor
from netrollout.connect.testbed import EnvoyActuator, TestbedSensor
from netrollout.testbed import EnvoyMissing, Mesh, MeshError
from netrollout.testbed.envoy import find_envoy
from netrollout.testbed.settings import Settings
from netrollout.types import InputError


class StandIn:
    """Checks settings as the mesh does, and fails when told to."""

    def __init__(self):
        self.settings, self.broken = Settings.initial({"compute": 0.004}, 6), None

    def set(self, **changes):
        if self.broken:
            raise self.broken
        self.settings.change(**changes)

    def window(self, seconds):
        if self.broken:
            raise self.broken
        return {"t": 0.0, "duration": seconds}


def test_names_of_a_trace_become_settings():
    mesh = StandIn()
    assert isinstance(EnvoyActuator(mesh), Actuator) and isinstance(TestbedSensor(mesh), Sensor)
    EnvoyActuator(mesh).apply({"p_compute": 0.8, "b_compute": 0.1, "c_1": 3.0})
    now = mesh.settings
    assert (now.p["compute"], now.b["compute"], now.c) == (0.8, 0.1, {1: 3, 2: 1})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"q_compute": 1}, "no control 'q_compute'"),
        ({"c_one": 1}, "no control 'c_one'"),
        ({"p_video": 1}, "'video' is not one of compute"),
        ({"p_compute": 1.2, "c_1": 3}, "between 0 and 1"),
        ({"p_compute": float("nan")}, "between 0 and 1"),
        ({"c_1": 9}, "1 to 6"),
        ({"c_1": 2.5}, "whole"),
        ({"c_1": float("inf")}, "infinity"),
        ({"c_1": float("nan")}, "NaN"),
        ({"c_9": 1}, "9 is not one of 1, 2"),
    ],
)
def test_wrong_values_change_nothing(values, says):
    mesh = StandIn()
    with pytest.raises(InputError, match=says):
        EnvoyActuator(mesh).apply(values)
    assert mesh.settings == StandIn().settings


def test_a_mesh_that_fails_is_one_error():
    mesh = StandIn()
    mesh.broken = MeshError("node 1 could not be reached")
    for call in (lambda: EnvoyActuator(mesh).apply({"c_1": 2}), lambda: TestbedSensor(mesh).observe(1.0)):
        with pytest.raises(ConnectError, match="testbed: node 1 could not be reached"):
            call()
    with pytest.raises(InputError, match="window of 0 s"):
        TestbedSensor(mesh).observe(0.0)


def test_live():
    try:
        find_envoy()
    except EnvoyMissing as error:
        pytest.skip(str(error))
    with Mesh({"compute": 0.002}, max_workers=2) as mesh:
        mesh.load({"compute": 40.0})
        EnvoyActuator(mesh).apply({"p_compute": 1.0, "c_1": 2, "b_compute": 0.0})
        row = TestbedSensor(mesh).observe(0.5)
    assert (row["p_compute"], row["c_1"], row["n_compute_2"]) == (1.0, 2, 0) and row["n_compute"] > 0
