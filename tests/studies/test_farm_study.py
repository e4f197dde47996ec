"""The comparison on the farm: pairing, the frontier of the constants, the bound, the table."""

import numpy as np
import pytest

from netrollout.baselines.serverless import Constant
from netrollout.catalog.farm import farm_plant
from netrollout.evaluate import Estimate
from netrollout.studies.farm_frontier import Frontier, beats_frontier, frontier
from netrollout.studies.farm_play import MEASURES, Played, disturbances, play
from netrollout.studies.farm_study import bounds, clairvoyant, compare, judged, tail_mean
from netrollout.types import InputError


def played(qos, workers):
    qos, workers = (np.broadcast_to(part, (2, 50)).astype(float) for part in (qos, workers))
    return Played(qos, qos, workers, workers, qos, qos)


def line():
    """Constants 1, 2, 3 with QoS .5, .9, 1 (concave) on 50 episodes, and one below the hull."""
    x = np.array([1.0, 2.0, 3.0, 2.5])[:, None] + np.zeros((4, 50))
    y = np.array([0.5, 0.9, 1.0, 0.91])[:, None] + np.zeros((4, 50))
    return Frontier(np.array([1, 2, 3, 4]), Played(y, y, x, x, y, y))


def test_policies_meet_the_same_workloads_and_scaling_times():
    plant = farm_plant("published", "before", "double", 3)
    w = disturbances(plant)
    assert w[0, :, 0].tolist() == [0, 1, 2]
    assert np.array_equal(w[:, :2], disturbances(farm_plant("published", "before", "double", 2)))
    assert np.array_equal(play(plant, Constant(14), w).reward, play(plant, Constant(14), w).reward)


def test_the_measures_by_hand():
    plant = farm_plant("published", "before", "double", 2)
    found = play(plant, Constant(14), disturbances(plant))
    assert (found.scaling == 2.0).all() and found.workers[0] == pytest.approx([14.0, 14.0], abs=0.1)
    assert found.in_time == pytest.approx(found.qos, abs=1e-3) and found.qos.max() <= 1.0
    assert (found.steady <= found.reward).all()


@pytest.mark.parametrize(
    ("qos", "workers", "distance"),
    [(0.7, 1.5, 0.0), (0.8, 1.5, 0.1), (0.95, 2.5, 0.0), (0.5, 0.5, 0.0), (1.0, 9.0, 0.0), (0.6, 1.0, 0.1)],
)
def test_the_distance_to_the_frontier_is_measured_at_the_same_mean_workers(qos, workers, distance):
    assert beats_frontier(played(qos, workers), line()).value == pytest.approx(distance)


def test_the_interval_knows_that_mean_workers_are_an_estimate_too():
    moving = 1.5 + 0.4 * np.sin(np.arange(50))
    on_the_line = played(0.5 + 0.4 * (moving - 1.0), moving)
    found = beats_frontier(on_the_line, line())
    assert found.value == pytest.approx(0.0, abs=1e-9) and found.high - found.low < 1e-6


def test_a_constant_lies_on_its_own_frontier_and_the_search_above():
    constants = frontier("flash", 3)
    assert constants.k.tolist() == list(range(1, 33)) and constants.played.qos.shape == (32, 3)
    known = clairvoyant("flash", 3, width=1)
    found = judged(["static(k=16)"], ["flash"], 3)["static(k=16)", "flash"]
    assert np.array_equal(found.qos[0], constants.played.qos[15])
    assert beats_frontier(found, constants).value <= 1e-12
    assert (known.reward >= constants.played.reward[[11, 15, 19, 23]]).all()
    limit = bounds("flash", 3)
    for name in ("reward", "steady", "in_time"):
        assert (getattr(known, name) <= limit[name] + 1e-9).all()


def test_every_training_has_its_own_log_and_all_play_the_same_episodes():
    found = judged(["sqrt", "rollout(sqrt, horizon=0, samples=1)"], ["published"], 2, trainings=2)
    assert found["sqrt", "published"].qos.shape == (2, 2)


def test_the_worst_twentieth():
    assert tail_mean(np.arange(100.0)[None])[0] == pytest.approx(2.0)
    assert tail_mean(np.array([[3.0, 1.0, 2.0]]))[0] == 1.0


def test_the_table_says_where_what_was_judged_and_on_what():
    table = compare(["static", "reactive"], ["published", "flash"], 3, change="cold", known=1)
    assert len(table) == 2 * 2 * 4
    assert {row["policy"] for row in table} == {"static", "reactive", "clairvoyant", "bound"}
    for row in table:
        assert row["held_out"] == (row["workload"] == "flash") and row["phase"] in ("before", "after")
        if row["policy"] == "static":
            assert all(isinstance(row[name], Estimate) for name in (*MEASURES, "cvar", "above"))
            assert row["beats"] == (row["above"].low > 0.0)


@pytest.mark.parametrize(
    ("rows", "episodes", "message"), [(["satic"], 3, "did you mean static"), (["static"], 0, "0 episodes")]
)
def test_what_cannot_be_is_refused(rows, episodes, message):
    with pytest.raises(InputError, match=message):
        judged(rows, ["published"], episodes)
