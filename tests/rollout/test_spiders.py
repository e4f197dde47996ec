"""Spiders and flies, the reference world of multi-agent rollout.

Two spiders stand together on the squares 0 .. 6 of a line, at 2; flies sit at 0 and 6.  The base policy sends both to
the fly at 0 and then both to the other: 2 + 6 steps.  One spider for each fly takes 4.
"""

import numpy as np
import pytest

from netrollout.batch import joint_index
from netrollout.dp import MDP, evaluate_policy, policy_iteration
from netrollout.policies import TablePolicy
from netrollout.rollout import (
    MultiagentRollout,
    TruncatedRollout,
    multiagent_policy_iteration,
    multiagent_table,
    rollout_table,
)
from netrollout.seeding import spawn
from netrollout.systems.spiders import Nearest, Spiders
from netrollout.types import InputError

WORLDS = {
    "line": Spiders(),
    "line, discounted": Spiders(discount=0.9),
    "line, restless flies": Spiders(columns=6, spiders=(2, 2), flies=(0, 5), restless=0.2),
    "square": Spiders(rows=3, columns=3, spiders=(4, 4), flies=(0, 8)),
}
ALL_ORDERS = [None, (1, 0), "best"]


@pytest.fixture(scope="module", params=WORLDS)
def case(request):
    """World, process, base table, its value, and the start."""
    world = WORLDS[request.param]
    actions, _ = Nearest(world).predict(world.observe(world.states()))
    mdp, base = MDP.from_system(world), joint_index(actions, world.levels)
    return world, mdp, base, evaluate_policy(mdp, base).value, world.index(world.initial(spawn(0), 1))[0]


def path(world, policy, steps=8):
    """The spiders' squares along an episode."""
    x, squares = world.initial(spawn(0), 1), []
    for _ in range(steps):
        squares.append(tuple(x.spiders[0].tolist()))
        step = world.step(x, policy.predict(world.observe(x))[0], spawn(1))
        x = step.state
        if step.terminated[0]:
            break
    return [*squares, tuple(x.spiders[0].tolist())]


def test_the_base_policy_keeps_the_spiders_together():
    assert path(WORLDS["line"], Nearest(WORLDS["line"])) == [(k, k) for k in (2, 1, 0, 1, 2, 3, 4, 5, 6)]


def test_one_rollout_separates_them_and_reaches_the_optimum(case):
    world, mdp, base, value, start = case
    optimum = policy_iteration(mdp).value[start]
    tables = [rollout_table(mdp, base)] + [multiagent_table(mdp, world.levels, base, order) for order in ALL_ORDERS]
    for table in tables:
        assert evaluate_policy(mdp, table).value[start] == pytest.approx(optimum)
    assert optimum > value[start] + 2.0


def test_on_the_line_eight_steps_become_four():
    world = WORLDS["line"]
    mdp = MDP.from_system(world)
    base = joint_index(Nearest(world).predict(world.observe(world.states()))[0], world.levels)
    start = world.index(world.initial(spawn(0), 1))[0]
    tables = (base, rollout_table(mdp, base), multiagent_table(mdp, world.levels, base))
    assert [evaluate_policy(mdp, table).value[start] for table in tables] == [-8.0, -4.0, -4.0]


def test_rollout_is_nowhere_below_the_base_but_not_everywhere_optimal(case):
    world, mdp, base, value, _ = case
    optimum = policy_iteration(mdp).value
    for table in (rollout_table(mdp, base), multiagent_table(mdp, world.levels, base)):
        better = evaluate_policy(mdp, table).value
        assert (better >= value - 1e-9).all()
        assert (better < optimum - 1e-9).any()


def test_repeated_multi_agent_rollout_is_nowhere_below_one(case):
    world, mdp, base, _, _ = case
    once = evaluate_policy(mdp, multiagent_table(mdp, world.levels, base)).value
    end = multiagent_policy_iteration(mdp, world.levels, base)
    assert end.converged and (end.value >= once - 1e-9).all()


def test_spiders_that_do_not_tell_each_other_swing_together_for_ever():
    """Each goes for the fly at 6, counting on the other one to stay with the base; half way both turn back."""
    world = WORLDS["line"]
    mdp = MDP.from_system(world)
    base = joint_index(Nearest(world).predict(world.observe(world.states()))[0], world.levels)
    autonomous = multiagent_table(mdp, world.levels, base, autonomous=True)
    assert path(world, TablePolicy(world, autonomous), 6) == [(k, k) for k in (2, 3, 4, 3, 4, 3, 4)]
    with pytest.raises(InputError, match="the policy never ends"):
        evaluate_policy(mdp, autonomous)


@pytest.mark.parametrize("name", ["line, discounted", "line, restless flies"])
def test_and_are_worse_than_the_base_where_their_value_is_finite(name):
    world = WORLDS[name]
    mdp = MDP.from_system(world)
    base = joint_index(Nearest(world).predict(world.observe(world.states()))[0], world.levels)
    autonomous = evaluate_policy(mdp, multiagent_table(mdp, world.levels, base, autonomous=True)).value
    start = world.index(world.initial(spawn(0), 1))[0]
    assert autonomous[start] < evaluate_policy(mdp, base).value[start] - 0.1


@pytest.mark.parametrize("spiders", [1, 2, 3])
def test_a_decision_compares_five_settings_per_spider_instead_of_their_product(spiders):
    """In the middle of a 3 x 3 grid all five are feasible; the base's action is simulated once, not once a spider."""
    world = Spiders(rows=3, columns=3, spiders=(4,) * spiders, flies=(0, 8))
    observation, horizon = world.observe(world.initial(spawn(0), 1)), 8
    joint = TruncatedRollout(world, Nearest(world), spawn(0), horizon)
    single = MultiagentRollout(world, Nearest(world), spawn(0), horizon)
    joint.predict(observation)
    single.predict(observation)
    assert joint.model_steps == 5**spiders * (horizon + 1)
    assert single.model_steps == (1 + 4 * spiders) * (horizon + 1) <= 5 * spiders * (horizon + 1)


def test_simulated_it_decides_as_the_table_where_flies_rest():
    """Simulated until all flies are caught: longer than the base ever takes."""
    world = WORLDS["line"]
    mdp = MDP.from_system(world)
    base = joint_index(Nearest(world).predict(world.observe(world.states()))[0], world.levels)
    policy = MultiagentRollout(world, Nearest(world), spawn(0), horizon=14)
    actions, _ = policy.predict(world.observe(world.states()))
    assert -evaluate_policy(mdp, base).value.min() <= 14
    assert np.array_equal(joint_index(actions, world.levels), multiagent_table(mdp, world.levels, base))


def test_many_spiders_beat_their_base_where_joint_moves_cannot_be_listed():
    """15 spiders in a corner and 3 flies on a grid of 10 x 10: 5^15 joint moves, 75 compared."""
    world = Spiders(rows=10, columns=10, spiders=(0,) * 15, flies=(9, 90, 99))
    steps = []
    for policy in (Nearest(world), MultiagentRollout(world, Nearest(world), spawn(0), horizon=40)):
        steps.append(len(path(world, policy, 60)) - 1)
    assert steps[0] == 27  # 9 to each fly in turn
    assert steps[1] == 18  # the far corner is 18 away: nothing can be faster
