"""The computing in a control cycle: how long a decision and what is learned from its window take, S2 and S3.

A closed loop of rollout on the relearned model runs on the simulated plant, with the change in the middle; the plant's
own time is not in it.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.clock import Row
from netrollout.adapt import Record, run
from netrollout.loop import ClosedLoop, make_loop

SCENARIOS = ("S2", "S3")
POLICY = "rollout"
CYCLES, CHANGE_AT = 40, 20
PARTS = ("detect", "refit", "tabulate", "plan")


def cycle(repetitions: int | None) -> list[Row]:
    """Return the time of each part of a cycle and of all of them, mean over the cycles of a run."""
    return [row for name in SCENARIOS for row in _scenario(name, repetitions or 7)]


def _scenario(name: str, repetitions: int) -> list[Row]:
    loop = make_loop(name)
    walk = partial(_walked, loop)
    walk(0)
    runs = [walk(seed) for seed in range(repetitions)]
    named = partial(Row, "cycle", item="cycle", checked=f"{CYCLES} cycles, change at cycle {CHANGE_AT}")
    parts = [named(f"{name}: {part}", ours=[_mean(run, (part,)) for run in runs]) for part in PARTS]
    return [*parts, named(f"{name}: all computing of a cycle", ours=[_mean(run, PARTS) for run in runs])]


def _walked(loop: ClosedLoop, seed: int) -> list[Record]:
    return run(loop.simulated(CHANGE_AT, seed), loop.controller(POLICY, seed=seed, change_at=CHANGE_AT), CYCLES)


def _mean(records: list[Record], parts: tuple[str, ...]) -> float:
    return float(np.mean([sum(record.seconds.get(part, 0.0) for part in parts) for record in records]))
