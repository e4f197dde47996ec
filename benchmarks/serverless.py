"""The serverless farm: drawing a workload bit by bit, episodes of a constant, and training as a multiple of real time.

A control cycle of the real farm lasts 8 s; simulated seconds per second say how much faster a learner lives through it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import netrollout
from benchmarks.clock import Row, alone
from netrollout.learn import learner, train
from netrollout.studies.farm_play import disturbances, play
from netrollout.systems.serverless.farm import CYCLE
from netrollout.systems.serverless.rules import Constant
from netrollout.systems.serverless.workload import published

EPISODES = 100
WORKLOADS = 20
STEPS = 2048  # of training


def serverless(repetitions: int | None) -> list[Row]:
    """Return seconds per workload, episodes per second, and simulated seconds per second of training."""
    plant = netrollout.make("serverless")
    w = disturbances(plant)[:, :EPISODES]
    log = netrollout.make("serverless", side="log")
    count = repetitions or 3

    def prepare_ppo() -> Callable[[], Any]:
        made = learner(log, "ppo")
        return lambda: made.advance(STEPS)

    drawn = alone(lambda: lambda: [published(seed) for seed in range(WORKLOADS)], WORKLOADS, count)
    episodes = alone(lambda: lambda: play(plant, Constant(17), w), EPISODES, count)
    lived = int(STEPS * CYCLE)
    row = partial(Row, "serverless", item="simulated second", rate=True)
    return [
        Row("serverless", "published workload, bit by bit", ours=drawn, item="workload"),
        Row("serverless", f"static policy, {EPISODES} episodes at once", ours=episodes, item="episode", rate=True),
        row("Double DQN, training", ours=alone(lambda: lambda: train(log, "dqn", STEPS), lived, count)),
        row("MaskablePPO on 16 lanes, training", ours=alone(prepare_ppo, lived, count)),
    ]
