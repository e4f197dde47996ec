"""Learning a table: numbers that can be worked out by hand, and the two learning tests."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

from netrollout.catalog import make_policy, world
from netrollout.evaluate import simulate
from netrollout.learn import Bins, learner, recipe, train
from netrollout.learn.config import exploring
from netrollout.systems.serverless.farm import Farm
from netrollout.systems.serverless.model import QueueModel
from netrollout.systems.toy import Walk
from netrollout.types import InputError, Step

ALGORITHMS = ("sarsa", "qlearning")
KINDS = ("accumulating", "replacing", "dutch")
PLACES = Bins([[0.5, 1.5]])
BLIND = Bins([[]])
BOTH = ((-1.0, 0.0, 1.0),)


class Place(NamedTuple):
    place: np.ndarray


@dataclass(frozen=True)
class Track:
    """Places 0 .. n - 1 in a row; arriving at k pays ``pay[k]``, and ends the episode at the last where `end` says so.

    With one level every step goes up; `blind` shows the same observation everywhere.
    """

    pay: tuple = (0.0, 0.0, 1.0)
    levels: tuple = ((1.0,),)
    end: bool = True
    blind: bool = False
    discount: float = 0.9
    horizon: int = 10
    name: str = "track"

    def initial(self, rng, n):
        return Place(np.zeros(n, dtype=np.int64))

    def disturbance(self, rng, shape):
        return np.zeros((*shape, 1))

    def transition(self, x, u, w):
        change = np.asarray(self.levels[0], dtype=np.int64)[np.asarray(u)[:, 0]]
        place = np.clip(x.place + change, 0, len(self.pay) - 1)
        last = place == len(self.pay) - 1
        return Step(Place(place), np.asarray(self.pay)[place], last & self.end, {})

    def step(self, x, u, rng):
        return self.transition(x, u, self.disturbance(rng, (len(x.place),)))

    def observe(self, x):
        return (0.0 * x.place if self.blind else x.place)[:, None].astype(np.float32)

    def feasible(self, x):
        return np.ones((len(x.place), len(self.levels[0])), dtype=bool)


def learn(system, algorithm, episodes, seed=0, **settings):
    return train(system, algorithm, episodes, seed, **settings)


def greedily(**options):
    return {"step_size": 0.5, "epsilon": 0.0, "epsilon_least": 0.0, **options}


def mean_place(walk, policy):
    return simulate(walk, policy, range(5), horizon=20).metrics["place"][:, 5:].mean()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_better_arm_is_learned_and_with_the_sign_turned_the_other(algorithm, kind):
    for pay, place in (((0.0, 1.0), 1.0), ((0.0, -1.0), 0.0)):
        walk = Walk(pay=pay)
        assert mean_place(walk, learn(walk, algorithm, 250, seed=2, traces=kind)) == place


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("lanes", [1, 8])
def test_a_walk_to_a_far_place_is_learned_in_any_number_of_lanes(algorithm, lanes):
    walk = Walk(pay=(0.0, 0.0, 0.0, 1.0), slip=0.1)
    short = {"decay": 0.5, "traces": "replacing"}  # the noise of the reward is as large as the reward
    assert mean_place(walk, learn(walk, algorithm, 600, seed=1, lanes=lanes, **short)) > 2.8


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("decay", [0.0, 0.5, 1.0])
def test_the_first_reward_reaches_back_along_the_traces(algorithm, decay):
    # One action, arriving at the last place pays 1: q(k) = alpha (gamma lambda)^(steps from there to the last but one).
    q = learn(Track(), algorithm, 1, **greedily(decay=decay), bins=PLACES).q[:, 0]
    assert q == pytest.approx([0.5 * 0.9 * decay, 0.5, 0.0])


@pytest.mark.parametrize(("kind", "keep"), [("accumulating", 1.0), ("replacing", 0.0), ("dutch", 0.5)])
def test_two_steps_in_one_state_as_worked_out_by_hand(kind, keep):
    # First delta 1, then 1 + gamma q - q with q = alpha; the trace of the second is 1 + keep gamma lambda.
    track = Track(pay=(0.0, 1.0, 1.0), end=False, blind=True, horizon=2)
    q = learn(track, "sarsa", 1, **greedily(decay=0.8, traces=kind), bins=BLIND).q[0, 0]
    assert q == pytest.approx(0.5 + 0.5 * (1.0 + 0.9 * 0.5 - 0.5) * (1.0 + keep * 0.9 * 0.8))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_nothing_follows_the_end_of_an_episode_unless_as_published(algorithm):
    one_step = Track(pay=(0.0, 1.0), blind=True)  # the end looks like the beginning
    right = learn(one_step, algorithm, 200, **greedily(), bins=BLIND).q[0, 0]
    wrong = learn(one_step, algorithm, 200, **greedily(bootstrap_at_end=True), bins=BLIND).q[0, 0]
    assert right == pytest.approx(1.0)
    assert wrong == pytest.approx(1.0 / (1.0 - one_step.discount), rel=1e-3)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_time_limit_is_no_end_of_the_system(algorithm):
    endless = Track(pay=(0.0, 1.0), end=False, blind=True, horizon=3)
    assert learn(endless, algorithm, 200, **greedily(), bins=BLIND).q[0, 0] == pytest.approx(10.0, rel=1e-3)


def test_sarsa_learns_the_exploring_policy_and_q_learning_the_greedy_one():
    # The upper of two places pays 1; random steps of -1, 0, +1 arrive there with probability 1/3 or 2/3.
    two = Track(pay=(0.0, 1.0), levels=BOTH, end=False, horizon=20)
    random = {"epsilon": 1.0, "epsilon_least": 1.0, "decay": 0.0, "step_size": 0.04}
    tables = {name: learn(two, name, 500, **random, bins=Bins([[0.5]])).q for name in ALGORITHMS}
    arrive = np.array([[2, 1], [1, 2]]) / 3
    lower, upper = 0.9 * np.linalg.solve(np.eye(2) - 0.9 * arrive, arrive @ [0.0, 1.0])
    random_values = [[lower, lower, 1.0 + upper], [lower, 1.0 + upper, 1.0 + upper]]
    assert tables["sarsa"] == pytest.approx(np.array(random_values), rel=0.1)
    assert tables["qlearning"] == pytest.approx(np.array([[9.0, 9.0, 10.0], [9.0, 10.0, 10.0]]), rel=0.02)


def test_what_comes_after_exploring_is_not_credited_by_q_learning():
    # Two actions that both go up, chosen at random; in place 1 the second is slightly better: the first explores.
    track, bins = Track(pay=(0.0, 0.0, 0.0, 1.0), levels=((1.0, 1.0),)), Bins([[0.5, 1.5, 2.5]])
    always = greedily(decay=1.0, epsilon=1.0, epsilon_least=1.0, step_size=1.0)
    credit = {}
    for seed in range(8):
        run = learner(track, "qlearning", seed, **always, bins=bins)
        run._q[1, 1] = 1e-9
        run.advance(1)
        credit[int(run.policy().visits[1].argmax())] = run.policy().q[0].max()
    assert credit[0] == pytest.approx(0.0, abs=1e-6)
    assert credit[1] == pytest.approx(0.9**2)


def test_visits_count_every_choice_of_the_lanes_that_live():
    policy = learn(Track(), "sarsa", 12, lanes=4, bins=PLACES)
    assert policy.visits[:, 0].tolist() == [12, 12, 0]


def test_the_same_seed_and_lanes_give_the_same_table_and_another_seed_another():
    walk = Walk(pay=(0.0, 1.0))
    tables = [learn(walk, "sarsa", 20, seed=seed, lanes=2).q for seed in (3, 3, 4)]
    assert np.array_equal(tables[0], tables[1]) and not np.array_equal(tables[0], tables[2])


def test_epsilon_falls_from_episode_to_episode_to_its_least():
    published = recipe("sarsa", variant="published").settings
    assert [exploring(published, k) for k in (0, 1, 5000)] == [0.4, 0.4 * 0.995, 0.1]


@pytest.mark.parametrize("system", [Farm(), QueueModel()], ids=["farm", "model"])
def test_the_farm_and_its_model_can_be_learned_on_and_an_untrained_published_table_always_goes_up(system):
    run = learner(system, "sarsa", variant="published")
    start = system.observe(system.initial(np.random.default_rng(0), 2))
    assert run.policy().predict(start)[0].tolist() == [[2], [2]]
    run.advance(2)
    policy = run.policy()
    assert 40 <= policy.visits.sum() <= 60
    assert simulate(system, policy, [0]).rewards.shape == (1, 30)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"warm": train(Walk(), "sarsa", 1)}, "sarsa has no weights to start warm from"),
        ({"algorithm": "sarse"}, "unknown algorithm 'sarse'; did you mean sarsa?"),
        ({"length": 0}, "episodes 0; expected 1 or more"),
        ({"lanes": 0}, "lanes 0; expected 1 or more"),
        ({"step_size": 0.0}, "step_size 0; expected more than 0, at most 1"),
        ({"decay": 1.5}, "decay 1.5; expected 0 to 1"),
        ({"discount": -1.0}, "discount -1; expected 0 to 1"),
        ({"traces": "no"}, "traces 'no'; expected accumulating, replacing or dutch"),
        ({"ties": "any"}, "ties 'any'; expected least or largest"),
    ],
)
def test_what_makes_no_training_is_refused(options, message):
    with pytest.raises(InputError) as error:
        train(Walk(), **{"algorithm": "sarsa", **options})
    assert str(error.value) == message


def test_the_old_spelling_of_an_algorithm_is_understood_and_one_is_kept():
    assert train(Walk(), "q-learning", 1).identity.recipe.name == "qlearning"


def test_a_table_that_would_not_fit_is_refused_before_it_is_made():
    with pytest.raises(InputError, match=r"edge: a table of \d+ binned states x 625 joint actions is too large"):
        make_policy("sarsa(episodes=2)", world("edge", phase="after"))
