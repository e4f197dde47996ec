"""Logs of live runs are judged as they stand, and compared seed by seed."""

import json

import pytest

from netrollout.studies.closed_loop_logs import live_runs, paired
from netrollout.types import InputError


def log(folder, policy, seed, d, change_at=4, alarm=None, begin=10.0):
    """Write a log of S2 (bound 53.9 ms); a window of 2 s every 2.5 s."""
    lines = [{"schema": 1, "policy": policy, "explore": "none", "scenario": "S2", "seed": seed, "change_at": change_at}]
    for cycle, response in enumerate(d):
        late = response > 0.0539
        lines.append({"cycle": cycle, "setting": {"p_compute": 4, "c_1": 1 + (cycle > 8)}, "d": [response],
                      "reward": 0.0539 - response if late else 0.4, "violation": late,
                      "alarm": cycle == alarm, "usable": cycle != 1, "seconds": {"plan": 0.001, "refit": 0.002},
                      "notes": {"t": begin + 2.5 * cycle, "duration": 2.0, "foreign_cpu": 0.1}})  # fmt: skip
    file = folder / f"{policy}-{seed}.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_a_log_is_judged_on_the_clock_that_starts_with_the_change(tmp_path):
    d = [0.03] * 4 + [0.09] * 3 + [0.04] * 7
    (run,) = live_runs([log(tmp_path, "rollout", 1, d, alarm=5)], "S2")
    assert run.mean_reward == pytest.approx((3 * (0.0539 - 0.09) + 7 * 0.4) / 10)
    assert (run.late, run.delay, run.false_alarms, run.unusable) == (0.3, 2.0, 0, 1)
    assert run.recovery == 2.0, "five windows from there have a mean within the bound"
    assert run.seconds == pytest.approx(2.5 + 2.0)
    assert run.quiet_reward == pytest.approx(0.4) and run.computing == pytest.approx(0.003)
    assert (run.workers, run.settled) == (pytest.approx(2.5), 0.04)
    assert run.foreign_cpu == pytest.approx(0.1)


def test_what_does_not_recover_and_raises_no_alarm_has_the_whole_time(tmp_path):
    (run,) = live_runs([log(tmp_path, "base", 1, [0.03] * 4 + [0.09] * 10)], "S2")
    assert (run.recovery, run.delay) == (10.0, 10.0)


def test_policies_are_compared_over_the_seeds_that_both_ran(tmp_path):
    files = [log(tmp_path, "base", seed, [0.03] * 4 + [0.09] * 10) for seed in (1, 2, 3)]
    files += [log(tmp_path, "rollout", seed, [0.03] * 14) for seed in (2, 3, 4)]
    gain = paired(live_runs(files, "S2"), "rollout", "base")
    assert gain.value == pytest.approx(0.4 - (0.0539 - 0.09)) and gain.n == 2
    with pytest.raises(InputError, match="0 seeds were run with both hpa and base; two are needed"):
        paired(live_runs(files, "S2"), "hpa", "base")


def test_logs_of_other_scenarios_are_left_out(tmp_path):
    assert live_runs([log(tmp_path, "base", 1, [0.03] * 14)], "release") == []


def test_a_log_that_ends_before_its_change_is_refused(tmp_path):
    with pytest.raises(InputError, match="ends with cycle 2, before the change in cycle 4"):
        live_runs([log(tmp_path, "base", 1, [0.03] * 3)], "S2")
