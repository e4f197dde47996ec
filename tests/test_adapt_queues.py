"""The control cycle on queues that carry over: what the residuals tell, what is relearned, when a plan is made anew."""

import numpy as np
import pytest

from netrollout.adapt import Controller
from netrollout.models.drift import make_detector
from netrollout.systems.queues.dynamics import CYCLE, Pattern, QueueMesh
from netrollout.systems.queues.plants import QueueWindow, window_of_step
from netrollout.systems.queues.policies import Hold
from netrollout.systems.queues.relearn import STREAMS, RelearnedQueues

KNOWN = QueueMesh(pattern=Pattern(enter=0.0), law="exponential")


def measured(phase, n, busy, load):
    none = np.zeros(2)
    return QueueWindow(np.array([5, 3]), np.zeros(3), load, n, busy, none, 0.0, int(n.sum()), 0.1, 0, phase=phase)


def window(phase=0, load=22.0, demand=(0.1, 0.1), share=0.8):
    n = np.array([share, 1.0 - share]) * load * CYCLE
    return measured(phase, n, n * np.asarray(demand), load)


def windows(count, seed=0, factor=(1.0, 1.0), shift=0.0, share=0.8, begin=0):
    """Draw windows of a mesh whose demands and day are moved."""
    rng, pattern = np.random.default_rng(seed), Pattern(enter=0.0, shift=shift)
    for phase in range(begin, begin + count):
        rate = float(pattern.load(np.array([phase % 96]), np.zeros(1, dtype=np.int64))[0])
        n = rng.poisson(np.array([share, 1.0 - share]) * rate * CYCLE).astype(float)
        cpu = np.array([rng.exponential(0.1 * f, int(k)).sum() for f, k in zip(factor, n, strict=True)])
        yield measured(phase % 96, n, cpu, n.sum() / CYCLE)


def live_through(relearned, rows, alarm=()):
    """Learn windows; the first comes with the alarms."""
    for number, row in enumerate(rows):
        relearned.learn(row, relearned.residuals(row))
        for stream in alarm if number == 0 else ():
            relearned.change(stream)
    return relearned.model()


def test_quiet_residuals_have_mean_zero_and_at_most_unit_variance():
    z = np.array([RelearnedQueues(KNOWN).residuals(row) for row in windows(96)])
    assert np.abs(z.mean(axis=0)).max() < 0.35
    assert (z.std(axis=0) < 1.25).all()


def test_each_stream_tells_of_its_own_change():
    heavier, busier = window(demand=(0.14, 0.1)), window(phase=0, load=60.0)
    z = RelearnedQueues(KNOWN).residuals(heavier)
    assert z[0] > 3.0 and abs(z[1]) < 0.2 and abs(z[2]) < 0.2
    z = RelearnedQueues(KNOWN).residuals(busier)
    assert z[2] > 5.0 and np.abs(z[:2]).max() < 0.2


def test_a_node_without_requests_tells_nothing():
    z = RelearnedQueues(KNOWN).residuals(window(share=1.0))
    assert np.isfinite(z[[0, 2]]).all() and np.isnan(z[1])


def test_without_an_alarm_nothing_is_relearned():
    relearned = RelearnedQueues(KNOWN)
    assert live_through(relearned, windows(30, factor=(2.0, 2.0))) == KNOWN
    assert relearned.alarms == 0


def test_after_an_alarm_both_demands_are_found():
    model = live_through(RelearnedQueues(KNOWN), windows(20, factor=(1.4, 1.0)), ["demand_1"])
    assert model.demand == pytest.approx((0.14, 0.1), rel=0.06)
    assert model.pattern == KNOWN.pattern


def test_a_node_not_met_is_thought_to_have_changed_with_the_other_but_less():
    model = live_through(RelearnedQueues(KNOWN), windows(20, factor=(1.4, 1.4), share=1.0), ["demand_1"])
    assert 0.1 < model.demand[1] < model.demand[0] == pytest.approx(0.14, rel=0.06)


def test_windows_from_before_the_change_are_forgotten():
    relearned = RelearnedQueues(KNOWN)
    live_through(relearned, windows(40))
    after = windows(8, seed=1, factor=(1.4, 1.4), begin=40)
    for row in after:
        relearned.learn(row, relearned.residuals(row))
    relearned.change("demand_1")
    assert relearned.model().demand[0] == pytest.approx(0.14, rel=0.08)


def test_after_an_alarm_on_the_load_the_shift_of_the_day_is_found():
    model = live_through(RelearnedQueues(KNOWN), windows(12, shift=24.0), ["load"])
    assert model.pattern.shift == pytest.approx(24.0, abs=4.0)
    assert model.pattern.mean == pytest.approx(22.0, rel=0.25)
    assert model.demand == KNOWN.demand


def test_a_plan_is_made_anew_only_where_the_model_has_moved():
    made = []

    def plan(model, cycle):
        made.append(model)
        return Hold(model, np.array([5, 3]))

    detectors = [make_detector("page-hinkley", 17.0) for _ in STREAMS]
    brain = Controller(RelearnedQueues(KNOWN), detectors, plan)
    rng = np.random.default_rng(0)
    x, alarms = KNOWN.initial(rng, 1), 0
    for cycle in range(70):
        plant = QueueMesh(demand=(0.2, 0.2) if cycle >= 40 else (0.1, 0.1))
        step = plant.step(x, brain.decide()[None], rng)
        alarms += bool(brain.learn(window_of_step(int(x.phase[0]), step))[1])
        x = step.state
    assert alarms >= 1 and made[0] == KNOWN
    assert 2 <= len(made) <= 12 and len(set(made)) >= 2
    assert made[-1].demand[0] == pytest.approx(0.2, rel=0.08)
