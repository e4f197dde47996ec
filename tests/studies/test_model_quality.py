"""The studies behind chapter 07."""

from functools import partial

import numpy as np
import pytest

from netrollout.catalog import policy_table, world
from netrollout.experiment import Judge, episodes, exactly, run
from netrollout.seeding import spawn
from netrollout.studies.model_quality import VARIANTS, common_numbers, errors, from_log, graded, lookaheads, on_both
from netrollout.systems.queues.dynamics import QueueMesh
from netrollout.systems.queues.policies import Hold
from netrollout.types import InputError


def test_both_bounds_hold_for_every_model_and_one_from_before_the_change_has_the_larger_error():
    worlds = world("mesh-s2", phase="after")
    variants = ("forest, 10 trees", "linear", "stale forest")
    cells = {(v, r): partial(graded, worlds, "mesh-s2", v, 0, r) for v in variants for r in range(2)}
    table = run(cells, {"exact": "retrain(optimal)", "oracle": "oracle", "wrong by": errors}, exactly())
    regret = table["mean", "oracle"] - table["mean", "exact"]
    weighted, supremum = (table[bound, "wrong by"] for bound in ("weighted", "supremum"))
    assert (regret >= -1e-9).all() and (regret <= weighted + 1e-9).all() and (weighted <= supremum + 1e-9).all()
    error = table["error", "wrong by"].mean(axis=(1, 2))
    assert error[2] > 1.5 * error[0]


def test_an_unknown_model_is_refused():
    assert "queueing" in VARIANTS
    with pytest.raises(InputError, match="unknown model 'forst'"):
        graded(world("mesh-s2", phase="after"), "mesh-s2", "forst", 0, 0)


def test_deep_lookahead_forgets_its_terminal_value():
    worlds = partial(world, "mesh-s2", phase="after", refit=0)
    table = run(worlds, lookaheads((1, 8), 0.5, 0, 0), Judge(policy_table, on_both))
    deep = [table["model", (terminal, 8)][0] for terminal in ("zero", "stale", "base", "noisy")]
    assert deep == pytest.approx([deep[0]] * 4, abs=0.05)


def test_a_log_too_short_for_the_pattern_costs_reward_after_the_day_has_shifted():
    worlds = world("mesh-s4", phase="after", change="shifted", horizon=48)
    cells = {length: partial(from_log, worlds, length, 0) for length in (24, 96)}
    table = run(cells, ["retrain(optimal)", "random"], episodes(range(4)))
    short, long = table["mean_reward", "retrain(optimal)"].mean(axis=1)
    assert long > short > table["mean_reward", "random"].mean()


def test_common_random_numbers_make_differences_quieter():
    mesh = QueueMesh()
    hold = Hold(mesh, mesh.setting({"p": 1.0, "c": 4.0}))
    common, own = common_numbers(mesh, hold, mesh.initial(spawn(0), 8), 4, 64, spawn(1))
    assert common.shape == own.shape == (16,)  # routing in the first eight states, workers in the others
    for control in (slice(0, 8), slice(8, 16)):
        assert np.median(own[control]) > 1.2 * np.median(common[control]) > 0
