"""The page *Write your own system* runs as it stands: its blocks are executed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "book" / "write_your_own_system.md").read_text(encoding="utf-8")
SHOP, CHECK, CARTPOLE = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
COMMANDS = re.findall(r"^netrollout (.*)$", PAGE, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "shop.py").write_text(SHOP)
    return folder


def run(*words, cwd):
    return subprocess.run([sys.executable, "-W", "error", *words], cwd=cwd, capture_output=True, text=True,
                          env=os.environ | {"COLUMNS": "200"})  # fmt: skip


def netrollout(*words, cwd):
    return run("-W", "ignore", "-m", "netrollout.cli.main", *words, cwd=cwd)


def test_the_system_keeps_its_promises_and_is_planned(folder):
    done = run("-c", CHECK, cwd=folder)
    assert done.returncode == 0 and -6.0 < float(done.stdout) < -2.0, done.stderr


@pytest.mark.parametrize("words", COMMANDS)
def test_the_commands_of_the_page_run(words, folder):
    done = netrollout(*(a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', words)), cwd=folder)
    assert done.returncode == 0 and "optimal" in done.stdout, done.stderr


def test_the_id_begins_a_training(folder):
    program = (
        "import shop; from stable_baselines3 import PPO; PPO('MlpPolicy', 'netrollout/Shop-v0', n_steps=8).learn(8)"
    )
    done = run("-W", "ignore", "-c", program, cwd=folder)
    assert done.returncode == 0, done.stderr


def test_rollout_balances_the_pole(folder):
    fallen, stands = run("-c", CARTPOLE, cwd=folder).stdout.splitlines()
    assert stands == "[200. 200.]" and fallen != stands
    assert len([line for line in CARTPOLE.splitlines() if line.strip()]) <= 20


@pytest.mark.parametrize(
    ("file", "message"),
    [("nosuch.py", "expected a Python file that is there"), ("shop.txt", "expected a Python file that is there"),
     ("typing.py", "typing is the name of another module; rename the file")],
)  # fmt: skip
def test_a_file_that_cannot_be_loaded_is_refused_in_one_line(file, message, tmp_path):
    if file != "nosuch.py":
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / file).write_text("")
    done = netrollout("evaluate", "--load", f"folder/{file}", "shop", "optimal", cwd=tmp_path)
    assert done.returncode == 2 and message in done.stderr and len(done.stderr.splitlines()) == 1
