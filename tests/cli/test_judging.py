"""systems, evaluate, compare and train as a user meets them: tables, JSON, and one line for what is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "netrollout.cli.main", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
    )


def test_systems_lists_every_name(tmp_path):
    done = run("systems", cwd=tmp_path)
    assert done.returncode == 0
    for name in ("mesh-s1", "mesh-s2", "mesh-s3", "walk", "900", "p_compute"):
        assert name in done.stdout


def test_evaluate_writes_what_it_prints(tmp_path):
    done = run("evaluate", "mesh-s2", "static", "--seeds", 4, "--json", "r.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "r.json").read_text())
    value = record["values"]["return"]
    assert set(value) == {"value", "low", "high", "level", "n", "unit", "how"}
    assert value["low"] <= value["value"] <= value["high"] and value["n"] == 4
    assert f"{value['value']:.4g}" in done.stdout
    assert record["policy"] == "static" and record["seeds"] == [0, 1, 2, 3]


def test_the_installed_command_is_the_same_program(tmp_path):
    command = Path(sys.executable).with_name("netrollout")
    done = subprocess.run([command, "evaluate", "mesh-s9", "static"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("netrollout: unknown system 'mesh-s9'") and len(done.stderr.splitlines()) == 1


def test_the_same_seeds_give_the_same_file(tmp_path):
    for name in ("a.json", "b.json"):
        run("evaluate", "mesh-s2", "random", "--seeds", 3, "--json", name, cwd=tmp_path)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_compare_is_paired_with_the_first(tmp_path):
    done = run(
        "compare", "mesh-s2", "static", "walk( static )", "rollout(static)", "--set", "phase=after", "--seeds", 4,
        "--json", "r.json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "r.json").read_text())
    assert list(record["policies"]) == sorted(["static", "walk(static)", "rollout(static)"])
    assert record["policies"]["static"]["difference"]["value"] == 0
    walk, static = (record["policies"][name]["return"]["value"] for name in ("walk(static)", "static"))
    assert record["policies"]["walk(static)"]["difference"]["value"] == pytest.approx(walk - static)


def test_a_trained_policy_is_named_by_its_file(tmp_path):
    trained = run("train", "walk", "ppo", "--steps", 512, "--out", "p.npz", cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    done = run("evaluate", "walk", "ppo(file=p.npz)", "--seeds", 3, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "mesh-s9", "static"], "unknown system 'mesh-s9'; did you mean mesh-s"),
        (["evaluate", "mesh-s2", "statik"], "unknown policy 'statik'; did you mean static"),
        (["evaluate", "mesh-s2", "static", "--set", "phase"], "expected KEY=VALUE"),
        (["evaluate", "mesh-s2", "static", "--set", "phase=before", "--set", "phase=after"], "given twice"),
        (["evaluate", "mesh-s2", "static", "--set", "fase=after"], "mesh-s2 has no option 'fase'; did you mean phase"),
        (["evaluate", "mesh-s2", "static", "--json", "no/folder/r.json"], "give a file in a folder that exists"),
        (["evaluate", "walk", "random", "--set", "name=x"], "no option 'name'"),
        (["evaluate", "walk", "random", "--set", "seed=-1"], "seed=-1: expected a whole number from 0"),
        (["evaluate", "walk", "random", "--json", "."], "is a folder"),
        (["compare", "mesh-s2", "static"], "at least two policies"),
        (["train", "walk", "a2c"], "unknown algorithm 'a2c'"),
        (["train", "walk", "ppo", "--out", "no/folder/p.npz"], "its folder does not exist"),
        (["train", "walk", "ppo", "--out", "."], "is a folder"),
        (["evaluate", "walk", "ppo(file=absent.npz)"], "no such file"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(tmp_path, arguments, message):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_no_seeds_are_refused(tmp_path):
    done = run("evaluate", "walk", "optimal", "--seeds", 0, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
