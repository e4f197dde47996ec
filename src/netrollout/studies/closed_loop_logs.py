"""Live closed loops judged from their logs: which policy brought the mesh back, paired by seed.

Runs with the same seed and scenario are interleaved in time and compared with each other, with Student's t intervals.
Letters: T cycles since the change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netrollout.adapt import read_journal
from netrollout.adapt.measures import recovered_bound
from netrollout.evaluate import Estimate, t_interval
from netrollout.loop import make_loop
from netrollout.types import Floats, InputError

LAST = 30  # cycles in which a run has settled


@dataclass(frozen=True, eq=False)
class LiveRun:
    """One log.

    Attributes
    ----------
    policy, explore, scenario : str
    seed : int
    header : dict
        Of the log: machine, Envoy version, when it was begun.
    d : (T,) response time of the first service in every cycle since the change, s
    rewards : (T,) measured reward
    mean_reward : float
        Per cycle since the change; before the change `quiet_reward`.
    quiet_reward : float
    workers : float
        Mean number of workers of node 1 since the change.
    settled : float
        Median response time over the last `LAST` cycles, s.
    late : float
        Share of the windows since the change that were over a bound.
    recovery : float
        Cycles from the change until the response time stays within its bound; T if it does not.
    seconds : float
        The same on the wall clock, s.
    delay : float
        Cycles from the change to the alarm; T if there was none.
    false_alarms : int
        Alarms before the change.
    unusable : int
        Windows that were marked, over the whole run.
    foreign_cpu : float
        Mean of other processes' CPU time, cores.
    computing : float
        Median computing time of a cycle, s.
    """

    policy: str
    explore: str
    scenario: str
    seed: int
    header: dict[str, object]
    d: Floats
    rewards: Floats
    mean_reward: float
    quiet_reward: float
    workers: float
    settled: float
    late: float
    recovery: float
    seconds: float
    delay: float
    false_alarms: int
    unusable: int
    foreign_cpu: float
    computing: float


def live_run(file: str | Path) -> LiveRun:
    """Judge one log.

    Raises
    ------
    InputError
        If the file is no log, or ends before its change.
    """
    header, cycles, _ = read_journal(file)
    at = int(header["change_at"])
    since, before = cycles[at:], cycles[:at]
    if not since:
        raise InputError(f"{file}: ends with cycle {len(cycles) - 1}, before the change in cycle {at}")
    model = make_loop(header["scenario"]).model
    bound, levels = model.objective.bounds[0], dict((c.name, c.levels) for c in model.controls)["c_1"]
    d = np.array([np.nan if line["d"][0] is None else line["d"][0] for line in since])
    rewards = np.array([line["reward"] for line in since])
    recovery = recovered_bound(d, bound)
    ends = np.array([line["notes"].get("t", np.nan) + line["notes"].get("duration", np.nan) for line in since])
    begun = since[0]["notes"].get("t", np.nan)
    alarms = [line["cycle"] for line in cycles if line["alarm"]]
    return LiveRun(
        policy=header["policy"],
        explore=header["explore"],
        scenario=header["scenario"],
        seed=header["seed"],
        header=header,
        d=d,
        rewards=rewards,
        mean_reward=float(rewards.mean()),
        quiet_reward=float(np.mean([line["reward"] for line in before])) if before else float("nan"),
        workers=float(np.mean([levels[line["setting"]["c_1"]] for line in since])),
        settled=float(np.nanmedian(d[-LAST:])),
        late=float(np.mean([line["violation"] for line in since])),
        recovery=float(recovery),
        seconds=float((ends[recovery - 1] if recovery else begun) - begun),
        delay=float(next((cycle + 1 - at for cycle in alarms if cycle >= at), len(since))),
        false_alarms=sum(cycle < at for cycle in alarms),
        unusable=sum(not line["usable"] for line in cycles),
        foreign_cpu=float(np.mean([line["notes"].get("foreign_cpu", np.nan) for line in cycles])),
        computing=float(np.median([sum(line["seconds"].values()) for line in cycles])),
    )


def live_runs(files: Iterable[str | Path], scenario: str) -> list[LiveRun]:
    """Judge the logs of a scenario, ordered by policy and seed."""
    mine = [file for file in files if read_journal(file)[0].get("scenario") == scenario]
    return sorted(map(live_run, mine), key=lambda run: (run.policy, run.seed))


def paired(runs: Sequence[LiveRun], policy: str, against: str, measure: str = "mean_reward") -> Estimate:
    """Return by how much a policy exceeds another in a measure of `LiveRun`, over the seeds that both ran.

    Raises
    ------
    InputError
        If fewer than two seeds were run with both.
    """
    found = {
        name: {run.seed: getattr(run, measure) for run in runs if run.policy == name} for name in (policy, against)
    }
    shared = sorted(found[policy].keys() & found[against].keys())
    if len(shared) < 2:
        raise InputError(f"{len(shared)} seeds were run with both {policy} and {against}; two are needed")
    return t_interval(np.array([found[policy][seed] - found[against][seed] for seed in shared]))
