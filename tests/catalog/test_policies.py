"""From names to policies: what each is made on, and what theory promises of it."""

import numpy as np
import pytest

from netrollout.catalog import context, judge, make_policy, policy_table
from netrollout.dp import MDP, evaluate_policy
from netrollout.evaluate import simulate
from netrollout.types import InputError


@pytest.fixture(scope="module")
def worlds():
    return context("mesh-s2", phase="after")


def value(system, table):
    return evaluate_policy(MDP.from_system(system), table).value


def test_plain_names_know_the_system_before_the_change_only(worlds):
    before = context("mesh-s2", phase="before")
    for name in ("static", "greedy", "optimal"):
        assert np.array_equal(policy_table(name, worlds), policy_table(name, before))


def test_rollout_improves_its_base_on_the_newest_model(worlds):
    for base in ("static", "greedy", "optimal", "reactive", "random"):
        better = value(worlds.model, policy_table(f"rollout({base})", worlds))
        assert np.all(better >= value(worlds.model, policy_table(base, worlds)) - 1e-9)


def test_nothing_beats_exact_planning_on_the_model_nor_the_oracle_on_the_plant(worlds):
    best, oracle = policy_table("retrain(optimal)", worlds), policy_table("oracle", worlds)
    for name in ("static", "walk(static)", "rollout(optimal)", "rollout(static, lookahead=2)", "multiagent(optimal)"):
        table = policy_table(name, worlds)
        assert np.all(value(worlds.model, table) <= value(worlds.model, best) + 1e-9)
        assert np.all(value(worlds.plant, table) <= value(worlds.plant, oracle) + 1e-9)


def test_without_a_base_lookahead_is_myopic(worlds):
    assert np.array_equal(
        policy_table("rollout(static, terminal=zero)", worlds), policy_table("retrain(greedy)", worlds)
    ) or np.allclose(
        MDP.from_system(worlds.model).reward[np.arange(30), policy_table("rollout(static, terminal=zero)", worlds)],
        MDP.from_system(worlds.model).reward.max(axis=1),
    )


def test_a_policy_of_one_load_acts_alike_at_all_loads():
    worlds = context("mesh-s3", phase="after")
    table = policy_table("optimal", worlds).reshape(3, 30)
    assert np.array_equal(table[0], table[1]) and np.array_equal(table[0], table[2])


def test_sampled_rollout_runs_and_is_repeatable(worlds):
    name = "rollout(static, horizon=3, samples=4)"
    first, second = (simulate(worlds.plant, make_policy(name, worlds), [0, 1]).rewards for _ in range(2))
    assert np.array_equal(first, second)


def test_judging_is_paired_and_parses_all_names_first():
    static, again = judge("walk", ["optimal", "optimal"], {}, 5)
    assert np.array_equal(static.returns, again.returns)
    with pytest.raises(InputError, match="unknown policy"):
        judge("mesh-s2", ["ppo", "nosuch"], {}, 5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("static(p=0.7,c=1)", "not on the grid"),
        ("static(p=x,c=1)", "p=x is not a number"),
        ("rollout(static, terminal=best)", "terminal=best; choose one of base, zero, stale"),
        ("rollout(static, lookahead=0)", "lookahead 0"),
    ],
)
def test_options_that_are_refused(worlds, name, message):
    with pytest.raises(InputError, match=message):
        policy_table(name, worlds)


def test_meshes_have_policies_that_a_walk_has_not():
    with pytest.raises(InputError, match="defined for meshes"):
        policy_table("static", context("walk"))
