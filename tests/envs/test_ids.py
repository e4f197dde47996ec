"""Every registered id is made, checked by both libraries and played; a warning is a failure."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.env_checker import check_env as check_env_of_sb3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecMonitor

from netrollout.batch import joint_actions, joint_feasible
from netrollout.catalog import make, make_policy, world
from netrollout.envs import ids
from netrollout.envs.vec import NetVecEnv
from netrollout.family import family_of
from netrollout.types import InputError


@pytest.mark.parametrize("name", ids())
def test_the_checkers_of_both_libraries_pass_without_a_warning(name):
    env = gymnasium.make(name).unwrapped
    check_env(env)
    check_env_of_sb3(env)


@pytest.mark.parametrize("name", ids())
def test_learners_of_stable_baselines_begin_with_the_id(name):
    for algorithm in (PPO, MaskablePPO):
        algorithm("MlpPolicy", name, n_steps=8, batch_size=8, n_epochs=1).learn(8)
    lanes = make_vec_env(name, 2)
    lanes.reset()
    assert lanes.step(np.ones((2, *lanes.action_space.shape), dtype=int))[1].shape == (2,)
    DQN("MlpPolicy", make_vec_env(name, 1, env_kwargs={"flat": True}), learning_starts=2, buffer_size=10).learn(8)


@pytest.mark.parametrize("name", ids())
def test_gymnasium_makes_batches_of_the_id(name):
    lanes = gymnasium.make_vec(name, 2, vectorization_mode="sync")
    observation, _ = lanes.reset(seed=0)
    assert observation.shape[0] == 2 and lanes.step(lanes.action_space.sample())[1].shape == (2,)


@pytest.mark.parametrize("name", ids())
def test_a_flat_action_is_a_row_of_the_joint_actions(name):
    env, flat = gymnasium.make(name).unwrapped, gymnasium.make(name, flat=True).unwrapped
    check_env(flat)
    levels = env.system.levels
    table = joint_actions(levels)
    assert flat.action_space == gymnasium.spaces.Discrete(len(table))
    for number in np.random.default_rng(0).permutation(len(table))[:5]:
        env.reset(seed=1), flat.reset(seed=1)
        assert np.array_equal(flat.action_masks(), joint_feasible(env.action_masks()[None], levels)[0])
        assert np.array_equal(env.step(table[number])[0], flat.step(number)[0])
    with pytest.raises(InputError, match=f"expected a whole number from 0 to {len(table) - 1}"):
        flat.step(len(table))


@pytest.mark.parametrize("name", ids())
def test_a_render_mode_that_the_id_does_not_have_is_refused_so_that_others_fall_back(name):
    for mode in ("human", "rgb_array", "nonsense"):
        with pytest.raises(TypeError, match=f"render_mode='{mode}'; expected None or 'ansi'"):
            gymnasium.make(name, render_mode=mode)
    env = gymnasium.make(name, render_mode="ansi")
    env.reset(seed=0)
    assert "cycle 0: observation" in env.render()
    _, reward, *_ = env.step(np.ones(env.action_space.shape, dtype=int))
    assert "cycle 1: observation" in env.render() and f"reward {reward:.4g}" in env.render()


@pytest.mark.parametrize("name", ids())
def test_an_episode_is_cut_at_the_horizon_of_the_system(name):
    env = gymnasium.make(name)
    env.reset(seed=0)
    ends = [env.step(np.ones(env.action_space.shape, dtype=int))[2:4] for _ in range(env.unwrapped.system.horizon)]
    assert [truncated for _, truncated in ends] == [False] * (len(ends) - 1) + [True]
    if not family_of(env.unwrapped.system).ends:
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
        make_policy(policy, world("mesh-s2", phase="after")), lanes, n_eval_episodes=8, return_episode_rewards=True
    )
    assert lengths == [plant.horizon] * 8
