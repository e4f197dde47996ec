"""Rollout where the state is hidden: the history is the memory, per lane, and tells what one observation does not."""

import numpy as np
import pytest

from netrollout.rollout import EstimatedRollout, TruncatedRollout
from netrollout.seeding import spawn
from netrollout.systems.serverless.farm import Farm
from netrollout.systems.serverless.model import QueueModel, learned
from netrollout.systems.serverless.rules import Constant, Reactive
from netrollout.systems.serverless.tasks import seeded


@pytest.fixture(scope="module")
def model():
    return QueueModel(learned(seeded(range(900, 906))))


def rollout(model, base=None, samples=2):
    return EstimatedRollout(model, base or Constant(15), spawn(0), horizon=1, samples=samples)


def observations(cycles, lanes=3):
    farm = Farm(seeded([5]))
    x, rng, seen = farm.initial(spawn(0), lanes), spawn(1), []
    for _ in range(cycles):
        seen.append(farm.observe(x))
        x = farm.step(x, rng.integers(3, size=(lanes, 1)), rng).state
    return seen


def test_it_plans_in_the_state_that_the_history_tells(model):
    policy, state, seen = rollout(model), None, observations(5)
    met = []
    policy.improve = lambda x, u, memory: met.append(x) or u
    for o in seen:
        _, state = policy.predict(o, state)
    for t, x in enumerate(met):
        told = model.estimate([(np.asarray(o, dtype=np.float64), None) for o in seen[: t + 1]])
        assert all(np.array_equal(a, b) for a, b in zip(x, told, strict=True))


def test_a_lane_that_begins_anew_forgets_and_the_others_do_not(model):
    policy, state = rollout(model), None
    met = []
    policy.improve = lambda x, u, memory: met.append(x) or u
    seen = observations(6)
    for t, o in enumerate(seen):
        _, state = policy.predict(o, state, np.array([t in (0, 3), t == 0, t == 0]))
    assert state.length.tolist() == [3, 6, 6]
    rest = model.estimate([(np.asarray(o, dtype=np.float64)[:1], None) for o in seen[3:]])
    assert met[-1].cycle.tolist() == [2, 5, 5] and met[-1].enqueued[0] == rest.enqueued[0]


def test_the_memory_is_bounded_and_keeps_the_newest(model):
    policy, state = rollout(model, samples=1), None
    policy.improve = lambda x, u, memory: u
    o = observations(1)[0]
    for t in range(40):
        _, state = policy.predict(o + t, state)
    assert state.seen.shape == (3, 31, 9) and state.length.tolist() == [31] * 3
    assert np.array_equal(state.seen[0, -1], (o + 39)[0]) and np.array_equal(state.seen[0, 0], (o + 9)[0])


def test_rollout_of_a_rollout_of_a_rule_with_memory(model):
    inner = rollout(model, Reactive("maximum"), 1)
    policy, state = rollout(model, inner, 1), None
    for o in observations(3):
        u, state = policy.predict(o, state)
    assert u.shape == (3, 1) and isinstance(policy, TruncatedRollout)
    assert state.base.length.tolist() == [3] * 3 and state.base.base.shape == (3,)
