"""Bounds and changes are what the rule gives on the shipped traces, and nothing is planned on what judges it."""

import numpy as np
import pytest

from netrollout.catalog import make
from netrollout.loop import make_loop
from netrollout.studies.rule import bound_by_rule, feasible_share, keeping_share, overloading_factor, release_bound
from netrollout.systems.mesh.realise import rows, split
from netrollout.systems.mesh.scenario import load_scenario, parse_scenario
from netrollout.traces import response_times, shipped, verify_shipped
from netrollout.types import InputError


@pytest.mark.parametrize("name", ["mesh-s1", "mesh-s2", "mesh-s3"])
def test_bounds_are_the_median_over_configurations_before_the_change(name):
    scenario = load_scenario(name)
    for service, bound in zip(scenario.services, scenario.objective.bounds, strict=True):
        assert bound == bound_by_rule(rows(scenario, "before"), service)
        assert feasible_share(rows(scenario, "before"), service, bound) == pytest.approx(0.5, abs=0.06)


def test_the_change_is_the_smallest_step_that_leaves_a_fifth_feasible():
    scenario = load_scenario("mesh-s2")
    (bound,) = scenario.objective.bounds
    share = {
        step: feasible_share(response_times(shipped(f"mesh/pilot_{step}")), "compute", bound) for step in (125, 150)
    }
    assert share[125] > 0.2 >= share[150]
    assert feasible_share(rows(scenario, "after"), "compute", bound) <= 0.2


def test_the_release_overloads_a_node_where_the_base_rests_and_leaves_a_sixth_that_can_keep_the_bound():
    scenario, loop = load_scenario("mesh-release"), make_loop("release")
    before, after = (rows(scenario, phase) for phase in ("before", "after"))
    assert scenario.objective.bounds == (release_bound(before, after, "compute"),)
    assert keeping_share(after, "compute", scenario.objective.bounds[0]) >= 1 / 6
    p, workers = (c.levels[k] for c, k in zip(loop.model.controls, loop.resting, strict=True))
    demand = {
        phase: float(shipped(scenario.trace[phase]).header["demand_compute"].split()[0])
        for phase in ("before", "after")
    }
    factor = overloading_factor(20.0, p, workers, demand["before"], quota=0.2)
    assert demand["after"] == pytest.approx(factor * demand["before"])


def test_a_node_is_overloaded_from_the_first_step_at_which_it_has_no_time_to_spare():
    assert overloading_factor(20.0, 0.4, 1, 0.008, 0.2) == 2.25  # node 2: 20 x .6 x 8 ms / .2 = .48
    assert overloading_factor(20.0, 0.5, 1, 0.01, 0.2) == 2.0  # exactly one Erlang counts
    assert overloading_factor(50.0, 1.0, 1, 0.01, 0.2) == 1.0  # overloaded already


@pytest.mark.parametrize(("name", "phase"), [("mesh-s1", "before"), ("mesh-s2", "after"), ("mesh-s3", "after")])
def test_plant_and_model_share_no_visit(name, phase):
    frame = rows(load_scenario(name), phase)
    plant, model = split(frame, "plant"), split(frame, "model")
    assert not set(plant["visit"]) & set(model["visit"])
    assert len(plant) + len(model) == len(frame)
    assert set(plant["grid"]) == set(model["grid"])
    assert len(model) == 2 * len(plant)


def test_shipped_traces_are_those_of_their_checksums():
    assert verify_shipped() == []


@pytest.mark.parametrize(
    ("key", "message"), [("horizn", "key 'horizn' is unknown"), (None, "key 'horizon' is missing")]
)
def test_a_scenario_file_with_a_wrong_key_is_refused(key, message):
    text = {name: {} for name in ("name", "system", "services", "controls", "load", "objective", "change", "start")}
    text |= {"discount": 0.9, "trace": {}, "plant": "windows"} | ({"horizon": 1, key: 1} if key else {})
    with pytest.raises(InputError, match=f"file.yml: {message}"):
        parse_scenario(text, "file.yml")


def test_windows_of_the_plant_are_measured_ones():
    scenario = load_scenario("mesh-s2")
    frame = split(rows(scenario, "after"), "plant")
    table = make("mesh-s2", phase="after").response.windows
    one = np.sort(frame.loc[frame["grid"] == 7, "d_compute"].to_numpy())
    assert np.array_equal(np.sort(table[7, :, 0]), one)
