"""Every policy by name answers one observation (D,) and a batch (B, D), as those of Stable-Baselines3 do."""

import numpy as np
import pytest

from netrollout.catalog import make_policy, world
from netrollout.family import family_named
from netrollout.makers import MAKERS
from netrollout.naming import options_of
from netrollout.systems import allocation, edge, edge_published, mesh, queues, serverless, toy
from netrollout.types import InputError

SHORT = {"ppo": "ppo(steps=64)", "dqn": "dqn(steps=64)", "sarsa": "sarsa(episodes=2)",
         "qlearning": "qlearning(episodes=2)", "sac": "sac(steps=64)", "td3": "td3(steps=64)"}  # fmt: skip
NAMES = [*SHORT.values(), "random", "static", "greedy", "reactive", "hpa", "keda", "sqrt", "up", "optimal", "oracle",
         "lookahead", "predictive", "hold", "band", "hourly", "balance", "proportional", "drf", "priority",
         "lp(horizon=2)", "rollout(random)",
         "rollout(hpa, horizon=2, samples=2)", "rollout(static, horizon=2, samples=2)",
         "rollout(greedy)", "multiagent(static, horizon=2, samples=2)", "multiagent(random)", "walk(static)",
         "retrain(static)", "parallel(optimal)", "start"]  # fmt: skip
ROOMS = (mesh, queues, serverless, edge, edge_published, allocation, toy)
SYSTEMS = [name for room in ROOMS for name in room.FAMILY.systems]
PER_SYSTEM = 4  # names at least; the walk has random, optimal, oracle and what acts on them


def pairs(worlds):
    """Every name that the system has, with two equal policies of that name."""
    for name in NAMES:
        try:
            yield name, make_policy(name, worlds), make_policy(name, worlds)
        except InputError:
            continue


def same(a, b):
    if isinstance(a, tuple):
        return all(same(x, y) for x, y in zip(a, b, strict=True))
    return np.array_equal(a, b)


def test_every_kind_of_name_is_tried():
    for room in ROOMS:
        room.FAMILY.part("policies")
    assert {name.split("(")[0] for name in NAMES} == set(MAKERS)


@pytest.mark.parametrize("system", SYSTEMS)
def test_one_observation_is_answered_as_a_batch_of_one(system):
    phased = "phase" in options_of(family_named(system).part("realise").plant)
    worlds = world(system, phase="after") if phased else world(system)
    plant, tried = worlds.plant, 0
    for name, policy, twin in pairs(worlds):
        rng, memory, memories, begins = np.random.default_rng(0), None, None, True
        x = plant.initial(rng, 1)
        for _ in range(3):
            one, memory = policy.predict(plant.observe(x)[0], memory, begins)
            many, memories = twin.predict(plant.observe(x), memories, np.array([begins]))
            assert one.shape == (len(plant.levels),) and np.array_equal(one[None], many), name
            assert same(memory, memories), name
            x, begins = plant.step(x, many, rng).state, False
        one, _ = policy.predict(plant.observe(x)[0], memory, False, action_masks=plant.feasible(x)[0])
        many, _ = twin.predict(plant.observe(x), memories, np.array([False]), action_masks=plant.feasible(x))
        assert np.array_equal(one[None], many), name
        tried += 1
    assert tried >= PER_SYSTEM
