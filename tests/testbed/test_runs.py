"""Campaigns of closed loops: their order, and what a campaign that was interrupted still does."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from netrollout.cli.main import app
from netrollout.testbed.runs import Run, read_runs
from netrollout.types import InputError

PLANS = Path(__file__).resolve().parents[2] / "data" / "live" / "plans"
TWO = "{seed: 1, runs: [{scenario: S5, policies: [a, b], seeds: [1, 2], cycles: 3, change_at: 1}]}"


def test_the_working_day_runs_all_policies_of_a_seed_before_the_next_in_an_order_of_its_own() -> None:
    runs = read_runs(PLANS / "s5.yml")
    assert len(runs) == len({run.log for run in runs}) == 40 and runs == read_runs(PLANS / "s5.yml")
    blocks = [runs[k : k + 5] for k in range(0, 40, 5)]
    assert all(len({run.seed for run in block}) == 1 for block in blocks)
    assert len({tuple(run.policy for run in block) for block in blocks}) > 4


def test_the_release_marks_a_window_only_above_the_share_of_the_testbed_beside_it(tmp_path: Path) -> None:
    runs = read_runs(PLANS / "release.yml")
    assert len(runs) == 24 and "--foreign-limit=1.0" in runs[0].command(tmp_path, False)


def test_the_pilot_of_static_settings_comes_after_the_change() -> None:
    assert [(run.policy, run.change_at) for run in read_runs(PLANS / "s5-pilot.yml")] != []
    assert read_runs(PLANS / "s5-pilot.yml")[0].log.startswith("S5-static-p-1-c-")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "line 1: the plan of a campaign is a mapping"),
        ("{seed: 1, runs: [{scenario: S5}]}", "runs: policies is missing"),
        (TWO.replace("[1, 2]", "[x]"), "runs.seeds: 'x' is no finite number"),
        (TWO.replace("[a, b]", "a"), "runs.policies: expected a list"),
        (TWO.replace("cycles: 3", "cycles: 0"), "runs.cycles: 0 must be a whole number of at least 1"),
        (TWO.replace("[1, 2]", "[1, 1]"), "two runs would be written to S5-"),
        (
            TWO.replace("seed: 1,", "seed: 1, foreign_limit: -1,"),
            "foreign_limit: ",
        ),
        ("{", "is no YAML"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "plan.yml").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_runs(tmp_path / "plan.yml")
    assert "\n" not in str(error.value)


def fake(self: Run, folder: Path, resume: bool) -> list[str]:
    """Write the log that the run would have written; the policy b breaks in its second cycle the first time."""
    have = (folder / self.log).read_text().count("\n") - 1 if resume else 0
    cycles = have + 1 if self.policy == "b" and not resume else self.cycles
    lines = [] if resume else [json.dumps({"schema": 1, "resumed": resume})]
    lines += [json.dumps({"cycle": k, "resumed": resume}) for k in range(have, cycles)]
    text = "".join(line + "\n" for line in lines)
    program = f"open({str(folder / self.log)!r}, 'a').write({text!r}); raise SystemExit({int(cycles < self.cycles)})"
    return [sys.executable, "-c", program]


def test_a_campaign_skips_what_is_done_and_goes_on_with_what_is_not(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(Run, "command", fake)
    (tmp_path / "plan.yml").write_text(TWO)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "S5-a-1.jsonl").write_text("half a hea")
    command = ["testbed", "campaign", "--plan", str(tmp_path / "plan.yml"), "--out", str(tmp_path / "out")]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 1 and "2 of 4 runs failed: S5-b-" in first.output
    second = CliRunner().invoke(app, command)
    assert second.exit_code == 0 and "from cycle 1" in second.output and "S5-a" not in second.output
    for file in (tmp_path / "out").iterdir():
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert [line.get("cycle") for line in lines] == [None, 0, 1, 2]
        assert [line["resumed"] for line in lines[1:]] == ([False, True, True] if "-b-" in file.name else [False] * 3)
