"""What a controller believes about the farm: the sampled queue, the fluid, and the state behind observations."""

from dataclasses import replace

import numpy as np
import pytest

from netrollout import batch
from netrollout.seeding import spawn
from netrollout.systems.serverless import sampled
from netrollout.systems.serverless.farm import Farm
from netrollout.systems.serverless.model import Beliefs, FluidModel, QueueModel, learned
from netrollout.systems.serverless.rules import Constant, Reactive
from netrollout.systems.serverless.tasks import seeded
from netrollout.types import InputError, System

STEADY = Beliefs(bounds=np.array([1e6]), rates=np.array([7.5]))


@pytest.fixture(scope="module")
def past():
    return seeded(range(100, 140))


@pytest.fixture(scope="module", params=[QueueModel, FluidModel])
def model(request, past):
    return request.param(learned(past))


def play(system, policy, lanes, seed=0, workload=None):
    """Final QoS (B,) and reward (B,) of an episode."""
    w = system.disturbance(spawn(seed, "w"), (system.horizon, lanes))
    if workload is not None:
        w[:, :, 0] = workload
    x, state, total, completed, late = system.initial(spawn(seed), lanes), None, 0.0, 0.0, 0.0
    for now in w:
        u, state = policy.predict(system.observe(x), state)
        step = system.transition(x, u, now)
        x, total = step.state, total + step.reward
        completed, late = completed + step.metrics["completed"], late + step.metrics["violations"]
    return 1.0 - late / completed, total


def steady_qos(system, workers=12):
    x, rng, sums = system.initial(spawn(0), 50), spawn(1), np.zeros(2)
    hold = np.ones((50, 1), dtype=np.int64)
    for t in range(150):
        step = system.step(x, hold, rng)
        x = step.state
        sums += [step.metrics["completed"].sum(), step.metrics["violations"].sum()] if t > 40 else 0.0
    return 1.0 - sums[1] / sums[0]


def test_they_are_systems_with_the_farms_controls_and_observations(model):
    assert isinstance(model, System) and model.levels == Farm.levels.fget(model)
    x = model.initial(spawn(0), 2)
    assert model.observe(x).tolist() == [[3, 0, 0, 0, 12, 1.5, 1.5, 0, 1]] * 2
    assert model.noise_support() is None and model.feasible(x).tolist() == [[True] * 3] * 2


def test_the_fluid_sees_no_late_task_where_the_queue_sees_a_fifth():
    assert steady_qos(QueueModel(STEADY, horizon=10**6)) == pytest.approx(0.79, abs=0.03)
    assert steady_qos(FluidModel(STEADY, horizon=10**6)) == 1.0


def test_with_too_few_workers_both_see_a_queue_that_grows():
    for kind in (QueueModel, FluidModel):
        model = kind(STEADY, start=8, horizon=10**6)
        x = model.initial(spawn(0), 40)
        for _ in range(5):
            x = model.step(x, np.ones((40, 1), dtype=np.int64), spawn(3)).state
        growth = (7.5 - 8 / model.beliefs.mean) * 40.0
        assert x.seen[:, 1].mean() == pytest.approx(growth, rel=0.3)
        assert x.seen[:, 8].mean() < 0.7


def test_a_lane_alone_is_the_lane_in_the_batch_and_nothing_given_is_changed(model):
    x, rng = model.initial(spawn(0), 5), np.random.default_rng(0)
    for _ in range(8):
        x = model.step(x, rng.integers(3, size=(5, 1)), rng).state
    u, w = rng.integers(3, size=(5, 1)), model.disturbance(rng, (5,))
    kept, together = batch.take(x, np.arange(5)), model.transition(x, u, w)
    assert all(np.array_equal(a, b) for a, b in zip(x, kept, strict=True))
    for lane in range(5):
        one = np.array([lane])
        alone = model.transition(batch.take(x, one), u[one], w[one])
        for a, b in zip(alone.state, batch.take(together.state, one), strict=True):
            assert a == pytest.approx(b, rel=1e-12)
        assert alone.reward[0] == pytest.approx(together.reward[lane])


def test_tasks_are_conserved(past):
    model, rng = QueueModel(learned(past)), np.random.default_rng(1)
    x = model.initial(spawn(0), 30)
    for _ in range(25):
        x = model.step(x, rng.integers(3, size=(30, 1)), rng).state
        inside = (x.sojourn >= 0.0).sum(axis=1)
        assert np.array_equal(x.enqueued, x.collected + x.waiting + inside)
        assert (np.isfinite(x.free).sum(axis=1) == x.workers).all()


def test_the_event_loop_is_its_plain_twin(past):
    beliefs, results = learned(past), []
    x = QueueModel(beliefs).initial(spawn(0), 3)
    for run in (sampled.run, sampled.run.py_func):
        y = batch.take(x, np.arange(3))
        came, waiting, seen = np.zeros(3, np.int64), np.zeros(3, np.int64), np.empty((3, 9))
        keys = np.array([1, 2, 3], dtype=np.uint64) << np.uint64(40)
        rates, length = np.full((3, 4), 12.0), np.full(3, 8.0)
        joins, leaves = np.array([5.4, np.inf, np.inf]), np.array([np.inf, 0.3, np.inf])
        with np.errstate(over="ignore"):
            run(
                keys, beliefs.law, np.rint(beliefs.bounds), rates, 1.0, length, joins, leaves, came, y.free, y.sojourn,
                y.late, waiting, y.age, seen,
            )  # fmt: skip
        results.append((came, y.free, y.sojourn, y.late, waiting, y.age, seen))
    for compiled, plain in zip(*results, strict=True):
        assert compiled == pytest.approx(plain, rel=1e-9)


def test_past_workloads_teach_the_schedule_the_law_and_the_bursts(past):
    beliefs = learned(past)
    assert beliefs.bounds.tolist() == [90.0, 540.0, 840.0, 1140.0]
    assert beliefs.rates == pytest.approx([1.95, 7.5, 5.0, 5.0], rel=0.05)
    assert beliefs.mean == pytest.approx(1.4715, rel=0.02)
    assert beliefs.dispersion > 1.2  # windows of a second with a random number of tasks
    assert learned(past, schedule=False).rates is None


@pytest.mark.parametrize(
    ("policy", "qos", "reward"),
    [(Constant(14), 0.02, 20.0), (Constant(18), 0.01, 10.0), (Reactive("average"), 0.05, 60.0)],
)
def test_the_queue_model_is_near_the_plant_on_other_seeds(past, policy, qos, reward):
    plant = play(Farm(seeded(range(300, 360))), policy, 60, workload=np.arange(60))
    model = play(QueueModel(learned(past)), policy, 300)
    assert model[0].mean() == pytest.approx(plant[0].mean(), abs=qos)
    assert model[1].mean() == pytest.approx(plant[1].mean(), abs=reward)


def test_the_estimate_meets_what_the_plant_hides(past):
    """Over an episode of ups and downs: the tasks that came, and those in service."""
    farm = Farm(seeded([500, 501]))
    model, rng, x = QueueModel(learned(past)), np.random.default_rng(2), farm.initial(spawn(0), 2)
    w = farm.disturbance(spawn(5), (24, 2))
    w[:, :, 0] = [0.0, 1.0]
    history = [(farm.observe(x), None)]
    for now in w:
        u = rng.integers(3, size=(2, 1))
        x = farm.transition(x, u, now).state
        history = [*history[:-1], (history[-1][0], u), (farm.observe(x), None)]
        y = model.estimate(history)
        came = np.array([(farm.bank.arrival[lane] <= x.time[lane]).sum() for lane in range(2)])
        assert y.enqueued == pytest.approx(came, abs=4)
        assert y.workers.tolist() == x.workers.tolist() and y.waiting.tolist() == x.seen[:, 1].tolist()
        busy = (y.sojourn >= 0.0).sum(axis=1)
        assert busy == pytest.approx(came - x.seen[:, 1:4].sum(axis=1), abs=4)
        assert (y.cycle == x.cycle).all() and np.array_equal(model.observe(y), farm.observe(x))


def test_one_observation_tells_less_but_enough(past):
    model = QueueModel(learned(past))
    o = np.array([[2, 0, 0, 300, 12, 1.5, 3.0, 7.5, 1.0], [2, 40, 0, 300, 12, 6.0, 8.0, 7.5, 0.0]])
    x = model.state_of(o)
    assert (x.sojourn >= 0.0).sum(axis=1).tolist() == [11, 12] and x.enqueued.tolist() == [311, 352]
    assert x.late.sum(axis=1)[0] == 0 and x.late.sum(axis=1)[1] == 12
    assert x.age[1, 0] == pytest.approx(39.5 / 7.5) and x.age[1, 39] == pytest.approx(0.5 / 7.5)
    step = model.step(x, np.ones((2, 1), dtype=np.int64), spawn(0))
    assert step.metrics["qos"][0] > step.metrics["qos"][1]


def test_the_rate_is_held_where_no_schedule_is_known(past):
    model = QueueModel(replace(learned(past, schedule=False), jump=0.0))
    x = batch.repeat(model.state_of(np.array([[2, 0, 0, 100, 12, 1.5, 3.0, 3.0, 1.0]])), 400)
    step = model.step(x, np.ones((400, 1), dtype=np.int64), spawn(0))
    assert step.metrics["arrivals"].mean() / 8.075 == pytest.approx(3.0, rel=0.05)
    assert (step.state.seen[:, 0] == 2).all()


def test_a_held_rate_jumps_as_often_and_as_far_as_in_the_past(past):
    beliefs = learned(past, schedule=False)
    assert 0.02 < beliefs.jump < 0.2  # three changes of phase in about 28 cycles, not all of them large
    assert beliefs.levels.min() < 2.5 and 6.5 < beliefs.levels.max() < 10.0
    x = batch.repeat(QueueModel(beliefs).state_of(np.array([[2, 0, 0, 100, 12, 1.5, 3.0, 3.0, 1.0]])), 2000)
    after = QueueModel(beliefs).step(x, np.ones((2000, 1), dtype=np.int64), spawn(0)).state
    assert (after.rate != 3.0).mean() == pytest.approx(beliefs.jump, abs=0.03)


def test_before_the_first_cycle_the_mean_rate_stands_in(past):
    model = QueueModel(learned(past, schedule=False))
    assert model.initial(spawn(0), 2).rate == pytest.approx([1140 / (30 * 8.075)] * 2)


def test_beyond_the_time_limit_nothing_is_paid(past):
    model, hold = QueueModel(learned(past), horizon=2), np.ones((3, 1), dtype=np.int64)
    x = model.initial(spawn(0), 3)
    rewards = []
    for _ in range(4):
        step = model.step(x, hold, spawn(1))
        x = step.state
        rewards.append(step.reward)
    assert (rewards[1] < -50.0).all() and not np.any(rewards[2:])  # the unfinished tasks cost once


def test_an_episode_ends_as_on_the_farm(past):
    model = QueueModel(learned(past))
    x = model.state_of(np.array([[0, 0, 0, 1139, 12, 1.5, 3.0, 1.0, 1.0]]))
    step = model.step(x, np.ones((1, 1), dtype=np.int64), spawn(0))
    again = model.step(step.state, np.ones((1, 1), dtype=np.int64), spawn(0))
    assert step.terminated[0] and step.metrics["reward_end"][0] == 8.0
    assert again.terminated[0] and again.reward[0] == 0.0 and again.metrics["completed"][0] == 0.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Beliefs(rates=np.array([1.0, 2.0])), "for 1 phases"),
        (lambda: Beliefs(dispersion=0.5), "dispersion 0.5"),
        (lambda: Beliefs(jump=1.5), "jump 1.5"),
        (lambda: Beliefs(law=np.array([2.0, 1.0])), "positive and rising"),
        (lambda: QueueModel(start=0), "workers least 1, start 0"),
        (lambda: QueueModel().estimate([]), "empty history"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
