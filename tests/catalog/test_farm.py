"""The serverless system by name: plants, logs and models, and what keeps them apart."""

from typing import get_args

import numpy as np
import pytest

from netrollout.catalog import make, world
from netrollout.systems.serverless.farm import Farm
from netrollout.systems.serverless.model import FluidModel
from netrollout.systems.serverless.realise import (
    FIRST_OF_LOGS,
    LAWS,
    Altered,
    Law,
    LoggedQueue,
    farm_model,
    farm_plant,
    fluid,
    load_serverless,
)
from netrollout.systems.serverless.tasks import seeded
from netrollout.types import InputError


def test_the_plant_is_the_farm_on_the_published_workloads():
    plant = make("serverless")
    assert isinstance(plant, Farm) and len(plant.bank) == 200
    assert np.array_equal(plant.bank.arrival[42:44], seeded([42, 43]).arrival)
    assert (plant.start, plant.scale_up, plant.horizon) == (12, (6.45, 0.6), 30)


def test_what_is_learned_from_and_what_is_judged_have_no_workload_in_common():
    scenario = load_serverless()
    assert set(scenario.trained) | set(scenario.held_out) == set(LAWS) == set(get_args(Law))
    assert tuple(scenario.changes) == get_args(Altered)
    assert not set(scenario.trained) & set(scenario.held_out) and scenario.judged <= FIRST_OF_LOGS
    log, plant = make("serverless", side="log"), make("serverless")
    assert not {a.tobytes() for a in log.bank.arrival} & {a.tobytes() for a in plant.bank.arrival}


def test_each_seed_and_refit_is_another_log():
    logs = [farm_model("before", "double", seed=s, refit=r).log for s, r in ((0, None), (1, None), (0, 0), (0, None))]
    assert logs[0] is logs[3]
    assert len({log.bank.arrival.tobytes() for log in logs}) == 3


@pytest.mark.parametrize(
    ("change", "tasks", "service", "start"),
    [("double", 1140, 2.0, 1.0), ("cold", 1140, 1.0, 2.0), ("rise", 1710, 1, 1)],
)
def test_a_change_is_in_the_plant_and_the_log_teaches_it(change, tasks, service, start):
    before, after = (farm_plant("published", phase, change, 4) for phase in ("before", "after"))
    assert after.bank.tasks == tasks and after.bank.service.mean() == pytest.approx(1.47 * service, rel=0.05)
    assert after.scale_up == pytest.approx((before.scale_up[0] * start, before.scale_up[1] * start))
    model = farm_model("after", change)
    assert model.tasks == tasks and model.beliefs.mean == pytest.approx(1.4715 * service, rel=0.03)
    assert model.scale_up[0] == pytest.approx(6.45 * start, rel=0.05)


def test_the_schedule_is_known_from_the_published_log_only():
    assert farm_model("before", "double", "published").beliefs.rates is not None
    assert farm_model("before", "double").beliefs.rates is None


def test_a_comparison_learns_from_the_log_and_judges_on_the_law_that_is_named():
    worlds = world("serverless", workload="flash", phase="after", change="rise", seed=3)
    assert isinstance(worlds.base, LoggedQueue) and worlds.base.tasks == 1140 and worlds.model.tasks == 1710
    assert np.array_equal(worlds.plant.bank.arrival[:4], farm_plant("flash", "after", "rise", 4).bank.arrival)


def test_the_fluid_believes_the_same():
    model = farm_model("before", "double")
    assert isinstance(fluid(model), FluidModel) and fluid(model).beliefs is model.beliefs


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("serverless", {"workload": "steady"}, "workload=steady: choose one of published"),
        ("serverless", {"side": "model", "log": "all"}, "log=all: choose one of mixed, published"),
        ("serverless", {"change": "heavier"}, "change=heavier: choose one of double, cold, rise"),
        ("serverless", {"surrogate": "forest"}, "no option 'surrogate'"),
        ("mesh-s4", {"change": "cold"}, "change=cold: choose one of heavier"),
        ("mesh-s4", {"workload": "flash"}, "no option 'workload'"),
        ("mesh-s2", {"side": "log"}, "mesh-s2 keeps no log"),
    ],
)
def test_what_is_refused(name, options, message):
    with pytest.raises(InputError, match=message):
        make(name, **options)


def test_a_number_of_workloads_that_reaches_into_the_logs_is_refused():
    with pytest.raises(InputError, match="expected 1 to 10000"):
        farm_plant("published", "before", "double", 10_001)
