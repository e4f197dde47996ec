"""The closed loop on the live mesh: measured cycles, faults marked and survived, kills without an orphan."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from netrollout.systems.mesh.dynamics import Control, Mesh, Objective, ResponseTable
from netrollout.systems.queues.dynamics import Pattern
from netrollout.testbed.live import BACKLOG, FOREIGN_LIMIT, Change, LivePlant, window_of
from netrollout.types import InputError

Helper = Callable[..., Any]  # see conftest.py
STAY = np.array([1, 1])
LOOP = """
from netrollout.cli.main import app
app(["adapt", "--plant", "testbed", "--cycles", "{cycles}", "--change-at", "2", "--log", {log!r}, {resume}])
"""


def grid(**names: str) -> Mesh:
    controls = (Control(names.get("first", "p_compute"), (0.0, 0.5, 1.0)), Control("c_1", (1.0, 2.0, 3.0)))
    loads = np.array([[20.0], [40.0]])
    table = ResponseTable(np.full((18, 1, 1), 0.05))
    return Mesh("live", controls, ("compute",), loads, 0.5, Objective((0.1,), (("c_1",),)), table)


def row(**changes: Any) -> dict[str, Any]:
    return {"t": 1.0, "duration": 2.0, "l_compute": 20.0, "cl_compute": 20.0, "d_compute": 0.04, "d_compute_p90": 0.1,
            "n_compute": 40, "timeout_compute": 0, "late_compute": 0.1, "busy_1": 0.5, "queue_1": 0, "queue_2": 0,
            "busy_seconds_1": 1.0, "busy_seconds_2": 0.2, "foreign_cpu": 0.0, "steal": 0.0, "fault": "",
            **changes}  # fmt: skip


@pytest.fixture(scope="module")
def plant(envoy: None) -> Iterator[LivePlant]:
    change = Change(demand={"compute": 0.004}, slow={1: 2.0})
    with LivePlant(grid(), {"compute": 0.002}, change, 10**6, np.array([1, 0]), seed=1, window=1.0) as live:
        yield live


def test_a_cycle_moves_the_controls_and_measures_the_mesh(plant: LivePlant) -> None:
    window = plant.act(np.array([2, 2]))
    assert window.setting.tolist() == [2, 1] and window.next_load == window.load
    assert 0.001 < window.d[0] < 1.0 and 0.0 < window.busy <= 1.0
    assert window.notes["n_compute"] > 2 and window.notes["backlog"] <= 5
    back = plant.act(np.array([0, 0]))
    assert back.setting.tolist() == [1, 0]


@pytest.mark.parametrize("victim", ["node1", "envoy", "load"])
def test_a_killed_part_is_reported_its_window_marked_and_the_loop_goes_on(plant: LivePlant, victim: str) -> None:
    os.kill(plant.pids()[victim], signal.SIGKILL)
    marked = plant.act(STAY)
    assert not marked.usable and "died" in marked.notes["fault"] and "fault" in marked.notes["unusable"]
    plant.act(STAY)
    after = plant.act(STAY)
    assert after.notes["fault"] == "" and after.notes["n_compute"] > 2


@pytest.mark.parametrize(
    ("changes", "backlog", "reason"),
    [
        ({}, 0, ""),
        ({"fault": "node 1 died"}, 0, "fault"),
        ({"foreign_cpu": FOREIGN_LIMIT + 0.1}, 0, "foreign CPU"),
        ({}, BACKLOG + 1, "backlog"),
        ({"d_compute": None, "cl_compute": 0.0}, 0, "no requests"),
    ],
)
def test_a_window_that_tells_nothing_of_its_configuration_is_marked(changes: Any, backlog: int, reason: str) -> None:
    window = window_of(grid(), np.array([1, 1]), 0, row(**changes), backlog)
    assert window.usable == (reason == "") and window.notes["unusable"] == reason


def test_where_nothing_completed_the_response_time_is_the_timeout() -> None:
    assert window_of(grid(), np.array([1, 1]), 0, row(d_compute=None), 0).d.tolist() == [5.0]


def test_a_control_that_the_mesh_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match="the live mesh has no control q_compute"):
        LivePlant(grid(first="q_compute"), {"compute": 0.002}, Change(), 1, np.array([0, 0]), 0)


def test_the_load_moves_only_after_the_change(envoy: None) -> None:
    change = Change(load_moves=True)
    with LivePlant(grid(), {"compute": 0.002}, change, 2, np.array([2, 2]), seed=3, window=0.1) as live:
        loads = [live.act(STAY).load for _ in range(12)]
    assert loads[:3] == [0, 0, 0] and set(loads) == {0, 1}


def test_the_load_follows_a_day_after_the_change(envoy: None) -> None:
    loads = [rate for (rate,) in grid().loads]
    day = Pattern(mean=sum(loads) / 2, amplitude=abs(loads[1] - loads[0]) / 2, day=4, enter=0.0)
    with LivePlant(grid(), {"compute": 0.002}, Change(day=day), 1, np.array([2, 2]), seed=3, window=0.1) as live:
        met = [loads[live.act(STAY).load] for _ in range(6)]
    assert met[0] == loads[0], "before the change"
    assert met[2] == max(loads) and met[4] == min(loads), "a quarter and three quarters of the day later"


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_kills_of_the_controller_leave_a_readable_log_and_no_orphan(
    envoy: None, tmp_path: Path, start_python: Helper, still_alive: Helper
) -> None:
    log, rng = tmp_path / "log.jsonl", random.Random(5)
    for kill in range(10):
        have = len(lines(log))
        program = LOOP.format(cycles=1000, log=str(log), resume='"--resume"' if kill else "")
        loop = start_python(program)
        wait_for(lambda have=have: len(lines(log)) > have + (have == 0))  # type: ignore[misc]
        time.sleep(rng.random() * 2.0)
        children = [child.pid for child in psutil.Process(loop.pid).children(recursive=True)]
        loop.kill()
        loop.communicate()
        assert len(children) >= 14 and not still_alive(children)
    done = len(lines(log)) - 1
    last = start_python(LOOP.format(cycles=done + 1, log=str(log), resume='"--resume"'))
    last.communicate(timeout=60)
    assert last.returncode == 0
    cycles = [json.loads(line)["cycle"] for line in lines(log)[1:]]
    assert cycles == list(range(len(cycles)))


def test_ctrl_c_stops_the_loop_cleanly(envoy: None, tmp_path: Path, start_python: Helper, still_alive: Helper) -> None:
    log = tmp_path / "log.jsonl"
    loop = start_python(LOOP.format(cycles=1000, log=str(log), resume=""))
    wait_for(lambda: len(lines(log)) > 2)
    children = [child.pid for child in psutil.Process(loop.pid).children(recursive=True)]
    loop.send_signal(signal.SIGINT)
    _, errors = loop.communicate(timeout=20)
    assert loop.returncode == 130 and "the same command with --resume goes on" in errors
    assert not still_alive(children)
    assert all(json.loads(line) for line in lines(log))
