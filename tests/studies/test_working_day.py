"""Runs of the working day judged by what was registered."""

import json

import numpy as np
import pytest

from netrollout.adapt import run
from netrollout.loop import make_loop
from netrollout.studies.working_day import DayRun, difference, estimates, judged, logged, verdicts
from netrollout.systems.queues.plants import line_of
from netrollout.types import InputError


def test_a_log_is_judged_as_its_windows_are(tmp_path):
    loop = make_loop("S5")
    records = run(loop.simulated(48, 3), loop.controller("hpa(target=0.5)", seed=3), 16)
    windows = [record.window for record in records]
    lines = [{"cycle": k, **line_of(window, ("p_compute", "c_1"))} for k, window in enumerate(windows)]
    header = {"schema": 1, "scenario": "S5", "policy": "hpa", "seed": 3, "change_at": 6}
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [header, *lines]))
    (found,) = logged([tmp_path / "a.jsonl"])
    assert found == judged("hpa", 3, windows[6:])
    late, ended = (sum(values) for values in zip(*((w.late * w.ended, w.ended) for w in windows[6:]), strict=True))
    assert found.late == pytest.approx(late / ended)
    (tmp_path / "a.jsonl").write_text(json.dumps({**header, "change_at": 16}) + "\n")
    with pytest.raises(InputError, match="goes on after its change"):
        logged([tmp_path / "a.jsonl"])


def runs(**rewards):
    """Runs of eight seeds with mean end points about the given rewards."""
    noise = np.random.default_rng(0).normal(0.0, 0.004, (len(rewards), 8))
    return [DayRun(policy, seed, 0.05 - 0.1 * (reward + noise[k, seed]), 4.0 - reward, reward + noise[k, seed])
            for k, (policy, reward) in enumerate(rewards.items()) for seed in range(8)]  # fmt: skip


def test_a_sign_is_found_where_the_whole_interval_has_it_and_a_tie_within_the_margin():
    told = verdicts(runs(rollout=-0.3, unadapted=-1.0, walk=-0.4, hpa=-0.2, predictive=-0.301))
    found = {(verdict.against, verdict.point): verdict.found for verdict in told}
    assert found["unadapted", "reward"] == found["unadapted", "late"] == "as foretold"
    assert found["walk", "workers"] == found["predictive", "reward"] == "as foretold"
    assert found["hpa", "reward"] == "contrary"
    far = verdicts(runs(rollout=-0.3, unadapted=-1.0, walk=-0.3, hpa=-0.4, predictive=-0.4))
    found = {(verdict.against, verdict.point): verdict.found for verdict in far}
    assert found["walk", "reward"] == "undecided" and found["predictive", "reward"] == "contrary"


def test_differences_are_paired_by_seed_and_need_two():
    few = runs(rollout=-0.3, hpa=-0.4)[:9]
    assert estimates(few, "rollout")["reward"].n == 8
    with pytest.raises(InputError, match="at least two units"):
        difference(few, "rollout", "hpa", "reward")
