"""`netrollout serverless replay`: recorded episodes, simulated again."""

import json
import os
import subprocess
import sys

import pytest

from netrollout.systems.serverless.replay import Episode, final_qos

EPISODE = {
    "seed": 42,
    "action": [0] * 10 + [1] * 4 + [0] * 14,
    "step_dt_derived": [8.07] * 28,
    "summary": {"final_qos_total": 0.95},
}


@pytest.fixture
def netrollout(tmp_path):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "netrollout.cli.main", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=os.environ | {"COLUMNS": "200"},
        )

    return run


def written(tmp_path, content):
    file = tmp_path / "episodes.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_what_is_simulated_and_recorded_is_printed_and_written(netrollout, tmp_path):
    file, out = written(tmp_path, {"DQN": {"episodes": [EPISODE, {**EPISODE, "seed": 43}]}}), tmp_path / "out.json"
    done = netrollout("serverless", "replay", file, "--json", out)
    assert done.returncode == 0 and "mean absolute error" in done.stdout and not done.stderr
    agent = json.loads(out.read_text())["agents"]["DQN"]
    assert [episode["seed"] for episode in agent["episodes"]] == [42, 43]
    assert agent["episodes"][0]["recorded"] == 0.95
    episode = Episode(42, EPISODE["action"], EPISODE["step_dt_derived"])
    assert agent["episodes"][0]["simulated"] == final_qos(episode, delay=6.0)
    errors = [abs(episode["simulated"] - episode["recorded"]) for episode in agent["episodes"]]
    assert agent["mean_absolute_error"] == pytest.approx(sum(errors) / 2)


def test_the_whole_reference_file_is_read_and_an_unknown_agent_is_noticed(netrollout, tmp_path):
    content = {"comparison": {"Somebody": {"episodes": [EPISODE]}, "[red]Else[/blue]": {"episodes": [EPISODE]}}}
    file = written(tmp_path, "\ufeff" + json.dumps(content))
    done = netrollout("serverless", "replay", file)
    assert done.returncode == 0 and "Somebody" in done.stderr and "5.4 s" in done.stderr
    assert "[red]Else[/blue]" in done.stdout


def test_a_file_that_cannot_be_written_is_refused_before_the_work(netrollout, tmp_path):
    done = netrollout(
        "serverless", "replay", written(tmp_path, {"DQN": {"episodes": [EPISODE]}}), "--json", "no/a.json"
    )
    assert done.returncode == 2 and done.stdout == "" and "--json no/a.json: its folder does not exist" in done.stderr


def without(key):
    return {k: v for k, v in EPISODE.items() if k != key}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ('{"DQN": ' + "9" * 5000 + "}", "not JSON"),
        ([], "expected an object of agents"),
        ({"DQN": {}}, "agent DQN: expected a list 'episodes'"),
        ({"DQN": {"episodes": []}}, "agent DQN: expected a list 'episodes'"),
        ({"DQN": {"episodes": [without("seed")]}}, "agent DQN, episode 0: key 'seed' is missing"),
        ({"DQN": {"episodes": [EPISODE, without("action")]}}, "agent DQN, episode 1: key 'action' is missing"),
        ({"DQN": {"episodes": [{**EPISODE, "action": [0]}]}}, "1 entries of action for 28 of step_dt_derived"),
        ({"DQN": {"episodes": [{**EPISODE, "action": [2] * 28}]}}, "action[0] is 2; expected -1, 0 or 1"),
        ({"DQN": {"episodes": [{**EPISODE, "step_dt_derived": [-1.0] * 28}]}}, "step_dt_derived[0] is -1.0"),
        ({"DQN": {"episodes": [{**EPISODE, "action": [0] * 27 + [7]}]}}, "action[27] is 7; expected -1, 0 or 1"),
        ({"DQN": {"episodes": [{**EPISODE, "action": ["up"] * 28}]}}, "action[0] is 'up'; expected a number"),
        ({"DQN": {"episodes": [{**EPISODE, "action": [10**400] * 28}]}}, "action[0] is a whole number beyond 1e+15"),
        ({"DQN": {"episodes": [{**EPISODE, "avg_t": [1.0, -1.0]}]}}, "episode 0: avg_t[1] is -1.0 s; expected a time"),
        ({"DQN": {"episodes": [{**EPISODE, "max_t": [-(10**400)]}]}}, "max_t[0] is a whole number beyond 1e+15 s"),
        ({"DQN": {"episodes": [{**EPISODE, "service_time": -1}]}}, "service_time[0] is -1 s; expected a time of 0 s"),
        ({"\ud800": {"episodes": [EPISODE]}}, "expected a name of printable characters"),
        ({"DQN": {"episodes": [{**EPISODE, "seed": 1.5}]}}, "seed is 1.5"),
        ({"DQN": {"episodes": [{**EPISODE, "seed": -1}]}}, "seed is -1"),
        ({"DQN": {"episodes": [{**EPISODE, "summary": {}}]}}, "'summary.final_qos_total' is missing"),
        ({"DQN": {"episodes": [{**EPISODE, "summary": {"final_qos_total": 7}}]}}, "expected a share, 0 to 1"),
    ],
)
def test_what_cannot_be_replayed_is_one_line_and_nothing_is_written(netrollout, tmp_path, content, message):
    out = tmp_path / "out.json"
    done = netrollout("serverless", "replay", written(tmp_path, content), "--json", out)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and message in done.stderr
    assert "episodes.json" in done.stderr and not out.exists()
