"""Policies of the serverless farm by name."""

from dataclasses import replace

import numpy as np
import pytest

from netrollout.catalog import make_policy, policy_table, world
from netrollout.evaluate import simulate
from netrollout.learn import save, train
from netrollout.systems.serverless.policies import constants
from netrollout.systems.serverless.realise import farm_plant
from netrollout.types import InputError

LANES = range(4)


@pytest.fixture(scope="module")
def worlds():
    found = world("serverless", phase="after", change="double")
    return replace(found, plant=farm_plant("published", "after", "double", 4))


def reward(worlds, name, horizon=None):
    return simulate(worlds.plant, make_policy(name, worlds), LANES, horizon).rewards.sum(axis=1).mean()


@pytest.mark.parametrize(
    "name",
    [
        "random", "up", "reactive", "reactive(rule=average)", "hpa(target=0.6,window=4)", "keda(target=3)",
        "sqrt(waiting=0.1)", "static(k=17)", "walk(static)", "retrain(sqrt)", "greedy", "sarsa(episodes=2)",
        "qlearning(episodes=2,published=true)", "dqn(steps=600)", "ppo(steps=1)", "retrain(sarsa(episodes=2))",
        "rollout(sarsa(episodes=2), horizon=1, samples=1)", "rollout(hpa, model=fluid, horizon=2)",
        "rollout(rollout(reactive, horizon=1, samples=1), horizon=1, samples=1)",
    ],
)  # fmt: skip
def test_every_name_makes_a_policy(worlds, name):
    assert np.isfinite(reward(worlds, name, 3))


def test_the_best_constant_is_that_of_the_log_before_the_change_and_walk_takes_the_new_one(worlds):
    old, new = worlds.base.log, worlds.model.log
    assert reward(worlds, "static") == reward(worlds, f"static(k={1 + constants(old).argmax()})")
    assert constants(new).argmax() > constants(old).argmax() + 4  # tasks take twice as long
    assert reward(worlds, "walk(static)") > reward(worlds, "static") + 50.0


def test_rollout_repairs_the_published_rule(worlds):
    """Planned on the queue model of a log, judged on the plant."""
    before = world("serverless", log="published")
    before = replace(before, plant=farm_plant("published", "before", "double", 4))
    assert reward(before, "rollout(reactive, samples=4)") > reward(before, "reactive") + 100.0


def test_a_network_says_what_its_stored_twin_says(worlds, tmp_path):
    save(train(worlds.base.log, "sarsa", 2, 5), tmp_path / "t.npz")
    assert reward(worlds, f"sarsa(file={tmp_path / 't.npz'})") == reward(worlds, "sarsa(episodes=2,seed=5)")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("oracle", "states of serverless cannot be listed"),
        ("optimal", "states of serverless-queue cannot be listed"),
        ("static(k=40)", "expected 1 to 32 workers"),
        ("static(p=0.8)", "static has no option 'p'; known are k"),
        ("hpa(p=0.8)", "hpa has no option 'p'"),
        ("hpa(target=x)", "target=x: expected a number"),
        ("sqrt(waiting=2)", "square-root: waiting 2"),
        ("reactive(rule=median)", "choose one of maximum, average"),
        ("rollout(static, model=forest)", "choose one of queue, fluid"),
        ("rollout(static, terminal=base)", "choose one of zero"),
        ("rollout(static, lookahead=2)", "rollout has no option 'lookahead'"),
        ("sarsa(episodes=0)", "expected 1 or more"),
        ("sarsa(steps=5)", "sarsa has no option 'steps'"),
        ("retrain(sarsa(file=a.npz))", "a file is read, not retrained"),
        ("retrain(sarsa, warm=true)", "only ppo has weights"),
    ],
)
def test_a_name_that_does_not_fit_is_refused(worlds, name, message):
    with pytest.raises(InputError, match=message):
        make_policy(name, worlds)


@pytest.mark.parametrize("name", ["keda", "rollout(static, model=fluid)", "rollout(up)", "reactive(rule=average)"])
def test_a_mesh_has_none_of_what_is_the_farms(name):
    for system in ("mesh-s2", "mesh-s4"):
        with pytest.raises(InputError, match=r"only serverless has|has no option"):
            make_policy(name, world(system))
    with pytest.raises(InputError, match=r"only serverless has|has no option"):
        policy_table(name, world("mesh-s2"))


def test_there_are_no_tables_here(worlds):
    with pytest.raises(InputError, match="serverless has no table of states"):
        policy_table("static", worlds)
