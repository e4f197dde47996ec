"""The working day judged: end points of runs, simulated or live, and the contrasts that were registered beforehand.

The end points are of the two days after the change: `late`, the share over the bound of the requests that ended;
`workers`, the mean number asked for, which is worker-hours over hours; `reward`, the mean per cycle.  Contrasts are
those of the scenario file, paired by seed, with Student's t interval over the runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from netrollout.adapt import read_journal, run
from netrollout.evaluate import Estimate, t_interval
from netrollout.loop import make_loop
from netrollout.systems.queues.plants import QueueWindow
from netrollout.systems.queues.realise import load_daily
from netrollout.types import InputError

POINTS = ("late", "workers", "reward")


@dataclass(frozen=True)
class DayRun:
    """One run.

    Attributes
    ----------
    policy : str
    seed : int
    late, workers, reward : float
        End points.
    """

    policy: str
    seed: int
    late: float
    workers: float
    reward: float


@dataclass(frozen=True)
class Verdict:
    """What the runs say about a contrast: rollout minus another policy.

    Attributes
    ----------
    against, point : str
    sign : int
        Foretold; 0 for a tie.
    difference : Estimate
    found : str
        ``as foretold``, ``contrary`` or ``undecided``.
    """

    against: str
    point: str
    sign: int
    difference: Estimate
    found: str


def campaign() -> dict[str, Any]:
    """Return what was registered of the live campaign: runs, policies, end points, margins and contrasts."""
    registered: dict[str, Any] = load_daily("mesh-s5").text["campaign"]
    return registered


def judged(policy: str, seed: int, windows: Sequence[QueueWindow]) -> DayRun:
    """Return the end points of the windows since the change."""
    system, ended = make_loop("S5").before, np.array([window.ended for window in windows])
    late = float(np.dot([window.late for window in windows], ended) / max(ended.sum(), 1))
    workers = float(np.mean([window.setting[1] + 1 for window in windows]))
    return DayRun(policy, seed, late, workers, float(np.mean([window.reward(system) for window in windows])))


def simulated(policies: Sequence[str], seeds: Sequence[int], jobs: int = -1) -> list[DayRun]:
    """Run policies on the simulated plant; runs with the same seed meet the same requests."""

    def one(policy: str, seed: int) -> DayRun:
        loop = make_loop("S5")
        records = run(loop.simulated(loop.change_at, seed), loop.controller(policy, seed=seed), loop.cycles)
        return judged(policy, seed, [record.window for record in records[loop.change_at :]])

    found: list[DayRun] = Parallel(n_jobs=jobs)(delayed(one)(policy, seed) for policy in policies for seed in seeds)
    return found


def logged(files: Iterable[str | Path]) -> list[DayRun]:
    """Judge logs of `netrollout adapt --scenario S5`.

    Raises
    ------
    InputError
        If a file is no such log, or ends before its change.
    """
    runs = []
    for file in files:
        header, lines, _ = read_journal(file)
        since = lines[int(header["change_at"]) :]
        if header.get("scenario") != "S5" or not since:
            raise InputError(f"{file}: expected a log of scenario S5 that goes on after its change")
        runs.append(judged(header["policy"], header["seed"], list(map(make_loop("S5").window, since))))
    return runs


def estimates(runs: Sequence[DayRun], policy: str) -> dict[str, Estimate]:
    """Return a policy's end points with their t intervals over its runs."""
    mine = [run for run in runs if run.policy == policy]
    return {point: t_interval(np.array([getattr(run, point) for run in mine])) for point in POINTS}


def difference(runs: Sequence[DayRun], policy: str, against: str, point: str) -> Estimate:
    """Return by how much an end point of a policy exceeds another's, over the seeds that both ran.

    Raises
    ------
    InputError
        If fewer than two seeds were run with both.
    """
    found = {name: {run.seed: getattr(run, point) for run in runs if run.policy == name} for name in (policy, against)}
    shared = sorted(found[policy].keys() & found[against].keys())
    return t_interval(np.array([found[policy][seed] - found[against][seed] for seed in shared]))


def verdicts(runs: Sequence[DayRun]) -> list[Verdict]:
    """Return what the runs say about each registered contrast.

    A foretold sign is found where the whole interval has it, a foretold tie where the whole interval is within the
    margin of equivalence.
    """
    registered, told = campaign(), []
    for contrast in registered["contrasts"]:
        against, point, sign = contrast["against"], contrast["point"], contrast["sign"]
        gap = difference(runs, "rollout", against, point)
        margin = registered["margins"][point]
        if sign:
            low, high = sorted((sign * gap.low, sign * gap.high))
            found = "as foretold" if low > 0.0 else "contrary" if high < 0.0 else "undecided"
        else:
            apart = gap.low > margin or gap.high < -margin
            found = "as foretold" if -margin <= gap.low <= gap.high <= margin else "contrary" if apart else "undecided"
        told.append(Verdict(against, point, sign, gap, found))
    return told
