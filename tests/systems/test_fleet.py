"""The fleet: requests are conserved, the budget alone couples the queues, and two queues can be solved exactly."""

import re

import numpy as np
import pytest

from netrollout.batch import joint_index
from netrollout.dp import MDP, evaluate_policy, policy_iteration
from netrollout.evaluate import simulate
from netrollout.rollout import MultiagentRollout, multiagent_table, rollout_table
from netrollout.seeding import spawn
from netrollout.systems.fleet import MOST_WAITING, MOST_WORKERS, OVER, WAITING, WORKER, Alone, Fleet, FleetState
from netrollout.types import InputError

HOLD = 1


def alone_table(fleet):
    actions, _ = Alone(fleet).predict(fleet.observe(fleet.states()))
    return joint_index(actions, fleet.levels)


def met(fleet, n=400):
    """Random states, actions and disturbances."""
    rng = np.random.default_rng(0)
    shape = (n, fleet.components)
    x = FleetState(rng.integers(MOST_WAITING + 1, size=shape), rng.integers(1, MOST_WORKERS + 1, size=shape))
    return x, rng.integers(3, size=shape), fleet.disturbance(rng, (n,))


@pytest.mark.parametrize("components", [1, 2, 7, 32])
def test_observations_give_the_state_back(components):
    fleet = Fleet(components=components)
    x, _, _ = met(fleet)
    seen = fleet.observe(x)
    assert seen.shape == (400, 2 * components) and seen.dtype == np.float32 and 0.0 <= seen.min() <= seen.max() <= 1.0
    assert all(np.array_equal(a, b) for a, b in zip(fleet.state_of(seen), x, strict=True))


def test_the_arrivals_have_the_mean_and_variance_of_their_poisson_law():
    fleet, n = Fleet(components=4, load=2.0), 4000
    crowded = FleetState(np.full((n, 4), 5), np.ones((n, 4), dtype=np.int64))
    w = np.tile((np.arange(n)[:, None] + 0.5) / n, 4)
    arrivals = fleet.transition(crowded, np.full((n, 4), HOLD), w).state.waiting - 5 + 1  # one is served
    loads = [1.0, 5 / 3, 7 / 3, 3.0]
    assert arrivals.mean(axis=0) == pytest.approx(loads, abs=0.01)
    assert arrivals.var(axis=0) == pytest.approx(loads, abs=0.1)  # a full queue cuts the tail


def test_more_arrivals_leave_more_and_another_worker_leaves_fewer():
    fleet = Fleet(components=3)
    x, u, w = met(fleet)
    waiting = fleet.transition(x, u, w).state.waiting
    assert (fleet.transition(x, u, np.minimum(w + 0.2, 0.999)).state.waiting >= waiting).all()
    assert (fleet.transition(x, np.minimum(u + 1, 2), w).state.waiting <= waiting).all()


def test_a_cycle_pays_for_workers_waiting_requests_and_the_budget():
    fleet = Fleet(components=2, share=2.25)
    assert fleet.budget == 4
    x = FleetState(np.array([[5, 0]]), np.array([[3, 2]]))
    step = fleet.transition(x, np.array([[2, HOLD]]), np.zeros((1, 2)))  # 4 and 2 workers, and nobody comes
    assert step.state.waiting.tolist() == [[1, 0]] and step.state.workers.tolist() == [[4, 2]]
    assert step.reward[0] == pytest.approx(-(WORKER * 6 + WAITING * 1 + OVER * 2) / 2)
    assert {name: value[0] for name, value in step.metrics.items()} == {"waiting": 0.5, "workers": 3.0, "over": 2.0}


def test_increments_beyond_the_range_hold_and_are_not_feasible():
    fleet = Fleet(components=2)
    x = FleetState(np.zeros((1, 2), dtype=np.int64), np.array([[1, MOST_WORKERS]]))
    assert fleet.feasible(x).tolist() == [[False, True, True, True, True, False]]
    assert fleet.transition(x, np.array([[0, 2]]), np.zeros((1, 2))).state.workers.tolist() == x.workers.tolist()


def test_the_base_policy_looks_at_each_queue_and_stays_feasible():
    fleet = Fleet(components=5)
    x = FleetState(np.array([[3, 2, 0, 0, 9]]), np.array([[2, 2, 2, 1, MOST_WORKERS]]))
    actions, _ = Alone(fleet).predict(fleet.observe(x))
    assert actions.tolist() == [[2, HOLD, 0, HOLD, HOLD]]


def test_where_the_budget_never_binds_the_optimum_of_two_is_the_mean_of_the_optima_of_one():
    pair = Fleet(components=2, load=1.5, share=MOST_WORKERS)
    x, alone = pair.states(), []
    for k, load in enumerate((0.75, 2.25)):
        one = Fleet(components=1, load=load, share=MOST_WORKERS)
        value = policy_iteration(MDP.from_system(one)).value
        alone.append(value[one.index(FleetState(x.waiting[:, [k]], x.workers[:, [k]]))])
    together = policy_iteration(MDP.from_system(pair)).value
    assert together == pytest.approx(np.mean(alone, axis=0))


@pytest.mark.parametrize("components", [2, 8, 32])
def test_the_budget_binds_at_every_size_under_the_base_policy(components):
    fleet = Fleet(components=components)
    over = simulate(fleet, Alone(fleet), range(20)).metrics["over"]
    assert 0.25 < (over > 0).mean() < 0.6


def test_two_queues_solved_exactly_rollout_gains_what_the_budget_hides_from_the_base():
    fleet = Fleet(components=2)
    mdp, base = MDP.from_system(fleet), alone_table(fleet)
    value = evaluate_policy(mdp, base).value
    optimum = policy_iteration(mdp).value
    for table in (rollout_table(mdp, base), multiagent_table(mdp, fleet.levels, base)):
        better = evaluate_policy(mdp, table).value
        assert (better >= value - 1e-9).all() and (better <= optimum + 1e-9).all()
        assert (better - value).mean() > 0.8 * (optimum - value).mean()


def test_more_queues_are_not_listed():
    fleet = Fleet(components=3)
    assert fleet.noise_support() is None
    with pytest.raises(InputError, match="262144 states of 3 queues are not listed"):
        fleet.states()


@pytest.mark.parametrize("components", [2, 8, 32])
def test_the_work_of_a_decision_grows_with_the_queues_and_not_with_their_joint_actions(components):
    fleet = Fleet(components=components)
    policy = MultiagentRollout(fleet, Alone(fleet), spawn(0), horizon=10, samples=8)
    policy.predict(fleet.observe(fleet.initial(spawn(1), 1)))  # two workers each: all three settings are feasible
    assert policy.model_steps == (1 + 2 * components) * 11 * 8


def test_32_queues_gain_by_taking_turns_and_lose_by_deciding_alone():
    """Paired over eight episodes, by at least three standard errors."""
    fleet = Fleet(components=32)
    base = simulate(fleet, Alone(fleet), range(8)).mean_rewards()
    for autonomous, sign in ((False, 1.0), (True, -1.0)):
        policy = MultiagentRollout(fleet, Alone(fleet), spawn(0), horizon=10, samples=8, autonomous=autonomous)
        gain = sign * (simulate(fleet, policy, range(8)).mean_rewards() - base)
        assert gain.mean() > 3.0 * gain.std(ddof=1) / np.sqrt(8)


def test_lanes_are_independent():
    fleet = Fleet(components=6)
    x, u, w = met(fleet, 30)
    together = fleet.transition(x, u, w).reward
    alone = [fleet.transition(FleetState(*(f[[b]] for f in x)), u[[b]], w[[b]]).reward[0] for b in range(30)]
    assert together.tolist() == alone


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"components": 0}, "components 0 must be at least 1 queue"),
        ({"load": 0.0}, "load 0.0 must be above 0 and at most 4 per cycle"),
        ({"load": float("nan")}, "load nan must be"),
        ({"load": 4.5}, "load 4.5 must be"),
        ({"share": 0.5}, "share 0.5 must be at least 1 worker per queue"),
        ({"discount": 1.0}, "discount 1.0 must be at least 0 and below 1"),
        ({"horizon": 0}, "horizon 0 must be at least 1 cycle"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Fleet(**parameters)
