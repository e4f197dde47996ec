"""The edge in the closed loop: what is told, what is noticed, what is relearned, and what that is worth."""

import numpy as np
import pytest

from netrollout.adapt import run
from netrollout.adapt.measures import fraction
from netrollout.loop import make_loop
from netrollout.systems.edge.dynamics import DAY
from netrollout.systems.edge.realise import LEARNED
from netrollout.types import InputError


def played(name, policy, seed=0, cycles=3 * DAY):
    edge = make_loop(name)
    brain = edge.controller(policy, seed=seed, change_at=DAY)
    return brain, run(edge.simulated(DAY, seed), brain, cycles)


def worth(records):
    return np.array([sum(record.reward for record in records[DAY:])])


def test_prices_and_delays_are_told_and_the_pattern_is_not():
    brain, records = played("edge-far", "predictive", cycles=DAY + 2)
    edge, newest = make_loop("edge-far"), brain.relearner.model()
    assert (newest.hop, newest.hop_slow) == (edge.after.hop, edge.after.hop_slow) != (edge.before.hop, 60.0)
    assert not any(record.alarm for record in records)
    assert all(np.array_equal(getattr(newest, name), getattr(edge.model, name)) for name in LEARNED)


def test_users_that_move_are_noticed_and_their_pattern_relearned():
    brain, records = played("edge-moved", "predictive")
    alarms = [record.cycle for record in records if record.alarm]
    assert DAY <= alarms[0] < DAY + 24, "within six hours"
    edge, newest = make_loop("edge-moved"), brain.relearner.model()
    error = [np.abs(np.log(one.table / edge.after.table)).mean() for one in (newest, edge.model)]
    assert error[0] < 0.5 * error[1]


@pytest.mark.parametrize(("name", "share"), [("edge-moved", 0.1), ("edge-far", 0.7)])
def test_rollout_on_the_relearned_model_takes_a_share_of_the_possible_gain(name, share):
    base, rollout, optimum = (worth(played(name, policy)[1]) for policy in ("base", "rollout", "optimum"))
    assert share < fraction(rollout, base, optimum) < 1.0


def test_a_site_that_is_lost_has_no_pods_from_then_on():
    _, records = played("edge-lost", "rollout", cycles=DAY + 10)
    pods = np.array([record.window.state.pods[0] for record in records])
    assert pods[:DAY, 3].max() > 0 and not pods[DAY:, 3].any()


def test_what_the_edge_does_not_have_is_refused():
    edge = make_loop("edge-moved")
    with pytest.raises(InputError, match="scenario edge-moved has no exploration"):
        edge.controller("rollout", "epsilon")
    with pytest.raises(InputError, match="is played on the simulator only"):
        edge.recorded()
