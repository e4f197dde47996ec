"""`check_system` names each promise that a system breaks; here a walk that breaks them one by one."""

import re

import numpy as np
import pytest

import netrollout
from netrollout.dp import MDP
from netrollout.evaluate import simulate
from netrollout.systems.toy import ToyState, Walk
from netrollout.types import InputError

PAY = (0.0, 1.0, 2.0)
DICE = np.random.default_rng(0)


def with_step(change):
    """Return a transition whose outcome is changed."""
    return lambda self, x, u, w: change(x, Walk.transition(self, x, u, w))


def spoils_its_input(self, x, u, w):
    step = Walk.transition(self, x, u, w)
    x.place[:] = step.state.place
    return step


def looks_at_its_neighbour(x, step):
    return step._replace(reward=step.reward + 0.1 * np.roll(x.place, 1) + len(x.place))


BROKEN = {
    "transition": {
        "walk: transition changes the x that it is given; expected new arrays": spoils_its_input,
        "walk: transition gives two answers for the same x, u and w; expected every random number to come from "
        "`disturbance`": with_step(lambda x, s: s._replace(reward=s.reward + DICE.random())),
        "walk: lane 0 alone does not what it does in a batch; expected no lane to read another": with_step(
            looks_at_its_neighbour
        ),
        "walk: transition gives a reward of [nan]; expected finite numbers": with_step(
            lambda x, s: s._replace(reward=np.where(x.place == 0, np.nan, 1.0))
        ),
        "walk: transition gives reward of shape (16, 1); expected (16,)": with_step(
            lambda x, s: s._replace(reward=s.reward[:, None])
        ),
        "walk: transition gives terminated of type int64; expected bool": with_step(
            lambda x, s: s._replace(terminated=s.terminated.astype(np.int64))
        ),
        "walk: transition gives place the type float64; expected int64, as it was": with_step(
            lambda x, s: s._replace(state=ToyState(s.state.place.astype(float)))
        ),
        "walk: transition gives a state of type tuple; expected a NamedTuple of arrays": with_step(
            lambda x, s: s._replace(state=tuple(s.state))
        ),
    },
    "initial": {
        "walk: initial gives two answers for equal Generators; expected every random number to come from the one": (
            lambda self, rng, n: ToyState(DICE.integers(3, size=n))
        ),
        "walk: initial gives a state whose place has the shape (1,); expected an array of 16 lanes first": (
            lambda self, rng, n: ToyState(np.zeros(1, dtype=int))
        ),
    },
    "disturbance": {
        "walk: disturbance(rng, (16,)) of shape (2,); expected (16, D_w)": lambda self, rng, shape: rng.random(2)
    },
    "step": {
        "walk: step is not the transition under the disturbance of its Generator": (
            lambda self, x, u, rng: self.transition(x, u, self.disturbance(np.random.default_rng(7), (len(u),)))
        )
    },
    "observe": {
        "walk: observe gives shape (16, 1) and type float64; expected (16, D) of float32": (
            lambda self, x: x.place[:, None] / 2
        ),
        "walk: observe gives [-1.]; expected numbers within `bounds`, or from 0 to 1": (
            lambda self, x: (x.place[:, None] - 1).astype(np.float32)
        ),
    },
    "state_of": {
        "walk: observe(state_of(observation)) is another observation; expected the same, or state_of to raise": (
            lambda self, observation: ToyState(np.ones(len(observation), dtype=int))
        )
    },
    "feasible": {
        "walk: feasible gives shape (16, 2) and type bool; expected (16, 3) of bool": (
            lambda self, x: np.ones((len(x.place), 2), dtype=bool)
        ),
        "walk: feasible leaves component 0 no setting; expected at least one": (
            lambda self, x: np.zeros((len(x.place), 3), dtype=bool)
        ),
    },
    "noise_support": {
        "walk: the weights of noise_support() sum to 0.8; expected 0 or more, and the sum 1": (
            lambda self: (np.full((2, 2), 0.5), np.array([0.4, 0.4]))
        ),
        "walk: noise_support() has the shapes (2, 2) and (3,); expected (W, D_w) and (W,)": (
            lambda self: (np.full((2, 2), 0.5), np.full(3, 1 / 3))
        ),
        "walk: noise_support gives points of 1 numbers; expected 2, as disturbance": (
            lambda self: (np.full((1, 1), 0.5), np.ones(1))
        ),
    },
    "index": {
        "walk: index(states()) is not 0 .. 2, first for state 0; expected the position": lambda self, x: 2 - x.place
    },
    "states": {
        "walk: states gives a state whose place has the shape (2,); expected an array of 3 lanes": (
            lambda self: ToyState(np.arange(2))
        )
    },
    "discount": {"walk: discount 1.5; expected a number from 0 to 1": 1.5},
    "horizon": {"walk: horizon 0; expected a whole number of cycles, 1 or more": 0},
    "levels": {"walk: levels []; expected the settings of each component": property(lambda self: [])},
}
CASES = [(member, message, wrong) for member, row in BROKEN.items() for message, wrong in row.items()]


@pytest.mark.parametrize(("member", "message", "wrong"), CASES, ids=[message for _, message, _ in CASES])
def test_a_broken_promise_is_named_with_what_would_be_right(member, message, wrong):
    if member in ("discount", "horizon"):
        system = Walk(pay=PAY, **{member: wrong})
    else:
        system = type("Broken", (Walk,), {member: wrong})(pay=PAY)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        netrollout.check_system(system)
    assert "\n" not in str(caught.value)


def test_a_missing_method_is_named():
    class Bare:
        name = "bare"

    with pytest.raises(InputError, match="bare has no discount; expected all of name, discount, horizon"):
        netrollout.check_system(Bare())


def test_an_action_that_leaves_the_listed_states_is_named():
    class Runaway(Walk):
        def transition(self, x, u, w):
            step = Walk.transition(self, x, u, w)
            return step._replace(state=ToyState(np.where(u[:, 0] == 2, x.place + 1, step.state.place)))

        def observe(self, x):
            return (x.place[:, None] / 20).astype(np.float32)

        def state_of(self, observation):
            return ToyState(np.rint(observation[:, 0] * 20).astype(np.int64))

    with pytest.raises(InputError, match=r"action \[2\] leads to a state that `states` does not list"):
        netrollout.check_system(Runaway(pay=PAY))


def test_a_hidden_state_is_no_fault():
    class Hidden(Walk):
        def state_of(self, observation):
            raise InputError("hidden: the place cannot be seen")

    netrollout.check_system(Hidden(pay=PAY))


def test_exact_planning_refuses_weights_that_do_not_sum_to_one():
    class Short(Walk):
        def noise_support(self):
            w, p = Walk.noise_support(self)
            return w, 0.8 * p

    with pytest.raises(InputError, match=r"weights of noise_support\(\) sum to 0.8; expected 0 or more, and the sum 1"):
        MDP.from_system(Short(pay=PAY))


class Up:
    def predict(self, observation, state=None, episode_start=None, deterministic=False, action_masks=None):
        return np.full((len(observation), 1), 2), state


class Odd(Walk):
    """Pays what is no number to whoever leaves the last place."""

    def transition(self, x, u, w):
        step = Walk.transition(self, x, u, w)
        return step._replace(reward=np.where(x.place == 2, np.nan, step.reward))


def test_an_episode_with_a_reward_that_is_no_number_is_refused_with_its_cycle_and_seed():
    with pytest.raises(InputError, match="walk: reward nan in cycle 2 of seed 5; expected a finite number"):
        simulate(Odd(pay=PAY), Up(), [5, 6])


def test_what_a_system_pays_after_the_end_of_an_episode_does_not_count():
    assert simulate(Odd(pay=PAY, end=True), Up(), [5]).rewards[0, 2:].tolist() == [0.0] * 8
