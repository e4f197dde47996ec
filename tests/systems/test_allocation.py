"""Allocation: what a cycle does, what rules and programmes do, and what bounds them."""

from dataclasses import replace

import numpy as np
import pytest

from netrollout.catalog import make, world
from netrollout.evaluate import simulate
from netrollout.makers import Worlds, make_policy
from netrollout.rollout.truncated import feasible_actions
from netrollout.seeding import spawn
from netrollout.studies import static_allocation as static
from netrollout.systems.allocation.dynamics import TOP, Allocation
from netrollout.systems.allocation.prices import price_bound
from netrollout.systems.allocation.realise import Log, collect, learned
from netrollout.systems.allocation.rules import (
    DominantShare,
    Greedy,
    Lp,
    Proportional,
    Rule,
    Static,
    known_arrivals,
    slot_means,
    whole,
)
from netrollout.types import InputError

HOLD = np.full((1, 5), 2)


MEANS = (58.0, 56.9, 53.4)  # shaped returns: optimum, greedy on what is seen, even split


def one(system, slots, **fields):
    """Return a state of one lane."""
    x = system.initial(spawn(0), 1)
    return x._replace(slots=np.array([slots]), **{name: np.array([value]) for name, value in fields.items()})


def quiet(system):
    """Return a disturbance of median arrivals in which nothing begins or ends."""
    return np.array([[0.99] * 5 + [0.5] * 5 + [0.99] * 3])


def run(system, policy, days=range(4)):
    return simulate(system, policy, days).mean_rewards()


def test_a_new_slot_serves_from_the_next_cycle_on_and_at_once_without_setup():
    for setup, served in ((1, 2), (0, 4)):
        system = Allocation(setup=setup)
        x = one(system, [2, 0, 0, 0, 0], waiting=[20, 0, 0, 0, 0])
        step = system.transition(x, HOLD + np.array([2, 0, 0, 0, 0]), quiet(system))
        assert step.metrics["done"] == served and step.state.slots.tolist() == [[4, 0, 0, 0, 0]]


def test_the_reward_is_the_sum_of_its_terms():
    system, rng = Allocation(), spawn(0)
    x = system.initial(rng, 60)
    for _ in range(12):
        u = rng.integers(5, size=(60, 5))
        step = system.step(x, u, rng)
        m, x = step.metrics, step.state
        if not m["lost"].any():
            fines = 0.05 * m["severity"] + 0.02 * m["moved"]
            assert step.reward == pytest.approx(m["value"] - m["paid"] - m["late"] - fines)
    assert m["violations"].any()


def test_who_asks_beyond_a_capacity_is_cut_to_the_share_of_the_scarcest_resource():
    system = Allocation()
    step = system.transition(one(system, [6, 4, 4, 4, 4]), HOLD, quiet(system))
    assert step.metrics["violations"] == 1.0 and step.metrics["severity"] > 0.0
    held = (step.state.slots[:, :, None] * system.bundles).sum(axis=1)
    assert (held <= 10.0).all() and (step.state.slots < [6, 4, 4, 4, 4]).all()


def test_a_failed_resource_is_halved_until_it_is_repaired():
    system, w = Allocation(), quiet(Allocation())
    w[0, 10] = 0.0
    x = system.transition(one(system, [2] * 5), HOLD, w).state
    assert x.failed.tolist() == [[1, 0, 0]] and system.limits(x).tolist() == [[5.0, 10.0, 10.0]]
    w[0, 10] = 0.05
    assert system.transition(x, HOLD, w).state.failed.tolist() == [[0, 0, 0]]


def test_jobs_that_cannot_wait_are_turned_away():
    system = Allocation()
    step = system.transition(one(system, [0] * 5, waiting=[40, 40, 40, 120, 120]), HOLD, quiet(system))
    assert step.state.waiting.tolist() == [[40, 40, 40, 120, 120]]
    assert step.metrics["lost"] == step.state.came.sum() > 0


def test_arrivals_are_poisson_with_the_pattern_of_the_day():
    system, n = replace(Allocation(), burst=(0.0, 1.0)), 20_000
    x = system.initial(spawn(0), n)._replace(phase=np.full(n, 80))
    came = system.step(x, np.full((n, 5), 2), spawn(1)).state.came
    rate = system.pattern[80] * 0.75
    assert came.mean(axis=0) == pytest.approx(rate, rel=0.02) and came.var(axis=0) == pytest.approx(rate, rel=0.06)
    assert system.pattern.argmax(axis=0).tolist() == [80, 80, 80, 56, 12]


@pytest.mark.parametrize("rule", [Rule, Proportional, DominantShare, Greedy, lambda system: Lp(system, 2)])
def test_no_rule_asks_for_more_than_there_is_while_nothing_fails(rule):
    system = replace(Allocation(), failure=(0.0, 1.0))
    episode = simulate(system, rule(system), range(2), horizon=24)
    assert episode.metrics["severity"].max() == 0.0


def test_whole_slots_fit_and_lose_less_than_one_each():
    system, rng = Allocation(), spawn(0)
    rates = rng.random((200, 5)) * 3.0
    limit = np.maximum(system.held(rates), 0.1)
    slots = whole(system, rates, limit)
    assert (system.held(slots) <= limit + 1e-8).all() and (np.abs(slots - rates) <= 1.0).all() and slots.max() <= TOP


def test_fairness_gives_all_the_same_dominant_share_where_all_want_more():
    system = Allocation()
    x = one(system, [2] * 5, waiting=[40] * 5)
    rates = DominantShare(system).rates(x)
    shares = (rates[:, :, None] * system.bundles / 10.0).max(axis=2)
    assert system.held(rates).max() == pytest.approx(10.0) and np.ptp(shares[0, :3]) == pytest.approx(0.0, abs=1e-9)


def test_nobody_passes_the_bound_and_looking_ahead_pays():
    """Without set-up; the order is that of the design."""
    system, days = Allocation(setup=0), range(2000, 2003)
    bound = [known_arrivals(system, system.disturbance(spawn(day, "disturbance"), (96,))) for day in days]
    ahead, myopic, fair = (run(system, rule, days) for rule in (Lp(system, 8), Lp(system, 1), Proportional(system)))
    assert (bound > ahead).all() and (bound > myopic).all()
    assert ahead.mean() > myopic.mean() > fair.mean() - 0.02


def test_statics_are_compared_among_those_to_which_nothing_more_fits():
    system = replace(Allocation(), capacity=(3.0, 3.0, 3.0), start=(1,) * 5)
    every, means = slot_means(system, range(5000, 5002))
    left = 3.0 - every @ system.bundles
    assert (left >= -1e-9).all() and not (left[:, None] >= system.bundles).all(axis=2).any()
    best = Static(system, every[means.argmax()])
    assert means.max() == pytest.approx(run(system, best, range(5000, 5002)).mean(), abs=0.02)


def test_a_log_teaches_arrivals_and_failures():
    real = Allocation()
    log = collect(real, Proportional(real), 30, spawn(0))
    found = learned(replace(real, mean=(1.0,) * 5, peak=(0.0,) * 5), log)
    assert found.mean == pytest.approx((3.0,) * 5, rel=0.15)
    assert found.swing == pytest.approx((0.5,) * 5, abs=0.2)
    away = np.abs(np.array(found.peak) - real.peak)
    assert np.minimum(away, 24.0 - away).max() < 2.0
    with pytest.raises(InputError, match="a log of 10 cycles"):
        learned(real, Log(*(part[:10] for part in log)))


@pytest.mark.parametrize(
    "name",
    ["random", "hold", "static", "proportional", "drf", "priority", "lp(horizon=2)", "retrain(proportional)",
     "multiagent(hold, horizon=2, samples=2)", "rollout(hold, horizon=1, samples=2)", "walk(static)"],
)  # fmt: skip
def test_every_name_of_a_policy_acts(name):
    system = replace(Allocation(), capacity=(3.0, 3.0, 3.0), start=(1,) * 5)
    policy = make_policy(name, Worlds(system, system, system))
    x = system.initial(spawn(0), 2)
    u, _ = policy.predict(system.observe(x), None, np.ones(2, dtype=bool))
    assert u.shape == (2, 5) and feasible_actions(system, x, u[:, None]).all()


def test_worlds_by_name_are_told_bundles_capacities_and_priorities():
    assert world("allocation", phase="after", change="halved").model.capacity == (10.0, 10.0, 5.0)
    assert world("allocation", phase="after", change="swapped").base.priority[0] == 0.10
    heavier = world("allocation", phase="after", change="heavier")
    assert heavier.model.need == heavier.plant.need != heavier.base.need and heavier.model.mean != heavier.plant.mean


@pytest.mark.parametrize(
    ("options", "message"),
    [({"change": "havier"}, "choose one of heavier, halved, swapped"), ({"setup": 3}, "setup 3, horizon 96; expected")],
)
def test_bad_options_are_refused_in_one_line(options, message):
    with pytest.raises(InputError, match=message) as error:
        make("allocation", **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [("optimal", "the optimum is not known"), ("lp(horizon=0)", "horizon 0; expected 1"), ("band", "band; not alloc")],
)
def test_bad_names_are_refused_in_one_line(name, message):
    with pytest.raises(InputError, match=message) as error:
        make_policy(name, Worlds(Allocation(), Allocation(), Allocation()))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"priority": (1.0,)}, "expected one number of each"), ({"start": (9,) * 5}, "start .* beyond the capacity"),
     ({"swing": (2.0,) * 5}, "must be from 0 to 1"), ({"capacity": (10.0, 10.0, 0.0)}, "positive capacity")],
)  # fmt: skip
def test_what_cannot_be_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        replace(Allocation(), **change)


def test_prices_of_resources_bound_every_policy_and_come_down():
    small = replace(Allocation(), capacity=(4.0, 4.0, 4.0), start=(1,) * 5, most=(10,) * 5, bound=(3,) * 5)
    free, priced = price_bound(small, 1)[0], price_bound(small, 12)[0]
    rules = (Lp(small, 4), Proportional(small), DominantShare(small))
    assert max(run(small, rule, range(2000, 2006)).mean() for rule in rules) < priced < free


def test_where_there_is_enough_the_price_is_nothing():
    ample = replace(Allocation(), capacity=(100.0,) * 3, most=(6,) * 5, bound=(3,) * 5)
    bound, prices = price_bound(ample, 3)
    assert (prices == 0.0).all() and bound == pytest.approx(price_bound(ample, 1)[0])
    assert bound > run(ample, Proportional(ample), range(2000, 2010)).mean()


# The published problem


def test_greedy_that_knows_costs_and_priorities_is_the_optimum_of_the_published_problem():
    family = [static.instance(k) for k in range(100)]
    known = np.array([static.reward(static.greedy_shares(one, one.cost, one.priority), one)[0] for one in family])
    assert known == pytest.approx([static.best_shares(one)[1] for one in family], abs=1e-9)
    returns = {
        "optimum": [static.shaped_return(static.best_shares(one)[0], one) for one in family],
        "seen": [static.shaped_return(static.greedy_shares(one), one) for one in family],
        "split": [static.shaped_return(np.tile(one.there / 5, (5, 1)), one) for one in family],
    }
    means = {name: np.mean(values) for name, values in returns.items()}
    assert means == pytest.approx({"optimum": MEANS[0], "seen": MEANS[1], "split": MEANS[2]}, rel=0.02)
    assert static.shaped_return(np.zeros((5, 3)), family[0]) == 0.0


def test_an_excess_piles_up_in_the_published_return():
    one = static.instance(0)
    value, excess = static.reward(np.ones((5, 3)), one)
    assert excess == pytest.approx(((5.0 - one.there) ** 2).sum())
    assert static.shaped_return(np.ones((5, 3)), one) < 100.0 * value < -1e4


def test_resources_held_are_the_same_bit_by_bit_for_one_lane_and_for_many():
    system = Allocation()
    slots = spawn(0).integers(TOP + 1, size=(50, 5))
    assert np.array_equal(system.held(slots), (slots[:, :, None] * system.bundles).sum(axis=1))
    assert np.array_equal(system.held(slots)[7], system.held(slots[7:8])[0])
