"""The upper bound of the reward: never below what any policy gets."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from netrollout.evaluate import simulate
from netrollout.seeding import spawn
from netrollout.systems.serverless.clairvoyant import plan
from netrollout.systems.serverless.farm import Farm
from netrollout.systems.serverless.realise import farm_plant
from netrollout.systems.serverless.relaxation import known_limits, reward_bound
from netrollout.systems.serverless.rules import AlwaysUp, Constant, QueueLength, Random, Reactive, SquareRoot
from netrollout.systems.serverless.tasks import bank, seeded
from netrollout.systems.serverless.workload import Workload
from netrollout.types import InputError


def disturbances(farm, seed=0):
    n = len(farm.bank)
    w = farm.disturbance(spawn(seed, "w"), (farm.horizon, n))
    w[:, :, 0] = np.arange(n)
    return w


def undirected(farm):
    return replace(farm, reward=replace(farm.reward, up=0.0, down=0.0))


@pytest.mark.parametrize("family", ["published", "flash", "bursty"])
@pytest.mark.parametrize("change", [None, "double", "cold", "rise"])
def test_no_policy_exceeds_it(family, change):
    farm = farm_plant(family, "before" if change is None else "after", change or "double", 3)
    w = disturbances(farm)
    policies = [AlwaysUp(), Random(spawn(3)), Reactive("maximum"), Reactive("average"), QueueLength(), SquareRoot()]
    policies += [Constant(k) for k in (1, 8, 12, 16, 24, 32)]
    for world in (farm, undirected(farm)):
        bound = reward_bound(world, w)
        for policy in policies:
            assert (simulate(world, policy, range(3), given=w).rewards.sum(axis=1) <= bound + 1e-6).all()


def test_no_sequence_of_actions_exceeds_it():
    """All of them, on short episodes of which some end early and some overflow."""
    rng = np.random.default_rng(0)
    for seed in range(6):
        tasks = int(rng.integers(20, 400))
        arrival = np.sort(rng.random(tasks)) * rng.uniform(10.0, 45.0)
        load = Workload(arrival, rng.uniform(0.05, 3.0, tasks), np.zeros(tasks, dtype=np.int64), np.zeros(1))
        farm = Farm(bank([load], [seed]), start=int(rng.integers(1, 9)), most=10, horizon=5)
        for world in (farm, undirected(farm)):
            w = disturbances(world, seed)
            bound, x, total = reward_bound(world, w)[0], world.initial(spawn(0), 3**5), 0.0
            every = np.array(list(itertools.product(range(3), repeat=5)))
            for t in range(5):
                step = world.transition(x, every[:, t : t + 1], np.repeat(w[t], len(every), axis=0))
                x, total = step.state, total + step.reward
            assert total.max() <= bound + 1e-6


def test_the_search_that_knows_the_episode_is_below_it_and_near_without_the_direction_of_changes():
    farm = undirected(Farm(seeded([7])))
    w = disturbances(farm)
    _, value = plan(farm, w[:, 0], width=2)
    assert value <= reward_bound(farm, w)[0] <= 1.15 * value


def test_what_waits_at_best_waits_under_a_policy():
    farm = farm_plant("bursty", "before", "double", 4)
    w = disturbances(farm)
    known = known_limits(farm, w)
    run = simulate(farm, AlwaysUp(), range(4), given=w)
    assert (run.metrics["queue"].T + 1e-9 >= known.waiting * (run.alive.T > 0)).all()
    assert known.waiting.max() > 30  # there are moments at which nothing helps


def test_disturbances_of_another_horizon_are_refused():
    with pytest.raises(InputError, match=r"bound: disturbances of shape \(3, 1, 3\)"):
        reward_bound(Farm(seeded([1])), np.zeros((3, 1, 3)))
