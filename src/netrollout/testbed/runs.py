"""A campaign of closed loops: which runs, in which order, and what is still to be done.

The plan is a YAML file with a `seed` and a list `runs` of scenario x policies x seeds, with `cycles` and `change_at`.
Seed by seed all policies are run, in an order drawn anew from the plan's seed: where a campaign ends early every policy
has met the same seeds and about the same hours.  A run's log is a file of its own in the campaign's folder; a complete
one is skipped, an unfinished one gone on with, so the campaign itself keeps no record.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from netrollout.seeding import spawn
from netrollout.types import InputError

KEYS = ("scenario", "policies", "seeds", "cycles", "change_at")


@dataclass(frozen=True)
class Run:
    """One closed loop.

    Attributes
    ----------
    scenario, policy : str
        As `netrollout adapt` knows them.
    seed, cycles, change_at : int
    """

    scenario: str
    policy: str
    seed: int
    cycles: int
    change_at: int

    @property
    def log(self) -> str:
        """Name of its log."""
        policy = re.sub(r"[^A-Za-z0-9.]+", "-", self.policy).strip("-")
        return f"{self.scenario}-{policy}-{self.seed}.jsonl"

    def command(self, folder: Path, resume: bool) -> list[str]:
        """Return the command that runs it on the testbed, or goes on with it."""
        options = {"plant": "testbed", "scenario": self.scenario, "policy": self.policy, "seed": self.seed,
                   "cycles": self.cycles, "change-at": self.change_at, "log": folder / self.log}  # fmt: skip
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
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{file}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not _whole(content.get("seed")) or not isinstance(content.get("runs"), list):
        raise InputError(f"{file}: expected a whole number `seed` and a list `runs`")
    runs = [run for number, block in enumerate(content["runs"], 1)
            for run in _block(f"{file}: runs, entry {number}", block, content["seed"])]  # fmt: skip
    logs = [run.log for run in runs]
    if twice := [log for log in logs if logs.count(log) > 1]:
        raise InputError(f"{file}: two runs would be written to {twice[0]}")
    return runs


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _block(place: str, block: Any, seed: int) -> list[Run]:
    if not isinstance(block, dict) or sorted(block) != sorted(KEYS):
        raise InputError(f"{place}: expected {', '.join(KEYS)}, nothing else")
    for key in ("policies", "seeds"):
        good = [isinstance(value, str) if key == "policies" else _whole(value) for value in block[key] or ()]
        if not isinstance(block[key], list) or not good or not all(good):
            raise InputError(f"{place}: {key} must be a list of {'names' if key == 'policies' else 'whole numbers'}")
    if not all(_whole(block[key]) for key in ("cycles", "change_at")) or not block["cycles"]:
        raise InputError(f"{place}: cycles and change_at must be whole numbers, cycles at least 1")
    runs = []
    for one in block["seeds"]:
        order = spawn(seed, "campaign", str(block["scenario"]), one).permutation(len(block["policies"]))
        runs += [
            Run(str(block["scenario"]), block["policies"][k], one, block["cycles"], block["change_at"]) for k in order
        ]
    return runs
