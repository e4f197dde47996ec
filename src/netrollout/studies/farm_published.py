"""The published comparison on the task farm, computed again from what was recorded.

Four agents were run for ten episodes each.  The file of recorded episodes has those of them whose steps were kept; it
is not ours to ship and is fetched as ``openfaas``.  From its steps `total` computes an episode's reward with any
weights, and `netrollout.systems.serverless.replay` what our farm makes of the same actions.  The two published rules
need no record: `closed_loop` runs them on any seeds.

Source: lilanpei/AI-based-Autonomic-Management-of-Structured-Parallel-Programs, runs of 13 and 19 November 2025.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from netrollout.experiment import Values
from netrollout.studies.farm_play import disturbances, play
from netrollout.systems.serverless.farm import POLLED, Farm
from netrollout.systems.serverless.replay import DELAYS, Episode, replay
from netrollout.systems.serverless.reward import Reward
from netrollout.systems.serverless.rules import Reactive
from netrollout.systems.serverless.tasks import seeded
from netrollout.traces import fetched, registry
from netrollout.types import Floats

FILE = "openfaas"  # in the registry of what can be fetched
SERIES = ("qos", "worker_q", "workers", "arrival", "reward")
TIME_LIMIT, START = 30, 12.0  # steps; workers


@dataclass(frozen=True)
class Reported:
    """A row of the published table: means over ten episodes."""

    seeds: range
    reward: float
    qos: float  # share of the collected tasks in time
    workers: float
    largest: float  # workers
    scaling: float  # changes asked for


REPORTED = {
    "SARSA": Reported(range(42, 52), 46.585, 0.99202, 14.779, 17.8, 24.0),
    "DQN": Reported(range(62, 72), 126.199, 0.94912, 14.404, 15.6, 3.6),
    "ReactiveAverage": Reported(range(42, 52), -10889.870, 0.50868, 10.792, 16.6, 28.4),
    "ReactiveMaximum": Reported(range(52, 62), -3327.771, 0.65614, 13.918, 18.8, 26.8),
}
RULES = {"ReactiveAverage": "average", "ReactiveMaximum": "maximum"}

_RULE = Reward(
    qos=33.0, backlog=17.0, scaling=0.7, efficiency=0.4, up=13.0, down=1.3, queue_target=10.0, balanced=12.0,
    completion=6.0,
)  # fmt: skip
WEIGHTS = {
    "SARSA": Reward(
        qos=33.0, scaling=1.1, efficiency=1.6, up=6.5, down=5.5, queue_target=20.0, balanced=12.0, completion=6.0,
    ),
    "DQN": Reward(),
    "ReactiveAverage": _RULE,
    "ReactiveMaximum": _RULE,
}  # fmt: skip
"""The weights behind each agent's printed reward, found by fitting the recorded steps.

SARSA's queues were too short to tell its backlog weight, and its queue target only as 11 to 21 tasks.
"""

GENERATION = {30: 23.6, 100: 98.5, 200: 187.5, 300: 283.4}
"""By the window that was asked for, s: how long the tasks of a scalability run really took to come, s."""

RUNTIMES = {
    30: {1: 2039.7, 2: 1020.9, 4: 512.5, 8: 258.4, 16: 129.9, 32: 68.7},
    100: {1: 2039.1, 2: 1020.6, 4: 512.3, 8: 258.1, 16: 130.9, 32: 102.9},
    200: {1: 2039.7, 2: 1021.4, 4: 512.7, 8: 258.2, 16: 191.6, 32: 190.1},
    300: {1: 2039.3, 2: 1022.0, 4: 512.1, 8: 286.3, 16: 287.3, 32: 286.6},
}
"""By window, s, and workers: the published time of 1000 tasks, s, the mean of three runs."""


@dataclass(frozen=True, eq=False)
class Record:
    """A recorded episode; all series have one entry per step.

    Attributes
    ----------
    episode : Episode, with its seed, actions and step times
    qos, queue, workers, arrivals : (T,) as observed after each step; arrivals in tasks/s
    reward : (T,) as printed
    final_qos : share of the collected tasks in time
    """

    episode: Episode
    qos: Floats
    queue: Floats
    workers: Floats
    arrivals: Floats
    reward: Floats
    final_qos: float

    @property
    def change(self) -> Floats:
        """Changes of the number of workers that were applied, (T,)."""
        return np.diff(self.workers, prepend=START)

    @property
    def seconds(self) -> Floats:
        """When each step ended, s since its first began, (T,)."""
        return np.cumsum(self.episode.length)


def recorded_available() -> bool:
    """Tell whether the recorded episodes have been fetched."""
    return fetched(FILE)


@cache
def recorded() -> dict[str, list[Record]]:
    """Return the recorded episodes of every agent; `recorded_available` tells whether they are here."""
    (entry,) = (entry for entry in registry().values() if entry.collection == FILE)
    comparison = json.loads(entry.path.read_text(encoding="utf-8"))["comparison"]
    return {agent: [_record(episode) for episode in comparison[agent]["episodes"]] for agent in REPORTED}


def _record(found: dict[str, Any]) -> Record:
    qos, queue, workers, arrivals, reward = (np.asarray(found[key], dtype=float) for key in SERIES)
    episode = Episode(found["seed"], found["action"], found["step_dt_derived"], found["t0_derived"])
    return Record(episode, qos, queue, workers, arrivals, reward, float(found["summary"]["final_qos_total"]))


def steps_reward(record: Record, reward: Reward) -> Floats:
    """Return the reward of every step with given weights, (T,); an episode that ends early has all tasks done."""
    paid = sum(reward.terms(record.qos, record.queue, record.workers, record.change).values())
    early = np.arange(1, len(record.qos) + 1) < TIME_LIMIT
    last = np.arange(len(record.qos)) == len(record.qos) - 1
    return np.asarray(paid + reward.completion * (last & early))


def replayed(agent: str, record: Record) -> tuple[float, Floats]:
    """Return the final QoS of the recorded actions on our farm, and what is observed, (T, 9)."""
    return replay(record.episode, DELAYS[agent])


def closed_loop(rule: str, seeds: Sequence[int], delay: float = DELAYS["SARSA"], seed: int = 0) -> Values:
    """Return what a published rule brings on the published workloads of some seeds, (N,) each.

    Parameters
    ----------
    rule : str
        ``average`` or ``maximum``.
    seeds : sequence of int
    delay : float
        Mean time until a new worker is there, s.
    seed : int
        Of the scaling times.
    """
    plant = Farm(seeded(seeds), scale_up=(delay + POLLED, 0.6))
    return play(plant, Reactive(rule), disturbances(plant, seed))
