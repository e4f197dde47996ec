"""Networks: training base policies and reading them as tables."""

from pathlib import Path

import numpy as np
import pytest

import netrollout.learn
from netrollout.dp import MDP, evaluate_policy, policy_iteration
from netrollout.evaluate import simulate
from netrollout.learn import learner, learning_curve, tabulate, train
from netrollout.learn.network import critic_values, nearest, policy_probabilities
from netrollout.learn.view import BoxView
from netrollout.systems.toy import Walk
from netrollout.types import InputError

STEPS = 1024
DOWN, HOLD, UP = 0, 1, 2
WALK = Walk(pay=(0.0, 1.0))


@pytest.fixture(scope="module")
def model():
    return train(WALK, length=STEPS, seed=1)


def weights(model):
    return np.concatenate([value.numpy().ravel() for value in model.model.policy.state_dict().values()])


def test_the_paying_arm_is_learned(model):
    assert tabulate(model, WALK).tolist() == [UP, HOLD]


def test_where_the_pay_is_turned_round_so_is_the_policy():
    turned = Walk(pay=(0.0, -1.0))
    assert tabulate(train(turned, length=STEPS, seed=1), turned).tolist() == [HOLD, DOWN]


def test_the_critic_learns_where_it_is_better_to_be():
    goal = Walk(pay=(0.0, 1.0), slip=0.5)
    values = critic_values(train(goal, length=4 * STEPS, seed=1), goal)
    assert values[1] > values[0]
    optimum = policy_iteration(MDP.from_system(goal)).value
    assert values == pytest.approx(optimum, abs=0.35 * optimum.max())


def test_the_table_is_what_the_model_predicts_lane_by_lane(model):
    for state, action in enumerate(tabulate(model, WALK)):
        lane = WALK.states()._replace(place=np.array([state]))
        alone, _ = model.predict(WALK.observe(lane)[0], deterministic=True, action_masks=WALK.feasible(lane)[0])
        assert alone.tolist() == [action]


def test_probabilities_sum_to_one_respect_the_masks_and_peak_at_the_table(model):
    probabilities = policy_probabilities(model, WALK)
    assert probabilities.sum(axis=1) == pytest.approx(1.0)
    assert (probabilities[~WALK.feasible(WALK.states())] == 0.0).all()
    assert np.array_equal(probabilities.argmax(axis=1), tabulate(model, WALK))


def test_probabilities_are_the_frequencies_of_sampled_actions(model):
    lanes = WALK.states()._replace(place=np.zeros(4000, dtype=np.int64))
    sampled, _ = model.model.predict(WALK.observe(lanes), action_masks=WALK.feasible(lanes))
    shares = np.bincount(sampled[:, 0], minlength=3) / len(sampled)
    assert shares == pytest.approx(policy_probabilities(model, WALK)[0], abs=0.03)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(model):
    assert np.array_equal(weights(train(WALK, length=STEPS, seed=1)), weights(model))
    assert not np.array_equal(weights(train(WALK, length=STEPS, seed=2)), weights(model))


def test_a_warm_start_goes_on_from_the_given_weights_and_leaves_them(model):
    before = weights(model)
    assert np.array_equal(weights(learner(WALK, "ppo", 3, warm=model).policy()), before)
    warm = train(WALK, length=1, seed=3, warm=model)
    cold = train(WALK, length=1, seed=3)
    assert np.linalg.norm(weights(warm) - before) < np.linalg.norm(weights(cold) - before)
    assert not np.array_equal(weights(warm), before)
    assert np.array_equal(weights(model), before)


def test_a_warm_start_of_another_shape_is_refused(model):
    class Pair(Walk):
        levels = ((-1.0, 0.0, 1.0),) * 2

    with pytest.raises(InputError, match=r"the warm start was trained on 1 observations and levels \[3\]; pair has 1"):
        train(Pair(name="pair"), length=1, warm=model)


def test_training_stops_when_the_judge_is_satisfied_or_at_its_end():
    mdp = MDP.from_system(WALK)
    optimum = policy_iteration(mdp).value[0]

    def judge(policy):
        return evaluate_policy(mdp, tabulate(policy, WALK)).value[:1]

    made = learner(WALK, "ppo", 0, fresh=False)
    curve = learning_curve(made, 8192, 512, judge, stop=lambda done, values: values[0] >= 0.99 * optimum)
    assert curve.done.tolist() == list(range(0, made.done + 1, 512)) and 0 <= made.done < 8192 and curve.seconds >= 0.0
    assert (curve.values[:-1] < 0.99 * optimum).all()
    assert judge(made.policy()) == curve.values[-1] >= 0.99 * optimum
    never = learning_curve(
        learner(WALK, "ppo", 0), 1100, 1024, lambda policy: np.zeros(1), stop=lambda done, values: False
    )
    assert never.done.tolist() == [0, 1024, 1536]  # whole rollouts


def test_a_training_of_one_piece_in_segments_is_one_that_was_never_judged():
    made = learner(WALK, "ppo", 1, fresh=False)
    learning_curve(made, STEPS, 512, lambda policy: np.zeros(1))
    assert np.array_equal(weights(made.policy()), weights(train(WALK, length=STEPS, seed=1)))


def test_a_training_of_one_piece_writes_no_checkpoint(tmp_path):
    with pytest.raises(InputError, match="a training in one piece cannot be taken up again"):
        learning_curve(learner(WALK, "ppo", fresh=False), 512, 512, lambda policy: np.zeros(1), tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


CONTINUOUS = {"hidden": [32], "learning_starts": 64, "batch_size": 64, "lanes": 4, "learning_rate": 3e-3}


@pytest.mark.parametrize(
    ("algorithm", "variant", "length", "settings"),
    [
        ("ppo", "unmasked", 1536, {}),
        ("ppo", "continuous", 2048, {"ent_coef": 0.0}),
        ("sac", None, 800, CONTINUOUS),
        ("td3", None, 800, CONTINUOUS),
    ],
)
@pytest.mark.parametrize(("pay", "place"), [((0.0, 1.0), 1.0), ((0.0, -1.0), 0.0)])
def test_every_algorithm_learns_the_better_arm_and_with_the_sign_turned_the_other(
    algorithm, variant, length, settings, pay, place
):
    walk = Walk(pay=pay)
    policy = train(walk, algorithm, length, 0, variant, **settings)
    assert simulate(walk, policy, range(5), horizon=20).metrics["place"][:, 5:].mean() == place


def test_a_point_of_the_box_means_the_nearest_setting():
    box = BoxView(((-1.0, 0.0, 1.0), (0.0, 1.0)))
    points = [[-1.0, -1.0], [0.2, 0.2], [1.0, 1.0], [9.0, -9.0]]
    assert box.settings(points).tolist() == [[0, 0], [1, 1], [2, 1], [2, 0]]


def test_where_it_must_an_unmasked_policy_takes_the_nearest_feasible_setting():
    levels = ((-1.0, 0.0, 1.0), (0.0, 1.0))
    masks = np.array([[True, True, False, True, True], [True, False, False, False, True]])
    assert nearest(np.array([[2, 0], [2, 0]]), masks, levels).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "pppo"}, "unknown algorithm 'pppo'; did you mean ppo?"),
        ({"algorithm": "dreamer"}, "unknown algorithm 'dreamer'; known are sarsa, qlearning, dqn, ppo, sac, td3"),
        ({"length": 0}, "steps 0; expected 1 or more"),
        ({"variant": "published"}, "ppo has no variant 'published'; known are unmasked, continuous"),
        ({"n_step": 3}, "ppo has no setting 'n_step'; did you mean n_steps?"),
        ({"hidden": [10**9]}, "hidden [1000000000]; expected a few layers of 1 to 4096 units"),
        ({"clip_range": "no"}, "clip_range 'no'; expected something like 0.2"),
        ({"algorithm": "sarsa", "warm": "x"}, "sarsa has no weights to start warm from"),
    ],
)
def test_what_is_not_known_is_refused(options, message):
    with pytest.raises(InputError) as error:
        train(WALK, **options)
    assert str(error.value) == message


def test_a_warm_start_of_another_network_is_refused(model):
    with pytest.raises(InputError, match="the warm start is a policy of ppo; expected one of dqn"):
        learner(WALK, "dqn", warm=model)


def test_the_library_leaves_the_number_of_threads_to_the_process():
    package = Path(netrollout.learn.__file__).parents[1]
    assert not [file for file in package.rglob("*.py") if "set_num_threads" in file.read_text(encoding="utf-8")]
