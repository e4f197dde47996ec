"""The published evaluations of TNSM 2024, recomputed from their step files.

A file's row holds the state after the step: the action of row t was chosen for, and credited with, the load of row
t - 1. Rewards along a run are dependent, so intervals resample blocks of consecutive steps. Letters: n steps, R draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from netrollout.evaluate import Estimate
from netrollout.seeding import spawn
from netrollout.studies.bandit import SEEN, Pattern
from netrollout.studies.objectives import MO1, MO2, action_index, autoscaling_reward, outcomes, share
from netrollout.traces import read_kth_optimum, read_kth_steps
from netrollout.types import Floats, InputError, Ints

BLOCK = 50  # steps; the load of these runs is redrawn after 10 to 60
DRAWS = 4000
RUN_LOADS = (4, 8, 12)  # req/s, levels of the autoscaler comparison
_ACTION = [f"action_{i}" for i in range(4)]
RECOMPUTED = {"13": (MO1, ("lc1", "lc2")), "16": (MO2, ("cl1", "cl2"))}  # figure: objective, what it credits


def recomputed_rewards(figure: str | int) -> Floats:
    """Return recomputed and published reward (n, 2) of figure 13 (MO1, nominal) or 16 (MO2, measured).

    Raises
    ------
    InputError
        Another figure: its objective is not known exactly.
    """
    if str(figure) not in RECOMPUTED:
        raise InputError(f"figure {figure!r}: the objective is known for figures {', '.join(RECOMPUTED)}")
    objective, carried = RECOMPUTED[str(figure)]
    steps = read_kth_steps(figure)
    d = np.stack([steps[[f"d{i}1", f"d{i}2"]].max(axis=1) for i in (1, 2)], axis=-1)
    ours = objective.reward(outcomes(share(d), steps[list(carried)].to_numpy()))
    return np.column_stack([ours, steps["reward"]])


def against_optimum(figure: str | int) -> Floats:
    """Return published and published optimal reward (n, 2) of the steps whose load is in the list of optima."""
    steps, optimum = read_kth_steps(figure), read_kth_optimum(figure)
    best = {(round(l1, 1), round(l2, 1)): r for l1, l2, r in optimum[["l1", "l2", "reward"]].to_numpy()}
    faced = steps[["state_0", "state_1"]].to_numpy()[:-1].round(1)
    pairs = [(r, best.get((l1, l2), np.nan)) for r, (l1, l2) in zip(steps["reward"][1:], faced, strict=True)]
    listed: Floats = np.array([pair for pair in pairs if np.isfinite(pair[1])])
    return listed


def published_pattern(figure: str | int, count: int) -> Pattern:
    """Return `count` evenly spaced steps of a run: the load faced and the action taken.

    The trace's columns p11 and p21 are swapped, and so are those of the files that were computed from it.
    """
    steps = read_kth_steps(figure)
    at = np.linspace(1, len(steps) - 1, count).astype(int)
    return Pattern(steps[["state_0", "state_1"]].to_numpy()[at - 1], _taken(steps[_ACTION].to_numpy())[at])


def seen_pattern() -> Pattern:
    """Return the 16 training loads with the action that the published policy took most often at each (figure 12)."""
    steps = read_kth_steps("12")
    faced, taken = steps[["state_0", "state_1"]].to_numpy()[:-1], _taken(steps[_ACTION].to_numpy())[1:]
    return Pattern(SEEN, np.array([np.bincount(taken[(faced == load).all(axis=1)]).argmax() for load in SEEN]))


def _taken(published: Floats) -> Ints:
    """Return positions in `ACTIONS` of published level indices (n, 4): p11 is service 2's weight, p21 service 1's."""
    return action_index(published[:, [1, 0, 2, 3]] / 5)


@dataclass(frozen=True)
class Run:
    """One run of the comparison with Kubernetes' autoscaler.

    Attributes
    ----------
    load : (n,) level, 4, 8 or 12 req/s
    d : (n,) mean response time, s; 0 where nothing completed
    workers : (n,)
    reward : (n,)
    """

    load: Floats
    d: Floats
    workers: Floats
    reward: Floats

    def summary(self) -> dict[str, float]:
        """Return mean reward, share of late steps and mean workers, then by load the share of steps and mean reward."""
        late = np.round(self.d, 3) + 0.4 > 1
        whole = {"reward": self.reward.mean(), "late": late.mean(), "workers": self.workers.mean()}
        shares = {f"share at {load} req/s": (self.load == load).mean() for load in RUN_LOADS}
        rewards = {f"reward at {load} req/s": self.reward[self.load == load].mean() for load in RUN_LOADS}
        return {name: float(value) for name, value in (whole | shares | rewards).items()}


def autoscaling_runs() -> dict[str, Run]:
    """Return the runs `rl`, `hpa` and `none` (no control); workers of `hpa` are its replicas."""
    columns = {"rl": ("load", "c1"), "hpa": ("max_l1", "replicas"), "none": ("max_l1", "c1")}
    files = {"rl": "sc5_rl", "hpa": "sc5_hpa", "none": "sc5_noop"}
    runs = {}
    for name, (load, workers) in columns.items():
        steps = read_kth_steps(files[name])
        level, d, c = (steps[column].to_numpy(dtype=float) for column in (load, "d1", workers))
        runs[name] = Run(level, d, c, autoscaling_reward(d, c))
    return runs


def same_loads(first: Run, second: Run) -> tuple[Ints, Ints]:
    """Return the steps (m,) of both runs that stand at the same place of the same pattern of load levels.

    All runs follow one pattern, but they end at different places, and one of them lacks a few steps in the middle.
    """
    matcher = SequenceMatcher(None, first.load.tolist(), second.load.tolist(), autojunk=False)
    blocks = [block for block in matcher.get_matching_blocks() if block.size]
    steps = [np.concatenate([np.arange(b[side], b[side] + b.size) for b in blocks]) for side in (0, 1)]
    return steps[0], steps[1]


def block_means(values: Floats, seed: int, block: int = BLOCK, draws: int = DRAWS) -> Floats:
    """Return column means (R, K) of a dependent series (n, K), resampled in blocks of consecutive steps.

    Blocks wrap around the end of the series (the circular block bootstrap of Politis & Romano, 1992).

    Raises
    ------
    InputError
        If the series is shorter than two blocks.
    """
    n = len(values)
    if n < 2 * block:
        raise InputError(f"{n} steps are fewer than two blocks of {block}")
    starts = spawn(seed, "blocks").integers(n, size=(draws, -(-n // block)))
    sums = np.cumsum(np.concatenate([np.zeros((1, values.shape[1])), values, values[:block]]), axis=0)
    means: Floats = (sums[starts + block] - sums[starts]).mean(axis=1) / block
    return means


def estimate(value: float, draws: Floats, n: int, level: float = 0.95) -> Estimate:
    """Return a value with the percentile interval of its draws (R,); n is the number of independent units."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(value), float(low), float(high), level, n)
