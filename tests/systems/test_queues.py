"""S4, the mesh with dynamics: what a cycle does to queues, workers, bursts and the reward."""

from dataclasses import replace

import numpy as np
import pytest

from netrollout.seeding import spawn
from netrollout.systems.queues import requests
from netrollout.systems.queues.dynamics import BOUND, CYCLE, Pattern, QueueMesh, WorkingDay, shared
from netrollout.types import InputError

HOLD = np.array([[1, 1]])


def run(system, actions, seed=0, x=None):
    """Apply actions (T, 2) to one lane; return the steps."""
    rng = spawn(seed, "test")
    x, steps = system.initial(rng, 1) if x is None else x, []
    for u in actions:
        steps.append(system.step(x, np.array([u]), rng))
        x = steps[-1].state
    return steps


def ready(x):
    return x.setting[:, 1] + 1 - x.starting.sum(axis=1)


def test_a_worker_serves_from_the_third_cycle_on():
    states = [step.state for step in run(QueueMesh(), [(1, 2), (1, 1), (1, 1), (1, 1)])]
    assert [int(ready(x)[0]) for x in states] == [4, 4, 5, 5]  # as the next cycle begins
    assert [int(x.setting[0, 1]) + 1 for x in states] == [5, 5, 5, 5]


def test_a_worker_that_is_given_up_stops_at_once_and_the_newest_starting_one_goes_first():
    assert int(ready(run(QueueMesh(), [(1, 0)])[-1].state)[0]) == 3
    up_up_down = run(QueueMesh(), [(1, 2), (1, 2), (1, 0)])[-1].state
    assert up_up_down.setting[0, 1] + 1 == 5 and int(ready(up_up_down)[0]) == 5  # the older one got ready


def test_the_reward_is_what_the_module_says():
    for step in run(QueueMesh(), [(0, 2), (1, 1), (2, 0)]):
        m = step.metrics
        assert step.reward == pytest.approx(-0.06 * m["workers"] - 2.0 * m["late"] - 0.01 * m["moves"])


def test_work_is_conserved():
    system = replace(QueueMesh(), demand=(0.3, 0.3))  # overloaded: queues build up
    x = system.initial(spawn(0), 50)
    for _ in range(10):
        w = system.disturbance(spawn(1, int(x.phase[0])), (50,))
        step = system.transition(x, np.repeat(HOLD, 50, axis=0), w)
        served_1 = x.work[:, :6].sum(1) + step.metrics["cpu_1"] - step.state.work[:, :6].sum(1)
        served_2 = x.work[:, 6] + step.metrics["cpu_2"] - step.state.work[:, 6]
        assert (served_1 <= 4 * CYCLE + 1e-9).all() and (served_1 >= -1e-9).all()
        assert (served_2 <= CYCLE + 1e-9).all() and (served_2 >= -1e-9).all()
        assert step.metrics["busy"] == pytest.approx(served_1 / (4 * CYCLE))
        x = step.state
    assert x.work.sum(axis=1).mean() > 10.0


def test_sharing_keeps_the_total_and_touches_node_1_only_where_its_workers_change():
    work = np.array([[1.0, 0.0, 0, 0, 0, 0, 2.0], [1.0, 0.0, 0, 0, 0, 0, 2.0]])
    out = shared(work, np.array([2, 2]), np.array([4, 2]))
    assert out[0].tolist() == [0.25, 0.25, 0.25, 0.25, 0, 0, 2.0] and out[1].tolist() == work[1].tolist()


def test_arrivals_demands_and_one_queue_agree_with_theory():
    """M/M/1 at half load: the mean response time is 1 / (mu - lambda); arrivals are Poisson."""
    n, load = 4000, np.full(4000, 5.0)
    work = np.zeros((n, 2))
    totals = np.zeros(3)
    for cycle in range(12):
        key = spawn(cycle).random(n)
        work, seen = requests.serve(
            key, load, np.zeros(n), np.ones(n, dtype=np.int64), work, (1.0, 0.1), True, CYCLE, BOUND
        )
        if cycle > 1:  # after the empty beginning
            totals += seen.n.sum(), seen.response.sum(), (seen.n[:, 1] - load * CYCLE).var()
    assert totals[1] / totals[0] == pytest.approx(1 / (10 - 5), rel=0.02)
    assert totals[2] / 10 == pytest.approx(load[0] * CYCLE, rel=0.05)


@pytest.mark.parametrize(("exponential", "second"), [(True, 2.0), (False, 2.0)])
def test_both_laws_of_demand_have_the_mean_and_a_coefficient_of_variation_of_1(exponential, second):
    n = 100_000
    load, work = np.full(n, 0.4), np.zeros((n, 7))
    key, ready_ = spawn(0).random(n), np.ones(n, dtype=np.int64)
    _, seen = requests.serve(key, load, np.ones(n), ready_, work, (0.1, 0.1), exponential, CYCLE, BOUND)
    one = seen.n[:, 0] == 1  # the single requests
    cpu = seen.cpu[one, 0] / 0.1
    assert cpu.mean() == pytest.approx(1.0, rel=0.03) and (cpu**2).mean() == pytest.approx(second, rel=0.1)


def test_the_compiled_loop_equals_its_plain_twin(monkeypatch):
    key, load, p, c = np.array([0.3, 0.7]), np.array([30.0, 50.0]), np.array([0.8, 1.0]), np.array([3, 4])
    work = np.zeros((2, 7))
    work[0, :3] = 0.5
    left, seen = requests.serve(key, load, p, c, work, (0.1, 0.2), False, CYCLE, BOUND)
    monkeypatch.setattr(requests, "uniform", requests.uniform.py_func)
    monkeypatch.setattr(requests, "request", requests.request.py_func)
    monkeypatch.setattr(requests, "loop", requests.loop.py_func)
    with np.errstate(over="ignore"):  # the hash is arithmetic modulo 2^64
        plain_left, plain = requests.serve(key, load, p, c, work, (0.1, 0.2), False, CYCLE, BOUND)
    assert np.allclose(left, plain_left, atol=1e-12)
    assert all(np.allclose(a, b, atol=1e-9) for a, b in zip(seen, plain, strict=True))


def test_all_policies_meet_the_same_requests():
    system = QueueMesh()
    x, w = system.initial(spawn(0), 1), system.disturbance(spawn(0), (1,))
    few, many = (system.transition(x, np.array([u]), w).metrics for u in ((1, 0), (1, 2)))
    assert few["load"] == many["load"] and few["cpu_1"] == many["cpu_1"]
    to_two = system.transition(x, np.array([[0, 1]]), w).metrics
    assert to_two["n_1"] + to_two["n_2"] == few["n_1"]


def test_response_times_rise_with_the_work_at_the_start():
    """The upper bound of `netrollout.systems.queues.lattice` rests on it."""
    rng, n = spawn(0), 500
    key, load, p, c = rng.random(n), rng.uniform(5, 60, n), rng.random(n), rng.integers(1, 7, n)
    work = np.zeros((n, 7))
    more = np.where(np.arange(7) < c[:, None], rng.exponential(0.5, (n, 7)), 0.0)
    more[:, 6] = rng.exponential(0.5, n)
    late = [requests.serve(key, load, p, c, w, (0.1, 0.1), False, CYCLE, BOUND)[1].late for w in (work, more)]
    assert (late[0] <= late[1]).all() and (late[0] < late[1]).any()


def test_the_pattern_is_a_day_with_bursts():
    pattern = Pattern()
    phase = np.arange(96)
    calm = pattern.load(phase, np.zeros(96, dtype=int))
    assert calm.mean() == pytest.approx(22.0) and calm.max() == pytest.approx(38.0) and int(calm.argmax()) == 24
    assert pattern.load(phase, np.ones(96, dtype=int)) == pytest.approx(1.5 * calm)
    assert replace(pattern, shift=24.0).load(phase + 24, phase * 0) == pytest.approx(calm)
    burst, u, share = np.zeros(2000, dtype=int), spawn(0).random((400, 2000)), []
    for row in u:
        burst = pattern.move(burst, row)
        share.append(burst.mean())
    assert np.mean(share[50:]) == pytest.approx((1 / 18) / (1 / 18 + 1 / 6), abs=0.01)


def test_the_controller_sees_everything_but_the_burst_and_the_order_in_the_queue():
    system = QueueMesh()
    x = run(system, [(0, 2), (0, 2), (1, 0), (1, 1), (2, 1)])[-1].state
    seen = system.state_of(system.observe(x))
    for name in ("phase", "setting", "starting"):
        assert np.array_equal(getattr(seen, name), getattr(x, name)), name
    for name in ("load", "busy", "late"):
        assert getattr(seen, name) == pytest.approx(getattr(x, name), abs=1e-5), name
    assert seen.work[:, :6].sum() == pytest.approx(x.work[:, :6].sum(), abs=1e-4)
    calm_or_not = []
    for seed in range(40):
        steps = run(system, [(1, 1)] * 40, seed)
        calm_or_not += [system.state_of(system.observe(s.state)).burst[0] == s.state.burst[0] for s in steps]
    assert np.mean(calm_or_not) > 0.95


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"law": "normal"}, "law 'normal'; choose one of lognormal, exponential"),
        ({"demand": (0.1, 0.0)}, "demand .* must be two positive numbers"),
        ({"start": (0.5, 4.0)}, "p=0.5 is not on the grid"),
        ({"discount": 1.0}, "discount 1.0 must be"),
        ({"horizon": 0}, "horizon 0 must be"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        replace(QueueMesh(), **change)


def test_cycle_bound_prices_and_start_are_the_system_s_own():
    other = QueueMesh(cycle=2.0, bound=0.05, late_cost=4.0, worker_cost=0.1, move_cost=0.5, start_cycles=1)
    for step in run(other, [(1, 2), (1, 1)]):
        m = step.metrics
        assert step.reward == pytest.approx(-0.1 * m["workers"] - 4.0 * m["late"] - 0.5 * m["moves"])
    assert int(ready(step.state)[0]) == 5 and m["late"] > 0.4
    assert m["load"] == pytest.approx(m["n_1"] / 2.0)
    x = other.state_of(other.observe(step.state))
    assert x.starting.shape == (1, 1) and x.late == pytest.approx(m["late"])
    with pytest.raises(InputError, match="start_cycles 0 must be positive"):
        replace(other, start_cycles=0)


def test_a_working_day_rises_within_the_ramp_and_falls_in_the_evening():
    day = WorkingDay(mean=16.0, amplitude=10.0, day=48, burst=1.4)
    calm = day.load(np.arange(48), np.zeros(48, dtype=np.int64))
    assert set(calm[:13]) == {6.0} and calm[15] == calm[31] == 26.0 and calm[35] == calm[47] == 6.0
    assert (np.diff(calm[12:16]) > 0.0).all() and (np.diff(calm[31:36]) <= 0.0).all()
    assert day.load(np.array([20]), np.array([1])) == pytest.approx(1.4 * 26.0)
