"""The closed loop: plants, the relearned model, plans, exploration, strategies, the cycle, its log and its measures."""

import gzip
import json
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from netrollout.adapt import Controller, Journal, read_journal, replay, run
from netrollout.adapt.measures import fraction, recovered, recovered_bound, worth
from netrollout.dp import MDP, evaluate_policy, policy_iteration
from netrollout.makers import Worlds, make_policy, policy_table
from netrollout.models import Queueing
from netrollout.models.drift import make_detector
from netrollout.models.queueing import Parameters
from netrollout.systems.mesh.autoscaler import Autoscaler
from netrollout.systems.mesh.dynamics import Control, Mesh, MeshState, Objective, ResponseTable
from netrollout.systems.mesh.explore import Cautious, Explorer, Retraining, fresh, safe_actions
from netrollout.systems.mesh.physics import curves
from netrollout.systems.mesh.plants import KINDS, RecordedPlant, SimulatedPlant, Window, line_of, window_of
from netrollout.systems.mesh.policies import best_static, process
from netrollout.systems.mesh.relearn import KEEP, Relearned
from netrollout.types import InputError

BOUND = 0.1  # s
NAMES = ("p_compute", "c_1")


def world(scale=1.0, spread=0.2, workers=(1.0, 2.0, 3.0, 4.0, 5.0)):
    """One service on two nodes; the response falls with workers and with the weight of node 1."""
    controls = (Control("p_compute", (0.0, 0.5, 1.0)), Control("c_1", workers))
    quantiles = np.exp(spread * np.linspace(-1.5, 1.5, 9))
    logs = [np.log(scale * 0.1 / (0.65 + 0.4 * c + 0.1 * p)) for p in range(3) for c in range(len(workers))]
    table = ResponseTable((np.exp(logs)[:, None] * quantiles)[:, :, None])
    objective = Objective((BOUND,), (("c_1",),))
    return Mesh("world", controls, ("compute",), np.array([[20.0]]), 0.0, objective, table)


@pytest.fixture
def mesh():
    return world()


def at(mesh, *setting):
    return MeshState(np.array([setting]), np.array([0]))


def plan(name, mesh, model):
    return make_policy(name, Worlds(mesh, model, mesh))


def loop(mesh, name="parallel(optimal)", rule=None, training=0, explorer=None, threshold=8.0, setting=None):
    relearned = Relearned(mesh, resting=resting(mesh) if setting is None else setting)
    way = fresh(partial(plan, name, mesh))
    if training:
        way = Retraining(relearned, partial(plan, name, mesh), partial(plan, "optimal", mesh), training)
    told = None if rule is None else lambda cycle: mesh
    made = Cautious(relearned, way, explorer) if rule is None else lambda model, cycle: plan(rule, mesh, model)
    return Controller(relearned, [make_detector("page-hinkley", threshold)], made, told)


def resting(mesh):
    base, setting = plan("optimal", mesh, mesh), np.array([2, 4])
    for _ in range(10):
        setting = setting + base.predict(mesh.observe(at(mesh, *setting)))[0][0] - 1
    return setting


def changing(mesh, setting, change_at=40, seed=3, cycle=0):
    return SimulatedPlant(mesh, world(scale=1.8), change_at, setting, seed, cycle=cycle)


# -- plants


def test_two_plants_with_one_seed_meet_the_same_disturbances(mesh):
    stay = np.array([1, 1])
    first, second = changing(mesh, [1, 1]), changing(mesh, [1, 1])
    assert [first.act(stay).d[0] for _ in range(50)] == [second.act(stay).d[0] for _ in range(50)]


def test_a_resumed_plant_goes_on_as_if_nothing_had_happened(mesh):
    stay, whole = np.array([1, 1]), changing(mesh, [1, 1], change_at=5)
    late = [whole.act(stay).d[0] for _ in range(20)][8:]
    resumed = changing(mesh, [1, 1], change_at=5, cycle=8)
    assert [resumed.act(stay).d[0] for _ in range(12)] == late


def test_the_change_strikes_in_its_cycle_and_the_expected_reward_tells(mesh):
    plant = changing(mesh, [1, 1], change_at=2)
    expected = [plant.act(np.array([1, 1])).expected for _ in range(4)]
    g = int(mesh.index(at(mesh, 1, 1))[0])
    before, after = mesh.held_rewards()[g], world(scale=1.8).held_rewards()[g]
    assert expected == pytest.approx([before, before, after, after])


def test_held_rewards_are_the_expected_rewards_of_holding(mesh):
    stay = 4  # of the nine joint actions
    assert mesh.held_rewards() == pytest.approx(MDP.from_system(mesh).reward[:, stay])


def test_a_recorded_plant_answers_with_its_windows_in_order_and_begins_again(mesh):
    grid = np.repeat(np.arange(mesh.n_states), 2)
    d = np.arange(1.0, len(grid) + 1)[:, None]
    plant = RecordedPlant(mesh, grid, d, np.array([0, 0]))
    assert [plant.act(np.array([1, 1])).d[0] for _ in range(3)] == [1.0, 2.0, 1.0]
    last = plant.act(np.array([1, 2]))
    assert last.d[0] == 3.0 and last.setting.tolist() == [0, 1]


def test_a_trace_with_a_hole_is_refused(mesh):
    with pytest.raises(InputError, match="no window at grid point 5"):
        grid = np.delete(np.arange(mesh.n_states), 5)
        RecordedPlant(mesh, grid, np.ones((len(grid), 1)), np.array([0, 0]))


# -- the relearned model


def test_before_any_window_the_model_is_the_old_one(mesh):
    relearned = Relearned(mesh)
    assert relearned.table().windows == pytest.approx(mesh.response.windows)
    assert relearned.mean == pytest.approx(0.0) and (relearned.variance > 0).all()


def test_what_is_met_after_an_alarm_moves_neighbours_more_than_distant_configurations(mesh):
    relearned = Relearned(mesh)
    old = np.exp(np.log(mesh.response.windows[0]).mean(axis=0))
    for _ in range(10):
        relearned.take(0, 2.0 * old, relearned.residual(0, 2.0 * old))
    relearned.change()
    total = np.log(relearned.table().windows).mean(axis=1)[:, 0] - np.log(mesh.response.windows).mean(axis=1)[:, 0]
    assert total[0] == pytest.approx(np.log(2.0), abs=0.15)
    assert 0.2 < total[14] <= total[1] < total[0]


def test_every_window_makes_the_old_ones_count_less(mesh):
    relearned = Relearned(mesh)
    shares = []
    for _ in range(KEEP + 10):
        relearned.take(4, np.array([7.0]), 0.0)
        shares.append(np.isclose(relearned.table().windows[4], 7.0).mean())
    assert all(a <= b for a, b in pairwise(shares)) and shares[-1] > 0.6
    assert shares[KEEP - 1] == shares[-1], "the newest windows are kept, and no more"


def test_of_the_kept_windows_only_those_since_the_change_outlive_an_alarm(mesh):
    relearned = Relearned(mesh)
    for z in (0.0, 0.0, 0.0, 3.0, 3.0):
        relearned.take(2, np.array([0.2]), z)
    relearned.change()
    assert relearned.alarms == 1
    assert [len(kept) for kept in relearned._kept] == [0, 0, 2] + [0] * 12


def test_residuals_have_unit_variance_where_nothing_changed(mesh):
    relearned, rng, z = Relearned(mesh), np.random.default_rng(0), []
    for u in rng.random(400):
        d = mesh.response(np.array([5]), np.array([u]))[0]
        z.append(relearned.residual(5, d))
        relearned.take(5, d, z[-1])
    assert np.mean(z) == pytest.approx(0.0, abs=0.15) and np.std(z) == pytest.approx(1.0, abs=0.15)


def test_a_draw_scatters_around_the_posterior(mesh):
    relearned, rng = Relearned(mesh), np.random.default_rng(0)
    drawn = np.stack([relearned.sample(rng) for _ in range(400)])
    assert drawn.mean(axis=0) == pytest.approx(relearned.mean, abs=0.05)
    assert drawn.var(axis=0) == pytest.approx(relearned.variance, rel=0.3)


@pytest.fixture
def formula():
    queueing = Queueing(NAMES, ("compute",))
    queueing.parameters = Parameters(np.array([[0.04, 0.04]]), np.array([0.005]), 1.0, 10.0)
    return queueing


def formula_world(queueing, factors, mesh):
    heavier = queueing.parameters._replace(demand=queueing.parameters.demand * factors)
    response = queueing.formula(mesh.grid_features(), heavier)
    spread = np.exp(0.2 * np.linspace(-1.5, 1.5, 9))
    return mesh.with_response(ResponseTable(response[:, None, :] * spread[:, None]))


@pytest.mark.parametrize("factors", [(1.0, 1.0), (1.5, 1.5), (1.8, 1.0)])
def test_a_formula_tells_from_two_places_what_the_change_does_everywhere(mesh, formula, factors):
    before, after = (formula_world(formula, np.array(f), mesh) for f in ((1.0, 1.0), factors))
    relearned, rng = Relearned(before, curves(formula, before)), np.random.default_rng(1)
    for grid in [0] * 8 + [12] * 8:  # all on node 2, all on node 1
        d = after.response(np.array([grid]), rng.random(1))[0]
        relearned.take(grid, d, 3.0)
    relearned.change()
    error = np.log(relearned.table().windows).mean(axis=1) - np.log(after.response.windows).mean(axis=1)
    blind = np.log(before.response.windows).mean(axis=1) - np.log(after.response.windows).mean(axis=1)
    assert np.abs(error).mean() < max(0.1, 0.4 * np.abs(blind).mean())
    assert relearned.factors == pytest.approx(np.array(factors), rel=0.3)


def test_a_formula_that_was_not_fitted_is_refused(mesh):
    with pytest.raises(InputError, match="not fitted"):
        curves(Queueing(NAMES, ("compute",)), mesh)


# -- plans


def test_only_rewards_are_made_anew_for_another_response_on_a_grid(mesh):
    other = world(scale=1.8)
    made, whole = process(other), MDP.from_system(other)
    assert made.reward == pytest.approx(whole.reward)
    assert abs(made.transition - whole.transition).max() < 1e-12


def test_parallel_rollout_is_nowhere_worse_than_its_bases_and_retraining_is_best(mesh):
    after, names = world(scale=1.8), ("optimal", "walk(static)", "parallel(optimal)", "rollout(optimal)")
    mdp = process(after)
    value = {name: evaluate_policy(mdp, plan(name, mesh, after).table).value for name in names}
    assert (value["parallel(optimal)"] >= np.maximum(value["optimal"], value["walk(static)"]) - 1e-9).all()
    assert (value["rollout(optimal)"] >= value["optimal"] - 1e-9).all()
    best = evaluate_policy(mdp, plan("retrain(optimal)", mesh, after).table).value
    assert best == pytest.approx(policy_iteration(mdp).value)


def test_a_name_means_in_the_loop_what_it_means_everywhere(mesh):
    for name in ("optimal", "walk(static)", "rollout(optimal)", "parallel(optimal)"):
        table = policy_table(name, Worlds(mesh, mesh, mesh))
        for grid in range(mesh.n_states):
            setting = mesh.states().setting[grid]
            u = loop(mesh, name, setting=setting).decide()
            assert np.ravel_multi_index(tuple(u), (3, 3)) == table[grid]


def test_the_best_setting_is_the_one_that_pays_most(mesh):
    after = world(scale=1.8)
    place = int(after.index(MeshState(best_static(after)[None], np.array([0])))[0])
    assert place == int(after.held_rewards().argmax())


# -- exploration


def test_no_action_that_is_known_to_leave_the_operating_region_is_safe():
    landing, feasible = np.array([0, 1, 2, 3]), np.array([True, True, True, False])
    predicted = np.array([[0.2], [0.5], [0.3], [0.1]])
    assert safe_actions(landing, feasible, predicted, np.array([0.4])).tolist() == [True, False, True, False]
    assert safe_actions(landing, feasible, predicted, np.array([0.1])).tolist() == [True, False, False, False]


def test_every_rule_takes_safe_actions_only():
    safe, q = np.array([False, True, True, False]), np.array([9.0, 1.0, 2.0, 8.0])
    for name in ("none", "epsilon", "optimism", "thompson"):
        explorer = Explorer(name, seed=1, epsilon=0.5)
        chosen = {explorer.choose(0, q, safe, cycle)[0] for cycle in range(50)}
        assert chosen <= {1, 2} and 2 in chosen


def test_epsilon_explores_as_often_as_it_says_and_says_so():
    explorer, safe = Explorer("epsilon", seed=1, epsilon=0.25), np.ones(4, dtype=bool)
    explored = [explorer.choose(3, np.zeros(4), safe, cycle)[1] for cycle in range(400)]
    assert np.mean(explored) == pytest.approx(0.25, abs=0.06)


def test_optimism_believes_what_has_not_been_met_to_be_better(mesh):
    relearned = Relearned(mesh)
    for _ in range(20):
        relearned.take(0, np.exp(np.log(mesh.response.windows[0]).mean(axis=0)), 0.0)
    hoped = relearned.mean - Explorer("optimism").shift(relearned, 0)
    assert (hoped[1:] > hoped[0]).all()


def test_thompson_keeps_its_draw_for_a_while(mesh):
    explorer, relearned = Explorer("thompson", seed=2, period=5), Relearned(mesh)
    drawn = [explorer.shift(relearned, cycle) for cycle in (0, 4, 5)]
    assert np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[1], drawn[2])


def test_an_unknown_exploration_is_named():
    with pytest.raises(InputError, match="unknown exploration 'greedy'; known: none, epsilon, optimism, thompson"):
        Explorer("greedy")


# -- strategies


def autoscaled(mesh, level, busys, routing=1, window=12):
    """Return what the autoscaler does at a setting with each share of busy time, (n, 2)."""
    seen = [None]
    hpa, setting = Autoscaler(mesh, 0.5, routing, lambda: seen[-1], window=window), np.array([1, level])
    for busy in busys:
        seen.append(Window(setting, 0, np.array([0.1]), busy=busy))
        yield hpa.predict(mesh.observe(at(mesh, 1, level)))[0][0].tolist()


@pytest.mark.parametrize(
    ("busy", "level", "move"),
    [
        (0.54, 1, 0),  # within the tolerance of 10 %
        (0.46, 1, 0),
        (0.9, 1, 1),  # ceil(2 x 0.9 / 0.5) = 4 workers: one more a cycle
        (0.9, 4, 0),  # no more than there are
        (0.2, 2, -1),  # ceil(3 x 0.2 / 0.5) = 2 workers
        (float("nan"), 2, 0),
    ],
)
def test_the_autoscaler_follows_kubernetes_algorithm(mesh, busy, level, move):
    assert list(autoscaled(mesh, level, [busy], window=1)) == [[1, 1 + move]]


def test_the_autoscaler_waits_before_it_scales_down(mesh):
    moves = [u[1] - 1 for u in autoscaled(mesh, 2, (0.5, 0.1, 0.1, 0.1), window=3)]
    assert moves == [0, 0, 0, -1]


def test_the_autoscaler_walks_to_the_routing_weight_that_it_was_tuned_with(mesh):
    actions = [next(autoscaled(mesh, 1, [0.5], routing)) for routing in (0, 1, 2)]
    assert actions == [[0, 1], [1, 1], [2, 1]]


# -- the cycle


def test_the_loop_notices_the_change_and_moves_where_the_bound_holds_again(mesh):
    brain = loop(mesh)
    plant = changing(mesh, resting(mesh))
    records = run(plant, brain, 120)
    alarms = [record.cycle for record in records if record.alarm]
    assert alarms and 40 <= alarms[0] < 60
    gained = np.array([record.window.expected for record in records])
    assert gained[100:].mean() > world(scale=1.8).held_rewards().max() - 0.05
    still = run(changing(mesh, resting(mesh)), loop(mesh, rule="optimal"), 120)
    assert gained[40:].mean() > np.mean([record.window.expected for record in still[40:]]) + 0.1


def test_a_record_tells_each_step_and_its_time(mesh):
    record = run(changing(mesh, [1, 1]), loop(mesh, setting=[1, 1]), 2)[1]
    assert record.cycle == 1 and set(record.seconds) == {"detect", "refit", "tabulate", "plan"}
    assert all(0 < seconds < 0.25 for seconds in record.seconds.values())
    assert record.predicted.shape == (1,) and np.isfinite(record.residuals).all()


def test_a_window_that_is_not_usable_teaches_nothing(mesh):
    brain = loop(mesh, setting=[1, 1])
    brain.decide()
    brain.learn(Window(np.array([1, 1]), 0, np.array([4.0]), usable=False))
    assert brain.relearner.table().windows == pytest.approx(mesh.response.windows)
    assert brain.cycle == 1


def test_the_operating_region_is_not_left_knowingly(mesh):
    heavy = world(scale=4.0)  # much of the grid lies beyond the limit
    brain = loop(heavy, explorer=Explorer("epsilon", seed=0, epsilon=1.0), setting=[2, 4])
    records = run(SimulatedPlant(heavy, heavy, 10**6, np.array([2, 4]), 0), brain, 60)
    limit = 4.0 * BOUND
    assert max(record.predicted[0] for record in records) <= limit
    assert heavy.response.windows.mean(axis=1).max() > limit


def test_a_retrained_policy_is_in_force_only_when_its_training_is_over(mesh):
    brain = loop(mesh, "retrain(optimal)", training=15)
    records = run(changing(mesh, resting(mesh), change_at=20), brain, 80)
    alarm = next(record.cycle for record in records if record.alarm)
    rest = resting(mesh).tolist()
    assert all(record.window.setting.tolist() == rest for record in records[: alarm + 15])
    assert any(record.window.setting.tolist() != rest for record in records[alarm + 15 :])


# -- the log


def header(mesh):
    return {"scenario": mesh.name, "seed": 3}


def logged(file, mesh, cycles, resume):
    brain, plant = loop(mesh, explorer=Explorer("epsilon", 5)), changing(mesh, resting(mesh), change_at=10)
    with Journal(file, header(mesh), resume, KINDS) as journal:
        replay(brain, [(line["action"], window_of(line, mesh)) for line in journal.cycles], plant)
        for _ in range(len(journal.cycles), cycles):
            record = brain.step(plant)
            journal.add(record, line_of(record, NAMES))
    return [{k: v for k, v in line.items() if k not in ("time", "seconds")} for line in read_journal(file)[1]]


def test_a_log_that_was_cut_off_is_gone_on_with_without_gap_or_repetition(tmp_path, mesh):
    whole = logged(tmp_path / "whole.jsonl", mesh, 40, resume=False)
    cut = tmp_path / "cut.jsonl"
    logged(cut, mesh, 25, resume=False)
    cut.write_bytes(cut.read_bytes()[:-30])
    assert len(read_journal(cut)[1]) == 24
    assert logged(cut, mesh, 40, resume=True) == whole
    assert [line["cycle"] for line in whole] == list(range(40))


def test_every_cycle_is_on_disk_before_the_next_begins(tmp_path, mesh):
    brain, file = loop(mesh), tmp_path / "log.jsonl"
    plant = changing(mesh, resting(mesh))
    with Journal(file, header(mesh), False, KINDS) as journal:
        record = brain.step(plant)
        journal.add(record, line_of(record, NAMES))
        assert len(file.read_text().splitlines()) == 2
        assert json.loads(file.read_text().splitlines()[1])["setting"].keys() == set(NAMES)


def test_another_run_is_not_gone_on_with(tmp_path, mesh):
    file = tmp_path / "log.jsonl"
    Journal(file, header(mesh), False, KINDS).__exit__(None, None, None)
    with pytest.raises(InputError, match="was made with seed=3, not 4"):
        Journal(file, {**header(mesh), "seed": 4}, True, KINDS)
    with pytest.raises(InputError, match="exists: resume it, or give another name"):
        Journal(file, header(mesh), False, KINDS)
    with pytest.raises(InputError, match="does not exist: there is nothing to go on with"):
        Journal(tmp_path / "other.jsonl", header(mesh), True, KINDS)


def test_a_compressed_log_reads_as_the_plain_one(tmp_path, mesh):
    plain = tmp_path / "log.jsonl"
    cycles = logged(plain, mesh, 4, resume=False)
    packed = tmp_path / "log.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert [line["cycle"] for line in read_journal(packed)[1]] == [line["cycle"] for line in cycles]


def test_a_log_with_a_gap_is_refused(tmp_path):
    file = tmp_path / "log.jsonl"
    file.write_text('{"schema": 1}\n{"cycle": 0}\n{"cycle": 2}\n')
    with pytest.raises(InputError, match="line 3 should be cycle 1"):
        read_journal(file)
    file.write_text("hello\n")
    with pytest.raises(InputError, match="line 1 is not JSON"):
        read_journal(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"setting": None}, "line 3: setting is None; the file is not a log"),
        ({"d": [float("nan")]}, "line 3 is not JSON"),
        ({"setting": {"p_compute": 99, "c_1": 0}}, "cycle 1 of the log: load 0 and setting .* are no levels of"),
        ({"next_load": 7}, "cycle 1 of the log: next_load 7 and setting"),
    ],
)
def test_a_log_that_somebody_edited_is_refused(mesh, tmp_path, change, message):
    file = tmp_path / "log.jsonl"
    logged(file, mesh, 3, resume=False)
    text = file.read_text().splitlines()
    text[2] = json.dumps({**json.loads(text[2]), **change})
    file.write_text("\n".join(text) + "\n")
    with pytest.raises(InputError, match=message):
        logged(file, mesh, 5, resume=True)


# -- measures


def test_recovery_is_the_first_cycle_from_which_the_reward_stays_up():
    reward = np.array([0.0] * 5 + [1.0] + [0.0] * 6 + [1.0] * 30)
    assert recovered(reward, 0.8) == 12
    assert recovered(np.zeros(20), 0.8) == 20
    assert worth(reward, reward < 0.5, 0.0, 1.0) == pytest.approx((31 / 42, 11 / 42, 12, 11))


def test_a_response_time_is_back_when_it_stays_back():
    d = np.array([0.9, 0.05, 0.9, 0.9, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05])
    assert recovered_bound(d, 0.1) == 4


def test_a_fraction_is_the_ratio_of_the_mean_gains():
    assert fraction(np.array([1.0, 3.0]), np.array([0.0, 2.0]), np.array([2.0, 2.0])) == pytest.approx(1.0)
