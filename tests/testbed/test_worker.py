"""The CPU limit of a worker: arithmetic of the throttle, and the real thing."""

from __future__ import annotations

import time

import numpy as np
import pytest

from netrollout.testbed.worker import PIECES, Throttle, work


def test_below_its_budget_a_worker_is_not_held() -> None:
    throttle = Throttle(quota=0.2, period=0.02)  # 4 ms in each 20 ms
    assert throttle.charge(100.001, 0.0015) == 0
    assert throttle.charge(100.003, 0.0015) == 0


def test_a_used_up_budget_holds_to_the_start_of_the_next_period() -> None:
    throttle = Throttle(quota=0.2, period=0.02)
    throttle.charge(100.001, 0.003)
    assert throttle.charge(100.005, 0.0015) == pytest.approx(0.015)
    assert throttle.charge(100.012, 0.0) == pytest.approx(0.008)  # the next request meets it, too
    assert throttle.charge(100.0201, 0.0) == 0


def test_unused_budget_does_not_accumulate() -> None:
    throttle = Throttle(quota=0.2, period=0.02)
    throttle.charge(100.0, 0.0)
    assert throttle.charge(101.001, 0.0045) == pytest.approx(0.019)


def test_the_phase_moves_the_grid() -> None:
    throttle = Throttle(quota=0.2, period=0.02, phase=0.005)
    assert throttle.charge(100.006, 0.004) == pytest.approx(0.019)


def test_no_period_gets_more_than_its_budget_and_one_piece() -> None:
    throttle, now, used = Throttle(0.2, 0.02), 0.0, dict.fromkeys(range(100), 0.0)
    rng = np.random.default_rng(0)
    while now < 1.9:
        piece = rng.uniform(0, 0.0003)
        now += piece
        used[int(now / 0.02)] += piece
        now += throttle.charge(now, piece) + 1e-9
    assert max(used.values()) <= 0.004 + 0.0003
    assert sum(used.values()) == pytest.approx(0.2 * 1.9, rel=0.1)


@pytest.mark.parametrize("service", PIECES)
def test_work_consumes_its_demand_in_small_pieces_and_no_faster_than_the_limit(service: str) -> None:
    piece = PIECES[service](np.random.default_rng(0))
    wall, cpu = time.monotonic(), time.thread_time()
    work(piece, 0.02, Throttle(0.2, 0.02))  # five budgets: at least four full periods and a bit
    assert time.thread_time() - cpu == pytest.approx(0.02, abs=0.003)
    assert 0.06 < time.monotonic() - wall < 0.3
