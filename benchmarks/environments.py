"""Steps per second: the Gymnasium environment, the batch of lanes, and the training of PPO on it.

The peer of the batch is Stable-Baselines3's DummyVecEnv around the same number of Gymnasium environments.  Actions are
drawn before the clock starts; episodes end after 20 control cycles and are reset within the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

import netrollout
from benchmarks.clock import Row, alone, paired
from netrollout.envs.gym import NetEnv
from netrollout.envs.vec import NetVecEnv
from netrollout.learn import learner
from netrollout.types import Ints, System

STEPS = 2000  # of the single environment, and of all lanes together
LANES = (8, 64)
TRAINING_STEPS = 2048
DUMMY = "Stable-Baselines3 DummyVecEnv"


def environments(repetitions: int | None) -> list[Row]:
    """Return the steps per second of one environment and of batches."""
    system = netrollout.make("mesh-s1", side="model")
    count = repetitions or 7
    actions = np.random.default_rng(0).integers(3, size=(STEPS, len(system.levels)))
    single = alone(lambda: _walked(NetEnv(system), actions), STEPS, count)
    rows = [Row("environments", "Gymnasium NetEnv", ours=single, item="step", rate=True)]
    return rows + [_lanes(system, n, count) for n in LANES]


def _lanes(system: System, n: int, repetitions: int) -> Row:
    rounds = max(STEPS // n, 50)
    actions = np.random.default_rng(0).integers(3, size=(rounds, n, len(system.levels)))
    lanes: list[Callable[[], gymnasium.Env[Any, Any]]] = [lambda: NetEnv(system)] * n
    seconds = paired(
        lambda: _stepped(NetVecEnv(system, n), actions),
        lambda: _stepped(DummyVecEnv(lanes), actions),
        (rounds * n, rounds * n), repetitions,
    )  # fmt: skip
    same = "lane independence and equality with NetEnv are tests of the package"
    return Row("environments", f"NetVecEnv, {n} lanes", DUMMY, item="step", rate=True, checked=same, **seconds)


def _walked(env: NetEnv, actions: Ints) -> Callable[[], Any]:
    def run() -> None:
        env.reset(seed=0)
        for action in actions:
            *_, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

    return run


def _stepped(env: VecEnv, actions: Ints) -> Callable[[], Any]:
    env.seed(0)
    env.reset()

    def run() -> None:
        for action in actions:
            env.step(action)

    return run


def training(repetitions: int | None) -> list[Row]:
    """Return the training steps per second of MaskablePPO with the published settings, one lane."""
    system = netrollout.make("mesh-s1", side="model")

    def prepare() -> Callable[[], Any]:
        made = learner(system, "ppo")
        return lambda: made.advance(TRAINING_STEPS)

    seconds = alone(prepare, TRAINING_STEPS, repetitions or 3)
    return [Row("training", "MaskablePPO, published settings", ours=seconds, item="step", rate=True)]
