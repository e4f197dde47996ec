"""A campaign of closed loops: which runs, in which order, and what is still to be done.

The plan is a YAML file with a `seed` and a list `runs` of scenario x policies x seeds, with `cycles` and `change_at`;
`foreign_limit` (cores, 0.5) marks windows in which other processes used more.
Seed by seed all policies are run, in an order drawn anew from the plan's seed: where a campaign ends early every policy
has met the same seeds and about the same hours.  A run's log is a file of its own in the campaign's folder; a complete
one is skipped, an unfinished one gone on with, so the campaign itself keeps no record.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from netrollout.places import Entry, read_nodes
from netrollout.seeding import SEEDS, spawn
from netrollout.types import InputError

WANTED = "the plan of a campaign is a mapping with a seed and a list of runs"
KEYS = ("scenario", "policies", "seeds", "cycles", "change_at")


@dataclass(frozen=True)
class Run:
    """One closed loop.

    Attributes
    ----------
    scenario, policy : str
        As `netrollout adapt` knows them.
    seed, cycles, change_at : int
    foreign_limit : float
        Cores.
    """

    scenario: str
    policy: str
    seed: int
    cycles: int
    change_at: int
    foreign_limit: float

    @property
    def log(self) -> str:
        """Name of its log."""
        policy = re.sub(r"[^A-Za-z0-9.]+", "-", self.policy).strip("-")
        return f"{self.scenario}-{policy}-{self.seed}.jsonl"

    def command(self, folder: Path, resume: bool) -> list[str]:
        """Return the command that runs it on the testbed, or goes on with it."""
        options = {"plant": "testbed", "scenario": self.scenario, "policy": self.policy, "seed": self.seed,
                   "cycles": self.cycles, "change-at": self.change_at, "foreign-limit": self.foreign_limit,
                   "log": folder / self.log}  # fmt: skip
        texts = [f"--{key}={value}" for key, value in options.items()]
        return [sys.executable, "-m", "netrollout.cli.main", "adapt", *texts, *["--resume"] * resume]


def done(file: Path) -> int:
    """Return how many cycles a log holds; -1 where it does not even hold its header."""
    return file.read_bytes().count(b"\n") - 1 if file.exists() else -1


def read_runs(file: str | Path) -> list[Run]:
    """Return the runs of a plan in their order.

    Raises
    ------
    InputError
        If the plan cannot be read, a key is missing or unknown, a value does not fit, or two runs have the same log.
    """
    top = read_nodes(file, WANTED).entries(("seed", "foreign_limit", "runs"), ("seed", "runs"))
    seed = top["seed"].whole(0, SEEDS - 1)
    limit = top["foreign_limit"].number(lambda v: v >= 0, "of at least 0 cores") if "foreign_limit" in top else 0.5
    runs = [run for block in top["runs"].items() for run in _block(block, seed, limit)]
    logs = [run.log for run in runs]
    if twice := [log for log in logs if logs.count(log) > 1]:
        raise InputError(f"{file}: two runs would be written to {twice[0]}")
    return runs


def _block(block: Entry, seed: int, limit: float) -> list[Run]:
    part = block.entries(KEYS, KEYS)
    scenario, cycles, change_at = part["scenario"].text(), part["cycles"].whole(1), part["change_at"].whole(0)
    policies, runs = [one.text() for one in part["policies"].items()], []
    for one in part["seeds"].items():
        number = one.whole(0, SEEDS - 1)
        order = spawn(seed, "campaign", scenario, number).permutation(len(policies))
        runs += [Run(scenario, policies[k], number, cycles, change_at, limit) for k in order]
    return runs
