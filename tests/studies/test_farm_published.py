"""The published comparison computed again: its table, its rules without a record, and its steps where they are here."""

from pathlib import Path

import numpy as np
import pytest

from netrollout.studies import farm_published
from netrollout.studies.farm_published import (
    GENERATION,
    REPORTED,
    RUNTIMES,
    WEIGHTS,
    closed_loop,
    recorded,
    recorded_available,
    replayed,
    steps_reward,
)
from netrollout.systems.serverless.reward import Reward
from netrollout.systems.serverless.speedup import runtime
from netrollout.traces import fetch

SOURCE = Path(__file__).resolve().parents[3] / "shared" / "data" / "openfaas"


@pytest.fixture
def records(tmp_path_factory, monkeypatch):
    if not SOURCE.is_dir():
        pytest.skip("the recorded episodes are not in ../shared/data/openfaas")
    monkeypatch.setenv("NETROLLOUT_DATA", str(tmp_path_factory.mktemp("data")))
    fetch("openfaas", SOURCE)
    recorded.cache_clear()
    yield recorded()
    recorded.cache_clear()


def test_without_the_file_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("NETROLLOUT_DATA", str(tmp_path))
    assert not recorded_available()


@pytest.mark.parametrize("agent", ["ReactiveAverage", "ReactiveMaximum"])
def test_the_published_rules_come_close_to_their_row_without_any_record(agent):
    row = REPORTED[agent]
    found = closed_loop(farm_published.RULES[agent], row.seeds)
    assert found["qos"].shape == (10,)
    assert found["qos"].mean() == pytest.approx(row.qos, abs=0.03)
    assert found["workers"].mean() == pytest.approx(row.workers, abs=0.2)


def test_the_runtimes_of_the_scalability_runs_are_within_two_per_cent():
    for window, by_workers in RUNTIMES.items():
        for workers in (8, 32):
            assert runtime(workers, GENERATION[window]) == pytest.approx(by_workers[workers], rel=0.02)


def test_a_slower_start_of_workers_costs_the_rules_quality():
    slow, usual = (closed_loop("maximum", range(62, 66), delay)["qos"].mean() for delay in (12.0, 5.4))
    assert slow < usual


def test_every_printed_reward_follows_from_its_own_weights(records):
    for agent, episodes in records.items():
        for record in episodes:
            # The recorded share of tasks in time has four decimals.
            assert steps_reward(record, WEIGHTS[agent]) == pytest.approx(record.reward, abs=3e-3)


def test_no_two_columns_of_weights_are_the_shipped_ones():
    assert WEIGHTS["DQN"] == Reward() and len({WEIGHTS[agent] for agent in REPORTED}) == 3


def test_an_episode_that_ends_at_the_time_limit_gets_no_bonus(records):
    record = records["SARSA"][5]
    assert len(record.qos) == 30
    assert np.array_equal(steps_reward(record, Reward()), steps_reward(record, Reward(completion=0.0)))


def test_recorded_actions_bring_what_was_recorded(records):
    qos, seen = replayed("DQN", records["DQN"][0])
    assert qos == pytest.approx(records["DQN"][0].final_qos, abs=0.01)
    assert seen[:, 4] == pytest.approx(records["DQN"][0].workers)
