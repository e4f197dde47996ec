"""From names to policies: what each is made on, and what theory promises of it."""

import pickle

import numpy as np
import pytest

from netrollout.catalog import make_policy, policy_table, world
from netrollout.cli.evaluate import judged
from netrollout.dp import MDP, evaluate_policy
from netrollout.evaluate import simulate
from netrollout.learn import tabulate, train
from netrollout.types import InputError


@pytest.fixture(scope="module")
def worlds():
    return world("mesh-s2", phase="after")


def value(system, table):
    return evaluate_policy(MDP.from_system(system), table).value


def test_plain_names_know_the_system_before_the_change_only(worlds):
    before = world("mesh-s2", phase="before")
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
    worlds = world("mesh-s3", phase="after")
    table = policy_table("optimal", worlds).reshape(3, 30)
    assert np.array_equal(table[0], table[1]) and np.array_equal(table[0], table[2])


def test_sampled_rollout_runs_and_is_repeatable(worlds):
    name = "rollout(static, horizon=3, samples=4)"
    first, second = (simulate(worlds.plant, make_policy(name, worlds), [0, 1]).rewards for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rollout(static, select=safe)", "rollout has no option 'select'"),
        ("static(p=0.7,c=1)", "not on the grid"),
        ("static(p=x,c=1)", "p=x: expected a number"),
        ("rollout(static, terminal=best)", "terminal=best: choose one of base, zero, stale"),
        ("rollout(static, lookahead=0)", "lookahead 0"),
        ("rollout(static, lookahead=1.5)", "lookahead=1.5: expected a whole number"),
        ("ppo(steps=inf)", "steps=inf: expected a whole number"),
        ("ppo(seed=-1)", "seed=-1: expected a whole number"),
        ("retrain(ppo, warm=maybe)", "warm=maybe: choose one of false, true"),
        ("retrain(static, warm=true)", "only ppo has weights"),
        ("retrain(ppo(file=p.npz))", "a file is read, not retrained"),
        ("ppo(file='')", "file= names no file"),
        ("ppo(file=)", "invalid syntax"),
        ("ppo(published=true)", "ppo has no variant 'published'"),
        ("qlearning(steps=5)", "qlearning has no option 'steps'"),
        ("qlearning(variant=x,published=true)", "give one of the two"),
        ("dqn(steps=0)", "steps 0; expected 1 or more"),
        ("retrain(rollout(static, samples=2))", "is simulated and has no table"),
    ],
)
def test_options_that_are_refused(worlds, name, message):
    with pytest.raises(InputError, match=message):
        policy_table(name, worlds)


def test_a_simulated_rollout_looks_one_step_ahead(worlds):
    with pytest.raises(InputError, match="leave out lookahead"):
        make_policy("rollout(static, lookahead=2, samples=2)", worlds)


def test_a_warm_start_goes_on_from_the_weights_of_before_the_change(worlds):
    small = "ppo(steps=512)"
    old = train(worlds.base, length=512, seed=worlds.seed)
    warm = train(worlds.model, length=512, seed=worlds.seed, warm=old)
    assert np.array_equal(policy_table(f"retrain({small}, warm=true)", worlds), tabulate(warm, worlds.model))
    cold = train(worlds.model, length=512, seed=worlds.seed)
    assert np.array_equal(policy_table(f"retrain({small})", worlds), tabulate(cold, worlds.model))
    assert not np.array_equal(tabulate(warm, worlds.model), tabulate(cold, worlds.model))


def test_weights_for_one_load_are_no_warm_start_for_three():
    with pytest.raises(InputError, match="trained on 2 observations"):
        policy_table("retrain(ppo(steps=1), warm=true)", world("mesh-s3", phase="after"))


def test_policies_survive_pickling(worlds):
    observation = worlds.plant.observe(worlds.plant.states())
    for name in ("random", "static", "rollout(static, horizon=2, samples=2)"):
        policy = make_policy(name, worlds)
        twin = pickle.loads(pickle.dumps(policy))
        assert np.array_equal(policy.predict(observation)[0], twin.predict(observation)[0])


def test_meshes_have_policies_that_a_walk_has_not():
    with pytest.raises(InputError, match=r"only .*mesh, queues, serverless has static; not toy"):
        policy_table("static", world("walk"))


def test_the_random_policy_is_retrained_to_itself(worlds):
    assert np.array_equal(policy_table("retrain(random)", worlds), policy_table("random", worlds))


def test_a_large_fleet_has_its_rollouts_by_name():
    """Joint actions of 16 queues cannot be listed: multi-agent rollout is made for this."""
    fleet = world("fleet", components=16, horizon=2)
    better = make_policy("multiagent(random, horizon=2, samples=2)", fleet)
    assert simulate(fleet.plant, better, [0, 1]).rewards.shape == (2, 2)
    with pytest.raises(InputError, match="cannot be listed"):
        make_policy("optimal", fleet)


def test_a_comparison_refuses_a_name_before_anything_is_planned(monkeypatch):
    monkeypatch.setattr("netrollout.catalog.world", lambda *_, **__: pytest.fail("worlds were made"))
    for name in ("rollout(static, select=nonsense)", "ppo(steps=x)"):
        with pytest.raises(InputError, match=r"option 'select'|expected a whole number"):
            judged("mesh-s2", ["static", name], None, 2)
