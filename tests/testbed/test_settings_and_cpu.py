"""Checks of settings, and the account of who used the processor."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from netrollout.testbed.cpu import SCHED_IDLE, Cpu, disturbance, read_cpu
from netrollout.testbed.settings import Settings


@pytest.mark.parametrize(
    "change",
    [
        {"p": {"compute": 1.1}},
        {"b": {"compute": -0.1}},
        {"c": {1: 0}},
        {"c": {1: 7}},
        {"c": {1: 1.5}},
        {"c": {3: 1}},
        {"p": {"info": 0.5}},
        {"load": {"compute": -1}},
        {"slow": {1: 0}},
    ],
)
def test_a_bad_setting_is_refused_and_changes_nothing(change: dict[str, dict[object, float]]) -> None:
    settings = Settings.initial({"compute": 0.008}, max_workers=6)
    with pytest.raises(ValueError, match=f"^{next(iter(change))}"):
        settings.change(demand={"compute": 1.0}, **change)
    assert settings == Settings.initial({"compute": 0.008}, max_workers=6)


def test_shares_are_rounded_to_the_percents_that_envoy_knows() -> None:
    settings = Settings.initial({"compute": 0.008}, max_workers=6)
    settings.change(p={"compute": 1 / 3}, b={"compute": 0.125})
    assert settings.p == {"compute": 0.33}
    assert settings.b == {"compute": 0.12}


def test_an_unknown_service_is_refused() -> None:
    with pytest.raises(ValueError, match="storage"):
        Settings.initial({"storage": 0.1}, max_workers=6)


def test_foreign_is_what_is_neither_ours_nor_yields() -> None:
    before = Cpu(normal=10, steal=1, total=100, ours=5, yielding=2, rival=1)
    after = Cpu(normal=14, steal=1.4, total=104, ours=6, yielding=3, rival=1.5)
    assert disturbance(before, after, 2.0) == pytest.approx({"foreign_cpu": 1.0, "steal": 0.1})
    assert disturbance(before, after, 2.0, "realtime") == pytest.approx({"foreign_cpu": 0.25, "steal": 0.1})


def test_ticks_that_do_not_add_up_are_no_negative_disturbance() -> None:
    before, after = Cpu(10, 0, 100, 5, 0, 0), Cpu(10.5, 0, 104, 6, 0, 0)
    assert disturbance(before, after, 2.0)["foreign_cpu"] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("prefix", "disturbs"), [("", True), ("nice -n 19 ", False), ("chrt -i 0 ", False)])
@pytest.mark.flaky(reruns=1, only_rerun="AssertionError")  # a neighbour of the machine may begin in the same moment
def test_a_stranger_counts_unless_it_yields(prefix: str, disturbs: bool) -> None:
    if os.nice(0) > 0 or os.sched_getscheduler(0) == SCHED_IDLE:
        pytest.skip("runs at low priority itself, which the stranger would inherit")
    # The shell ends at once, so that the busy loop is an orphan and not of our tree.
    busy = f"{prefix}timeout 1.2 sh -c 'while :; do :; done' >/dev/null 2>&1 &"
    quiet = _disturbance()
    subprocess.run(busy, shell=True, check=True)
    time.sleep(0.1)
    extra = _disturbance() - quiet
    assert (extra > 0.5) if disturbs else (extra < 0.35)


def _disturbance() -> float:
    before, start = read_cpu(), time.monotonic()
    time.sleep(0.8)
    return disturbance(before, read_cpu(), time.monotonic() - start)["foreign_cpu"]
