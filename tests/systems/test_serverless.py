"""The task farm: queue, scaling, observation, reward and end of an episode, and what was recorded of the real one."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from netrollout import batch
from netrollout.seeding import spawn
from netrollout.systems.serverless import kernel
from netrollout.systems.serverless.farm import Farm
from netrollout.systems.serverless.replay import DELAY, DELAYS, Episode, replay
from netrollout.systems.serverless.reward import Reward
from netrollout.systems.serverless.speedup import runtime
from netrollout.systems.serverless.tasks import Bank, bank, seeded
from netrollout.systems.serverless.workload import PUBLISHED, published, shuffled
from netrollout.types import InputError, System

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "data" / "openfaas" / "reference.json"
DOWN, HOLD, UP = (np.full((1, 1), k) for k in range(3))


@pytest.fixture(scope="module")
def reference():
    if not REFERENCE.is_file():
        pytest.skip("the recorded episodes (shared/data/openfaas/reference.json) are not here")
    return json.loads(REFERENCE.read_text())


@pytest.fixture(scope="module")
def farm():
    return Farm(seeded([42, 43, 44]))


def known(arrival, service, poll=0.0):
    """A bank of one workload."""
    n = len(arrival)
    return Bank(np.array([arrival], float), np.array([service], float), np.full((1, n, 2), poll), np.zeros((1, 4)))


def run(farm, actions, w=None, lanes=1):
    """Play actions (T,), the same in every lane; return the steps."""
    x, steps = farm.initial(spawn(0), lanes), []
    w = np.tile([0.0, 6.45, 0.0], (len(actions), lanes, 1)) if w is None else w
    for action, now in zip(actions, w, strict=True):
        steps.append(farm.transition(x, np.full((lanes, 1), action), now))
        x = steps[-1].state
    return steps


def test_it_is_a_system(farm):
    assert isinstance(farm, System) and farm.levels == ((-1.0, 0.0, 1.0),) and farm.noise_support() is None


def test_an_episode_begins_as_the_real_one():
    x = Farm().initial(spawn(0), 2)
    assert Farm().observe(x).tolist() == [[3, 0, 0, 0, 12, 1.5, 1.5, 0, 1]] * 2


def test_tasks_start_in_order_on_the_worker_that_is_free_first():
    farm = Farm(known([1.0, 1.0, 1.0], [1.0, 2.0, 1.0]), start=2)
    x = run(farm, [1])[0].state
    assert x.finish[0] - kernel.OVERHEAD == pytest.approx([2.0, 3.0, 3.0 + kernel.OVERHEAD])
    assert x.collect[0] - x.finish[0] == pytest.approx(np.full(3, kernel.COLLECT))


def test_a_worker_that_is_idle_looks_now_and_then_the_first_of_many_sooner():
    for workers in (1, 4):
        x = run(Farm(known([1.0], [1.0], poll=0.5), start=workers), [1])[0].state
        waited = x.finish[0, 0] - kernel.OVERHEAD - 2.0
        assert waited == pytest.approx(kernel.POLL * (1.0 - 0.5 ** (1.0 / workers)))


def test_a_task_is_in_time_within_twice_its_service_time():
    farm = Farm(known([1.0, 1.0], [1.0, 0.9]), start=1)
    metrics = run(farm, [1])[0].metrics
    assert metrics["completed"][0] == 2 and metrics["violations"][0] == 1 and metrics["qos"][0] == 0.5


def test_a_new_worker_comes_late_and_a_leaving_one_finishes_its_task():
    busy = [1.0] * 3, [4.0] * 3
    up = run(Farm(known(*busy), start=1), [2])[0].state
    # The first worker takes two tasks; the second one, there at 6.3 s, the third.
    assert up.finish[0] == pytest.approx([5.008, 9.016, 0.9 + 5.4 + 4.008]) and up.seen[0, 4] == 2
    down = run(Farm(known([0.95] * 3, [1.0] * 3), start=2), [0])[0].state
    assert down.finish[0] == pytest.approx([1.958, 1.958, 2.966]) and np.isfinite(down.free[0]).sum() == 1


def test_replicas_stay_in_their_range_and_capped_actions_change_nothing():
    farm = Farm(known([1.0, 200.0], [1.0, 1.0]), start=1, most=2)
    assert [step.metrics["workers"][0] for step in run(farm, [0, 2, 2, 0])] == [1, 2, 2, 1]
    assert run(farm, [0])[0].metrics["applied"][0] == 0 and run(farm, [0])[0].metrics["requested"][0] == 1
    assert farm.feasible(farm.initial(spawn(0), 1)).tolist() == [[False, True, True]]


def test_a_slow_start_stretches_the_step():
    farm = Farm(known([1.0] * 40, [30.0] * 40))
    w = np.array([[[0.0, 8.5, 0.06]]])
    assert run(farm, [2], w)[0].state.time[0] == pytest.approx(0.9 + 8.7 + 0.06)
    assert run(farm, [1], w)[0].state.time[0] == pytest.approx(0.9 + 8.06)


def test_every_task_is_waiting_in_service_finished_or_collected(farm):
    x, rng = farm.initial(spawn(1), 3), np.random.default_rng(0)
    w = farm.disturbance(spawn(2), (25, 3))
    for now in w:
        x = farm.transition(x, rng.integers(3, size=(3, 1)), now).state
        for lane in range(3):
            came = (farm.bank.arrival[x.workload[lane]] <= x.time[lane]).sum()
            start = x.finish[lane] - farm.bank.service[x.workload[lane]] - kernel.OVERHEAD
            inside = ((start <= x.time[lane]) & (x.finish[lane] > x.time[lane])).sum()
            assert came == pytest.approx(x.seen[lane, 1:4].sum() + inside)
            assert came <= x.seen[lane, 1:4].sum() + x.seen[lane, 4] + 1


def test_a_lane_alone_is_the_lane_in_the_batch_and_nothing_given_is_changed(farm):
    x, rng = farm.initial(spawn(1), 6), np.random.default_rng(0)
    for _ in range(9):
        x = farm.step(x, rng.integers(3, size=(6, 1)), rng).state
    u, w = rng.integers(3, size=(6, 1)), farm.disturbance(rng, (6,))
    kept, together = pickle.loads(pickle.dumps((x, u, w))), farm.transition(x, u, w)
    assert all(np.array_equal(a, b) for a, b in zip((*x, u, w), (*kept[0], *kept[1:]), strict=True))
    for lane in range(6):
        one = np.array([lane])
        alone = farm.transition(batch.take(x, one), u[one], w[one])
        for a, b in zip(alone.state, batch.take(together.state, one), strict=True):
            assert np.array_equal(a, b)
        assert alone.reward[0] == together.reward[lane]


def test_the_event_loop_is_its_plain_twin(farm):
    b, n = farm.bank, 3
    row, until = np.arange(n), np.array([30.0, 70.0, 150.0])
    joins, leaves = np.array([20.0, np.inf, 9.0]), np.array([np.inf, 12.0, np.inf])
    results = []
    for advance, measure in ((kernel.advance, kernel.measure), (kernel.advance.py_func, kernel.measure.py_func)):
        begun, oldest, free = np.zeros(n, int), np.zeros(n, int), np.full((n, 10), np.inf)
        free[:, :8] = 0.0
        finish, collect, seen = np.full((n, b.tasks), np.inf), np.full((n, b.tasks), np.inf), np.empty((n, 9))
        advance(b.arrival, b.service, b.poll, row, until, joins, leaves, begun, free, finish, collect)
        measure(b.arrival, b.service, row, until - 8.1, until - 8.0, until, oldest, begun, finish, collect, seen)
        results.append((begun, oldest, free, finish, collect, seen))
    for compiled, plain in zip(*results, strict=True):
        assert compiled == pytest.approx(plain, rel=1e-12)


def test_an_episode_ends_when_all_is_collected_with_a_bonus_and_then_stays_over():
    steps = run(Farm(known([1.0], [1.0])), [1, 1, 2])
    assert [bool(step.terminated[0]) for step in steps] == [True, True, True]
    assert [step.reward[0] for step in steps] == pytest.approx([5.4 + 8.0, 0.0, 0.0])
    assert [step.metrics["completed"][0] for step in steps] == [1, 0, 0]
    assert steps[2].state.time[0] == steps[0].state.time[0] and steps[2].metrics["workers"][0] == 12


def test_the_time_limit_costs_what_is_pending_and_waits_for_what_is_on_its_way():
    farm = Farm(known([1.0] * 3, [5.0, 9.0, 30.0]), start=3, least=3, horizon=1)
    step = run(farm, [1])[0]
    assert not step.terminated[0] and step.metrics["reward_end"][0] == -2.0 * 2
    assert step.metrics["completed"][0] == 2  # one in the step, one in the 8 s after it


def test_a_recorded_workload_and_a_seeded_one_pass_as_the_disturbance(farm):
    w = farm.disturbance(spawn(0), (4, 2))
    assert w.shape == (4, 2, 3) and set(w[..., 0].ravel()) <= {0.0, 1.0, 2.0}
    w[:, :, 0] = [[1.0, 2.0]] * 4
    steps = run(farm, [1] * 4, w, lanes=2)
    assert steps[-1].state.workload.tolist() == [1, 2]
    again = run(Farm(seeded([44])), [1] * 4, np.where([True, False, False], 0.0, w)[:, 1:])
    assert np.array_equal(again[-1].state.seen[0], steps[-1].state.seen[1])


def test_scaling_times_are_those_that_were_measured():
    w = Farm(scale_up=(7.1, 1.0)).disturbance(spawn(0), (20_000,))
    assert w[:, 1].mean() == pytest.approx(7.1, abs=0.06) and w[:, 1].std() == pytest.approx(1.0, abs=0.1)
    assert 0.05 <= w[:, 2].min() and w[:, 2].max() <= 0.1


def test_phases_may_be_shuffled_per_episode():
    seeds = [1, 2]
    farm = Farm(bank([published(seed, shuffled(seed)) for seed in seeds], seeds))
    assert farm.bank.tasks == sum(phase.tasks for phase in PUBLISHED)


@pytest.mark.parametrize(
    ("q", "queue", "workers", "change", "expected"),
    [
        (1.0, 0, 12, 0, 5.4),
        (1.0, 0, 16, 0, 5.3),
        (31 / 34, 9, 12, 0, -1.376),
        (51 / 65, 2, 13, 1, -0.534),
        (0.95, 0, 12, 0, 3.6),
        (1.0, 0, 12, -1, 5.42),
        (1.0, 60, 12, 1, 36 * 0.05 - 2.5 - 0.08 + 5.5),
    ],
)
def test_the_reward_is_the_published_one(q, queue, workers, change, expected):
    terms = Reward().terms(*(np.array([float(value)]) for value in (q, queue, workers, change)))
    assert sum(terms.values())[0] == pytest.approx(expected, abs=1e-3)


def test_every_recorded_reward_follows_from_the_recorded_observations(reference):
    for episode in reference["comparison"]["DQN"]["episodes"]:
        through = np.array(episode["log"]["output_q"])
        q = [share(x, n) for x, n in zip(episode["qos"], np.diff(through, prepend=0), strict=True)]
        change = np.diff(episode["workers"], prepend=12)
        terms = Reward().terms(np.array(q), np.array(episode["worker_q"], float), np.array(episode["workers"]), change)
        last = np.arange(len(q)) == len(q) - 1
        reward = sum(terms.values()) + Reward().final(last, np.arange(len(q)) >= 29, 1140.0 - through)
        assert reward == pytest.approx(np.array(episode["reward"]), abs=5.1e-4)  # the record has three digits
        assert reward.sum() == pytest.approx(episode["summary"]["total_reward"], abs=1e-4)


def share(rounded, near):
    """The share of whole tasks behind four digits, of a number of tasks near the one that came through."""
    for n in sorted(range(1, 150), key=lambda n: abs(n - near)):
        if abs(round(rounded * n) / n - rounded) <= 5.1e-5:
            return round(rounded * n) / n
    raise AssertionError(rounded)


def test_recorded_episodes_are_met_within_half_a_percent(reference):
    for agent, part in reference["comparison"].items():
        errors = []
        for e in part["episodes"]:
            episode = Episode(e["seed"], e["action"], e["step_dt_derived"], e["t0_derived"])
            qos, seen = replay(episode, DELAYS.get(agent, DELAY))
            errors.append(abs(qos - e["summary"]["final_qos_total"]))
            assert seen[:, 4].tolist() == e["workers"]
            assert np.abs(seen[:, 1] - e["worker_q"]).mean() < 3.0
        assert np.mean(errors) <= 0.005, agent


def test_the_recorded_speed_up_is_met_within_two_percent(reference):
    for cells in reference["farm_speedup"]["windows"].values():
        for workers, cell in cells.items():
            assert runtime(int(workers), float(np.mean(cell["gen_s"]))) == pytest.approx(cell["mean"], rel=0.02)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Farm(start=40), "workers least 1, start 40, most 32"),
        (lambda: Farm(scale_up=(0.5, 0.1)), "scale_up"),
        (lambda: Farm(horizon=0), "horizon 0"),
        (lambda: bank([], []), "0 workloads"),
        (lambda: runtime(0, 30.0), "0 workers"),
        (lambda: Farm().state_of(np.zeros((1, 9))), "not visible"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
