"""The farm's baselines: the published rules on their seeds, and what an operator would try."""

import json
from pathlib import Path

import numpy as np
import pytest

from netrollout.seeding import spawn
from netrollout.systems.serverless.clairvoyant import in_time_bound, plan
from netrollout.systems.serverless.farm import Farm
from netrollout.systems.serverless.rules import (
    AlwaysUp,
    Constant,
    Hpa,
    QueueLength,
    Random,
    Reactive,
    SquareRoot,
    erlang_c,
)
from netrollout.systems.serverless.tasks import seeded
from netrollout.types import InputError

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "data" / "openfaas" / "reference.json"


def seen(worker_q=0.0, result_q=0.0, output_q=0.0, workers=12.0, avg=1.5, largest=1.5, arrivals=5.0, lanes=1):
    return np.tile([0, worker_q, result_q, output_q, workers, avg, largest, arrivals, 1.0], (lanes, 1))


def change(policy, observation, state=None, start=None):
    u, state = policy.predict(observation, state, start)
    return int(u[0, 0]) - 1, state


def play(farm, policy, seed=0):
    """Final QoS, workers by cycle, steps and reward of every workload of the farm's bank, (W,) or (T, W)."""
    n = len(farm.bank)
    w = farm.disturbance(spawn(seed, "w"), (farm.horizon, n))
    w[:, :, 0] = np.arange(n)
    x, state, rows = farm.initial(spawn(seed), n), None, []
    for now in w:
        u, state = policy.predict(farm.observe(x), state)
        alive = ~x.done
        step = farm.transition(x, u, now)
        x = step.state
        rows.append(
            (step.metrics["completed"], step.metrics["violations"], step.metrics["workers"], alive, step.reward)
        )
    completed, violations, workers, alive, reward = (np.array(column) for column in zip(*rows, strict=True))
    qos = 1.0 - violations.sum(axis=0) / completed.sum(axis=0)
    return qos, np.where(alive, workers, np.nan), alive.sum(axis=0), reward.sum(axis=0)


@pytest.mark.parametrize(
    ("rule", "seeds", "mean", "largest", "qos"),
    [("average", range(42, 52), 10.79, 16.6, 0.509), ("maximum", range(52, 62), 13.92, 18.8, 0.656)],
)
def test_the_published_rules_do_on_their_seeds_what_was_recorded(rule, seeds, mean, largest, qos):
    got, workers, steps, _ = play(Farm(seeded(seeds)), Reactive(rule))
    assert np.nanmean(workers, axis=0).mean() == pytest.approx(mean, abs=0.2)
    assert np.nanmax(workers, axis=0).mean() == pytest.approx(largest, abs=0.3)
    assert got.mean() == pytest.approx(qos, abs=0.03)
    assert 28 <= steps.mean() <= 30


def test_the_published_rules_choose_what_was_recorded_given_what_was_observed():
    if not REFERENCE.is_file():
        pytest.skip("the recorded episodes (shared/data/openfaas/reference.json) are not here")
    comparison = json.loads(REFERENCE.read_text())["comparison"]
    for name, rule in (("ReactiveAverage", "average"), ("ReactiveMaximum", "maximum")):
        agree = []
        for e in comparison[name]["episodes"]:
            arrivals = np.round(np.array(e["arrival"]) * e["step_dt_derived"]).cumsum()
            for k in range(len(e["action"]) - 1):
                # The record lacks output_q; with a queue every worker is busy, which settles it.
                if e["worker_q"][k] > 10:
                    through = arrivals[k] - e["worker_q"][k] - e["workers"][k]
                    o = seen(
                        e["worker_q"][k], 0, through, e["workers"][k], e["avg_t"][k], e["max_t"][k], e["arrival"][k]
                    )
                    agree.append(change(Reactive(rule), o, np.array([arrivals[k]]))[0] == e["action"][k + 1])
        assert np.mean(agree) > 0.95, name


def test_the_rule_by_hand():
    # Nothing waits, 12 idle workers, 2 tasks/s of 1.5 s: 3 workers are wanted.
    assert change(Reactive("average"), seen(arrivals=2.0))[0] == -1
    # wanted = 20 x 4 / 8 + 5 x 4 = 30
    assert change(Reactive("average"), seen(worker_q=20.0, avg=4.0))[0] == 1
    # wanted = 8 x 1.5 = 12 = w - busy where nothing is known to be in service
    quiet = seen(arrivals=8.0)
    assert change(Reactive("average"), np.where(np.arange(9) == 3, 1000.0, quiet), np.array([0.0]))[0] == 0


def test_the_largest_time_counts_in_the_other_rule():
    o = seen(output_q=1000.0, arrivals=6.0, avg=1.5, largest=3.0)
    assert change(Reactive("average"), o)[0] == -1 and change(Reactive("maximum"), o)[0] == 1


def test_memory_is_kept_per_lane_and_begins_anew_with_an_episode():
    two = np.concatenate([seen(worker_q=5.0), seen(worker_q=90.0)])
    for policy in (Reactive("average"), Hpa(), QueueLength()):
        _, state = policy.predict(two)
        _, later = policy.predict(two, state, np.array([True, False]))
        _, fresh = policy.predict(two)
        assert np.array_equal(np.asarray(later)[0], np.asarray(fresh)[0])
        alone, _ = policy.predict(two[1:], np.asarray(state)[1:])
        assert alone[0, 0] == policy.predict(two, state)[0][1, 0]


def test_a_constant_walks_to_its_number_and_holds_it():
    _, workers, _, _ = play(Farm(seeded([42])), Constant(15))
    assert workers[:6, 0].tolist() == [13, 14, 15, 15, 15, 15]


def test_always_up_ends_at_the_most_and_random_uses_every_action():
    _, workers, _, _ = play(Farm(seeded([42])), AlwaysUp())
    assert np.nanmax(workers) == 32
    u, _ = Random(spawn(0)).predict(seen(lanes=300))
    assert set(u.ravel()) == {0, 1, 2}


def test_the_autoscaler_of_kubernetes_rises_at_once_and_falls_after_its_window():
    policy = Hpa(target=0.7, window=3, service=1.4)
    assert change(policy, seen(arrivals=9.0))[0] == 1
    assert change(policy, seen(arrivals=6.0))[0] == 0  # 6 x 1.4 / 12 = .7
    _, state = policy.predict(seen(arrivals=6.0))
    falls = []
    for _ in range(4):
        d, state = change(policy, seen(arrivals=2.0), state)
        falls.append(d)
    assert falls == [0, 0, -1, -1]


def test_scaling_by_the_queue_wants_one_worker_where_none_waits():
    assert change(QueueLength(window=1), seen())[0] == -1
    assert change(QueueLength(window=1), seen(worker_q=66.0))[0] == 1
    assert change(QueueLength(window=1), seen(worker_q=60.0))[0] == 0


def test_erlangs_formula_by_its_known_values():
    waits = erlang_c(np.array([2.0, 0.0, 5.0]), 10)
    assert waits[0, 2] == pytest.approx(4.0 / 9.0) and waits[1, 0] == 0.0
    assert (waits[2, :5] == 1.0).all() and (np.diff(waits[2, 5:]) < 0).all()


def test_square_root_staffing_grows_like_the_load_and_a_root_of_it():
    def wanted(arrivals):
        return next(k for k in range(1, 60) if change(SquareRoot(most=60), seen(workers=k, arrivals=arrivals))[0] == 0)

    loads = np.array([4.0, 9.0, 16.0]) * 1.4715
    extra = np.array([wanted(a) for a in (4.0, 9.0, 16.0)]) - loads
    assert extra / np.sqrt(loads) == pytest.approx(np.full(3, 1.8), abs=0.4)


def test_one_who_knows_the_future_does_better_than_every_constant_and_the_bound_holds():
    farm = Farm(seeded([7]))
    w = farm.disturbance(spawn(7, "w"), (30, 1))
    w[:, :, 0] = 0.0
    actions, value = plan(farm, w[:, 0], width=4)
    x, total, good = farm.initial(spawn(0), 1), 0.0, 0.0
    for u, now in zip(actions, w, strict=True):
        step = farm.transition(x, u[None], now)
        x, total = step.state, total + step.reward[0]
        good += step.metrics["completed"][0] - step.metrics["violations"][0]
    assert total == pytest.approx(value)
    assert value >= max(play(farm, Constant(k), seed=7)[3][0] for k in (12, 14, 16, 18))
    assert good / 1140 <= in_time_bound(farm)[0] <= 1.0


def test_no_policy_has_more_tasks_in_time_than_the_bound():
    farm = Farm(seeded(range(8)))
    bound = in_time_bound(farm)
    for policy in (AlwaysUp(), Constant(20), Constant(32), Reactive("maximum")):
        assert (play(farm, policy)[0] <= bound + 1e-12).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Reactive("median"), "rule 'median'"),
        (lambda: Hpa(target=0.0), "hpa: target 0"),
        (lambda: Hpa(tolerance=-1.0), "hpa: tolerance -1"),
        (lambda: QueueLength(window=0), "window 0"),
        (lambda: SquareRoot(waiting=1.0), "waiting 1"),
        (lambda: plan(Farm(), np.zeros((3, 3))), r"shape \(3, 3\)"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
