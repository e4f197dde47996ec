"""What a policy brings cycle by cycle, and the settings that it walks through."""

from functools import partial

import numpy as np

from netrollout.catalog import make, policy_table, world
from netrollout.dp import MDP
from netrollout.experiment import exactly, run
from netrollout.studies.networks import networks
from netrollout.studies.service_changes import (
    certainty_equivalent,
    repairs,
    setting_path,
    undiscounted,
    undiscounted_table,
)


def test_the_path_walks_one_level_a_cycle_and_stays():
    plant = make("mesh-s2")
    path = setting_path(plant, policy_table("static(p=0.6,c=2)", world("mesh-s2")), 6)
    assert path.tolist() == [[5, 4], [4, 3], [3, 2], [3, 1], [3, 1], [3, 1], [3, 1]]


def test_what_the_published_code_runs_does_not_discount_its_critic():
    plant = make("mesh-s2", discount=0.5)
    mdp, base = MDP.from_system(plant), policy_table("static", world("mesh-s2"))
    critic = np.random.default_rng(1).normal(size=mdp.n_states)
    following = (mdp.transition @ critic).reshape(mdp.reward.shape)
    assert np.array_equal(undiscounted_table(mdp, base, critic), np.argmax(mdp.reward + following, axis=1))


def test_rows_that_no_name_says_are_judged_beside_those_that_one_says(tmp_path):
    worlds = world("mesh-s2", phase="after", refit=0)
    [ppo] = networks([worlds.base], 512, [0], tmp_path)
    rows = {"search": partial(undiscounted, ppo), "certain": certainty_equivalent,
            "warm": f"retrain({ppo[:-1]},steps=512,seed=0), warm=true)", "oracle": "oracle"}  # fmt: skip
    table = run(lambda: worlds, rows, exactly())
    assert all((table["mean", row] <= table["mean", "oracle"] + 1e-9).all() for row in rows)


def test_every_repair_is_timed_and_exact_planning_reaches_the_optimum_without_a_training_step():
    found = repairs("mesh-s2", "testbed", 0, training_seeds=1, budget=512)
    assert [one.method for one in found] == [
        "rollout", "walk(static)", "retrain(optimal)", "retrain(ppo)", "retrain(ppo, warm=true)",
    ]  # fmt: skip
    exact = found[2]
    assert exact.reached and exact.steps == 0 and all(one.seconds > 0.0 for one in found)
    assert all(0 < one.steps <= 512 for one in found[3:])
