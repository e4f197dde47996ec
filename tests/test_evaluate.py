"""Paired evaluation and its intervals."""

import numpy as np
import pytest

from netrollout.evaluate import bootstrap, cvar, over_units, resolution, simulate, t_interval
from netrollout.policies import RandomPolicy, TablePolicy
from netrollout.seeding import spawn
from netrollout.systems.toy import Walk
from netrollout.types import InputError

UP, HOLD, DOWN = 2, 1, 0


def test_the_same_seed_meets_the_same_disturbances_whatever_else_runs():
    world = Walk(pay=(0.0, 0.0, 0.0), slip=0.3)
    policy = TablePolicy(world, np.array([UP, UP, UP]))
    alone = simulate(world, policy, [7])
    together = simulate(world, policy, [3, 7, 9])
    assert np.array_equal(alone.rewards[0], together.rewards[1])


def test_policies_are_paired():
    world = Walk(pay=(0.0, 1.0))
    up, hold = TablePolicy(world, np.array([UP, HOLD])), TablePolicy(world, np.array([HOLD, HOLD]))
    difference = simulate(world, up, range(20)).rewards - simulate(world, hold, range(20)).rewards
    assert np.allclose(difference, 1.0)  # the reward's noise is common and cancels


def test_rewards_stop_at_the_end_of_an_episode():
    world = Walk(pay=(0.0, 0.0, 5.0), end=True, horizon=6)
    episodes = simulate(world, TablePolicy(world, np.array([UP, UP, UP])), [0, 1])
    assert np.array_equal(episodes.alive, [[1, 1, 0, 0, 0, 0]] * 2)
    assert np.all(episodes.rewards[:, 2:] == 0)


def test_discounted_return():
    world = Walk(pay=(0.0, 1.0), horizon=3)
    episodes = simulate(world, TablePolicy(world, np.array([UP, UP])), range(4000))
    assert episodes.returns(0.5).mean() == pytest.approx(1.75, abs=0.1)


def test_random_policy_takes_feasible_actions_only():
    world = Walk(pay=(0.0, 1.0))
    actions, _ = RandomPolicy(world, spawn(0)).predict(world.observe(world.states()))
    for seed in range(50):
        actions, _ = RandomPolicy(world, spawn(seed)).predict(world.observe(world.states()))
        assert actions[0, 0] != DOWN and actions[1, 0] != UP


def test_bootstrap_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for k in range(300):
        estimate = bootstrap(rng.normal(size=30), draws=500, seed=k)
        hits += estimate.low <= 0 <= estimate.high
    assert 0.88 <= hits / 300 <= 0.99


def test_hierarchical_bootstrap_is_not_fooled_by_many_episodes():
    rng = np.random.default_rng(1)
    seeds = rng.normal(size=(8, 1))
    values = seeds + 0.01 * rng.normal(size=(8, 500))
    nested, flat = bootstrap(values), bootstrap(values.ravel())
    assert nested.high - nested.low > 5 * (flat.high - flat.low)


def test_crossed_seeds_do_not_average_out_over_refits():
    seeds = np.random.default_rng(2).normal(size=5)
    values = np.tile(seeds, (20, 1))  # the same five policies meet every refit, and the refit does not matter
    crossed, alone = bootstrap(values, crossed=True), bootstrap(seeds)
    assert crossed.high - crossed.low == pytest.approx(alone.high - alone.low, rel=0.1)
    assert bootstrap(values).high - bootstrap(values).low < 0.5 * (crossed.high - crossed.low)


@pytest.mark.parametrize("values", [[], [1.0, np.nan]])
def test_bootstrap_refuses_nothing_and_nan(values):
    with pytest.raises(InputError, match="all finite"):
        bootstrap(np.array(values))


def test_a_t_interval_is_that_of_a_textbook():
    # Student 1908, the additional hours of sleep: mean 1.58, standard error .389, t(9) = 2.262
    hours = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    found = t_interval(hours)
    assert (found.value, found.n) == (pytest.approx(1.58), 10)
    assert (found.low, found.high) == (pytest.approx(0.700, abs=1e-3), pytest.approx(2.460, abs=1e-3))


def test_a_t_interval_counts_units_and_not_what_they_hold():
    units = np.arange(6.0).reshape(3, 2)
    assert t_interval(units) == t_interval(units.mean(axis=1))


@pytest.mark.parametrize("n", [3, 6, 10])
def test_a_t_interval_covers_what_it_says_with_few_units(n: int):
    rng = np.random.default_rng(n)
    found = [t_interval(rng.standard_normal(n)) for _ in range(2000)]
    covered = np.mean([one.low <= 0.0 <= one.high for one in found])
    assert covered == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("values", [[1.0], [1.0, np.nan], 3.0])
def test_a_t_interval_needs_two_finite_units(values: object):
    with pytest.raises(InputError, match="needs at least two units, all finite"):
        t_interval(np.array(values))


def test_the_resolution_is_a_difference_that_is_told_four_times_in_five():
    rng = np.random.default_rng(3)
    told = resolution(rng.normal(size=(100_000, 1)))  # many units, to know their spread
    assert told == pytest.approx(2.80 / np.sqrt(100_000), rel=0.02)
    ten = resolution(np.repeat([[-1.0], [1.0]], 5, axis=0))
    drawn = ten + rng.normal(size=(4000, 10)) * np.std([-1.0, 1.0] * 5, ddof=1)
    share = np.mean([t_interval(units).low > 0.0 for units in drawn])
    assert 0.77 <= share <= 0.83


def test_the_resolution_counts_one_degree_of_freedom_less():
    # of 0 and 2: standard error 1, with t(1) = 12.706 for the interval and 1.376 for the power
    assert resolution(np.array([0.0, 2.0])) == pytest.approx(14.083, abs=1e-3)


def test_a_tail_is_the_mean_of_the_worst_and_is_refused_where_these_are_too_few():
    values = np.arange(100.0)
    found = cvar(values, 0.05)
    assert found.value == 2.0 and found.low <= 2.0 <= found.high
    with pytest.raises(InputError, match=r"CVaR at 0.01: 1 of 100 episodes .* expected 5 or more, which takes 500"):
        cvar(values, 0.01)


def test_the_units_are_the_outermost_of_which_there_are_several():
    values = np.random.default_rng(0).normal(size=(3, 8))
    assert over_units(values) == t_interval(values)
    assert over_units(values[:1]) == t_interval(values[0])
    assert (over_units(values[:1, :1]).low, over_units(values[:1, :1]).n) == (values[0, 0], 1)
