"""One mesh for all live tests; they are skipped where there is no Envoy."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import psutil
import pytest

from netrollout.testbed import EnvoyMissing, Mesh
from netrollout.testbed.envoy import find_envoy
from netrollout.testbed.processes import environment


@pytest.fixture(scope="session")
def envoy() -> None:
    try:
        find_envoy()
    except EnvoyMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def shared_mesh(envoy: None) -> Iterator[Mesh]:
    with Mesh({"compute": 0.004, "info": 0.002}, seed=7) as mesh:
        yield mesh


@pytest.fixture
def mesh(shared_mesh: Mesh) -> Mesh:
    """The shared mesh in its initial settings, idle, with no fault on record."""
    shared_mesh.set(c={1: 6, 2: 6})
    shared_mesh.drain()
    shared_mesh.demand({"compute": 0.004, "info": 0.002})
    shared_mesh.slow({1: 1.0, 2: 1.0})
    shared_mesh.set(p={"compute": 0.5, "info": 0.5}, b={"compute": 0.0, "info": 0.0}, c={1: 1, 2: 1})
    shared_mesh.window(0.05)
    return shared_mesh


# Helpers are fixtures that return functions: pytest's import mode `importlib` has test files import nothing from here.


@pytest.fixture
def origin() -> Callable[..., Counter[tuple[int, int]]]:
    """Count what `Mesh.send` returned by (status, node)."""
    return lambda answers: Counter((status, node) for status, node, _ in answers)


@pytest.fixture
def still_alive() -> Callable[..., set[int]]:
    return _still_alive


@pytest.fixture
def start_python() -> Callable[[str], subprocess.Popen[str]]:
    return _start_python


@pytest.fixture
def tiny_plan() -> Callable[..., dict[str, Any]]:
    return _tiny_plan


def _still_alive(pids: Iterable[int], patience: float = 3.0) -> set[int]:
    """Return which of `pids` still run after at most `patience` s; a zombie has ended."""
    left, deadline = set(pids), time.monotonic() + patience
    while left and time.monotonic() < deadline:
        left = {pid for pid in left if psutil.pid_exists(pid) and not _ended(pid)}
        time.sleep(0.02)
    return left


def _ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _start_python(code: str) -> subprocess.Popen[str]:
    """Start a Python process with the package importable and its output piped."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, env=environment(), stdout=pipe, stderr=pipe, text=True)


def _tiny_plan(**changes: Any) -> dict[str, Any]:
    """Return the content of a plan that takes seconds; None removes a key."""
    plan = {
        "scenario": "T",
        "phase": "tiny",
        "seed": 1,
        "services": {"compute": {"load": [40], "demand": 0.002}},
        "grid": {"p_compute": [0, 1.0], "c_1": [1, 3], "c_2": [1]},
        "visits": 2,
        "windows": 2,
        "window": 0.15,
        "settle": 0.05,
        "foreign_limit": 100.0,
        **changes,
    }
    return {key: value for key, value in json.loads(json.dumps(plan)).items() if value is not None}
