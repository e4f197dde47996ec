"""The working day in simulation: what is learned, what a log must hold, and who keeps the objective."""

import numpy as np
import pytest

from netrollout.adapt import run
from netrollout.loop import make_loop
from netrollout.systems.queues.plants import QueueWindow, SimulatedQueues, line_of, window_of
from netrollout.systems.queues.realise import day_model, load_daily
from netrollout.systems.queues.relearn import LearnedDemand, state_after
from netrollout.types import InputError

DAY = make_loop("S5")
NAMES = ("p_compute", "c_1")


def window(busy=4.0, n=40.0, queue=6.0, **changes):
    given = {"setting": np.array([5, 3]), "starting": np.array([1, 0, 0]), "load": 8.0, "n": np.array([n, 0.0]),
             "busy": np.array([busy, 0.0]), "queue": np.array([queue, 0.0]), "late": 0.1, "ended": int(n), "d": 0.2,
             "moves": 1}  # fmt: skip
    return QueueWindow(**(given | changes))


def judged(policy, seeds):
    """Return share late, workers and reward over the two days after the change."""
    late, ended, workers, reward = 0.0, 0, [], []
    for seed in seeds:
        records = run(DAY.simulated(DAY.change_at, seed), DAY.controller(policy, seed=seed), DAY.cycles)
        since = [record.window for record in records[DAY.change_at :]]
        late, ended = late + sum(w.late * w.ended for w in since), ended + sum(w.ended for w in since)
        workers += [w.setting[1] + 1 for w in since]
        reward += [w.reward(DAY.before) for w in since]
    return late / ended, np.mean(workers), np.mean(reward)


def test_the_demand_is_an_average_in_which_a_cycle_weighs_its_weight():
    known = day_model()
    learned = LearnedDemand(known, 0.5)
    before = known.demand[0]
    for _ in range(30):
        learned.learn(window(busy=8.0), np.empty(0))
    assert before < 0.1 < learned.model().demand[0] == pytest.approx(0.2, rel=0.03)
    moved = learned.model()
    learned.learn(window(busy=0.0, n=0.0), np.empty(0))
    assert learned.model() == moved, "a cycle without requests tells nothing"
    brain = DAY.controller("predictive")
    brain.learn(window(busy=100.0, usable=False))
    assert brain.relearner.model() == known, "nor does one that is marked"
    still = LearnedDemand(known, 0.0)
    still.learn(window(busy=8.0), np.empty(0))
    assert still.model() is known


def test_the_state_has_the_queue_times_the_demand_on_the_ready_workers_and_infers_bursts():
    model = day_model()
    x = state_after(model, window(phase=10))
    assert x.phase.tolist() == [11] and x.burst.tolist() == [1], "8 req/s by night"
    assert x.work[0, :3] == pytest.approx(6.0 * model.demand[0] / 3) and x.work[0, 3:].sum() == 0.0
    assert x.busy == pytest.approx(4.0 / 15.0) and x.late == 0.1
    assert state_after(model, window(load=6.5, phase=47)).phase.tolist() == [0]


def test_two_plants_with_a_seed_meet_the_same_requests_and_the_change_strikes_when_it_should():
    early, late = (SimulatedQueues(DAY.before, DAY.after, at, 3) for at in (2, 5))
    hold = np.array([1, 1])
    pairs = [(early.act(hold), late.act(hold)) for _ in range(5)]
    assert all(one.load == two.load for one, two in pairs)
    assert all(one.d == two.d for one, two in pairs[:2]) and all(one.d > two.d for one, two in pairs[2:])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"setting": {"p_compute": 9, "c_1": 1}}, "are none of mesh-s5"),
        ({"starting": [1, 1]}, "are none of mesh-s5"),
        ({"starting": [4, 0, 0]}, "are none of mesh-s5"),
        ({"n": [1.0]}, "must be two numbers each"),
    ],
)
def test_a_logged_cycle_that_no_mesh_can_have_had_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        window_of({**line_of(window(), NAMES), "cycle": 3, **changes}, DAY.before)


def test_the_registered_contrasts_show_in_two_runs(monkeypatch):
    for policy in ("unadapted", "rollout"):  # on an eighth of the paths
        name = DAY.words[policy].replace("samples=128", "samples=16")
        monkeypatch.setitem(DAY.words, policy, name)
    unadapted, rollout = judged("unadapted", range(2)), judged("rollout", range(2))
    static = judged("static(p=1,c=6)", range(2))
    assert unadapted[0] > 0.25 and rollout[0] < 0.08, "learning is what keeps the objective"
    assert static[0] < 0.03 and static[1] == 6.0 > rollout[1] + 2.0, "a static needs all workers for it"
    assert rollout[2] > unadapted[2] + 0.4


def test_the_campaign_names_policies_that_there_are_and_enough_runs():
    campaign = load_daily("mesh-s5").text["campaign"]
    assert all(DAY.controller(policy) for policy in campaign["policies"])
    assert campaign["runs"] >= campaign["least_runs"] == 6
    assert {contrast["against"] for contrast in campaign["contrasts"]} == set(campaign["policies"]) - {"rollout"}
    with pytest.raises(InputError, match="unknown policy 'rollot'"):
        DAY.controller("rollot")
