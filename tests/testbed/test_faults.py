"""What dies during a window is named in its `fault`, restarted with its settings, and measuring goes on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from netrollout.testbed import Mesh

Helper = Callable[..., Any]  # see conftest.py


@pytest.mark.parametrize(
    ("victim", "fault"),
    [
        ("node1.worker2", "node 1: worker 2 died"),
        ("node2", "node 2 died"),
        ("envoy", "envoy died"),
        ("load", "load generator died"),
    ],
)
def test_a_killed_part_is_reported_in_that_window_and_replaced(mesh: Mesh, victim: str, fault: str) -> None:
    mesh.set(p={"compute": 0.5}, c={1: 3, 2: 2})
    mesh.load({"compute": 40.0})
    before = mesh.pids()
    threading.Timer(0.2, os.kill, (before[victim], signal.SIGKILL)).start()
    assert mesh.window(0.6)["fault"] == fault
    mesh.wait(0.3)
    row = mesh.window(1.0)
    assert row["fault"] == ""
    assert row["n_compute_1"] > 5
    assert row["n_compute_2"] > 5
    after = mesh.pids()
    assert after[victim] != before[victim]
    assert set(after) == set(before)


def test_a_restarted_part_has_its_present_settings(mesh: Mesh, origin: Helper) -> None:
    mesh.set(p={"compute": 0.0}, b={"compute": 1.0})
    os.kill(mesh.pids()["envoy"], signal.SIGKILL)
    mesh.wait(0.2)
    assert origin(mesh.send("compute", 20)) == {(429, 0): 20}
    mesh.set(b={"compute": 0.0})
    assert origin(mesh.send("compute", 20)) == {(200, 2): 20}


def test_a_control_that_meets_a_dead_part_restarts_it(mesh: Mesh, origin: Helper) -> None:
    os.kill(mesh.pids()["node1"], signal.SIGKILL)
    mesh.set(p={"compute": 1.0}, c={1: 4})
    assert mesh.window(0.1)["fault"] == "node 1 died"
    assert mesh.settings.c == {1: 4, 2: 1}
    assert origin(mesh.send("compute", 20)) == {(200, 1): 20}
