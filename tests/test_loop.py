"""The worlds of the closed loops, and the comparison on paired runs."""

import numpy as np
import pytest

from netrollout.adapt import run
from netrollout.evaluate import simulate
from netrollout.loop import make_loop
from netrollout.makers import Worlds, make_policy
from netrollout.seeding import spawn
from netrollout.studies.closed_loop_study import CALIBRATION_RATE, ROWS, calibrated, compare, fractions
from netrollout.systems.mesh.autoscaler import TARGETS, tuned
from netrollout.systems.mesh.dynamics import MeshState
from netrollout.systems.mesh.loops import DETECTOR, SETTING, WORDS
from netrollout.types import InputError


@pytest.fixture(scope="module")
def loop():
    return make_loop("S2")


def place(mesh, setting):
    return int(mesh.index(MeshState(np.asarray(setting)[None], np.array([0])))[0])


def test_the_base_policy_rests_where_it_rests(loop):
    brain = loop.controller("base")
    assert brain.decide().tolist() == [1, 1] and brain.x.setting[0].tolist() == loop.resting.tolist()
    assert loop.simulated(5, 0).act(np.array([1, 1])).setting.tolist() == loop.resting.tolist()


def test_after_the_change_there_is_something_to_gain(loop):
    rewards = loop.after.held_rewards()
    assert rewards.max() > rewards[place(loop.after, loop.resting)] + 0.1


def test_over_all_visits_there_is_less_to_gain_than_on_the_one_that_the_plant_has(loop):
    here = place(loop.after, loop.resting)
    gain = [rewards.max() - rewards[here] for rewards in (loop.trace_rewards(), loop.after.held_rewards())]
    assert 0.0 < gain[0] < gain[1]


def test_the_model_of_s3_foresees_longer_response_times_at_loads_that_it_has_not_met():
    loop = make_loop("S3")
    mean = loop.model.response.windows.mean(axis=1).reshape(3, -1)
    assert (mean[1] >= mean[0]).all() and (mean[2] > mean[1]).mean() > 0.9
    assert loop.before.load_move == 0.0 < loop.after.load_move


def test_a_refit_of_the_model_leaves_the_plant_as_it_is(loop):
    other = make_loop("S2", refit=3)
    assert not np.array_equal(other.model.response.windows, loop.model.response.windows)
    assert np.array_equal(other.after.response.windows, loop.after.response.windows)


def test_a_recorded_plant_answers_with_held_out_windows(loop):
    plant = loop.recorded()
    d = [plant.act(np.array([1, 1])).d[0] for _ in range(5)]
    held_out = loop.after.response.windows[place(loop.after, loop.resting), :, 0]
    assert sorted(d) == pytest.approx(sorted(held_out))


@pytest.mark.parametrize(
    ("name", "demand", "slow", "kill", "moves"),
    [
        ("S2", {"compute": 0.012}, {}, "", False),
        ("S2-slow", {}, {1: 1.5}, "", False),
        ("S2-kill", {}, {}, "node1", False),
        ("S3", {}, {}, "", True),
        ("release", {"compute": 0.018}, {}, "", False),
    ],
)
def test_the_live_mesh_changes_as_the_trace_did(name, demand, slow, kill, moves):
    plant = make_loop(name).live(50, 0)
    assert plant._demand == {"compute": 0.008}
    change = plant._change
    assert (dict(change.demand), change.kill, change.load_moves) == (demand, kill, moves)
    assert change.slow == pytest.approx(slow)


def test_the_live_day_goes_from_the_lowest_load_to_the_highest():
    plant = make_loop("S4").live(50, 0)
    day = plant._change.day
    assert (day.mean - day.amplitude, day.mean + day.amplitude) == pytest.approx((12.0, 28.0))


def test_the_autoscaler_is_tuned_under_noise_and_takes_the_median_of_what_ties(loop):
    target, level = loop.autoscaler
    assert TARGETS[0] < target < TARGETS[-1] and 0 <= level < len(loop.model.controls[0].levels)
    alone = np.full(loop.busy[0].shape, loop.busy[0].mean())
    assert tuned(loop.model, alone, loop.resting)[0] != TARGETS[0], "not the first of ties"


def test_the_constrained_controller_stays_within_the_bound_where_it_can(loop):
    assert loop.controller("constrained").plan.limit == 1.0 < loop.controller("rollout").plan.limit


def test_unknown_names_are_refused(loop):
    with pytest.raises(InputError, match="unknown scenario 'S6' of the closed loop"):
        make_loop("S6")
    with pytest.raises(InputError, match="unknown policy 'magic'"):
        loop.controller("magic")
    with pytest.raises(InputError, match="S2-kill is known on the testbed only"):
        make_loop("S2-kill").simulated(5, 0)


@pytest.fixture(scope="module")
def runs():
    rows = [("static", "none"), ("hpa", "none"), ("rollout", "none"), ("rollout-true", "none"), ("dp", "epsilon")]
    return compare("S2", refits=2, seeds=2, cycles=60, rows=rows, jobs=1)


def test_every_row_is_a_known_strategy():
    assert {policy for policy, _ in ROWS} == {*WORDS, "hpa"}


def test_fractions_lie_between_the_unadapted_base_and_the_optimum(runs):
    found = fractions(runs)
    assert found["base", "none"].value == 0.0 and found["optimum", "none"].value == pytest.approx(1.0)
    assert found["rollout-true", "none"].value > 0.95
    assert 0.3 < found["rollout", "none"].value < 1.0
    assert found["rollout", "none"].low <= found["rollout", "none"].value <= found["rollout", "none"].high


def test_runs_are_paired_and_repeatable(runs):
    again = compare("S2", refits=2, seeds=2, cycles=60, rows=[("rollout", "none")], jobs=1)
    assert np.array_equal(again["rollout", "none"].reward, runs["rollout", "none"].reward)
    assert np.array_equal(again["base", "none"].late, runs["base", "none"].late)


def test_a_cycle_computes_in_less_than_a_quarter_of_a_second(runs):
    assert all(np.median(one.computing) < 0.25 for one in runs.values())


def test_whoever_recovers_gives_less_away(runs):
    assert runs["rollout", "none"].recovery.mean() < runs["base", "none"].recovery.mean() == 60.0
    assert runs["rollout", "none"].lost.mean() < runs["base", "none"].lost.mean()
    assert (runs["optimum", "none"].recovery <= 3).all()


def test_the_detector_in_use_is_the_calibrated_one_and_quiet_on_the_plant():
    found = {one.detector: one for one in calibrated("S2")}
    assert found[DETECTOR].setting == SETTING
    for one in found.values():
        assert one.calibrated <= 1000 * CALIBRATION_RATE
        assert one.checked <= 2.0, "false alarms per 1,000 quiet cycles of the plant"


@pytest.mark.parametrize("name", ["hpa", "retrain(hpa)", "rollout(retrain(static(days=1)), horizon=1, samples=3)"])
def test_a_name_gives_the_same_episode_to_the_judge_and_in_the_loop(name):
    queues, cycles, seed = make_loop("mesh-s4-slower"), 12, 5
    policy = make_policy(name, Worlds(queues.model, queues.model, queues.before, seed))
    judged = simulate(queues.before, policy, [seed], cycles)
    w = queues.before.disturbance(spawn(seed, "disturbance"), (cycles,))
    plant = queues.simulated(10**6, seed, draw=lambda cycle: w[cycle][None])
    records = run(plant, queues.controller(name, seed=seed), cycles)
    assert [record.reward for record in records] == judged.rewards[0].tolist()


def test_the_queues_of_s4_are_adapted_by_the_same_controller():
    queues = make_loop("mesh-s4-heavier")
    records = run(queues.simulated(20, 1), queues.controller("hpa", seed=1), 45)
    assert any(record.alarm for record in records[20:]) and not any(record.alarm for record in records[:20])
    with pytest.raises(InputError, match="scenario mesh-s4-heavier has no exploration"):
        queues.controller("hpa", "epsilon")
