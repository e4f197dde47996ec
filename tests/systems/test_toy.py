"""The walk: its optimum is a geometric series."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netrollout.dp import MDP, policy_iteration
from netrollout.systems.toy import Walk


def test_the_optimum_is_to_walk_to_the_best_place_and_stay():
    value = policy_iteration(MDP.from_system(Walk(pay=(0.0, 0.0, 1.0), discount=0.9))).value
    assert value == pytest.approx([9.0, 10.0, 10.0])  # 0 + .9 * 10, then 1 / (1 - .9)


@given(st.lists(st.integers(0, 9), min_size=2, max_size=6), st.sampled_from([0.0, 0.5, 0.9]))
def test_the_optimum_is_the_best_geometric_series(pay, discount):
    value = policy_iteration(MDP.from_system(Walk(pay=tuple(map(float, pay)), discount=discount))).value
    for x in range(len(pay)):
        walks = []
        for goal in range(len(pay)):
            way = range(x, goal, 1 if goal >= x else -1)
            met = [pay[place] for place in [*way, goal][1:]]  # every place after the first
            walks.append(
                sum(discount**t * r for t, r in enumerate(met)) + discount ** len(met) * pay[goal] / (1 - discount)
            )
        assert value[x] == pytest.approx(max(walks))


def test_a_flipped_reward_flips_the_policy():
    up = policy_iteration(MDP.from_system(Walk(pay=(0.0, 1.0)))).policy
    down = policy_iteration(MDP.from_system(Walk(pay=(0.0, -1.0)))).policy
    assert up.tolist() == [2, 1] and down.tolist() == [1, 0]


def test_slipping_delays():
    slow = policy_iteration(MDP.from_system(Walk(pay=(0.0, 1.0), slip=0.5, discount=0.9))).value
    # J(0) = .5 (0 + .9 J(0)) + .5 (1 + .9 * 10)
    assert slow[0] == pytest.approx(5.0 / 0.55)


def test_the_end_ends():
    mdp = MDP.from_system(Walk(pay=(0.0, 0.0, 5.0), end=True, discount=0.9))
    assert policy_iteration(mdp).value[:2] == pytest.approx([4.5, 5.0])


def test_lanes_are_independent():
    world, rng = Walk(pay=(0.0, 1.0, 2.0), slip=0.3), np.random.default_rng(0)
    x = type(world.states())(rng.integers(3, size=30))
    u, w = rng.integers(3, size=(30, 1)), world.disturbance(rng, (30,))
    together = world.transition(x, u, w).reward
    alone = [world.transition(type(x)(x.place[[k]]), u[[k]], w[[k]]).reward[0] for k in range(30)]
    assert together.tolist() == alone
