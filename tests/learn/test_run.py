"""Training in segments: what is stopped and taken up again ends as if nothing had happened."""

import numpy as np
import pytest

from netrollout.learn import greedy_returns, learner, learning_curve
from netrollout.systems.toy import Walk
from netrollout.types import InputError

WALK = Walk(pay=(0.0, 0.0, 1.0), slip=0.2)
SMALL = {"lanes": 4, "hidden": [8], "learning_starts": 20, "batch_size": 8, "buffer_size": 160}


def sarsa(seed=0):
    return learner(WALK, "sarsa", seed, lanes=2)


def q_learning(seed=0):
    return learner(WALK, "qlearning", seed)


def dqn(seed=0):
    return learner(WALK, "dqn", seed, target_every=30, **SMALL)  # its replay buffer overflows within the training


def ppo(seed=0):
    return learner(WALK, "ppo", seed)


def sac(seed=0):
    return learner(WALK, "sac", seed, **SMALL)


def td3(seed=0):
    return learner(WALK, "td3", seed, **SMALL)


STOPS = [(sarsa, 40, 10, 1), (sarsa, 40, 10, 2), (q_learning, 30, 10, 1), (dqn, 240, 60, 2), (ppo, 1024, 512, 1),
         (sac, 240, 60, 2), (td3, 240, 60, 2)]  # fmt: skip
JUDGE = greedy_returns(WALK, range(3))


def trained(learner, total, every, path, **options):
    curve = learning_curve(learner, total, every, JUDGE, path, **options)
    return curve, learner.state()


def alike(first, second):
    return set(first) == set(second) and all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("make", "total", "every", "where"), STOPS)
def test_a_training_that_was_stopped_and_taken_up_ends_as_one_that_was_not(make, total, every, where, tmp_path):
    whole, state = trained(make(), total, every, tmp_path / "whole")

    judged = []

    def stop(done, values):
        judged.append(done)
        if len(judged) == where + 2:  # the segment after checkpoint number `where` is lost
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(make(), total, every, tmp_path / "part", tell=stop)
    again = make()
    curve, after = trained(again, total, every, tmp_path / "part", resume=True)
    assert alike(after, state)
    assert np.array_equal(curve.done, whole.done) and np.array_equal(curve.values, whole.values)
    assert (tmp_path / "part").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_training_that_is_over_is_read_from_its_checkpoint_and_may_be_prolonged(tmp_path):
    curve, state = trained(sarsa(), 20, 10, tmp_path / "c")
    again, same = trained(sarsa(), 20, 10, tmp_path / "c", resume=True)
    assert alike(same, state) and np.array_equal(again.values, curve.values)
    longer, _ = trained(sarsa(), 30, 10, tmp_path / "c", resume=True)
    assert longer.done.tolist() == [0, 10, 20, 30]
    assert np.array_equal(longer.values, trained(sarsa(), 30, 10, None)[0].values)


def test_the_curve_begins_before_training_and_names_every_evaluation_episode(tmp_path):
    told = []
    curve, _ = trained(sarsa(), 25, 10, None, tell=lambda done, values: told.append(done))
    assert curve.done.tolist() == told == [0, 10, 20, 26]  # rounded up to whole rounds of two lanes
    record = curve.record()
    assert record["unit"] == "episodes" and len(record["evaluations"]) == 4
    for row, values in zip(record["evaluations"], curve.values, strict=True):
        assert row["episodes"] == values.tolist() and row["mean"] == pytest.approx(values.mean())


def test_judging_does_not_disturb_training():
    busy, idle = dqn(), dqn()
    learning_curve(busy, 120, 60, greedy_returns(WALK, range(7)))
    learning_curve(idle, 120, 60, lambda policy: np.zeros(1))
    assert alike(busy.state(), idle.state())


def test_the_checkpoint_is_overwritten_whole(tmp_path):
    trained(sarsa(), 30, 10, tmp_path / "c")
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize(
    ("other", "every", "message"),
    [
        (lambda: sarsa(1), 10, "the checkpoint has seed 0, this training 1"),
        (q_learning, 10, "the checkpoint has algorithm sarsa, this training qlearning"),
        (sarsa, 5, "the checkpoint has every 10, this training 5"),
    ],
)
def test_the_checkpoint_of_another_training_is_refused(other, every, message, tmp_path):
    trained(sarsa(), 20, 10, tmp_path / "c")
    with pytest.raises(InputError, match=message):
        learning_curve(other(), 30, every, JUDGE, tmp_path / "c", resume=True)


def test_other_settings_are_another_training(tmp_path):
    trained(dqn(), 60, 60, tmp_path / "c")
    with pytest.raises(InputError, match="the checkpoint has settings"):
        learning_curve(learner(WALK, "dqn", lanes=4), 120, 60, JUDGE, tmp_path / "c", resume=True)


def test_other_options_are_another_training(tmp_path):
    trained(sarsa(), 20, 10, tmp_path / "c", options={"phase": "before"})
    with pytest.raises(InputError, match="the checkpoint has phase before, this training after"):
        trained(sarsa(), 30, 10, tmp_path / "c", resume=True, options={"phase": "after"})


def test_other_numbers_of_evaluation_episodes_do_not_mix(tmp_path):
    trained(sarsa(), 20, 10, tmp_path / "c")
    with pytest.raises(InputError, match="4 evaluation episodes after 3 before; resume with as many"):
        learning_curve(sarsa(), 30, 10, greedy_returns(WALK, range(4)), tmp_path / "c", resume=True)


def test_a_checkpoint_that_is_missing_or_damaged_is_refused(tmp_path):
    with pytest.raises(InputError, match="absent: no such file; expected a checkpoint of a training"):
        trained(sarsa(), 20, 10, tmp_path / "absent", resume=True)
    trained(sarsa(), 20, 10, tmp_path / "c")
    (tmp_path / "c").write_bytes((tmp_path / "c").read_bytes()[:-100])
    with pytest.raises(InputError, match="c is not a checkpoint of a training"):
        trained(sarsa(), 20, 10, tmp_path / "c", resume=True)


def checkpoint(path, **changed):
    trained(sarsa(), 20, 10, path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    with open(path, "wb") as file:
        np.savez(file, **arrays | {name: change(arrays[name]) for name, change in changed.items()})


@pytest.mark.parametrize(
    "changed",
    [
        {"done": lambda a: a * 0 + 10**12},
        {"done": lambda a: a * 0 + 10**12, "run_done": lambda a: np.array([0, 10, 10**12])},
        {"done": lambda a: a * 0 - 1},
        {"run_done": lambda a: a[::-1]},
        {"run_done": lambda a: a * 1.0},
        {"run_values": lambda a: a[:-1]},
        {"rows": lambda a: a - 1},
        {"rows": lambda a: a + 10**9},
        {"visits": lambda a: a + 10**6},
        {"visits": lambda a: -a},
        {"q": lambda a: a[:, :2]},
    ],
)
def test_a_checkpoint_that_no_training_could_have_written_is_refused(changed, tmp_path):
    checkpoint(tmp_path / "c", **changed)
    with pytest.raises(InputError, match="c is not a checkpoint of a training"):
        trained(sarsa(), 40, 10, tmp_path / "c", resume=True)


@pytest.mark.parametrize("name", ["q", "run_values"])
def test_a_number_that_is_not_finite_is_refused_where_the_checkpoint_is_read(name, tmp_path):
    checkpoint(tmp_path / "c", **{name: lambda a: a * np.nan})
    with pytest.raises(InputError, match=f"c: {name} holds a number that is not finite"):
        trained(sarsa(), 40, 10, tmp_path / "c", resume=True)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("counters", lambda a: a + 10**9),
        ("counters", lambda a: a * 1.5),
        ("counters", lambda a: -a),
        ("buffer/actions", lambda a: a + 3),
        ("buffer/rewards", lambda a: a[:-1]),
        ("moments/policy.optimizer/0/exp_avg", lambda a: a[:1]),
        ("weights/q_net.q_net.0.bias", lambda a: a[:1]),
    ],
)
def test_a_damaged_checkpoint_of_a_network_is_refused(part, change, tmp_path):
    trained(dqn(), 60, 60, tmp_path / "c")
    with np.load(tmp_path / "c") as file:
        arrays = {name: file[name] for name in file.files}
    with open(tmp_path / "c", "wb") as file:
        np.savez(file, **arrays | {part: change(arrays[part])})
    with pytest.raises(InputError, match="c is not a checkpoint of a training"):
        trained(dqn(), 120, 60, tmp_path / "c", resume=True)


def test_a_training_stops_where_its_condition_is_met_and_when_resumed_stays_so(tmp_path):
    enough = {"stop": lambda done, values: done >= 20}
    curve, state = trained(sarsa(), 50, 10, tmp_path / "c", **enough)
    assert curve.done.tolist() == [0, 10, 20]
    again, same = trained(sarsa(), 50, 10, tmp_path / "c", resume=True, **enough)
    assert alike(same, state) and again.done.tolist() == [0, 10, 20]


@pytest.mark.parametrize(("total", "every"), [(0, 1), (1, 0)])
def test_no_training_and_no_segments_are_refused(total, every):
    with pytest.raises(InputError, match=f"{total} episodes in segments of {every}; expected 1 or more of each"):
        learning_curve(sarsa(), total, every, JUDGE)
