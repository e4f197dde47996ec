"""Cross-fitting: on a trace whose truth is known, and on the published one where it is there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from netrollout.studies.bandit import (
    SEEN,
    Pattern,
    Windows,
    credited_means,
    expected,
    held_out_error,
    learn,
    one_line_rule,
    published_windows,
    quarters,
    windows_of,
)
from netrollout.studies.crossfit import Study, cross_fit
from netrollout.studies.objectives import ACTIONS, MO1, MO2


def known_trace(noise: float = 0.0) -> Windows:
    """Return one window per seen load and action: service 1 is late where it blocks less than l1 / 40 of its load."""
    pair, action = (grid.ravel() for grid in np.meshgrid(np.arange(16), np.arange(1296), indexing="ij"))
    loads, blocked = SEEN[pair], ACTIONS[action, 2]
    jitter = np.exp(noise * np.random.default_rng(0).normal(size=(len(pair), 2)))
    d = np.column_stack([np.where(blocked < loads[:, 0] / 40 - 1e-9, 0.2, 0.03), np.full(len(pair), 0.1)]) * jitter
    return Windows(loads, loads * (1 - ACTIONS[action, 2:]), d, action, pair)


SEEN_PATTERN = Pattern(SEEN, np.zeros(16, dtype=np.int64))


@pytest.fixture(scope="module")
def study() -> Study:
    return cross_fit(known_trace(), {"seen": SEEN_PATTERN}, splits=1, trees=8, min_leaf=1)


def test_where_the_load_decides_planning_beats_the_best_static(study: Study) -> None:
    for part in (study.judged["MO1", "nominal", "seen"], study.raw["MO1", "measured"]):
        assert part["planned"].mean() > part["static"].mean() + 0.5
        assert part["static"].mean() > part["random"].mean() + 1


def test_no_policy_passes_the_judges_optimum(study: Study) -> None:
    for part in study.judged.values():
        for name in ("random", "static", "rule", "published", "planned"):
            assert (part[name] <= part["optimum"] + 1e-9).all(), name


def test_a_quarter_promises_itself_more_than_another_grants() -> None:
    noisy = cross_fit(known_trace(noise=0.3), {"seen": SEEN_PATTERN}, splits=1, trees=8, min_leaf=1)
    part = noisy.judged["MO2", "nominal", "seen"]
    assert part["oracle, by itself"].mean() > part["oracle"].mean()


def test_the_halves_share_no_configuration_and_cover_all() -> None:
    quarter = quarters(seed=3, k=1)
    assert np.bincount(quarter).tolist() == [324] * 4
    assert (quarter != quarters(seed=3, k=0)).any()


def test_a_forest_sees_the_kept_windows_only() -> None:
    windows = known_trace()
    kept = ACTIONS[windows.action, 3] < 0.5
    changed = Windows(
        windows.loads, windows.carried, np.where(kept[:, None], windows.d, 9.0), windows.action, windows.pair
    )
    tables = [expected(learn(w, kept, 4, 1, seed=0), SEEN)["nominal"] for w in (windows, changed)]
    assert (tables[0] == tables[1]).all()


def test_window_means_average_the_windows_of_a_cell() -> None:
    windows = known_trace()
    at = int(np.flatnonzero((windows.pair == 5) & (windows.action == 7))[0])
    expected_reward = MO1.reward(windows.credited("measured"))[at]
    assert credited_means(windows, MO1, "measured")[5, 7] == pytest.approx(expected_reward)


def test_the_rule_admits_at_most_fifteen_requests_per_second_of_each_service() -> None:
    chosen = ACTIONS[one_line_rule(SEEN)]
    assert (SEEN * (1 - chosen[:, 2:]) <= 16).all()  # 20 req/s at the level .2
    assert (chosen[(SEEN <= 15).all(axis=1), 2:] == 0).all()
    assert (chosen[:, :2] == [0.4, 0.6]).all()


def test_the_error_of_an_outcome_with_little_noise_is_small() -> None:
    assert held_out_error(known_trace(noise=0.1), trees=8, min_leaf=1)[2] < 0.1


def test_first_windows_and_moving_loads_are_left_out() -> None:
    frame = pd.DataFrame({"window": [1, 2, 3]})
    for s in ("info1", "info2"):
        frame[f"l_{s}"], frame[f"target_l_{s}"] = [10.0, 10.0, 17.2], [10.0, 10.0, 15.0]
        frame[f"cl_{s}"], frame[f"d_max_{s}"], frame[f"p_{s}"], frame[f"b_{s}"] = 5.0, 0.03, 0.4, 0.2
    assert len(windows_of(frame).loads) == 1
    assert len(windows_of(frame, settled=False).loads) == 3
    assert windows_of(frame).pair.tolist() == [5]


def test_the_published_trace_has_every_action_at_every_seen_load(kth: None) -> None:
    windows = published_windows()
    assert np.bincount(windows.pair * 1296 + windows.action, minlength=16 * 1296).min() >= 1
    means = credited_means(windows, MO2, "nominal")
    assert np.isfinite(means).all()
    assert means.max() < 20 + 5 * 21
