"""The closed loop on S4, on paired runs."""

import numpy as np
import pytest

from netrollout.family import family_of
from netrollout.makers import resolved
from netrollout.policies import PolicyName
from netrollout.studies.closed_loop_daily import DAY, compare_daily, run_daily
from netrollout.studies.closed_loop_study import fractions
from netrollout.systems.queues.loops import WORDS
from netrollout.systems.queues.realise import daily_model
from netrollout.types import InputError


@pytest.fixture(scope="module")
def known():
    return daily_model("before", "heavier", 0, 0)


@pytest.fixture(scope="module")
def runs():
    return compare_daily("heavier", refits=1, seeds=3, cycles=60, rows=["hpa", "rollout-zero", "static-new"], jobs=1)


def test_every_row_is_a_policys_name(known):
    assert all(resolved(PolicyName.parse(name), family_of(known)) for name in WORDS.values())


def test_all_rows_live_through_the_same_quiet_day(known):
    one, other = (run_daily("heavier", known, row, 3, cycles=5)[:DAY, :2] for row in ("hpa", "static"))
    assert np.array_equal(one, other)


def test_fractions_lie_between_the_unadapted_base_and_the_optimum(runs):
    found = fractions(runs)
    assert found["base", "none"].value == 0.0 and found["optimum", "none"].value == pytest.approx(1.0)
    assert found["rollout-zero", "none"].value > 0.4, "rollout relearns what it needs"


def test_the_change_is_noticed_soon_and_hardly_ever_without_one(runs):
    assert (runs["rollout-zero", "none"].delay <= 12).all()
    assert runs["rollout-zero", "none"].false_alarms.mean() <= 1.0


def test_the_optimum_has_nothing_to_recover_from(runs):
    assert (runs["optimum", "none"].recovery == 0).all() and (runs["optimum", "none"].lost == 0.0).all()


def test_runs_are_repeatable(known):
    one, again = (run_daily("slower", known, "hpa", 2, cycles=20)[:, :3] for _ in range(2))
    assert np.array_equal(one, again)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="unknown row 'magic'"):
        compare_daily(rows=["magic"])
    with pytest.raises(InputError, match="unknown change 'lighter' of S4; known: heavier, slower, shifted"):
        compare_daily("lighter")
