"""The comparison on the farm: pairing, the frontier of the constants, the bound, the table."""

from functools import partial

import numpy as np
import pytest

from netrollout.evaluate import Estimate
from netrollout.experiment import run
from netrollout.studies.farm_frontier import beats_frontier, frontier
from netrollout.studies.farm_play import MEASURES, disturbances, paired, play
from netrollout.studies.farm_study import bounds, clairvoyant, estimates, tail_mean, worlds
from netrollout.systems.serverless.realise import farm_plant
from netrollout.systems.serverless.rules import Constant
from netrollout.types import InputError


def played(qos, workers):
    qos, workers = (np.broadcast_to(part, (2, 50)).astype(float) for part in (qos, workers))
    return {"qos": qos, "workers": workers}


def line():
    """Constants 1, 2, 3 with QoS .5, .9, 1 (concave) on 50 episodes, and one below the hull."""
    x = np.array([1.0, 2.0, 3.0, 2.5])[:, None] + np.zeros((4, 50))
    y = np.array([0.5, 0.9, 1.0, 0.91])[:, None] + np.zeros((4, 50))
    return {"qos": y, "workers": x}


def test_policies_meet_the_same_workloads_and_scaling_times():
    plant = farm_plant("published", "before", "double", 3)
    w = disturbances(plant)
    assert w[0, :, 0].tolist() == [0, 1, 2]
    assert np.array_equal(w[:, :2], disturbances(farm_plant("published", "before", "double", 2)))
    assert np.array_equal(*(play(plant, Constant(14), w)["reward"] for _ in range(2)))


def test_the_measures_by_hand():
    plant = farm_plant("published", "before", "double", 2)
    found = play(plant, Constant(14), disturbances(plant))
    assert (found["scaling"] == 2.0).all() and found["workers"] == pytest.approx([14.0, 14.0], abs=0.1)
    assert found["in_time"] == pytest.approx(found["qos"], abs=1e-3) and found["qos"].max() <= 1.0
    assert (found["steady"] <= found["reward"]).all()


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
    constants, known, limit = frontier("flash", 3), clairvoyant("flash", 3, width=1), bounds("flash", 3)
    found = run(partial(worlds, "flash", 0, 3), ["static(k=16)"], paired(3)).values["static(k=16)"]
    assert constants["qos"].shape == (32, 3) and np.array_equal(found["qos"], constants["qos"][15])
    assert beats_frontier(found, constants).value <= 1e-12
    assert (known["reward"] >= constants["reward"][[11, 15, 19, 23]]).all()
    for name in ("reward", "steady", "in_time"):
        assert (known[name] <= limit[name] + 1e-9).all()


def test_every_training_has_its_own_log_and_all_play_the_same_episodes():
    cells = {("published", r): partial(worlds, "published", r, 2) for r in range(2)}
    table = run(cells, ["up", "sqrt", "rollout(sqrt, horizon=0, samples=1)"], paired(2))
    found = table.at("published")
    assert found["qos", "sqrt"].shape == (2, 2) and np.array_equal(*found["qos", "up"])
    assert not np.array_equal(*found["reward", "rollout(sqrt, horizon=0, samples=1)"])
    assert all(isinstance(e, Estimate) for e in estimates(found.values["sqrt"]).values())
    assert set(estimates(found.values["sqrt"])) == {*MEASURES, "cvar"}


def test_the_worst_twentieth():
    assert tail_mean(np.arange(100.0)[None])[0] == pytest.approx(2.0)
    assert tail_mean(np.array([[3.0, 1.0, 2.0]]))[0] == 1.0


def test_a_name_that_means_nothing_on_the_farm_is_refused_in_a_study_too():
    with pytest.raises(InputError, match="select"):
        run(partial(worlds, "published", 0, 2), ["rollout(static, select=nonsense)"], paired(2))
