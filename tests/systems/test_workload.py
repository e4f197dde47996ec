"""The workload of the task farm, seed by seed."""

import json
from pathlib import Path

import numpy as np
import pytest

from netrollout.systems.serverless.workload import (
    FAMILIES,
    PUBLISHED,
    Phase,
    Workload,
    family,
    faster,
    intended,
    published,
    service_time,
    services,
    shuffled,
)
from netrollout.types import InputError

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "data" / "openfaas" / "reference.json"


def test_every_fingerprint_of_the_published_emitter_is_met():
    if not REFERENCE.is_file():
        pytest.skip("the recorded episodes (shared/data/openfaas/reference.json) are not here")
    for seed, mark in json.loads(REFERENCE.read_text())["workload_fingerprints_derived"]["seeds"].items():
        load = published(int(seed))
        assert len(load.arrival) == mark["n"] and load.window[-1] + 1 == mark["windows"]
        assert load.begins == pytest.approx(mark["phase_start"], abs=6e-5)
        assert load.arrival[:5] == pytest.approx(mark["arr5"], abs=6e-6)
        assert load.service[:5] == pytest.approx(mark["svc5"], abs=6e-7)
        assert load.arrival[-1] == pytest.approx(mark["last"], abs=6e-5)
        assert load.service.sum() == pytest.approx(mark["sum_service"], abs=6e-5)


def test_seed_42_is_what_it_was():
    load = published(42)
    assert load.arrival[:3] == pytest.approx([0.0, 0.05654, 0.11307], abs=1e-5)
    assert load.service[:3] == pytest.approx([1.86262, 1.039797, 2.211546], abs=1e-6)


def test_the_calibrated_service_time_meets_the_measured_images():
    measured = {512: 0.04257, 1024: 0.17017, 2048: 0.73749, 4096: 2.86648}
    for size, time in measured.items():
        assert service_time(size) == pytest.approx(time, rel=0.1)


def test_the_service_law_is_that_of_the_published_farm():
    times = services(0, 100_000)
    assert times.mean() == pytest.approx(1.4715, rel=0.005) and times.std() == pytest.approx(0.6739, rel=0.01)
    assert (times > 2.87).mean() == pytest.approx(0.0535, abs=0.003)


def test_phases_lose_the_time_of_their_empty_windows_and_never_oscillate():
    loads = [published(seed) for seed in range(60)]
    lengths = np.stack([np.diff([*load.begins, load.arrival[-1]]) for load in loads])
    assert lengths.mean(axis=0) == pytest.approx([46.3, 60.1, 59.5, 59.1], abs=2.5)
    third = np.concatenate([load.arrival[540:840] - load.begins[2] for load in loads])
    assert np.histogram(third, [0.0, 15.0, 30.0, 45.0])[0] / 60 == pytest.approx(75.0, rel=0.1)


def test_what_was_intended_has_the_same_counts_fixed_phases_and_a_sine():
    load = intended(3)
    assert len(load.arrival) == 1140 and load.begins.tolist() == [0.0, 60.0, 120.0, 180.0]
    waves = np.concatenate([intended(seed).arrival[540:840] - 120.0 for seed in range(40)])
    first, second = (waves < 30.0).mean(), (waves >= 30.0).mean()
    assert first / second == pytest.approx((0.5 + 0.5 / np.pi) / (0.5 - 0.5 / np.pi), rel=0.05)


def test_a_shuffle_seed_gives_an_order_and_every_episode_may_have_its_own():
    assert shuffled(42) == tuple(PUBLISHED[k] for k in (2, 1, 3, 0))
    assert len({shuffled(seed) for seed in range(40)}) > 10
    assert len(published(7, shuffled(7)).arrival) == 1140


def test_half_as_many_tasks_again():
    assert sum(phase.tasks for phase in faster(PUBLISHED, 1.5)) == 1710


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_as_many_tasks_in_as_long(name):
    load, again, other = family(name, 1), family(name, 1), family(name, 2)
    assert len(load.arrival) == 1140 and 0.0 <= load.arrival[0] and load.arrival[-1] <= 240.0
    assert np.array_equal(load.arrival, again.arrival) and not np.array_equal(load.arrival, other.arrival)


def test_bursty_arrivals_are_burstier_than_diurnal_ones_and_a_flash_has_a_peak():
    def counts(name):
        return np.stack([np.histogram(family(name, seed).arrival, np.arange(0.0, 241.0, 8.0))[0] for seed in range(20)])

    assert np.diff(counts("bursty"), axis=1).std() > 2 * np.diff(counts("diurnal"), axis=1).std()
    assert (counts("flash").max(axis=1) > 2.0 * np.median(counts("flash"), axis=1)).all()


def test_a_recorded_workload_with_a_fault_is_refused():
    good = dict(arrival=np.array([0.0, 1.0]), service=np.ones(2), window=np.zeros(2, dtype=int), begins=np.zeros(1))
    Workload(**good)
    with pytest.raises(InputError, match=r"service of task 1 is -1 s; expected positive times"):
        Workload(**{**good, "service": np.array([1.0, -1.0])})
    with pytest.raises(InputError, match="arrival of task 1 is 0 s"):
        Workload(**{**good, "arrival": np.array([1.0, 0.0])})
    with pytest.raises(InputError, match="service of task 0 is nan"):
        Workload(**{**good, "service": np.array([np.nan, 1.0])})
    with pytest.raises(InputError, match="2 arrivals, 1 service times"):
        Workload(**{**good, "service": np.ones(1)})


def test_seeds_phases_and_names_that_do_not_exist_are_refused():
    for wrong in (lambda: published(-1), lambda: published(2**32), lambda: intended(1, ()), lambda: family("calm", 1)):
        with pytest.raises(InputError, match=r"expected a seed|choose one of flash, diurnal, bursty"):
            wrong()


def test_a_phase_knows_its_tasks():
    assert [phase.tasks for phase in PUBLISHED] == [90, 450, 300, 300]
    assert Phase(1.0, low=0.5, high=1.5, cycles=1).rates().mean() == pytest.approx(5.0)
