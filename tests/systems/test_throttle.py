"""The simulator of the testbed: throttled workers, carried-over requests, timeouts, and the live mesh's numbers."""

from dataclasses import replace

import numpy as np
import pytest

from netrollout.seeding import spawn
from netrollout.systems.queues import throttle
from netrollout.systems.queues.dynamics import Pattern
from netrollout.systems.queues.throttle import ThrottledMesh, window_means
from netrollout.testbed.worker import Throttle
from netrollout.types import InputError

HOLD = np.array([[1, 1]])
STEADY = Pattern(mean=20.0, amplitude=0.0, day=48, enter=0.0)


def run(system, cycles, lanes=1, u=HOLD):
    rng, x, steps = spawn(3), system.initial(spawn(0), lanes), []
    for _ in range(cycles):
        steps.append(system.step(x, np.repeat(u, lanes, axis=0), rng))
        x = steps[-1].state
    return steps


@pytest.mark.parametrize(("p", "c", "live"), [(0.8, 2, 68.4), (0.8, 3, 56.1), (0.8, 5, 54.4), (1.0, 3, 56.8)])
def test_windows_have_the_mean_and_the_spread_of_the_live_mesh(p, c, live):
    means = 1000.0 * window_means(20.0, 0.012, p, c, 4000)
    assert means.mean() == pytest.approx(live, rel=0.05)
    assert 10.0 < means.std() < 25.0


def test_a_worker_takes_as_long_as_the_testbed_s_throttle_lets_it():
    phase, budget, period = 0.007, 0.004, 0.02
    for start, asked in [(0.1, 0.003), (0.1085, 0.0051), (0.1, 0.0299), (0.126, 0.02)]:
        limit, now, spent, piece = Throttle(0.2, period, phase), start, 0.0, 1e-6
        pause = limit.charge(now, 0.0)
        while spent < asked - 1e-9:
            now += pause + piece
            spent, pause = spent + piece, limit.charge(now, piece)
        end, _ = throttle._finish(start, asked, phase, -1.0, 0.0, budget, period)
        assert end == pytest.approx(now, abs=2e-4)


def test_requests_are_conserved_and_a_backlog_is_carried_over():
    system = ThrottledMesh(pattern=replace(STEADY, mean=30.0), demand=(0.03, 0.03), timeout=60.0, start=(1.0, 2.0))
    steps = run(system, 8, lanes=20)
    came, ended = (sum(step.metrics[key] for step in steps) for key in ("load", "ended"))
    jobs = steps[-1].state.jobs
    left = jobs.number.sum(axis=1) + (jobs.end > 0.0).sum(axis=1)
    assert np.abs(came * system.cycle - ended - left).max() <= 2, "answers on the way from a worker are neither"
    assert (steps[-1].metrics["queue_1"] > 400).all()
    assert all(((step.metrics["busy"] > 0.0) & (step.metrics["busy"] <= 1.0 + 1e-9)).all() for step in steps)
    assert (steps[-1].metrics["busy"] > 0.999).all() and (steps[-1].metrics["late"] == 1.0).all()


def test_who_waits_longer_than_the_timeout_leaves_late():
    steps = run(ThrottledMesh(pattern=replace(STEADY, mean=30.0), demand=(0.1, 0.1), start=(1.0, 1.0)), 8, lanes=5)
    last = steps[-1].metrics
    assert (last["queue_1"] < 210).all() and (last["late"] > 0.99).all()
    assert (last["ended"] == pytest.approx(last["load"] * 5.0, rel=0.25)) and (last["n_1"] < 0.5 * last["ended"]).all()


def test_a_worker_that_is_given_up_finishes_what_it_has_and_a_new_one_starts_late():
    system = ThrottledMesh(pattern=replace(STEADY, mean=5.0), demand=(3.0, 3.0), timeout=60.0, start=(1.0, 6.0))
    down = run(system, 3, u=np.array([[1, 0]]))[-1]
    assert down.metrics["workers"] == 3 and (down.state.jobs.end[0] > 0.0).sum() > 3
    assert down.metrics["busy"] > 1.0, "of the ready ones"
    up = run(replace(system, start=(1.0, 3.0)), 1, u=np.array([[1, 2]]))[-1].state
    assert up.starting.tolist() == [[0, 1, 0]]


def test_the_same_disturbance_gives_the_same_step_and_leaves_the_state_alone():
    system = ThrottledMesh(pattern=STEADY)
    x, w = run(system, 2, lanes=3)[-1].state, system.disturbance(spawn(1), (3,))
    before = [part.copy() for part in x.jobs]
    one, two = (system.transition(x, np.repeat(HOLD, 3, axis=0), w) for _ in range(2))
    assert np.array_equal(one.reward, two.reward) and np.array_equal(one.state.jobs.end, two.state.jobs.end)
    assert all(np.array_equal(a, b) for a, b in zip(before, x.jobs, strict=True))
    seen = system.state_of(system.observe(x))
    assert np.array_equal(seen.setting, x.setting) and np.allclose(seen.work, x.work, atol=1e-4)


def test_a_cycle_that_is_no_multiple_of_the_period_is_refused():
    with pytest.raises(InputError, match="multiple of the period"):
        ThrottledMesh(cycle=0.05)
