"""The working day on a mesh that is only told: when workers serve, what the load is, when the change strikes."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Self

import numpy as np
import pytest
from typer.testing import CliRunner

from netrollout.adapt import run
from netrollout.cli.main import app
from netrollout.loop import make_loop
from netrollout.systems.queues.plants import SimulatedQueues, line_of, window_of
from netrollout.testbed.live import LiveDay, window_of_row
from netrollout.testbed.processes import MeshError

DAY = make_loop("S5")
HOLD, UP, DOWN = np.array([1, 1]), np.array([1, 2]), np.array([1, 0])


class Told:
    """A mesh that keeps what it was told, and measures nothing."""

    def __init__(self, services: Any, **options: Any) -> None:
        self.told: list[tuple[str, Any]] = [("services", services), ("options", options)]
        self.breaks, self.closed = False, False

    def __enter__(self) -> Self:
        return self

    def close(self) -> None:
        self.closed = True

    def set(self, p: Any, c: Any) -> None:
        self.told.append(("set", (p["compute"], c[1], c[2])))

    def load(self, rates: Any) -> None:
        self.told.append(("load", rates["compute"]))

    def demand(self, means: Any) -> None:
        self.told.append(("demand", means["compute"]))

    def wait(self, seconds: float) -> None:
        pass

    def window(self, seconds: float) -> dict[str, Any]:
        if self.breaks:
            raise MeshError("node 1 could not be reached")
        return row(duration=seconds)

    def last(self, what: str) -> Any:
        return [value for key, value in self.told if key == what][-1]


def row(**changes: Any) -> dict[str, Any]:
    return {"t": 1.0, "duration": 5.0, "target_l_compute": 6.0, "l_compute": 6.2, "d_compute": 0.1,
            "d_compute_p99": 0.5, "n_compute": 30, "n_compute_1": 28, "n_compute_2": 2, "timeout_compute": 2,
            "late_compute": 0.125, "busy_seconds_1": 2.5, "busy_seconds_2": 0.2, "queue_1": 3, "queue_2": 0,
            "foreign_cpu": 0.0, "steal": 0.0, "fault": "", "burst": 0, **changes}  # fmt: skip


def live(cycle: int = 0, change_at: int = 48, **options: Any) -> tuple[LiveDay, list[Told]]:
    meshes: list[Told] = []

    def make(services: Any, **given: Any) -> Told:
        meshes.append(Told(services, **given))
        return meshes[-1]

    plant = LiveDay(DAY.before, DAY.after, change_at, seed=4, cycle=cycle, mesh=make, **options)
    return plant.__enter__(), meshes


def test_the_mesh_is_told_of_a_worker_three_cycles_after_it_was_asked_for_and_at_once_where_one_goes() -> None:
    plant, (mesh,) = live()
    told = []
    for u in (UP, HOLD, HOLD, HOLD, DOWN, HOLD):
        plant.act(u)
        told.append(mesh.last("set")[1])
    assert told == [2, 2, 2, 3, 2, 2]


def test_asked_and_starting_workers_are_those_of_the_simulated_plant() -> None:
    plant, _ = live()
    simulated = SimulatedQueues(DAY.before, DAY.after, 48, 4)
    for u in (UP, UP, DOWN, HOLD, UP, HOLD, DOWN, DOWN, HOLD):
        one, two = plant.act(u), simulated.act(u)
        assert one.setting.tolist() == two.setting.tolist() and one.starting.tolist() == two.starting.tolist()
        assert one.moves == two.moves


def test_load_and_bursts_are_those_of_the_simulated_plant_also_where_a_run_is_resumed() -> None:
    plant, (mesh,) = live()
    targets = []
    for _ in range(60):
        plant.act(HOLD)
        targets.append(mesh.last("load"))
    levels = {round(load, 1) for load in targets}
    assert {6.0, 26.0} <= levels and (8.4 in levels or 36.4 in levels)
    again, (other,) = live(cycle=40)
    for cycle in range(40, 60):
        again.act(HOLD)
        assert other.last("load") == targets[cycle]


def test_the_change_strikes_once_and_a_resumed_run_begins_after_it() -> None:
    plant, (mesh,) = live(change_at=2)
    for _ in range(4):
        plant.act(HOLD)
    assert dict(mesh.told)["services"] == {"compute": 0.018} and [v for k, v in mesh.told if k == "demand"] == [0.026]
    _, (resumed,) = live(cycle=3, change_at=2, setting=np.array([5, 4]), starting=np.array([1, 0, 0]))
    assert dict(resumed.told)["services"] == {"compute": 0.026} and resumed.last("set") == (1.0, 4, 1)
    assert resumed.told[1][1]["bounds"] == {"compute": 0.6} and resumed.told[1][1]["seed"] != mesh.told[1][1]["seed"]


def test_a_mesh_that_breaks_down_is_started_anew_and_its_window_marked() -> None:
    plant, meshes = live()
    meshes[0].breaks = True
    window = plant.act(UP)
    assert meshes[0].closed and len(meshes) == 2 and not window.usable
    assert "mesh restarted: node 1 could not be reached" in window.notes["fault"]


@pytest.mark.parametrize(
    ("changes", "usable"),
    [({}, True), ({"fault": "envoy died"}, False), ({"foreign_cpu": 0.6}, False), ({"d_compute": None}, True)],
)
def test_a_row_of_the_testbed_is_a_window_of_the_day(changes: dict[str, Any], usable: bool) -> None:
    window = window_of_row(row(**changes), np.array([5, 2]), np.zeros(3, dtype=np.int64), 1)
    assert window.usable == usable and window.ended == 32 and window.late == 0.125
    assert window.n.tolist() == [28.0, 2.0] and window.busy.tolist() == [2.5, 0.2] and window.queue.tolist() == [3, 0]
    assert window.reward(DAY.before) == pytest.approx(-0.06 * 3 - 4.0 * 0.125 - 0.01)
    kept = window_of(line_of(window, ("p_compute", "c_1")) | {"cycle": 0}, DAY.before)
    assert str(line_of(kept, ("p_compute", "c_1"))) == str(line_of(window, ("p_compute", "c_1")))


def test_a_controller_drives_the_told_mesh() -> None:
    plant, (mesh,) = live()
    windows = [record.window for record in run(plant, DAY.controller("predictive"), 16)]
    assert len(windows) == 16 and max(window.setting[1] for window in windows) > 2, "the morning's workers"
    assert mesh.last("load") >= 26.0


def test_the_command_logs_a_live_day_and_resumes_it_where_the_controls_stood(tmp_path: Any, monkeypatch: Any) -> None:
    meshes: list[Told] = []

    def make(services: Any, **given: Any) -> Told:
        meshes.append(Told(services, **given))
        return meshes[-1]

    monkeypatch.setattr("netrollout.testbed.live.LiveDay", partial(LiveDay, mesh=make))
    monkeypatch.setattr("netrollout.testbed.envoy.envoy_version", lambda: "1.0")
    log = tmp_path / "day.jsonl"
    command = ["adapt", "--plant", "testbed", "--scenario", "S5", "--policy", "static(p=1,c=6)", "--change-at", "2",
               "--log", str(log), "--priority", "normal"]  # fmt: skip
    first = CliRunner().invoke(app, [*command, "--cycles", "4"])
    again = CliRunner().invoke(app, [*command, "--cycles", "6", "--resume"])
    assert first.exit_code == again.exit_code == 0, (first.output, again.output)
    header, *lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert header["priority"] == "normal" and header["envoy"] == "1.0" and header["bound"] == 0.6
    assert [line["cycle"] for line in lines] == list(range(6))
    assert [line["setting"]["c_1"] for line in lines] == [2, 3, 4, 5, 5, 5]
    assert [line["starting"] for line in lines][3:5] == [[1, 1, 0], [1, 0, 0]]
    assert all(mesh.closed for mesh in meshes) and meshes[1].last("set") == (1.0, 5, 1)
    assert dict(meshes[1].told)["services"] == {"compute": 0.026}
