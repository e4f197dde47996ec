"""kill -9 at random moments: whatever is begun again ends in the same bits, and leaves no process and no half file.

Two kills each here; ``pytest --hypothesis-profile=nightly tests/test_kills.py`` makes it twenty.
"""

import json
import subprocess
import sys
import time

import psutil
import pytest

from netrollout.seeding import spawn

LONGEST = 3.0  # s from start to kill; within it every command is importing, working or writing
COMMANDS = {
    "train": ("train", "walk", "sarsa", "--episodes", 2000, "--every", 10, "--evaluations", 2, "--out", "table.npz"),
    "adapt": ("adapt", "--cycles", 120, "--change-at", 40, "--explore", "epsilon", "--seed", 4, "--log", "log.jsonl"),
}
BEGUN = {"train": "table.npz.checkpoint", "adapt": "log.jsonl"}


def start(kind, folder):
    resume = ["--resume"] if (folder / BEGUN[kind]).exists() else []
    line = [sys.executable, "-W", "ignore", "-m", "netrollout.cli.main", *map(str, COMMANDS[kind]), *resume]
    return subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(kind, folder):
    process = start(kind, folder)
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def kept(kind, folder):
    """Return what must be the same: bytes, but in a log the times of day and of computing."""
    if kind == "train":
        return (folder / "table.npz").read_bytes(), (folder / "table.npz.curve.json").read_bytes()
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("time", "seconds", "begun")} for line in lines]


@pytest.mark.parametrize("kind", COMMANDS)
def test_what_is_killed_at_random_goes_on_to_the_same_bits(tmp_path, kind, kills):
    whole, cut, rng = tmp_path / "whole", tmp_path / "cut", spawn(1, "kills", kind)
    whole.mkdir()
    cut.mkdir()
    finished(kind, whole)
    for _ in range(kills):
        process = start(kind, cut)
        time.sleep(rng.uniform(0.0, LONGEST))
        family = [process, *psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
        process.kill()
        process.communicate()
        assert not [one for one in family[1:] if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    if process.returncode != 0:
        finished(kind, cut)
    assert kept(kind, cut) == kept(kind, whole)
    assert sorted(p.name for p in cut.iterdir()) == sorted(p.name for p in whole.iterdir())
