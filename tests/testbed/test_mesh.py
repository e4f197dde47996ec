"""The live mesh does what it is told: routing, blocking, workers, demands, load."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from netrollout.testbed import Mesh

Helper = Callable[..., Any]  # see conftest.py

# These tests take random samples of a real system in real time, on a machine that others may use: chance fails one of
# them now and then, a bug fails it both times.  The summary counts every rerun.
pytestmark = pytest.mark.flaky(reruns=1, only_rerun="AssertionError")


def test_ten_thousand_requests_follow_the_routing_weight(mesh: Mesh, origin: Helper) -> None:
    mesh.demand({"compute": 1e-6})
    mesh.set(p={"compute": 0.8}, c={1: 6, 2: 6})
    answers = origin(mesh.send("compute", 10_000))
    assert set(answers) == {(200, 1), (200, 2)}
    assert answers[200, 1] / 10_000 == pytest.approx(0.8, abs=0.02)  # 5 standard deviations


def test_blocking_forty_percent_lets_sixty_succeed(mesh: Mesh) -> None:
    mesh.demand({"compute": 1e-6})
    mesh.set(b={"compute": 0.4}, c={1: 6, 2: 6})
    statuses = Counter(status for status, *_ in mesh.send("compute", 10_000))
    assert set(statuses) == {200, 429}
    assert statuses[200] / 10_000 == pytest.approx(0.6, abs=0.02)
    mesh.load({"compute": 200.0})
    row = mesh.window(1.0)
    assert row["cl_compute"] / row["l_compute"] == pytest.approx(0.6, abs=0.14)
    assert row["n_compute"] == pytest.approx(row["cl_compute"], abs=10)


def test_services_are_routed_and_blocked_apart(mesh: Mesh, origin: Helper) -> None:
    mesh.set(p={"compute": 1.0, "info": 0.0}, b={"info": 1.0})
    assert origin(mesh.send("compute", 40)) == {(200, 1): 40}
    assert origin(mesh.send("info", 40)) == {(429, 0): 40}
    mesh.set(b={"info": 0.0})
    assert origin(mesh.send("info", 40)) == {(200, 2): 40}


def test_changing_the_number_of_workers_drops_no_request(mesh: Mesh) -> None:
    answers: list[tuple[int, int, float]] = []
    sender = threading.Thread(target=lambda: answers.extend(mesh.send("compute", 200, concurrency=50)))
    sender.start()
    while sender.is_alive():
        for c in (1, 5, 2, 6):
            mesh.set(c={1: c, 2: c})
    assert [status for status, *_ in answers] == [200] * 200


def test_at_high_load_each_further_worker_makes_responses_faster(mesh: Mesh) -> None:
    if os.nice(0) > 0:
        pytest.skip("runs at low priority itself, so that other processes decide how long it takes")
    mesh.demand({"compute": 0.002})
    mesh.set(p={"compute": 1.0})
    delays: dict[int, list[float]] = {c: [] for c in (1, 2, 3, 4)}
    for c in [1, 2, 3, 4] * 10:  # interleaved, so that a drift of the machine meets each c alike
        mesh.set(c={1: c})
        delays[c].append(np.mean([seconds for _, _, seconds in mesh.send("compute", 60, concurrency=16)]))
    for c in (1, 2, 3):
        faster = stats.ttest_ind(np.log(delays[c]), np.log(delays[c + 1]), alternative="greater")
        assert faster.pvalue < 0.05, delays


def test_heavier_requests_and_a_slower_node_take_longer(mesh: Mesh) -> None:
    mesh.set(p={"compute": 0.5}, c={1: 4, 2: 4})
    mesh.load({"compute": 40.0})
    normal = mesh.window(1.0)
    mesh.slow({2: 4.0})
    mesh.wait(0.2)
    slow = mesh.window(1.0)
    assert slow["d_compute_2"] > 2 * slow["d_compute_1"]
    assert slow["busy_2"] > 2 * slow["busy_1"]
    mesh.slow({2: 1.0})
    mesh.demand({"compute": 0.016})
    mesh.wait(0.2)
    assert mesh.window(1.0)["d_compute"] > 2 * normal["d_compute"]


def test_load_is_the_rate_asked_for_and_a_window_has_the_agreed_columns(mesh: Mesh) -> None:
    mesh.load({"compute": 300.0, "info": 100.0})
    mesh.demand({"compute": 1e-4, "info": 1e-4})
    row = mesh.window(1.5)
    assert row["l_compute"] == pytest.approx(300, abs=60)  # 4 standard deviations
    assert row["l_info"] == pytest.approx(100, abs=35)
    per_service = ["target_l_{}", "l_{}", "b_{}", "cl_{}", "p_{}", "d_{}", "d_{}_std", "d_{}_p90", "d_{}_p99"]
    per_service += ["n_{}", "timeout_{}", "late_{}", "d_{}_1", "n_{}_1", "d_{}_2", "n_{}_2"]
    expected = ["t", "duration", *(name.format(s) for s in ("compute", "info") for name in per_service)]
    assert list(row) == [
        *expected,
        *(f"{name}_{k}" for k in (1, 2) for name in ("c", "busy", "busy_seconds", "queue")),
        "foreign_cpu",
        "steal",
        "fault",
    ]


def test_overload_is_measured_as_timeouts_and_requests_that_timed_out_leave_the_queue(envoy: None) -> None:
    with Mesh({"compute": 0.05}, timeout=0.3) as mesh:
        mesh.set(p={"compute": 1.0})
        mesh.load({"compute": 50.0})
        mesh.wait(0.5)
        row = mesh.window(1.0)
        assert row["l_compute"] > 30  # open loop: nobody waits for answers
        assert row["timeout_compute"] > 20
        assert mesh.queues()[1] < 0.3 * 50 + 20
        assert mesh.drain()
        assert mesh.queues() == {1: 0, 2: 0}
