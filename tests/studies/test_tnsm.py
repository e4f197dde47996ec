"""The published evaluations, recomputed from the published files. Skipped where the files are not there."""

from __future__ import annotations

import numpy as np
import pytest

from netrollout.studies.bandit import SEEN
from netrollout.studies.objectives import ACTIONS
from netrollout.studies.tnsm import (
    against_optimum,
    autoscaling_runs,
    block_means,
    estimate,
    published_pattern,
    recomputed_rewards,
    same_loads,
    seen_pattern,
)
from netrollout.types import InputError


@pytest.mark.parametrize(("figure", "steps"), [(13, 1001), (16, 958)])
def test_mo1_and_mo2_agree_with_the_published_reward_column(kth: None, figure: int, steps: int) -> None:
    ours, theirs = recomputed_rewards(figure).T
    assert len(ours) == steps
    assert np.abs(ours - theirs).max() < 1e-9


def test_an_objective_that_is_not_known_exactly_is_refused() -> None:
    with pytest.raises(InputError, match="figure 17: the objective is known for figures 13, 16"):
        recomputed_rewards(17)


@pytest.mark.parametrize(("figure", "share"), [(12, 0.975), (13, 0.946), (16, 0.717), (17, 0.798)])
def test_the_published_policies_share_of_the_published_optimum(kth: None, figure: int, share: float) -> None:
    policy, optimum = against_optimum(figure).T
    assert policy.sum() / optimum.sum() == pytest.approx(share, abs=6e-4)


@pytest.mark.parametrize("figure", [12, 13])
def test_on_the_simulator_no_step_passes_the_optimum_of_the_load_that_it_faced(kth: None, figure: int) -> None:
    policy, optimum = against_optimum(figure).T
    assert (policy <= optimum + 1e-9).all()


def test_the_published_actions_are_read_with_the_weights_exchanged(kth: None) -> None:
    assert (seen_pattern().loads == SEEN).all()
    pattern = published_pattern(13, 48)
    assert pattern.loads.shape == (48, 2)
    assert (pattern.loads >= 5).all() and (pattern.loads <= 20).all()
    assert (ACTIONS[pattern.published, 2] == 0).all()  # service 1 was never blocked


def test_means_of_the_autoscaler_comparison(kth: None) -> None:
    summary = {name: run.summary() for name, run in autoscaling_runs().items()}
    found = {name: (round(s["reward"], 3), round(s["late"], 3)) for name, s in summary.items()}
    assert found == {"rl": (4.198, 0), "hpa": (2.662, 0.032), "none": (-1.15, 0.529)}


def test_the_learned_policy_runs_one_worker_per_four_requests_per_second(kth: None) -> None:
    run = autoscaling_runs()["rl"]
    assert (run.workers == run.load / 4).all()


@pytest.mark.parametrize(("other", "steps"), [("hpa", 738), ("none", 748)])
def test_the_three_runs_followed_one_pattern_of_loads(kth: None, other: str, steps: int) -> None:
    runs = autoscaling_runs()
    ours, theirs = same_loads(runs["rl"], runs[other])
    assert len(ours) == steps
    assert (runs["rl"].load[ours] == runs[other].load[theirs]).all()
    assert np.isin(ours - theirs, [0, 10]).all()  # ten steps are missing in the middle of the run of HPA


def test_blocks_keep_the_mean_and_widen_the_interval_of_a_dependent_series() -> None:
    series = np.repeat(np.random.default_rng(0).normal(size=40), 25)[:, None]  # constant for 25 steps
    single, blocks = block_means(series, 0, block=1), block_means(series, 0, block=50)
    assert blocks.mean() == pytest.approx(series.mean(), abs=0.01)
    assert blocks.std() > 3 * single.std()


def test_a_series_shorter_than_two_blocks_is_refused() -> None:
    with pytest.raises(InputError, match="99 steps are fewer than two blocks of 50"):
        block_means(np.zeros((99, 1)), 0)


def test_the_interval_is_that_of_the_draws() -> None:
    e = estimate(5.0, np.arange(101.0), n=7)
    assert (e.value, e.low, e.high, e.n) == (5, pytest.approx(2.5), pytest.approx(97.5), 7)
