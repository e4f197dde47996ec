"""Spiders and flies: how everybody moves, when a fly is caught, and that the base policy catches them all."""

import re

import numpy as np
import pytest

from netrollout.batch import joint_index
from netrollout.dp import MDP, evaluate_policy
from netrollout.systems.spiders import DOWN, LEFT, RIGHT, STAY, UP, Nearest, Spiders, SpiderState
from netrollout.types import InputError

GONE = 9  # on a grid of 3 x 3


def state(spiders, flies):
    return SpiderState(np.array([spiders]), np.array([flies]))


def moved(world, spiders, flies, u, w=None):
    return world.transition(state(spiders, flies), np.array([u]), np.array([w if w else [0.999] * len(flies)]))


@pytest.fixture
def grid():
    """Squares 0 1 2 / 3 4 5 / 6 7 8."""
    return Spiders(rows=3, columns=3, spiders=(4, 4), flies=(0, 8))


@pytest.mark.parametrize(("u", "square"), [(STAY, 4), (UP, 1), (DOWN, 7), (LEFT, 3), (RIGHT, 5)])
def test_a_spider_goes_one_square(grid, u, square):
    assert moved(grid, [4, 0], [8, 8], [u, STAY]).state.spiders.tolist() == [[square, 0]]


@pytest.mark.parametrize(("square", "u"), [(0, UP), (0, LEFT), (8, DOWN), (8, RIGHT), (2, RIGHT), (3, LEFT)])
def test_a_move_off_the_grid_holds_and_is_not_feasible(grid, square, u):
    assert moved(grid, [square, 4], [6, 6], [u, STAY]).state.spiders[0, 0] == square
    assert not grid.feasible(state([square, 4], [6, 6]))[0, u]


def test_a_fly_is_caught_by_a_spider_on_its_square_and_stays_caught(grid):
    step = moved(grid, [1, 5], [0, 7], [LEFT, LEFT])
    assert step.state.flies.tolist() == [[GONE, 7]] and step.metrics["caught"].tolist() == [1.0]
    after = moved(grid, step.state.spiders[0], step.state.flies[0], [RIGHT, STAY]).state
    assert after.flies.tolist() == [[GONE, 7]]


def test_spiders_that_cross_a_fly_between_them_do_not_catch_it_by_passing():
    world = Spiders(columns=4, spiders=(0, 1), flies=(3, 3))
    assert moved(world, [0, 1], [3, 3], [RIGHT, LEFT]).state.flies.tolist() == [[3, 3]]


def test_every_step_costs_one_until_the_last_fly_is_caught(grid):
    first = moved(grid, [1, 5], [0, 8], [LEFT, STAY])
    last = moved(grid, first.state.spiders[0], first.state.flies[0], [STAY, DOWN])
    assert [first.reward[0], last.reward[0]] == [-1.0, -1.0]
    assert [first.terminated[0], last.terminated[0]] == [False, True]
    assert moved(grid, [0, 0], [GONE, GONE], [STAY, STAY]).reward.tolist() == [0.0]


def test_a_restless_fly_goes_in_each_direction_equally_often_and_may_run_into_a_spider(grid):
    world = Spiders(rows=3, columns=3, spiders=(8, 8), flies=(4,), restless=0.4)
    n = 1000
    lanes = SpiderState(np.full((n, 2), 5), np.full((n, 1), 4))
    w = (np.arange(n)[:, None] + 0.5) / n
    flies = world.transition(lanes, np.full((n, 2), STAY), w).state.flies
    assert np.bincount(flies[:, 0], minlength=10).tolist() == [0, 100, 0, 100, 600, 0, 0, 100, 0, 100]


@pytest.mark.parametrize(
    ("spider", "flies", "move"),
    [
        (4, [0, 5], RIGHT),  # the nearest
        (4, [3, 5], LEFT),  # of equally near ones the first
        (4, [5, 3], RIGHT),
        (4, [8, 8], RIGHT),  # along the row first
        (5, [8, 8], DOWN),
        (4, [GONE, 1], UP),  # those that are left
        (4, [4, 1], STAY),  # it waits under a fly
        (4, [GONE, GONE], STAY),
    ],
)
def test_the_base_policy_goes_to_the_nearest_fly_by_a_fixed_rule(grid, spider, flies, move):
    actions, _ = Nearest(grid).predict(grid.observe(state([spider, spider], flies)))
    assert actions.tolist() == [[move, move]]


@pytest.mark.parametrize("restless", [0.0, 0.3])
def test_the_base_policy_is_proper(restless):
    """From every state it reaches the end, restless flies or not; where they rest, in a whole number of steps."""
    world = Spiders(rows=2, columns=3, spiders=(0, 0), flies=(5, 5), restless=restless)
    actions, _ = Nearest(world).predict(world.observe(world.states()))
    value = evaluate_policy(MDP.from_system(world), joint_index(actions, world.levels)).value
    assert np.isfinite(value).all()
    assert restless or (value == np.rint(value)).all()


def test_the_base_policy_takes_the_shortest_path_to_a_single_fly(grid):
    world = Spiders(rows=3, columns=3, spiders=(0,), flies=(8,))
    actions, _ = Nearest(world).predict(world.observe(world.states()))
    steps = -evaluate_policy(MDP.from_system(world), joint_index(actions, world.levels)).value
    for spider in range(9):
        for fly in range(9):
            way = abs(spider // 3 - fly // 3) + abs(spider % 3 - fly % 3)
            assert steps[world.index(state([spider], [fly]))[0]] == pytest.approx(max(way, 1))


def test_a_large_world_runs_but_is_not_listed():
    world = Spiders(rows=10, columns=10, spiders=(0,) * 15, flies=(99, 50, 7))
    x = world.initial(np.random.default_rng(0), 3)
    actions, _ = Nearest(world).predict(world.observe(x))
    assert world.transition(x, actions, world.disturbance(np.random.default_rng(1), (3,))).reward.tolist() == [-1.0] * 3
    with pytest.raises(InputError, match="states are not listed"):
        world.states()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"columns": 0}, "1 rows and 0 columns; expected at least 1 of each"),
        ({"spiders": ()}, "spiders () must be one or more squares from 0 to 6"),
        ({"flies": (7,)}, "flies (7,) must be one or more squares from 0 to 6"),
        ({"restless": 1.0}, "restless 1.0 is a probability below 1"),
        ({"discount": 1.1}, "discount 1.1 must be at least 0 and at most 1"),
        ({"horizon": 0}, "horizon 0 must be at least 1 step"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Spiders(**parameters)
