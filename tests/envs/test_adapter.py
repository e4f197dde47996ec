"""Any Gymnasium environment whose state can be set is a system: CartPole, balanced by rollout around a bad rule."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from netrollout import check_system
from netrollout.batch import BatchPolicy
from netrollout.envs.adapter import GymSystem
from netrollout.evaluate import simulate
from netrollout.rollout import TruncatedRollout
from netrollout.types import InputError


class Lean(BatchPolicy):
    """Push to where the pole leans: it falls within a second."""

    def act(self, observation, state, episode_start, action_masks):
        return (observation[:, 2:3] > 0).astype(int), state


class Drift(gymnasium.Env):
    """A number that moves by the action and a draw of its own."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = spaces.MultiDiscrete([3, 2])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = self.np_random.random(1)
        return self.state.astype(np.float32), {}

    def step(self, action):
        self.state = self.state + action[0] - action[1] + self.np_random.random()
        return self.state.astype(np.float32), float(self.state[0]), False, False, {}


def angle(observation):
    return np.stack([np.arctan2(observation[:, 1], observation[:, 0]), observation[:, 2]], axis=1)


def test_rollout_around_a_bad_rule_balances_the_pole():
    pole, cycles = GymSystem(gymnasium.make("CartPole-v1"), discount=1.0), 200
    fallen = simulate(pole, Lean(), range(2), cycles).alive.sum(axis=1)
    rollout = TruncatedRollout(pole, Lean(), np.random.default_rng(0), horizon=60)
    stands = simulate(pole, rollout, range(2), cycles).alive.sum(axis=1)
    assert fallen.max() < 50 and stands.tolist() == [cycles] * 2


def test_an_episode_is_that_of_the_environment():
    env = gymnasium.make("CartPole-v1")
    pole, actions = GymSystem(env), np.random.default_rng(1)
    x = pole.initial(np.random.default_rng(0), 1)
    seen, _ = env.reset(seed=int(np.random.default_rng(0).integers(2**31, size=1)[0]))
    for _ in range(60):
        assert np.array_equal(pole.observe(x)[0], seen)
        action = int(actions.integers(2))
        step = pole.step(x, np.array([[action]]), actions)
        seen, reward, terminated, *_ = env.step(action)
        assert (step.reward[0], step.terminated[0]) == (reward, terminated)
        x = step.state
        if terminated:
            break
    assert terminated


@pytest.mark.parametrize(
    "system",
    [
        lambda: GymSystem(gymnasium.make("CartPole-v1")),
        lambda: GymSystem(gymnasium.make("MountainCar-v0")),
        lambda: GymSystem(gymnasium.make("Acrobot-v1")),  # hidden: it shows sines and cosines
        lambda: GymSystem(gymnasium.make("Pendulum-v1"), levels=[(-2.0, 0.0, 2.0)], state_of=angle),
        lambda: GymSystem(Drift(), horizon=5, noisy=True),
    ],
    ids=["cartpole", "car", "acrobot", "pendulum", "drift"],
)
def test_an_adapted_environment_keeps_what_is_promised_of_a_system(system):
    check_system(system())


def test_an_environment_with_draws_of_its_own_has_to_be_called_noisy():
    with pytest.raises(InputError, match="two answers for the same x, u and w"):
        check_system(GymSystem(Drift(), horizon=5))


def test_the_environment_that_was_given_is_left_alone():
    env = gymnasium.make("CartPole-v1")
    env.reset(seed=3)
    before = env.unwrapped.state.copy()
    pole = GymSystem(env)
    pole.step(pole.initial(np.random.default_rng(0), 4), np.ones((4, 1), dtype=int), np.random.default_rng(0))
    assert np.array_equal(env.unwrapped.state, before)


def test_a_hidden_state_says_how_to_give_it():
    hidden = GymSystem(gymnasium.make("Acrobot-v1"))
    with pytest.raises(InputError, match=r"Acrobot-v1 does not show its state; give GymSystem\(..., state_of=...\)"):
        hidden.state_of(hidden.observe(hidden.initial(np.random.default_rng(0), 2)))


class Stateless(Drift):
    def reset(self, *, seed=None, options=None):
        return np.zeros(1, dtype=np.float32), {}


class Pictures(Drift):
    observation_space = spaces.Box(0.0, 1.0, (4, 4), np.float32)


class Numbered(Drift):
    observation_space = spaces.Discrete(4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GymSystem(Drift()), r"Drift has no time limit; give GymSystem\(..., horizon=...\)"),
        (lambda: GymSystem(gymnasium.make("Pendulum-v1")), "expected Discrete or MultiDiscrete, or a Box with levels="),
        (lambda: GymSystem(gymnasium.make("CartPole-v1"), levels=[(0, 1)]), "expected Discrete or MultiDiscrete, or"),
        (lambda: GymSystem(Pictures(), 5), "expected a Box of one axis"),
        (lambda: GymSystem(Numbered(), 5), "expected a Box of one axis"),
        (lambda: GymSystem(Stateless(), 5), r"keeps no numbers in `state`; give GymSystem\(..., get=..., set=...\)"),
    ],
)
def test_what_cannot_be_adapted_is_refused_in_one_line(make, message):
    with pytest.raises(InputError, match=message):
        make()
