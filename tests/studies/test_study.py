"""What a policy brings cycle by cycle, and the settings that it walks through."""

import numpy as np

from netrollout.catalog import context, make, policy_table
from netrollout.dp import MDP
from netrollout.studies.study import setting_path, undiscounted_table


def test_the_path_walks_one_level_a_cycle_and_stays():
    plant = make("mesh-s2")
    path = setting_path(plant, policy_table("static(p=0.6,c=2)", context("mesh-s2")), 6)
    assert path.tolist() == [[5, 4], [4, 3], [3, 2], [3, 1], [3, 1], [3, 1], [3, 1]]


def test_what_the_published_code_runs_does_not_discount_its_critic():
    plant = make("mesh-s2", discount=0.5)
    mdp, base = MDP.from_system(plant), policy_table("static", context("mesh-s2"))
    critic = np.random.default_rng(1).normal(size=mdp.n_states)
    following = (mdp.transition @ critic).reshape(mdp.reward.shape)
    assert np.array_equal(undiscounted_table(mdp, base, critic), np.argmax(mdp.reward + following, axis=1))
