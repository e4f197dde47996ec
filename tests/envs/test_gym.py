"""A system as a Gymnasium environment."""

import pickle
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_of_sb3

from netrollout.batch import sizes
from netrollout.envs import ids, register_ids
from netrollout.envs.gym import NetEnv
from netrollout.systems.toy import Walk

HOLD = np.array([1, 1])


@pytest.fixture(params=["mesh", "walk", "walk that ends"])
def system(request, mesh):
    return {"mesh": mesh, "walk": Walk(), "walk that ends": Walk(end=True)}[request.param]


def feasible_action(env, rng):
    """A random action that the mask allows, drawn component by component."""
    parts = np.split(env.action_masks(), np.cumsum(sizes(env.system.levels))[:-1])
    return np.array([rng.choice(np.flatnonzero(part)) for part in parts])


def test_the_checker_of_gymnasium_passes_without_a_warning(system):
    # The checker wants a specification, as `gymnasium.make` gives it to a registered id.
    check_env(gymnasium.make(EnvSpec("Checked-v0", entry_point=NetEnv, kwargs={"system": system})).unwrapped)


def test_the_checker_of_stable_baselines_passes_without_a_warning(system):
    check_env_of_sb3(NetEnv(system))


def test_the_spaces_are_those_of_the_system(mesh):
    env = NetEnv(mesh)
    assert env.observation_space == gymnasium.spaces.Box(0.0, 1.0, (3,), np.float32)
    assert env.action_space == gymnasium.spaces.MultiDiscrete([3, 3])


def test_a_step_is_the_transition_under_the_environments_own_draws(mesh):
    env, actions, draws = NetEnv(mesh), np.random.default_rng(1), np.random.default_rng(5)
    observation, info = env.reset(seed=5)
    x = mesh.initial(draws, 1)
    assert np.array_equal(observation, mesh.observe(x)[0]) and info == {}
    for _ in range(mesh.horizon):
        assert np.array_equal(env.action_masks(), mesh.feasible(x)[0])
        action = feasible_action(env, actions)
        observation, reward, terminated, truncated, info = env.step(action)
        step = mesh.transition(x, action[None], mesh.disturbance(draws, (1,)))
        x = step.state
        assert np.array_equal(observation, mesh.observe(x)[0])
        assert reward == step.reward[0] and not terminated
        assert info == {name: values[0] for name, values in step.metrics.items()}
        assert all(type(value) is float for value in info.values())
    assert truncated


def test_an_episode_is_truncated_at_the_horizon_and_counted_anew_after_a_reset(mesh):
    env = NetEnv(mesh)
    for _ in range(2):
        env.reset(seed=0)
        ends = [env.step(HOLD)[2:4] for _ in range(mesh.horizon)]
        assert ends == [(False, False)] * (mesh.horizon - 1) + [(False, True)]


def test_arriving_terminates_and_does_not_truncate():
    env = NetEnv(Walk(pay=(0.0, 0.0, 1.0), end=True))
    env.reset(seed=0)
    assert [env.step(np.array([2]))[2:4] for _ in range(2)] == [(False, False), (True, False)]


def test_both_flags_are_set_when_the_last_cycle_arrives():
    env = NetEnv(Walk(end=True, horizon=1))
    env.reset(seed=0)
    assert env.step(np.array([2]))[2:4] == (True, True)


def test_the_same_seed_gives_the_same_episode(mesh):
    runs = []
    for seed in (3, 3, 4):
        env = NetEnv(mesh)
        run = [env.reset(seed=seed)[0].tolist()]
        for _ in range(mesh.horizon):
            observation, reward, *_ = env.step(HOLD)
            run += [observation.tolist(), reward]
        runs.append(run)
    assert runs[0] == runs[1] != runs[2]


def test_a_pickled_environment_goes_on_alike(mesh):
    env = NetEnv(mesh)
    env.reset(seed=2)
    env.step(HOLD)
    twin = pickle.loads(pickle.dumps(env))
    for _ in range(3):
        a, b = env.step(HOLD), twin.step(HOLD)
        assert np.array_equal(a[0], b[0]) and a[1:] == b[1:]


def test_registering_twice_does_no_harm():
    before = {name: gymnasium.spec(name) for name in ids()}
    register_ids()
    assert before == {name: gymnasium.spec(name) for name in ids()}
    rooms = ("Serverless", "Edge", "EdgePublished", "Allocation")
    assert set(ids()) == {f"netrollout/{name}-v0" for name in (*(f"MeshS{k}" for k in (1, 2, 3, 4, 5)), *rooms)}


def test_importing_the_package_registers_the_ids_and_loads_no_training_library():
    program = (
        "import sys, gymnasium, netrollout, netrollout.envs\n"
        "assert all(name in gymnasium.registry for name in netrollout.envs.ids())\n"
        "print(*({'stable_baselines3', 'torch', 'netrollout.catalog'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


def test_an_id_stands_for_the_catalogs_system():
    spec = gymnasium.spec("netrollout/MeshS2-v0")
    assert (spec.entry_point, spec.kwargs) == ("netrollout.catalog:make_env", {"name": "mesh-s2"})
    assert isinstance(
        gymnasium.make(EnvSpec("Walk-v0", entry_point=spec.entry_point, kwargs={"name": "walk"})).unwrapped, NetEnv
    )
