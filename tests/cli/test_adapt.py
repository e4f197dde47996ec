"""`netrollout adapt` as a user meets it: lines and logs from the simulator, resuming, errors of one line."""

import json
import sys
from types import SimpleNamespace

import pytest

from netrollout.cli.main import main


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder, in this process."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["netrollout", "adapt", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return SimpleNamespace(returncode=end.value.code or 0, stdout=out, stderr=err)

    return command


def cycles(file):
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("time", "seconds")} for line in lines[1:]]


def test_the_simulator_tells_every_cycle_and_logs_it(run, tmp_path):
    done = run("--cycles", 60, "--change-at", 30, "--log", "a.jsonl")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 60 and "the change" in lines[30] and "change detected" in done.stdout
    assert done.stderr.strip() == "60 cycles, written to a.jsonl"
    logged = cycles(tmp_path / "a.jsonl")
    assert [line["cycle"] for line in logged] == list(range(60))
    assert set(logged[0]["setting"]) == {"p_compute", "c_1"}


def test_a_resumed_run_equals_one_that_was_never_interrupted(run, tmp_path):
    common = ("--explore", "epsilon", "--change-at", 8, "--seed", 4)
    run("--cycles", 25, *common, "--log", "whole.jsonl")
    run("--cycles", 12, *common, "--log", "cut.jsonl")
    with (tmp_path / "cut.jsonl").open("a") as file:
        file.write('{"cycle": 12, "ti')  # as a kill would leave it
    done = run("--cycles", 25, *common, "--log", "cut.jsonl", "--resume")
    assert done.returncode == 0, done.stderr
    assert cycles(tmp_path / "cut.jsonl") == cycles(tmp_path / "whole.jsonl")


@pytest.mark.parametrize("policy", ["none", "static", "static-new", "hpa", "base", "retrain", "walk", "dp", "rollout-1",
                                    "rollout-true", "optimum"])  # fmt: skip
def test_every_policy_runs(run, policy):
    done = run("--cycles", 6, "--change-at", 2, "--policy", policy)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 6, done.stderr


def test_the_load_moves_and_a_trace_is_replayed(run, tmp_path):
    moved = run("--scenario", "S3", "--cycles", 60, "--change-at", 5, "--log", "s3.jsonl")
    assert moved.returncode == 0, moved.stderr
    loads = [line["load"] for line in cycles(tmp_path / "s3.jsonl")]
    assert set(loads[:6]) == {0} and len(set(loads)) > 1
    assert run("--plant", "trace", "--cycles", 5).returncode == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--plant", "cloud"), "--plant cloud: choose one of simulator, testbed, trace"),
        (
            ("--scenario", "S9"),
            "unknown scenario 'S9' of the closed loop; known: S2, S2-slow, S2-kill, S3, release, S4",
        ),
        (("--scenario", "S2-slow"), "scenario S2-slow is known on the testbed only; the simulator has S2, S3, release"),
        (("--policy", "magic"), "policy magic: unknown policy 'magic'"),
        (("--policy", "hpa", "--explore", "epsilon"), "exploration epsilon: hpa does not plan; give one of retrain"),
        (("--explore", "ucb"), "unknown exploration 'ucb'; known: none, epsilon, optimism, thompson"),
        (("--resume",), "--resume needs the --log to go on with"),
        (("--resume", "--log", "no.jsonl"), "--log no.jsonl does not exist; leave out --resume"),
        (
            ("--log", "nowhere/a.jsonl"),
            "--log nowhere/a.jsonl: its folder does not exist",
        ),
        (("--foreign-limit", 1), "--foreign-limit belongs to --plant testbed"),
        (("--priority", "normal"), "--priority belongs to --plant testbed"),
        (("--plant", "testbed", "--priority", "high"), "--priority 'high' must be one of realtime, normal"),
        (("--report", "a.md"), "--at, --report and --json belong to --spec and --trace"),
        (("--spec", "a.yaml", "--trace", "a.csv", "--policy", "walk"), "--policy belongs to the loop on a plant"),
        (("--spec", "a.yaml"), "--spec and --trace go together: give both or neither"),
        (
            ("--plant", "command"),
            "--every, --dry-run and --plant kubernetes, prometheus or command need --spec and --trace",
        ),
        (("--spec", "a", "--trace", "b", "--dry-run"), "--every and --dry-run need --plant, one of kubernetes"),
        (("--spec", "a", "--trace", "b", "--plant", "command", "--policy", "walk"), "--policy belongs to the loop"),
        (("--spec", "a", "--trace", "b", "--plant", "command", "--json", "x.json"), "--report and --json belong to a"),
        (("--spec", "a", "--trace", "b", "--plant", "testbed"), "--plant belongs to the loop on a plant"),
    ],
)
def test_what_is_wrong_is_one_line(run, tmp_path, options, message):
    done = run(*options, *(() if "--trace" in options else ("--cycles", 3)))
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"netrollout: {message}") and len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_resumed_working_day_equals_one_that_was_never_interrupted(run, tmp_path):
    common = ("--scenario", "S5", "--policy", "hpa(target=0.5)", "--change-at", 5)
    whole = run("--cycles", 20, *common, "--log", "whole.jsonl")
    assert whole.returncode == 0 and "the change" in whole.stdout.splitlines()[5], whole.stderr
    run("--cycles", 9, *common, "--log", "cut.jsonl")
    done = run("--cycles", 20, *common, "--log", "cut.jsonl", "--resume")
    assert done.returncode == 0 and done.stderr.strip() == "20 cycles, written to cut.jsonl"
    assert cycles(tmp_path / "cut.jsonl") == cycles(tmp_path / "whole.jsonl")
    other = run("--scenario", "S5", "--policy", "walk", "--log", "cut.jsonl", "--resume", "--change-at", 5)
    assert other.returncode == 2 and "was made with policy=hpa(target=0.5), not walk" in other.stderr


def test_the_working_day_is_not_explored_and_no_trace_has_it(run):
    done = run("--scenario", "S5", "--plant", "trace")
    assert done.returncode == 2 and "is played on the simulator or the testbed" in done.stderr


def test_the_edge_is_adapted_and_resumed(run, tmp_path):
    common = ("--scenario", "edge-moved", "--policy", "predictive", "--change-at", 5)
    run("--cycles", 20, *common, "--log", "whole.jsonl")
    run("--cycles", 9, *common, "--log", "cut.jsonl")
    done = run("--cycles", 20, *common, "--log", "cut.jsonl", "--resume")
    assert done.returncode == 0 and "the change" in run("--cycles", 6, *common).stdout.splitlines()[5], done.stderr
    assert cycles(tmp_path / "cut.jsonl") == cycles(tmp_path / "whole.jsonl")
