"""Names to systems: everything that is named can be made, stepped and planned on."""

import sys
import types
from dataclasses import replace
from typing import get_args

import gymnasium
import numpy as np
import pytest

import netrollout
from netrollout import family, names
from netrollout.catalog import describe, make, world
from netrollout.dp import MDP
from netrollout.family import Family, family_named
from netrollout.models import SURROGATES
from netrollout.seeding import spawn
from netrollout.systems.mesh.realise import Regressor, rows, split, visits
from netrollout.systems.mesh.scenario import load_scenario
from netrollout.systems.queues.dynamics import Pattern, QueueMesh
from netrollout.systems.toy import Walk
from netrollout.types import InputError

MESHES = ["mesh-s1", "mesh-s2", "mesh-s3", "mesh-release"]
CHANGES = ("heavier", "slower", "shifted")


def test_the_package_knows_the_names_room_by_room():
    assert names() == [name for room in netrollout.systems.ROOMS for name in room.FAMILY.systems]
    assert names()[:6] == [*MESHES, "mesh-s4", "mesh-s5"]
    assert netrollout.make("walk").name == "walk"


@pytest.mark.parametrize("name", names())
def test_every_name_is_described_made_and_stepped(name):
    system, entry = make(name), describe(name)
    assert entry.actions == MDP.from_system(make("walk")).reward.shape[1] or name != "walk"
    x = system.initial(np.random.default_rng(0), 5)
    u = np.ones((5, len(system.levels)), dtype=int)
    assert np.isfinite(system.step(x, u, np.random.default_rng(0)).reward).all()


@pytest.mark.parametrize("name", MESHES)
@pytest.mark.parametrize("phase", ["before", "after"])
def test_plant_and_model_have_one_state_space(name, phase):
    plant, model = (make(name, phase=phase, side=side) for side in ("plant", "model"))
    assert plant.n_states == model.n_states
    assert np.array_equal(plant.grid_features(), model.grid_features())
    assert not np.array_equal(plant.response.windows, model.response.windows)


def test_s3_knows_one_load_before_the_change_and_three_after():
    assert [make("mesh-s3", phase=phase).n_states for phase in ("before", "after")] == [30, 90]
    assert make("mesh-s3", phase="after").load_move == 0.05
    assert make("mesh-s3", phase="before").load_move == 0


def test_refits_differ_and_are_repeatable():
    tables = [make("mesh-s2", side="model", refit=r).response.windows for r in (None, 0, 1, 0)]
    assert np.array_equal(tables[1], tables[3])
    assert not np.array_equal(tables[1], tables[2]) and not np.array_equal(tables[0], tables[1])


def test_options_are_converted_and_used():
    system = make("mesh-s2", discount="0.5", horizon="7", seed="3")
    assert (system.discount, system.horizon) == (0.5, 7)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mesh-s6", {}, "unknown system 'mesh-s6'; did you mean mesh-s"),
        ("mesh-s2", {"phse": "after"}, "mesh-s2, side plant, has no option 'phse'; did you mean phase"),
        ("mesh-s2", {"phase": "later"}, "choose one of before, after"),
        ("mesh-s2", {"side": "model", "surrogate": "tree"}, "choose one of forest"),
        ("mesh-s2", {"seed": "x"}, "expected a whole number"),
        ("mesh-s2", {"discount": "x"}, "expected a number"),
        ("mesh-s2", {"seed": "-1"}, "seed=-1: expected a whole number from 0"),
        ("mesh-s2", {"side": "model", "refit": -1}, "refit=-1: expected a whole number from 0"),
        ("mesh-s2", {"name": "x"}, "no option 'name'"),
        ("mesh-s2", {"discount": "1.5"}, "discount=1.5: expected a number from 0 to 1"),
        ("mesh-s1", {"source": "kth"}, "no published trace"),
    ],
)
def test_what_is_refused(name, options, message):
    with pytest.raises(InputError, match=message):
        make(name, **options)


def test_a_comparison_plans_on_the_model_and_judges_on_the_plant():
    worlds = world("mesh-s2", phase="after")
    assert np.array_equal(worlds.base.response.windows, make("mesh-s2", side="model").response.windows)
    assert np.array_equal(worlds.model.response.windows, make("mesh-s2", side="model", phase="after").response.windows)
    assert np.array_equal(worlds.plant.response.windows, make("mesh-s2", phase="after").response.windows)
    with pytest.raises(InputError, match="option side"):
        world("mesh-s2", side="model")


def test_streams_of_seeds_are_those_of_the_name():
    assert spawn(0, "refit", 1).random() != spawn(0, "refit", 2).random()


def test_s4_is_frozen_as_it_was_written_down():
    """The scenario file and the defaults of `QueueMesh` say the same: the frozen parameters."""
    system = make("mesh-s4")
    assert system.pattern.enter == pytest.approx(1 / 18, abs=1e-6) and system.pattern.leave == pytest.approx(1 / 6)
    assert replace(system, pattern=Pattern()) == QueueMesh()


def test_s4_has_three_changes_and_a_model_learned_from_a_log_of_each():
    demands = {change: make("mesh-s4", phase="after", change=change).demand for change in CHANGES}
    assert demands == {"heavier": (0.14, 0.14), "slower": (0.14, 0.1), "shifted": (0.1, 0.1)}
    assert make("mesh-s4", phase="after", change="shifted").pattern.shift == 24
    model = make("mesh-s4", phase="after", change="slower", side="model")
    assert model.law == "exponential" and model.demand == pytest.approx((0.14, 0.1), rel=0.05)
    assert model != make("mesh-s4", phase="after", change="slower", side="model", refit=1)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("walk", {"phase": "after"}, "walk, side plant, has no option 'phase'; known are discount, horizon"),
        ("mesh-s2", {"surrogate": "linear"}, "mesh-s2, side plant, has no option 'surrogate'"),
        ("mesh-s2", {"refit": 3}, "no option 'refit'"),
        ("mesh-s2", {"side": "model", "change": "slower"}, "mesh-s2, side model, has no option 'change'"),
        ("mesh-s4", {"side": "model", "surrogate": "forest"}, "no option 'surrogate'"),
        ("mesh-s4", {"source": "testbed"}, "no option 'source'"),
        ("serverless", {"log": "published"}, "no option 'log'"),
        ("serverless", {"seed": 7}, "no option 'seed'"),
        ("serverless", {"side": "model", "workload": "flash"}, "no option 'workload'"),
    ],
)
def test_a_side_refuses_an_option_that_it_does_not_have(name, options, message):
    with pytest.raises(InputError, match=message):
        make(name, **options)


def test_each_side_of_a_comparison_gets_the_options_that_it_has():
    worlds = world("mesh-s2", phase="after", surrogate="linear", seed="3")
    assert worlds.seed == 3
    linear = make("mesh-s2", side="model", surrogate="linear", seed=3, phase="after")
    assert np.array_equal(worlds.model.response.windows, linear.response.windows)
    with pytest.raises(InputError, match="walk has no option 'phase'"):
        world("walk", phase="after")


def test_the_regressors_that_a_model_may_be_are_those_that_there_are():
    assert get_args(Regressor) == tuple(SURROGATES)


def test_a_stranger_registers_a_family_and_its_system_is_made(monkeypatch):
    """What `netrollout.register` is for: a module of one's own with FAMILY and plant()."""
    room = types.ModuleType("my_room")
    room.plant = lambda *, slip=0.0: replace(Walk(), name="my-walk", slip=slip)
    room.plant.__annotations__ = {"slip": float}
    monkeypatch.setitem(sys.modules, "my_room", room)
    monkeypatch.setattr("netrollout.family._FAMILIES", dict(family._FAMILIES))
    netrollout.register(Family("my_room", {"my-walk": "a walk"}, {"my/Walk-v0": "my-walk"}))
    assert make("my-walk", slip="0.25").slip == 0.25
    assert gymnasium.make("my/Walk-v0").unwrapped.system.name == "my-walk"
    gymnasium.registry.pop("my/Walk-v0")
    with pytest.raises(InputError, match="walk is already the name of a system of"):
        netrollout.register(Family("my_room", {"walk": "another"}))


def test_a_metric_without_a_unit_is_an_error_and_not_seconds():
    mesh, farm = family_named("mesh-s2"), family_named("serverless")
    assert (mesh.unit("d_compute"), farm.unit("reward_qos")) == ("s", "reward")
    with pytest.raises(InputError, match="metric 'queue' has no unit"):
        mesh.unit("queue")


def test_the_held_out_visit_rotates_and_is_never_in_the_model():
    frame = rows(load_scenario("mesh-release"), "after")
    assert visits("mesh-release") == 10 and visits("mesh-s3") == 3
    for held in (0, 9):
        ours, theirs = split(frame, "plant", held), split(frame, "model", held)
        assert set(ours["rank"]) == {held} and set(theirs["rank"]) == set(range(10)) - {held}
        assert not set(ours["visit"]) & set(theirs["visit"])
        first = make("mesh-release", phase="after", held=held).response.windows[0, :, 0]
        assert np.array_equal(np.sort(first), np.sort(ours.loc[ours["grid"] == 0, "d_compute"]))
    with pytest.raises(InputError, match="held=3: expected a visit from 0 to 2"):
        make("mesh-s3", held=3)
