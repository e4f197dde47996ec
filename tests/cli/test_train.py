"""`netrollout train` as a user meets it: what it writes, how it goes on, and one line for what is wrong."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from netrollout.catalog import make
from netrollout.cli.main import main
from netrollout.learn import load

LONG = ("walk", "sarsa", "--episodes", 3000, "--every", 10, "--evaluations", 2)


def command(*arguments):
    return [sys.executable, "-W", "ignore", "-m", "netrollout.cli.main", "train", *map(str, arguments)]


def train(*arguments, cwd):
    return subprocess.run(
        command(*arguments), cwd=cwd, capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"}
    )


def test_a_table_its_curve_and_its_checkpoint_are_written(tmp_path):
    done = train("walk", "--algo", "q-learning", "--episodes", 30, "--evaluations", 3, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "walk-qlearning.npz", "walk-qlearning.npz.checkpoint", "walk-qlearning.npz.curve.json",
    ]  # fmt: skip
    assert load(tmp_path / "walk-qlearning.npz", make("walk"), "qlearning").visits.sum() == 300
    assert (
        "30 episodes: " in done.stderr and "mean undiscounted return of 3 greedy episodes on the model" in done.stderr
    )
    curve = json.loads((tmp_path / "walk-qlearning.npz.curve.json").read_text())
    assert [row["done"] for row in curve["evaluations"]] == list(range(0, 31, 3))
    assert all(len(row["episodes"]) == 3 for row in curve["evaluations"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a training that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    assert train(*LONG, "--out", "whole.npz", cwd=folder).returncode == 0
    return folder


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_training_that_was_stopped_goes_on_to_the_same_table(tmp_path, whole, how):
    process = subprocess.Popen(command(*LONG, "--out", "part.npz"), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "part.npz.checkpoint").exists():
        time.sleep(0.005)
        assert process.poll() is None, process.stderr.read()
    process.send_signal(how)
    _, errors = process.communicate()
    assert not (tmp_path / "part.npz").exists()
    if how == signal.SIGINT:
        assert process.returncode == 130 and "part.npz.checkpoint keeps the last segment" in errors
        assert "Traceback" not in errors
    done = train(*LONG, "--out", "part.npz", "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = (load(file, make("walk")) for file in (whole / "whole.npz", tmp_path / "part.npz"))
    assert np.array_equal(first.q, second.q) and np.array_equal(first.visits, second.visits)
    assert (whole / "whole.npz.curve.json").read_bytes() == (tmp_path / "part.npz.curve.json").read_bytes()


def test_a_network_is_written(tmp_path):
    done = train("walk", "dqn", "--steps", 64, "--evaluations", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "walk-dqn.npz").exists()


@pytest.mark.parametrize(
    ("system", "arguments"),
    [
        ("walk", ["dqn", "--steps", "64"]),
        ("walk", ["ppo", "--steps", "64", "--variant", "continuous"]),
        ("mesh-s2", ["q-learning", "--episodes", "5"]),
        ("mesh-s2", ["td3", "--steps", "64"]),
        ("mesh-s4", ["sarsa", "--episodes", "2"]),
        ("serverless", ["sarsa", "--episodes", "2", "--variant", "published"]),
        ("serverless", ["sac", "--steps", "64"]),
    ],
)
def test_what_train_writes_is_what_evaluate_reads_on_every_system(tmp_path, monkeypatch, capsys, system, arguments):
    monkeypatch.chdir(tmp_path)
    kind = {"q-learning": "qlearning"}.get(arguments[0], arguments[0])
    run(monkeypatch, "train", system, *arguments, "--evaluations", "1", "--every", "1000")
    run(monkeypatch, "evaluate", system, f"{kind}(file={system}-{kind}.npz)", "--seeds", "1")
    assert f"{kind}(file={system}-{kind}.npz)" in capsys.readouterr().out


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["netrollout", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["walk"], "--algo: which algorithm? known: sarsa, qlearning, dqn, ppo, sac, td3"),
        (["walk", "--algo", "sarse"], "unknown algorithm 'sarse'; did you mean sarsa?"),
        (["walk", "ppo", "--algo", "dqn"], "--algo dqn: the algorithm is already given as ppo"),
        (["walk", "sarsa", "--steps", "10"], "--steps: sarsa counts episodes; give --episodes"),
        (["walk", "dqn", "--episodes", "10"], "--episodes: dqn counts steps; give --steps"),
        (["walk", "ppo", "--variant", "published"], "ppo has no variant 'published'; known are unmasked, continuous"),
        (["walk", "sarsa", "--resume"], "--resume: there is no walk-sarsa.npz.checkpoint"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["netrollout", "train", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    errors = capsys.readouterr().err
    assert end.value.code == 2
    assert message in errors and len(errors.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
