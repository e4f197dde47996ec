"""Training base policies, reading them as tables, keeping them."""

import io
import json

import numpy as np
import pytest

from netrollout.dp import MDP, evaluate_policy, policy_iteration
from netrollout.systems.toy import Walk
from netrollout.train import (
    critic_values,
    load,
    policy_probabilities,
    policy_table,
    save,
    train,
    train_until,
)
from netrollout.types import InputError

STEPS = 1024
DOWN, HOLD, UP = 0, 1, 2
WALK = Walk(pay=(0.0, 1.0))
LONGER = Walk(pay=(0.0, 0.0, 1.0))


@pytest.fixture(scope="module")
def model():
    return train(WALK, steps=STEPS, seed=1)


def weights(model):
    return np.concatenate([value.numpy().ravel() for value in model.policy.state_dict().values()])


def test_the_paying_arm_is_learned(model):
    assert policy_table(model, WALK).tolist() == [UP, HOLD]


def test_where_the_pay_is_turned_round_so_is_the_policy():
    turned = Walk(pay=(0.0, -1.0))
    assert policy_table(train(turned, steps=STEPS, seed=1), turned).tolist() == [HOLD, DOWN]


def test_the_critic_learns_where_it_is_better_to_be():
    goal = Walk(pay=(0.0, 1.0), slip=0.5)
    values = critic_values(train(goal, steps=4 * STEPS, seed=1), goal)
    assert values[1] > values[0]
    optimum = policy_iteration(MDP.from_system(goal)).value
    assert values == pytest.approx(optimum, abs=0.35 * optimum.max())


def test_the_table_is_what_the_model_predicts_lane_by_lane(model):
    for state, action in enumerate(policy_table(model, WALK)):
        lane = WALK.states()._replace(place=np.array([state]))
        alone, _ = model.predict(WALK.observe(lane)[0], deterministic=True, action_masks=WALK.feasible(lane)[0])
        assert alone.tolist() == [action]


def test_probabilities_sum_to_one_respect_the_masks_and_peak_at_the_table(model):
    probabilities = policy_probabilities(model, WALK)
    assert probabilities.sum(axis=1) == pytest.approx(1.0)
    assert (probabilities[~WALK.feasible(WALK.states())] == 0.0).all()
    assert np.array_equal(probabilities.argmax(axis=1), policy_table(model, WALK))


def test_probabilities_are_the_frequencies_of_sampled_actions(model):
    lanes = WALK.states()._replace(place=np.zeros(4000, dtype=np.int64))
    sampled, _ = model.predict(WALK.observe(lanes), action_masks=WALK.feasible(lanes))
    shares = np.bincount(sampled[:, 0], minlength=3) / len(sampled)
    assert shares == pytest.approx(policy_probabilities(model, WALK)[0], abs=0.03)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(model):
    assert np.array_equal(weights(train(WALK, steps=STEPS, seed=1)), weights(model))
    assert not np.array_equal(weights(train(WALK, steps=STEPS, seed=2)), weights(model))


def test_a_warm_start_goes_on_from_the_given_weights_and_leaves_them(model):
    before = weights(model)
    _, run = train_until(WALK, lambda table: 0.0, 0.0, seed=3, warm=model)
    assert run.steps == 0 and run.reached
    warm = train(WALK, steps=1, seed=3, warm=model)
    cold = train(WALK, steps=1, seed=3)
    assert np.linalg.norm(weights(warm) - before) < np.linalg.norm(weights(cold) - before)
    assert not np.array_equal(weights(warm), before)
    assert np.array_equal(weights(model), before)


def test_a_warm_start_of_another_shape_is_refused(model):
    class Pair(Walk):
        levels = ((-1.0, 0.0, 1.0),) * 2

    with pytest.raises(InputError, match=r"the warm start was trained on 1 observations and levels \[3\]; pair has 1"):
        train(Pair(name="pair"), steps=1, warm=model)


def test_training_stops_when_the_judge_is_satisfied():
    mdp = MDP.from_system(WALK)
    optimum = policy_iteration(mdp).value[0]

    def judge(table):
        return float(evaluate_policy(mdp, table).value[0])

    model, run = train_until(WALK, judge, 0.99 * optimum, seed=0, budget=8192, every=512)
    assert run.reached and 0 <= run.steps < 8192 and run.seconds >= 0.0
    assert [steps for steps, _ in run.curve] == list(range(0, run.steps + 1, 512))
    assert all(value < 0.99 * optimum for _, value in run.curve[:-1])
    assert judge(policy_table(model, WALK)) == run.curve[-1][1] >= 0.99 * optimum


def test_training_stops_at_the_budget_rounded_up_to_whole_rollouts():
    _, run = train_until(WALK, lambda table: 0.0, 1.0, seed=0, budget=1100, every=1024)
    assert not run.reached
    assert [steps for steps, _ in run.curve] == [0, 1024, 1536]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algo": "pppo"}, "unknown algorithm 'pppo'; did you mean ppo?"),
        ({"algo": "dreamer"}, "unknown algorithm 'dreamer'; known: ppo"),
        ({"steps": 0}, "steps 0: at least one environment step is needed"),
    ],
)
def test_what_is_not_known_is_refused(options, message):
    with pytest.raises(InputError) as error:
        train(WALK, **options)
    assert str(error.value) == message


def test_what_was_saved_is_loaded_and_nothing_of_it_is_pickled(model, tmp_path):
    save(model, tmp_path / "policy.npz")
    with np.load(tmp_path / "policy.npz", allow_pickle=False) as file:
        assert json.loads(str(file["about"])) == {"algo": "ppo", "observation": 1, "levels": [3]}
        assert all(not file[name].dtype.hasobject for name in file.files)
    again = load(tmp_path / "policy.npz", WALK)
    assert np.array_equal(weights(again), weights(model))
    assert np.array_equal(policy_probabilities(again, WALK), policy_probabilities(model, WALK))


def test_a_file_belongs_to_every_system_of_its_shape_and_to_no_other(model, tmp_path):
    save(model, tmp_path / "policy.npz")
    assert policy_table(load(tmp_path / "policy.npz", LONGER), LONGER).shape == (3,)

    class Pair(Walk):
        levels = ((-1.0, 0.0, 1.0),) * 2

    with pytest.raises(InputError, match=r"policy.npz was trained on 1 observations and levels \[3\]; pair has 1 and"):
        load(tmp_path / "policy.npz", Pair(name="pair"))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent.npz: no such file"):
        load(tmp_path / "absent.npz", WALK)


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


STRANGERS = {
    "empty": lambda saved, arrays: b"",
    "text": lambda saved, arrays: b"hello",
    "cut off": lambda saved, arrays: saved[: len(saved) // 2],
    "one array": lambda saved, arrays: npy(np.zeros(3)),
    "nothing about it": lambda saved, arrays: npz(x=np.zeros(3)),
    "an empty description": lambda saved, arrays: npz(**arrays | {"about": np.array("{}")}),
    "a list for a description": lambda saved, arrays: npz(**arrays | {"about": np.array("[]")}),
    "a pickled object": lambda saved, arrays: npz(**arrays | {"x": np.array([{}], dtype=object)}),
    "texts for weights": lambda saved, arrays: npz(**arrays | {"action_net.bias": np.array("x")}),
    "a weight missing": lambda saved, arrays: npz(**{k: v for k, v in arrays.items() if k != "action_net.bias"}),
    "a weight too many": lambda saved, arrays: npz(**arrays | {"x": np.zeros(3)}),
    "a weight of another shape": lambda saved, arrays: npz(**arrays | {"action_net.bias": np.zeros(2)}),
}


@pytest.mark.parametrize("damage", STRANGERS)
def test_a_file_that_is_not_a_saved_policy_is_refused_in_one_line(model, tmp_path, damage):
    path = tmp_path / "policy.npz"
    save(model, path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    path.write_bytes(STRANGERS[damage](path.read_bytes(), arrays))
    with pytest.raises(InputError) as error:
        load(path, WALK)
    assert str(error.value) == f"{path} is not a saved policy; `netrollout train SYSTEM ppo` writes one"
