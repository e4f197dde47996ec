"""Edge placement: what a cycle does, what bounds it, what a log teaches, and what rollout adds after a change."""

from dataclasses import replace

import numpy as np
import pytest

from netrollout import batch
from netrollout.catalog import make, world
from netrollout.evaluate import simulate
from netrollout.makers import Worlds, make_policy
from netrollout.rollout import MultiagentRollout, TruncatedRollout
from netrollout.rollout.truncated import feasible_actions
from netrollout.seeding import spawn
from netrollout.systems.edge import bounds
from netrollout.systems.edge.bounds import Exact, hourly_placements, known_day, placement_means, placements
from netrollout.systems.edge.dynamics import CURVE, Edge, pattern, route
from netrollout.systems.edge.policies import Band, Hold, Hourly, Predictive, Static
from netrollout.systems.edge.realise import collect, learned, model, plant, residuals
from netrollout.types import InputError

CHANGES = ("moved", "dear", "far", "lost")
DAYS = range(2000, 2006)
SMALL = Edge(slots=(2, 2, 2, 2), start=(1, 1, 1, 1))


@pytest.fixture(scope="module")
def exact():
    return Exact(Edge())


def run(edge, policy, days=DAYS):
    return simulate(edge, policy, days).mean_rewards()


def rolled(system, base, samples=16):
    return MultiagentRollout(system, base, spawn(0, "multiagent"), horizon=4, samples=samples)


def one(edge, pods, **fields):
    """Return a state of one lane."""
    x = edge.initial(spawn(0), 1)
    return x._replace(pods=np.array([pods]), **{name: np.array([value]) for name, value in fields.items()})


def calm(edge):
    """Return a disturbance in which nothing begins or ends and loads are those of the pattern, times exp(-s^2 / 2)."""
    return np.array([[0.99] * 5 + [0.0] * edge.sites])


# A cycle


def test_a_pod_serves_from_the_cycle_after_it_was_asked_for_and_one_given_back_stops_at_once():
    edge, w = Edge(), calm(Edge())
    x = one(edge, [2, 2, 2, 2], phase=48)
    hold, more, fewer = (edge.transition(x, np.full((1, 4), u), w) for u in (2, 4, 0))
    assert more.metrics["late"] == hold.metrics["late"] and more.state.pods.tolist() == [[4, 4, 4, 4]]
    assert fewer.metrics["cloud"] == pytest.approx(1.0)
    again = edge.transition(more.state, np.full((1, 4), 2), w)
    assert again.metrics["late"] < hold.metrics["late"]


def test_the_reward_is_rent_fees_and_late_requests():
    edge = Edge()
    x, w = edge.initial(spawn(0), 50), edge.disturbance(spawn(1), (50,))
    step = edge.transition(x, spawn(2).integers(5, size=(50, 4)), w)
    m = step.metrics
    late = m["late"] * step.state.load.sum(axis=1)
    assert step.reward == pytest.approx(-(m["rent"] + m["fee"] + 0.005 * late))
    assert m["rent"] == pytest.approx(np.maximum(m["rent"], 0.035 * m["pods"]))


def test_load_goes_to_the_own_site_then_to_the_next_the_last_and_the_one_two_hops_away_then_to_the_cloud():
    late, cloud = np.empty((1, 4)), np.empty(1)
    load, hop = np.array([[500.0, 0.0, 0.0, 0.0]]), np.array([0.02])
    for pods, left in (([5, 0, 0, 0], 100.0), ([2, 2, 2, 2], 0.0), ([0, 3, 3, 0], 20.0), ([0, 0, 0, 0], 500.0)):
        route(np.array([pods]), load, hop, 100.0, 0.8, 0.09, late, cloud)
        assert cloud[0] == pytest.approx(left)
    route(np.array([[0, 1, 0, 0]]), np.array([[40.0, 0, 0, 0]]), hop, 100.0, 0.8, 0.09, late, cloud)
    assert late[0, 0] == pytest.approx(40.0 * np.exp(-(100.0 - 40.0) * 0.07))  # one hop, a pod at 40 of 100 requests/s


def test_the_share_in_time_is_that_of_a_queue_with_random_routing():
    rng, n, pods, load = spawn(0), 200_000, 2, 120.0
    gaps, work = rng.exponential(1 / load, n), rng.exponential(1 / 100.0, n)
    to, now, free, late = rng.integers(pods, size=n), np.cumsum(gaps), np.zeros(pods), 0
    for t, k, s in zip(now, to, work, strict=True):
        free[k] = max(free[k], t) + s
        late += free[k] - t > 0.09
    out, cloud = np.empty((1, 4)), np.empty(1)
    route(np.array([[pods, 0, 0, 0]]), np.array([[load, 0, 0, 0]]), np.zeros(1), 100.0, 0.8, 0.09, out, cloud)
    assert out[0, 0] / load == pytest.approx(late / n, rel=0.1)


def test_a_site_that_fails_loses_its_pods_and_takes_none_until_it_is_repaired():
    edge, w = Edge(), calm(Edge())
    w[0, 2:4] = 0.0, 0.3  # site 1 fails
    x = edge.transition(one(edge, [2, 2, 2, 2]), np.full((1, 4), 4), w).state
    assert x.down.tolist() == [1] and x.pods.tolist() == [[4, 0, 4, 4]]
    assert edge.feasible(x).reshape(4, 5).sum(axis=1).tolist() == [3, 1, 5, 5]
    w[0, 2] = 0.99
    assert edge.transition(x, np.full((1, 4), 4), w).state.pods[0, 1] == 0
    w[0, 2] = 0.05
    assert edge.transition(x, np.full((1, 4), 4), w).state.down.tolist() == [-1]


def test_the_pattern_is_the_published_day_split_by_where_people_live_and_work():
    table = pattern()
    assert table.sum(axis=1)[::4] == pytest.approx(1000.0 * CURVE)
    assert table[12] / table[12].sum() == pytest.approx([0.20, 0.40, 0.15, 0.25], abs=0.01)
    assert table[52] / table[52].sum() == pytest.approx([0.45, 0.10, 0.30, 0.15], abs=0.01)
    assert np.array_equal(pattern(8)[:, 4:], table) and np.array_equal(pattern(rotate=1)[:, 1], table[:, 0])


def test_the_controller_sees_everything_but_the_crowd_which_the_load_tells():
    edge, rng, hits, met = Edge(), spawn(0), [], []
    x = edge.initial(rng, 200)
    for _ in range(100):
        x = edge.step(x, rng.integers(5, size=(200, 4)), rng).state
        seen = edge.state_of(edge.observe(x))
        assert all(np.array_equal(seen[k], x[k]) for k in (0, 1, 2, 3))
        hits.append((seen.crowd == x.crowd)[x.crowd < 0].mean())
        met.append((seen.crowd == x.crowd)[x.crowd >= 0])
    assert np.mean(hits) > 0.97 and np.concatenate(met).mean() > 0.8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slots": (4, 4)}, "2 slots, 4 starts, 4 prices"),
        ({"start": (9, 0, 0, 0)}, "start .* expected 0 to"),
        ({"table": pattern() * 0.0}, "expected positive loads"),
        ({"crowd": (2.0, 0.1)}, "must be from 0 to 1"),
        ({"horizon": 0}, "horizon 0; expected"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        replace(Edge(), **change)


# Bounds


def test_the_backup_is_the_least_over_all_actions():
    rng, grid = spawn(0), (3, 4, 3, 4)
    after, late = rng.random((*grid, 2)), rng.random((*grid, 2))
    found = bounds.backup(after, late, 0.2)
    for x in ([0, 0, 0, 0], [2, 3, 2, 3], [1, 2, 0, 3], [2, 0, 1, 1]):
        asked = x + batch.joint_actions(Edge().levels) - 2
        asked = asked[((asked >= 0) & (asked < grid)).all(axis=1)]
        fee = 0.2 * np.maximum(asked - x, 0).sum(axis=1)
        cost = after[tuple(asked.T)] + late[tuple(np.minimum(asked, x).T)] + fee[:, None]
        assert found[tuple(x)] == pytest.approx(cost.min(axis=0))


def test_nobody_is_ahead_of_who_knows_the_day_and_the_plan_is_ahead_of_every_rule(exact):
    edge, plan = Edge(), run(Edge(), exact)
    known = [known_day(edge, edge.disturbance(spawn(day, "disturbance"), (96,))) for day in DAYS]
    rules = [Static(edge, [0, 1, 6, 8]), Band(edge, 1.5, 1.5), Band(edge), Predictive(edge, 1.25, 1.25)]
    assert (known > plan).all()
    assert all(run(edge, rule).mean() < plan.mean() - 0.05 for rule in rules)
    assert exact.value == pytest.approx(-0.832, abs=0.02)


def test_the_plan_of_a_calm_day_is_what_the_clairvoyant_does():
    calm_day = replace(SMALL, sigma=0.0, crowd=(0.0, 1.0), failure=(0.0, 1.0), slow=(0.0, 1.0))
    known = known_day(calm_day, calm_day.disturbance(spawn(0), (96,)))
    plan = Exact(calm_day, samples=1)
    assert run(calm_day, plan, [0])[0] == pytest.approx(known, abs=1e-5) and plan.value == pytest.approx(
        known, abs=1e-5
    )


def test_statics_are_compared_on_days_that_are_not_judged():
    means = placement_means(SMALL, range(5000, 5002))
    best = placements(SMALL)[means.argmax()]
    assert means.max() == pytest.approx(run(SMALL, Static(SMALL, best), range(5000, 5002)).mean())


def test_too_many_placements_are_refused_in_one_line():
    with pytest.raises(InputError, match=r"8 sites have 4.86e\+06 placements"):
        Exact(plant(sites=8))


# What a log teaches


def test_a_log_teaches_the_pattern_and_the_laws():
    real = replace(plant(phase="after"), failure=(0.05, 0.2))
    flat = replace(real, table=np.full_like(real.table, 250.0))
    found = learned(flat, collect(real, Band(real), 12, spawn(0)))
    assert np.abs(found.table / real.table - 1.0).mean() < 0.06
    assert found.sigma == pytest.approx(0.15, abs=0.03) and found.factor == pytest.approx(1.8, abs=0.15)
    assert found.failure == pytest.approx((0.05, 0.2), rel=0.5)


def test_a_part_of_the_day_that_was_not_seen_keeps_the_known_pattern():
    real = Edge()
    log = collect(real, Band(real), 1, spawn(0))
    morning = type(log)(*(part[:16] for part in log))
    found = learned(real, morning)
    assert np.abs(found.table / real.table - 1.0)[40:].mean() < 0.25
    with pytest.raises(InputError, match="a log of 1 cycles"):
        learned(real, type(log)(*(part[:1] for part in log)))


def test_residuals_are_quiet_until_the_users_move():
    known, moved = model(), plant(phase="after")
    quiet = residuals(known, collect(plant(), Band(plant()), 4, spawn(1)))
    loud = residuals(known, collect(moved, Band(moved), 4, spawn(1)))
    assert (np.abs(quiet.mean(axis=0)) < 0.5).all() and (quiet.std(axis=0) < 1.5).all()
    assert (loud.std(axis=0) > 2.0).all()


# Rules, and rollout after a change (a few of the days of the full table)


def test_holding_is_the_static_rule_of_what_there_is():
    edge = replace(Edge(), failure=(0.0, 1.0))
    assert np.array_equal(run(edge, Hold(edge)), run(edge, Static(edge, edge.start)))


def test_the_hourly_rule_keeps_a_placement_for_four_cycles():
    assert hourly_placements(SMALL).shape == (24, 4)
    walk = Hourly(SMALL, np.repeat([[1, 1, 1, 1], [2, 2, 2, 2]], 12, axis=0))
    pods = simulate(replace(SMALL, failure=(0.0, 1.0)), walk, [0]).metrics["pods"][0]
    assert pods[:48].tolist() == [4.0] * 48 and pods[48:].tolist() == [8.0] * 48


@pytest.mark.parametrize("change", CHANGES)
def test_multiagent_rollout_on_hold_with_two_days_of_log_is_ahead_of_rules_and_statics(change):
    real, new = plant(phase="after", change=change), model(phase="after", change=change)
    gained = run(real, rolled(new, Hold(new)))
    best = {"moved": [0, 1, 6, 8], "dear": [1, 4, 5, 6], "far": [3, 3, 4, 5], "lost": [3, 4, 6, 0]}[change]
    for rule in (Static(real, best), Band(real, 1.5, 1.5), Band(real)):
        assert (gained - run(real, rule)).mean() > 0.02


def test_a_stale_model_is_worthless_after_the_users_move_and_after_the_network_slows():
    for change in ("moved", "far"):
        real, new, old = plant(phase="after", change=change), model(phase="after", change=change), model()
        assert run(real, rolled(new, Hold(new))).mean() > run(real, rolled(old, Hold(old))).mean() + 0.05


def test_joint_rollout_compares_every_action_and_is_no_worse():
    edge = replace(Edge(), horizon=24)
    joint = TruncatedRollout(edge, Hold(edge), spawn(0, "rollout"), horizon=4, samples=4)
    assert run(edge, joint, range(4)).mean() > run(edge, rolled(edge, Hold(edge), 4), range(4)).mean() - 0.05


@pytest.mark.parametrize("base", [Band, Predictive])
def test_rollout_improves_the_rules_on_the_true_model(base):
    edge, rule = Edge(), base(Edge())
    assert run(edge, rolled(edge, rule), range(2)).mean() > run(edge, rule, range(2)).mean()


def test_the_work_of_a_decision_is_linear_in_the_sites():
    steps = []
    for sites in (4, 32):
        ring = plant(sites=sites)
        policy = rolled(ring, Hold(ring))
        u, _ = policy.predict(ring.observe(ring.initial(spawn(0), 1)))
        steps.append(policy.model_steps)
        assert u.shape == (1, sites)
    assert steps[1] < 8.5 * steps[0]


@pytest.mark.parametrize("sites", [0, 3, 6, 1000])
def test_a_ring_that_there_is_not_is_refused(sites):
    with pytest.raises(InputError, match=f"sites={sites}; expected a multiple of 4 from 4 to 128"):
        plant(sites=sites)


# Names


@pytest.mark.parametrize(
    "name",
    ["random", "hold", "static", "reactive(spare=1.2)", "band(low=1.1,high=2.0)", "predictive", "hourly", "optimal",
     "oracle", "walk(static)", "retrain(hourly)", "multiagent(hold)", "multiagent(reactive, horizon=2, samples=4)",
     "rollout(hourly, horizon=0, samples=2)"],
)  # fmt: skip
def test_every_name_of_a_policy_acts(name):
    policy = make_policy(name, Worlds(SMALL, SMALL, SMALL))
    x = SMALL.initial(spawn(0), 3)
    u, _ = policy.predict(SMALL.observe(x), None, np.ones(3, dtype=bool))
    assert u.shape == (3, 4) and feasible_actions(SMALL, x, u[:, None]).all()


def test_worlds_by_name_have_the_change_on_the_plant_and_its_log_in_the_model():
    worlds = world("edge", phase="after", change="far")
    assert (worlds.base.hop, worlds.model.hop, worlds.plant.hop) == (20.0, 60.0, 60.0)
    assert not np.array_equal(worlds.base.table, worlds.model.table)
    assert world("edge", phase="after", change="far", seed=1).model.sigma != worlds.model.sigma


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sites": 0}, "edge: sites=0; expected a multiple of 4"),
        ({"phase": "after", "change": "mooved"}, "change=mooved: choose one of moved, dear, far, lost"),
        ({"chnge": "far"}, "has no option 'chnge'; did you mean change"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, message):
    with pytest.raises(InputError, match=message) as error:
        make("edge", **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [("static(k=3)", "has no option 'k'"), ("reactive(spare=0)", "a band from 0 to 0"), ("hpa", "hpa; not edge")],
)
def test_bad_names_are_refused_in_one_line(name, message):
    with pytest.raises(InputError, match=message) as error:
        make_policy(name, Worlds(SMALL, SMALL, SMALL))
    assert "\n" not in str(error.value)
