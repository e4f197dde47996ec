"""Every registered id is made, checked by both libraries and played; a warning is a failure."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_of_sb3
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecMonitor

from netrollout.catalog import context, make, make_policy
from netrollout.envs import IDS
from netrollout.envs.vec import NetVecEnv


@pytest.mark.parametrize("name", IDS)
def test_the_checkers_of_both_libraries_pass_without_a_warning(name):
    env = gymnasium.make(name).unwrapped
    check_env(env)
    check_env_of_sb3(env)


@pytest.mark.parametrize("name", IDS)
def test_an_episode_is_cut_at_the_horizon_of_the_system(name):
    env = gymnasium.make(name)
    env.reset(seed=0)
    ends = [env.step(np.ones(env.action_space.shape, dtype=int))[2:4] for _ in range(env.unwrapped.system.horizon)]
    assert [truncated for _, truncated in ends] == [False] * (len(ends) - 1) + [True]
    if name != "netrollout/Serverless-v0":  # there the work may be done before
        assert not any(terminated for terminated, _ in ends)


def test_an_id_is_made_in_a_process_that_did_not_import_the_package():
    # Gymnasium 1.0 gave up entry points of plug-ins: the module to import stands before the colon.
    program = "import gymnasium; print(gymnasium.make('netrollout:netrollout/MeshS2-v0').unwrapped.system.name)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "mesh-s2"), done.stderr


@pytest.mark.parametrize("policy", ["random", "static", "optimal", "rollout(greedy)"])
def test_named_policies_go_through_evaluate_policy(policy):
    plant = make("mesh-s2", phase="after")
    lanes = VecMonitor(NetVecEnv(plant, 4, seed=1))
    _, lengths = evaluate_policy(
        make_policy(policy, context("mesh-s2", phase="after")), lanes, n_eval_episodes=8, return_episode_rewards=True
    )
    assert lengths == [plant.horizon] * 8
