"""What a newcomer meets first: help, version, completion, a machine where little can be written, a missing library."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import netrollout
from netrollout.cli import common

HEAVY = {"numba", "sklearn", "pandas", "torch", "matplotlib", "netrollout.catalog"}


def run(*arguments, cwd, **variables):
    command = [sys.executable, "-W", "ignore", "-m", "netrollout.cli.main", *arguments]
    environment = os.environ | {"COLUMNS": "200"} | variables
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment)


def test_help_loads_nothing_heavy():
    program = f"import sys, netrollout.cli.main; print(*({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_version_is_that_of_the_package(tmp_path):
    done = run("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"netrollout {netrollout.__version__}\n")


def test_the_shell_completes_commands_and_systems(tmp_path):
    def completed(line):
        words = {"_NETROLLOUT_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
        program = "import sys; sys.argv[0] = 'netrollout'; from netrollout.cli.main import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, env=os.environ | words
        )
        return done.stdout.split()

    assert "evaluate" in completed("netrollout ev")
    assert {"mesh-s1", "mesh-s2"} <= set(completed("netrollout evaluate mesh"))


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A copy of the package in which no cache can be kept, as in a folder that may not be written."""
    home = tmp_path_factory.mktemp("locked")
    package = Path(netrollout.__file__).parent
    shutil.copytree(package, home / "netrollout", ignore=shutil.ignore_patterns("__pycache__"))
    (home / "netrollout" / "data").symlink_to(package.parents[1] / "data")
    for folder in [home / "netrollout", *(p for p in (home / "netrollout").rglob("*") if p.is_dir())]:
        if "data" not in folder.parts:
            (folder / "__pycache__").write_text("")  # a file where the folder of the cache would be
    return home


@pytest.mark.parametrize(
    "command",
    [("--help",), ("systems",), ("data", "list"), ("evaluate", "serverless", "hpa", "--seeds", "1"),
     ("evaluate", "mesh-s4", "hpa", "--seeds", "1"),
     ("export", "istio", "--system", "mesh-s2", "--setting", "p=0.8,c=3")],
    ids=lambda words: words[0],
)  # fmt: skip
def test_commands_run_where_neither_the_package_nor_the_home_can_be_written(command, locked, tmp_path):
    places = {name: "/dev/null" for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    done = run(*command, cwd=tmp_path, PYTHONPATH=str(locked), PYTHONDONTWRITEBYTECODE="1", **places)
    assert done.returncode == 0 and done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", [("evaluate", "mesh-s2", "ppo(steps=64)"), ("train", "mesh-s2", "dqn", "--steps", "64")], ids=str
)
def test_without_torch_training_ends_in_one_line(command, tmp_path):
    for library in ("torch", "stable_baselines3", "sb3_contrib"):
        (tmp_path / library).mkdir()
        (tmp_path / library / "__init__.py").write_text(f"raise ModuleNotFoundError('hidden', name={library!r})")
    done = run(*command, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert "pip install 'netrollout[train]'" in done.stderr


def test_what_is_planned_on_the_model_is_captioned_so(tmp_path):
    for command in (("evaluate", "walk", "optimal"), ("compare", "walk", "random", "rollout(optimal)")):
        done = run(*command, "--seeds", "2", cwd=tmp_path)
        said = " ".join(done.stdout.split())
        assert "optimal is planned on the model; the optimum of the plant itself is oracle" in said
    assert "planned on" not in run("evaluate", "walk", "random", "--seeds", "2", cwd=tmp_path).stdout


def test_a_terminal_is_told_that_something_goes_on_and_a_file_is_not(monkeypatch, capsys):
    monkeypatch.setattr(common, "PATIENCE", 0.01)
    for terminal in (True, False):
        monkeypatch.setattr(common, "ASIDE", common.Console(stderr=True, force_terminal=terminal))
        with common.working("planning"):
            time.sleep(0.3)
        assert ("planning ..." in capsys.readouterr().err) == terminal


@pytest.mark.parametrize(
    ("system", "rows"),
    [("mesh-s2", ["static │ CONTROL=VALUE", "rollout(POLICY) │ lookahead", "oracle │"]),
     ("serverless", ["hpa │ target=0.7, window=8, tolerance=0.1", "retrain(POLICY) │ warm=false"])],
)  # fmt: skip
def test_policies_lists_names_options_and_defaults(system, rows, tmp_path):
    done = run("policies", system, cwd=tmp_path)
    said = " ".join(done.stdout.split())
    assert done.returncode == 0 and all(row in said for row in rows), done.stdout


def test_policies_lists_what_set_may_say(tmp_path):
    done = run("policies", "mesh-s4", cwd=tmp_path)
    assert "--set of mesh-s4: discount, horizon" in done.stdout and "change=heavier|slower|shifted" in done.stdout


def test_policies_of_an_unknown_system_suggests_a_near_one(tmp_path):
    done = run("policies", "mesh-s22", cwd=tmp_path)
    assert done.returncode == 2 and "unknown system 'mesh-s22'; did you mean" in done.stderr
