"""Policies of S4 by name."""

import numpy as np
import pytest

from netrollout.catalog import make_policy, policy_table, world
from netrollout.evaluate import simulate
from netrollout.types import InputError

SEEDS = range(6)


@pytest.fixture(scope="module")
def worlds():
    return world("mesh-s4", phase="after", change="slower")


def mean(worlds, name, horizon=None):
    return simulate(worlds.plant, make_policy(name, worlds), SEEDS, horizon).mean_rewards().mean()


def test_rollout_repairs_what_the_change_broke(worlds):
    """Planned on the learned model, judged on the plant: above its base, the best static setting, the rules."""
    rollout = mean(worlds, "rollout(static, samples=8)")
    assert all(rollout > mean(worlds, name) + 0.03 for name in ("hpa", "static", "walk(static)", "reactive", "random"))


@pytest.mark.parametrize(
    "name",
    [
        "static(p=0.8,c=5)", "hpa(target=0.5,window=6)", "hpa(tuned=true)", "predictive", "retrain(predictive)",
        "rollout(hold, horizon=2, samples=2)", "greedy", "multiagent(reactive, horizon=2, samples=2)",
        "rollout(rollout(hpa, horizon=1, samples=1), horizon=1, samples=1)", "retrain(optimal)", "ppo(steps=2048)",
        "rollout(static, horizon=0, terminal=lattice)", "rollout(static, horizon=1, terminal=stale)",
        "retrain(ppo(steps=2048), warm=true)", "rollout(static, horizon=1, samples=4, halving=true)",
    ],
)  # fmt: skip
def test_every_name_makes_a_policy(worlds, name):
    assert np.isfinite(mean(worlds, name, 3))


def test_the_lattice_of_the_new_model_is_near_that_of_the_plant(worlds):
    assert mean(worlds, "retrain(optimal)") == pytest.approx(mean(worlds, "oracle"), abs=0.03)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rollout(hpa, lookahead=2)", "rollout has no option 'lookahead'"),
        ("rollout(hpa, terminal=base)", "terminal=base: choose one of zero, lattice, stale"),
        ("rollout(hpa, select=first)", "select=first: choose one of best, safe, constrained"),
        ("rollout(hpa, halving=yes)", "halving=yes: choose one of false, true"),
        ("static(p=0.8)", "a setting needs a value for c_1"),
        ("hpa(target=2)", "hpa: target 2"),
        ("hpa(goal=2)", "hpa has no option 'goal'"),
        ("hpa(window=0.5)", "expected a whole number"),
        ("hpa(tuned=true,p=1)", "leave the other options out"),
        ("retrain(hpa, warm=true)", "only ppo has weights"),
    ],
)
def test_a_name_that_does_not_fit_is_refused(worlds, name, message):
    with pytest.raises(InputError, match=message):
        make_policy(name, worlds)


def test_safe_rollout_leaves_its_base_less_often_and_constrained_rollout_has_fewer_late_requests(worlds):
    rng, plant = np.random.default_rng(0), worlds.plant
    x, wander = plant.initial(rng, 64), make_policy("random", worlds)
    for _ in range(20):
        x = plant.step(x, wander.predict(plant.observe(x))[0], rng).state
    names = {"base": "static", "best": "rollout(static)", "safe": "rollout(static, select=safe)"}
    action = {key: make_policy(name, worlds).predict(plant.observe(x))[0] for key, name in names.items()}
    left = {key: (action[key] != action["base"]).any(axis=1) for key in ("best", "safe")}
    assert 0 < left["safe"].sum() < left["best"].sum()
    assert not (left["safe"] & ~left["best"]).any()

    late = {
        name: simulate(plant, make_policy(name, worlds), SEEDS, 96).metrics["late"].mean()
        for name in ("rollout(static)", "rollout(static, select=constrained)")
    }
    assert late["rollout(static, select=constrained)"] < late["rollout(static)"]


def test_there_are_no_tables_here(worlds):
    with pytest.raises(InputError, match="mesh-s4 has no table of states"):
        policy_table("static", worlds)


def test_the_autoscaler_belongs_to_systems_that_measure_utilisation():
    with pytest.raises(InputError, match="only queues, serverless has hpa; not mesh"):
        make_policy("hpa", world("mesh-s2"))


def test_lookahead_closed_by_the_lattice_says_what_rollout_without_a_step_said(worlds):
    """Old logs and tables call it a rollout of whatever base, of which it uses nothing but the breaking of ties."""
    old, new = (
        simulate(worlds.plant, make_policy(name, worlds), SEEDS, 12).rewards
        for name in ("rollout(walk(static), horizon=0, terminal=lattice)", "lookahead(value=lattice)")
    )
    assert np.array_equal(old, new)
