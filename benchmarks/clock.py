"""Timing in pairs: ours and the peer take turns in the same process, so that a busy machine disturbs both alike.

The clock is the processor time of the process, of all its threads: on an idle machine the same as a clock on the wall,
since nobody here waits for anything, and hardly moved by what else a machine has to do.

Batch letter: R repetitions.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

Prepare = Callable[[], Callable[[], Any]]
"""Makes what is needed, which is not timed, and returns what is timed."""

MINIMUM = 0.05  # s that a side is timed for in a repetition, where it is shorter than that


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes
    ----------
    section, name : str
    peer : str or None
        Who is compared; None where ours stands alone.
    ours, theirs : list of float
        Seconds per item of every repetition, (R,); where there is a `unit`, amounts of it.
    item : str
        What an item is: a decision, a solve, a step.
    rate : bool
        Show items per second, not seconds per item.
    floor : float or None
        Acceptance: smallest median of theirs / ours.
    ceiling : float or None
        Acceptance: largest median of ours, s; with a `unit` the largest mean.
    most, apart : float or None, float
        Acceptance: largest mean of ours, so many times that of theirs and so much apart.
    unit : str
        What is compared where it is no time.
    checked : str
        How the numerical results of the two were compared before the clock started.
    not_run : str or None
        Why there is nothing to show.
    """

    section: str
    name: str
    peer: str | None = None
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    item: str = "run"
    rate: bool = False
    floor: float | None = None
    ceiling: float | None = None
    most: float | None = None
    apart: float = 0.0
    unit: str = ""
    checked: str = ""
    not_run: str | None = None

    @property
    def ratios(self) -> list[float]:
        """How many times longer the peer took, pair by pair."""
        return [] if self.unit else [b / a for a, b in zip(self.ours, self.theirs, strict=False)]

    @property
    def met(self) -> bool | None:
        """Whether the acceptance is met; None where there is none or nothing was run."""
        if self.floor is not None and self.ratios:
            return statistics.median(self.ratios) >= self.floor
        if self.most is not None and self.ours:
            return statistics.fmean(self.ours) <= self.most * statistics.fmean(self.theirs) + self.apart
        if self.ceiling is not None and self.ours:
            return (statistics.fmean if self.unit else statistics.median)(self.ours) <= self.ceiling
        return None

    def record(self) -> dict[str, Any]:
        """Return the row with its statistics, as it is written to JSON."""
        spreads = {name: spread(getattr(self, name)) for name in ("ours", "theirs", "ratios") if getattr(self, name)}
        return asdict(self) | {"met": self.met, "summary": spreads}


def spread(values: list[float]) -> dict[str, float]:
    """Return minimum, median and maximum."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def alone(ours: Prepare, items: int, repetitions: int) -> list[float]:
    """Return seconds per item (R,), after one warm-up."""
    ours()()
    return [_timed(ours, items) for _ in range(repetitions)]


def paired(
    ours: Prepare, theirs: Prepare, items: tuple[int, int], repetitions: int, warm: bool = True
) -> dict[str, Any]:
    """Return seconds per item of both sides, taking turns at who goes first.

    Parameters
    ----------
    ours, theirs : callable
    items : (int, int)
        Number of items that a call of each does.
    repetitions : int
        Number of pairs R.
    warm : bool
        Call the peer once before; without it, its first pair includes what a first call costs (for calls of minutes).

    Returns
    -------
    dict
        ``ours`` and ``theirs``, (R,) each, in the order in which they were measured.
    """
    ours()()
    if warm:
        theirs()()
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    sides = [("ours", ours, items[0]), ("theirs", theirs, items[1])]
    for turn in range(repetitions):
        for name, side, count in sides if turn % 2 == 0 else reversed(sides):
            seconds[name].append(_timed(side, count))
    return seconds


def _timed(prepare: Prepare, items: int) -> float:
    """Return seconds per item, of as many calls as fill `MINIMUM`, without garbage collection."""
    gc.collect()
    gc.disable()
    try:
        spent, calls = 0.0, 0
        while spent < MINIMUM:
            run = prepare()
            start = time.process_time()
            run()
            spent += time.process_time() - start
            calls += 1
    finally:
        gc.enable()
    return spent / (calls * items)
