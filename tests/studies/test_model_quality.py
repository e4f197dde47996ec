"""The studies behind chapter 07."""

import numpy as np
import pytest

from netrollout.baselines.queues import Hold
from netrollout.seeding import spawn
from netrollout.studies.model_quality import (
    VARIANTS,
    common_numbers,
    learning_study,
    lookahead_study,
    model_quality,
)
from netrollout.systems.queues import QueueMesh
from netrollout.types import InputError


def test_both_bounds_hold_for_every_model_and_the_weighted_one_is_the_tighter():
    for quality in model_quality("mesh-s2", ("forest, 10 trees", "linear", "stale forest"), seed=0, refits=2).values():
        assert (quality.exact >= -1e-9).all()
        assert (quality.exact <= quality.weighted + 1e-9).all()
        assert (quality.weighted <= quality.supremum + 1e-9).all()


def test_a_model_that_knows_only_the_time_before_the_change_has_the_larger_error():
    found = model_quality("mesh-s2", ("forest, 10 trees", "stale forest"), seed=0, refits=1)
    assert found["stale forest"].error > 1.5 * found["forest, 10 trees"].error


def test_an_unknown_model_is_refused():
    assert "queueing" in VARIANTS
    with pytest.raises(InputError, match="unknown model 'forst'"):
        model_quality("mesh-s2", ("forst",), seed=0, refits=1)


def test_deep_lookahead_forgets_its_terminal_value():
    found = lookahead_study("mesh-s2", (1, 8), seed=0, refits=1, noise=0.5)
    deep = [found[terminal, 8][0, 0] for terminal in ("zero", "stale", "base", "noisy")]
    assert deep == pytest.approx([deep[0]] * 4, abs=0.05)


def test_a_log_too_short_for_the_pattern_costs_reward_after_the_day_has_shifted():
    found = learning_study("shifted", (24, 96), seed=0, refits=1, episodes=4, cycles=48)
    assert found[96, "retrain(optimal)"].mean() > found[24, "retrain(optimal)"].mean()
    assert found[0, "oracle"].mean() > found[0, "random"].mean()


def test_common_random_numbers_make_differences_quieter():
    mesh = QueueMesh()
    hold = Hold(mesh, mesh.setting({"p": 1.0, "c": 4.0}))
    common, own = common_numbers(mesh, hold, mesh.initial(spawn(0), 8), 4, 64, spawn(1))
    assert common.shape == own.shape == (16,)  # routing in the first eight states, workers in the others
    for control in (slice(0, 8), slice(8, 16)):
        assert np.median(own[control]) > 1.2 * np.median(common[control]) > 0
