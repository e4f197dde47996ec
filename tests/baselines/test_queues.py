"""Baselines of S4: the autoscaler's arithmetic, the threshold rule, statics, the lattice and the upper bound."""

from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest

from netrollout.evaluate import simulate
from netrollout.policies import RandomPolicy
from netrollout.seeding import spawn
from netrollout.systems.queues import policies
from netrollout.systems.queues.dynamics import QueueMesh, WorkingDay
from netrollout.systems.queues.lattice import Lattice, relaxation_bound
from netrollout.systems.queues.policies import Hold, Hpa, Predictive, Stay, Threshold, best_static, statics, tuned_hpa
from netrollout.types import InputError

SYSTEM = QueueMesh()
SEEDS = range(8)


def seen(busy, c=4, late=0.0, starting=0):
    """An observation with c workers asked for, `starting` of them not ready."""
    x = SYSTEM.initial(spawn(0), 1)
    x.setting[:, 1], x.starting[:, 1] = c - 1, starting
    return SYSTEM.observe(x._replace(busy=np.array([busy]), late=np.array([late])))


@pytest.mark.parametrize(
    ("busy", "c", "starting", "workers"),
    [
        (0.65, 4, 0, 0),  # within the tolerance of a tenth about .6
        (0.70, 4, 0, +1),  # ceil(4 x .7 / .6) = 5
        (0.50, 4, 0, 0),  # ceil(4 x .5 / .6) = 4
        (0.40, 4, 0, -1),  # ceil(4 x .4 / .6) = 3
        (0.90, 4, 1, +1),  # ceil(3 x .9 / .6) = 5: ready workers count
        (0.70, 4, 1, 0),  # ceil(3 x .7 / .6) = 4 are asked for already
        (1.00, 6, 0, 0),  # there are no more than 6
    ],
)
def test_the_autoscaler_wishes_for_what_kubernetes_would(busy, c, starting, workers):
    actions, _ = Hpa(SYSTEM, target=0.6, window=1).predict(seen(busy, c, starting=starting))
    assert actions.tolist() == [[1, 1 + workers]]


def test_the_autoscaler_falls_only_after_the_window():
    policy, memory, moves = Hpa(SYSTEM, target=0.6, window=3), None, []
    for busy in (0.6, 0.2, 0.2, 0.2):
        action, memory = policy.predict(seen(busy), memory, np.zeros(1, dtype=bool))
        moves.append(int(action[0, 1]) - 1)
    assert moves == [0, 0, 0, -1]
    fresh, _ = policy.predict(seen(0.2), memory, np.ones(1, dtype=bool))  # a new episode forgets
    assert fresh[0, 1] == 0


def test_the_threshold_rule_is_one_line():
    rule = Threshold(SYSTEM)
    for late, busy, move in ((0.06, 0.1, 1), (0.0, 0.3, -1), (0.0, 0.5, 0)):
        assert rule.predict(seen(busy, late=late))[0].tolist() == [[1, 1 + move]]


@pytest.mark.parametrize("bad", [{"target": 0.0}, {"target": float("nan")}, {"tolerance": -1.0}, {"window": 0}])
def test_an_autoscaler_that_cannot_be_is_refused(bad):
    with pytest.raises(InputError, match="hpa: target"):
        Hpa(SYSTEM, **bad)


def test_the_best_static_setting_is_the_best_of_all():
    means = statics(SYSTEM, SEEDS, 48)
    hold = Hold(SYSTEM, np.array([5, 3]))
    assert means[5, 3] == pytest.approx(simulate(SYSTEM, hold, SEEDS, 48).mean_rewards().mean())
    assert statics(SYSTEM, range(16)).max() == statics(SYSTEM, range(16))[tuple(best_static(SYSTEM))]


@pytest.fixture(scope="module")
def lattice():
    return Lattice(SYSTEM, samples=100)


def test_the_lattice_is_solved_and_its_policy_does_better_than_every_baseline(lattice):
    assert lattice.converged
    policies = [Hold(SYSTEM, best_static(SYSTEM)), Hpa(SYSTEM, target=0.5), Threshold(SYSTEM)]
    reached = simulate(SYSTEM, lattice, SEEDS).mean_rewards()
    for policy in policies:
        assert (reached - simulate(SYSTEM, policy, SEEDS).mean_rewards()).mean() > 0.02


def test_the_lattice_foretells_what_its_policy_brings(lattice):
    """From the start of a day: the lattice's value against discounted returns over four days."""
    x = SYSTEM.initial(spawn(0), 1)
    returns = simulate(SYSTEM, lattice, range(100), 384).returns(SYSTEM.discount)
    assert lattice.value(x)[0] == pytest.approx(returns.mean(), rel=0.1)


def test_nobody_exceeds_the_bound(lattice):
    bound = relaxation_bound(SYSTEM, SEEDS, discount=1.0) / SYSTEM.horizon
    for policy in (lattice, Hpa(SYSTEM), RandomPolicy(SYSTEM, spawn(0))):
        assert (simulate(SYSTEM, policy, SEEDS).mean_rewards() <= bound + 1e-12).all()
    discounted = relaxation_bound(SYSTEM, SEEDS)
    assert (simulate(SYSTEM, lattice, SEEDS).returns(SYSTEM.discount) <= discounted + 1e-12).all()


def test_with_one_cycle_left_and_an_empty_start_the_bound_is_the_best_first_reward():
    best = np.max(
        [
            SYSTEM.transition(
                SYSTEM.initial(spawn(3, "start"), 1),
                np.array([u]),
                SYSTEM.disturbance(spawn(3, "disturbance"), (1,)),
            ).reward
            for u in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2))
        ]
    )
    assert relaxation_bound(SYSTEM, [3], cycles=1)[0] == pytest.approx(best)


def test_a_lattice_needs_the_scenarios_levels():
    with pytest.raises(InputError, match="six levels"):
        Lattice(replace(SYSTEM, controls=(SYSTEM.controls[0], replace(SYSTEM.controls[1], levels=(1.0, 4.0)))))


DAY = QueueMesh(
    pattern=WorkingDay(mean=16.0, amplitude=10.0, day=48, burst=1.4, enter=0.0), demand=(0.1, 0.1), horizon=48
)


def test_staffing_asks_for_the_morning_s_workers_before_the_load_rises_and_keeps_the_evening_s():
    policy, x = Predictive(DAY, p=5), DAY.initial(spawn(0), 1)
    workers = {}
    for t in range(48):
        u, _ = policy.predict(DAY.observe(x))
        x = DAY.step(x, u, spawn(1, t)).state
        workers[t] = int(x.setting[0, 1]) + 1
    assert workers[5] == 2, "ceil(.6 + sqrt .6) by night"
    assert workers[9] == 2 and workers[10] == 3, "cycle 13, the first of the rise, is three cycles away"
    assert workers[20] == 5, "ceil(2.6 + sqrt 2.6) by day"
    assert workers[31] == 5 and workers[40] == 2


def test_the_autoscaler_is_tuned_for_target_and_routing_by_what_it_earns():
    tuned = tuned_hpa(DAY, range(4))
    assert tuned is tuned_hpa(DAY, range(4))
    assert tuned.p == 1.0, "node 2 alone cannot keep up"
    others = [simulate(DAY, Hpa(DAY, target, p=tuned.p), range(4)) for target in (0.1, 0.8)]
    mine = simulate(DAY, tuned, range(4))
    assert all(mine.rewards.mean() > other.rewards.mean() for other in others)


def test_to_stay_is_to_move_nothing():
    assert Stay().predict(np.zeros((3, 11)))[0].tolist() == [[1, 1]] * 3


def test_the_lattices_that_are_kept_are_few_and_their_bytes_bounded(monkeypatch):
    class Flat:
        nbytes = 120_000_000

    monkeypatch.setattr(policies, "Lattice", lambda system, samples: Flat())
    monkeypatch.setattr(policies, "KEPT", OrderedDict())
    made = [policies.lattice(QueueMesh(), samples) for samples in (1, 2, 1, 3, 4)]
    assert made[0] is made[2], "kept"
    assert list(policies.KEPT) == [(QueueMesh(), 3), (QueueMesh(), 4)], "the newest, up to the bound"
    monkeypatch.setattr(Flat, "nbytes", 2 * policies.MOST_BYTES)
    assert policies.lattice(QueueMesh(), 5) is policies.lattice(QueueMesh(), 5), "the last one is kept, however large"
