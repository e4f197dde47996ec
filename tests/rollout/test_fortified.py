"""Fortified rollout: the best plan is kept."""

from dataclasses import dataclass

import numpy as np
import pytest

from netrollout.policies import RandomPolicy
from netrollout.rollout import FortifiedRollout, TruncatedRollout
from netrollout.seeding import spawn
from netrollout.systems.toy import ToyState, Walk
from netrollout.types import InputError, Step

STEPS, PLACES = 6, 7


@dataclass(frozen=True)
class Timed(Walk):
    """A deterministic walk that ends after six steps; a state is time * 7 + place."""

    pay: tuple[float, ...] = (0.0,) * (PLACES * STEPS)
    found: tuple[float, ...] = (0.0,) * PLACES
    discount: float = 1.0

    def transition(self, x, u, w):
        time, place = np.divmod(x.place, PLACES)
        place = np.clip(place + u[:, 0] - 1, 0, PLACES - 1)
        ends = time + 1 == STEPS
        return Step(ToyState(np.where(ends, place, (time + 1) * PLACES + place)), np.array(self.found)[place], ends, {})

    def feasible(self, x):
        return super().feasible(ToyState(np.clip(x.place % PLACES, 0, PLACES - 1)))


def world(seed):
    return Timed(found=tuple(np.random.default_rng(seed).normal(size=PLACES)))


def run(system, policy, promised):
    """Follow one lane to the end; return what it earned and what it had promised to earn at its first decision."""
    x, memory, start, total, first = ToyState(np.array([3])), None, np.ones(1, dtype=bool), 0.0, None
    for _ in range(STEPS):
        u, memory = policy.predict(system.observe(x), memory, start)
        if first is None:
            first = promised(u, memory)
        step = system.transition(x, u, np.zeros((1, 2)))
        x, start, total = step.state, np.zeros(1, dtype=bool), total + float(step.reward[0])
    assert step.terminated.all()
    return total, first


def planned_return(system, u, plan):
    """What the first action and the plan after it earn."""
    x, total = ToyState(np.array([3])), 0.0
    for action in (u, *np.moveaxis(plan, 1, 0)):
        step = system.transition(x, action, np.zeros((1, 2)))
        x, total = step.state, total + float(step.reward[0])
    return total


def test_it_earns_at_least_what_its_first_plan_promised_though_the_base_changes_its_mind():
    """The base draws its actions anew whenever it is asked, so a path that was seen once may not be seen again."""
    for seed in range(30):
        system = world(seed)
        policy = FortifiedRollout(system, RandomPolicy(system, spawn(seed)), spawn(0), horizon=STEPS - 1)
        earned, promised = run(system, policy, lambda u, memory, system=system: planned_return(system, u, memory[1]))
        assert earned >= promised - 1e-12


def test_plain_rollout_does_not_keep_such_promises():
    broken = 0
    for seed in range(30):
        system = world(seed)
        policy = TruncatedRollout(system, RandomPolicy(system, spawn(seed)), spawn(0), horizon=STEPS - 1)
        promises = []
        estimate = policy.estimate

        def remember(*arguments, estimate=estimate, promises=promises):
            found = estimate(*arguments)
            promises.append(found.mean.max())
            return found

        policy.estimate = remember
        earned, _ = run(system, policy, lambda u, memory: None)
        broken += earned < promises[0] - 1e-12
    assert broken > 0


def test_with_a_consistent_base_it_is_never_worse_than_it(hold):
    for seed in range(30):
        system = world(seed)
        base, _ = run(system, hold(), lambda u, memory: None)
        earned, _ = run(system, FortifiedRollout(system, hold(), spawn(0), STEPS - 1), lambda u, memory: None)
        assert earned >= base - 1e-12


def test_a_new_episode_forgets_the_plan(hold):
    policy = FortifiedRollout(world(1), hold(), spawn(0), horizon=2)
    observation = world(1).observe(ToyState(np.array([3, 3])))
    fresh, (memory, plan) = policy.predict(observation)
    foreign = (memory, np.zeros_like(plan))
    again, _ = policy.predict(observation, foreign, np.array([True, True]))
    assert again.tolist() == fresh.tolist()


def test_an_episode_that_begins_is_planned_as_if_there_had_been_none_before():
    """The base draws anew whenever it is asked, so the plan from before often promises more and would be kept."""
    lucky = 0
    for seed in range(30):
        system, start = world(seed), np.array([True])
        observation = system.observe(ToyState(np.array([3])))
        found = {}
        for kept, begins in ((True, start), (False, start), (True, ~start)):
            policy = FortifiedRollout(system, RandomPolicy(system, spawn(seed)), spawn(0), horizon=STEPS - 1)
            _, memory = policy.predict(observation)
            memory = (memory[0], np.full_like(memory[1], 2))  # the way up, which may be a good one
            u, after = policy.predict(observation, memory if kept else None, begins)
            found[kept, bool(begins[0])] = (u.tolist(), after[1].tolist())
        assert found[True, True] == found[False, True]
        lucky += found[True, False] != found[False, True]
    assert lucky > 0


def test_bad_input_is_named(hold):
    with pytest.raises(InputError, match="horizon -1"):
        FortifiedRollout(world(0), hold(), spawn(0), horizon=-1)
