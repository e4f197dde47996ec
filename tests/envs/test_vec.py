"""A batch of lanes as a Stable-Baselines3 VecEnv."""

import pickle

import numpy as np
import pytest
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecMonitor

from netrollout.envs.gym import NetEnv
from netrollout.envs.vec import NetVecEnv
from netrollout.systems.toy import ToyState, Walk
from netrollout.types import InputError

DOWN, HOLD, UP = 0, 1, 2


class StaggeredWalk(Walk):
    """Lane b begins at place b, so that the lanes end in different steps."""

    def initial(self, rng, n):
        return ToyState(np.arange(n))


def test_one_lane_is_the_gymnasium_environment(mesh):
    env, lanes = NetEnv(mesh), NetVecEnv(mesh, 1)
    lanes.seed(5)
    assert np.array_equal(lanes.reset()[0], env.reset(seed=5)[0])
    for cycle in range(mesh.horizon):
        action = np.random.default_rng(cycle).integers(3, size=2)
        a, reward, terminated, truncated, metrics = env.step(action)
        b, rewards, done, infos = lanes.step(action[None])
        assert rewards[0] == np.float32(reward) and done[0] == (terminated or truncated)
        assert metrics.items() <= infos[0].items()
        assert np.array_equal(infos[0].get("terminal_observation", b[0]), a)


def test_a_step_is_the_transition_of_all_lanes_under_one_generator(mesh):
    lanes, draws, actions = NetVecEnv(mesh, 5, seed=3), np.random.default_rng(3), np.random.default_rng(0)
    x = mesh.initial(draws, 5)
    assert np.array_equal(lanes.reset(), mesh.observe(x))
    for _ in range(mesh.horizon - 1):
        assert np.array_equal(lanes.action_masks(), mesh.feasible(x))
        u = actions.integers(3, size=(5, 2))
        observation, reward, done, infos = lanes.step(u)
        step = mesh.transition(x, u, mesh.disturbance(draws, (5,)))
        x = step.state
        assert np.array_equal(observation, mesh.observe(x)) and not done.any()
        assert np.array_equal(reward, step.reward.astype(np.float32))
        assert [info["d_a"] for info in infos] == step.metrics["d_a"].tolist()


def test_only_the_done_lane_is_reset():
    pay, draws = (0.0, 10.0, 20.0, 30.0), np.random.default_rng(1)
    walk, lanes = StaggeredWalk(pay=pay, end=True), NetVecEnv(StaggeredWalk(pay=pay, end=True), 3, seed=1)
    lanes.reset()
    x = walk.initial(draws, 3)
    u = np.array([[UP], [HOLD], [UP]])  # lane 2 begins next to the end
    step = walk.transition(x, u, walk.disturbance(draws, (3,)))
    observation, reward, done, infos = lanes.step(u)
    assert done.tolist() == [False, False, True]
    assert np.array_equal(observation[:2], walk.observe(step.state)[:2])
    assert np.array_equal(observation[2], walk.observe(walk.initial(draws, 3))[2])
    assert infos[2]["terminal_observation"].tolist() == [1.0] and not infos[2]["TimeLimit.truncated"]
    assert all("terminal_observation" not in info for info in infos[:2])
    assert np.array_equal(reward, step.reward.astype(np.float32))


def test_a_lane_counts_its_cycles_from_its_own_reset():
    lanes = NetVecEnv(StaggeredWalk(pay=(0.0,) * 4, end=True, horizon=3), 3)
    lanes.reset()
    ends = [lanes.step(np.array([[HOLD], [HOLD], [UP if cycle == 0 else HOLD]]))[2].tolist() for cycle in range(4)]
    # Lane 2 arrives in the first cycle; its next episode is cut two cycles after those of the others began anew.
    assert ends == [[False, False, True], [False] * 3, [True, True, False], [False, False, True]]


@pytest.mark.parametrize(
    ("arrives", "horizon", "truncated"), [(False, 1, True), (True, 9, False), (True, 1, False)], ids=str
)
def test_the_time_limit_is_named_only_where_the_state_did_not_terminate(arrives, horizon, truncated):
    lanes = NetVecEnv(Walk(end=True, horizon=horizon), 1)
    lanes.reset()
    _, _, done, infos = lanes.step(np.array([[UP if arrives else HOLD]]))
    assert done[0] and infos[0]["TimeLimit.truncated"] is truncated


def test_the_terminal_observation_is_of_the_ended_episode(mesh):
    lanes = NetVecEnv(mesh, 4, seed=2)
    first = lanes.reset()
    for _ in range(mesh.horizon):
        observation, _, done, infos = lanes.step(np.full((4, 2), HOLD))
    assert done.all()
    ended = np.stack([info["terminal_observation"] for info in infos])
    assert np.array_equal(ended[:, :2], first[:, :2])  # the controls were held
    assert not np.array_equal(observation[:, :2], first[:, :2])  # and the new episodes begin elsewhere


def test_the_seed_decides_the_run_however_it_is_given(mesh):
    def run(lanes):
        return [lanes.reset(), *(lanes.step(np.full((4, 2), UP))[0] for _ in range(2 * mesh.horizon))]

    seeded = NetVecEnv(mesh, 4, seed=0)
    assert seeded.seed(7) == [7, 8, 9, 10]
    given, other = run(NetVecEnv(mesh, 4, seed=7)), run(NetVecEnv(mesh, 4, seed=8))
    assert np.array_equal(run(seeded), given)
    assert not np.array_equal(given, other)


def test_a_seed_holds_for_one_reset(mesh):
    lanes = NetVecEnv(mesh, 4)
    lanes.seed(7)
    assert not np.array_equal(lanes.reset(), lanes.reset())


def test_masks_reach_sb3_contrib(mesh):
    lanes = NetVecEnv(mesh, 3, seed=1)
    lanes.reset()
    assert is_masking_supported(lanes)
    assert np.array_equal(get_action_masks(lanes), lanes.action_masks())
    assert np.array_equal(lanes.env_method("action_masks", indices=[2, 0]), lanes.action_masks()[[2, 0]])


def test_attributes_belong_to_the_batch(mesh):
    lanes = NetVecEnv(mesh, 3)
    assert lanes.get_attr("system") == [mesh] * 3 and lanes.get_attr("system", indices=1) == [mesh]
    lanes.set_attr("render_mode", "none")
    assert lanes.get_attr("render_mode") == ["none"] * 3
    with pytest.raises(ValueError, match="render_mode: the lanes share their attributes"):
        lanes.set_attr("render_mode", None, indices=[0])
    with pytest.raises(AttributeError):
        lanes.get_attr("nothing")
    assert lanes.env_is_wrapped(VecMonitor) == [False] * 3


def test_evaluate_policy_accepts_anything_that_predicts():
    class Up:
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.full((len(observation), 1), UP), state

    walk = Walk(pay=(0.0, 100.0), horizon=10)  # the noise is +-1 a step
    rewards, lengths = evaluate_policy(
        Up(), VecMonitor(NetVecEnv(walk, 4)), n_eval_episodes=8, return_episode_rewards=True
    )
    assert lengths == [10] * 8
    assert rewards == pytest.approx([1000.0] * 8, abs=10.0)


def test_a_pickled_batch_goes_on_alike(mesh):
    lanes = NetVecEnv(mesh, 3, seed=4)
    lanes.reset()
    twin = pickle.loads(pickle.dumps(lanes))
    for _ in range(mesh.horizon):
        a, b = (batch.step(np.full((3, 2), DOWN)) for batch in (lanes, twin))
        assert np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1])


@pytest.mark.parametrize("action", [99, -1, 0.5, np.nan])
def test_an_action_outside_the_space_is_refused(action):
    lanes, one = NetVecEnv(Walk(), 2), NetEnv(Walk())
    lanes.reset(), one.reset()
    with pytest.raises(InputError, match=r"walk: action.*; expected whole numbers from 0 to \[2\]"):
        lanes.step(np.full((2, 1), action))
    with pytest.raises(InputError, match="walk: action"):
        one.step(np.array([action]))


def test_no_lanes_are_refused():
    with pytest.raises(InputError, match="walk: 0 lanes; expected at least 1"):
        NetVecEnv(Walk(), 0)
