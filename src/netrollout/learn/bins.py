"""Observations cut into bins: the states of a table.

Batch letters: B lanes, D observation size, S states of the table.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import sizes
from netrollout.seeding import spawn
from netrollout.types import Enumerable, Floats, InputError, Ints, System

MOST = 10**8  # states; a table of them would not fit
CELLS = 10**5  # states that a table gets at most where the bins come from what was seen
FEW = 8  # different values of an observation up to which each has a bin of its own
LANES = 64  # of random actions that are watched


class Bins:
    """A grid over observations; the bin of a value is the number of edges that are not above it.

    Values are compared in single precision, as they are observed: 0.95 of the tasks is not below an edge of 0.95.

    Parameters
    ----------
    edges : sequence of D sequences of float
        Rising; an observation without edges is left out.

    Raises
    ------
    InputError
        If edges do not rise, or the table would be too large.
    """

    def __init__(self, edges: Sequence[Sequence[float] | NDArray[np.floating]]) -> None:
        self.edges = tuple(np.asarray(row, dtype=np.float32) for row in edges)
        for column, row in enumerate(self.edges):
            if row.ndim != 1 or not np.isfinite(row).all() or (np.diff(row) <= 0.0).any():
                raise InputError(f"bins: the edges of observation {column} are {list(row)}; expected rising numbers")
        self.shape = tuple(len(row) + 1 for row in self.edges)
        self.n_states = int(np.prod([float(n) for n in self.shape]))
        if self.n_states > MOST:
            raise InputError(f"bins: {self.n_states:.0e} states; expected at most {MOST:.0e}: give fewer edges")

    def index(self, observation: NDArray[np.floating]) -> Ints:
        """Return the states (B,) of observations (B, D)."""
        seen = np.asarray(observation, dtype=np.float32)
        if seen.ndim != 2 or seen.shape[1] != len(self.edges):
            raise InputError(f"bins: observations of shape {seen.shape}; expected (lanes, {len(self.edges)})")
        index = np.zeros(len(seen), dtype=np.int64)
        for column, row in enumerate(self.edges):
            if len(row):
                index = index * (len(row) + 1) + np.searchsorted(row, seen[:, column], side="right")
        return index

    def record(self) -> list[list[float]]:
        """Return the edges as JSON knows them."""
        return [[float(edge) for edge in row] for row in self.edges]


def bins_of(system: System) -> Bins:
    """Return the bins of a system.

    They are its own `edges` where it has some, and one per value where its states can be listed.  Elsewhere they come
    from what random actions meet in a few episodes: an observation of at most 8 different values has a bin for each,
    the others have bins of equal shares, as many as a table of 100,000 states allows, at least two.

    Raises
    ------
    InputError
        If even two bins for each observation are too many.
    """
    edges = getattr(system, "edges", None)
    if edges is not None:
        return Bins(edges)
    if isinstance(system, Enumerable):
        return Bins([_between(np.unique(column)) for column in system.observe(system.states()).astype(np.float64).T])
    seen = _watched(system)
    different = [np.unique(column) for column in seen.T]
    few = [len(values) <= FEW for values in different]
    room = CELLS / np.prod([len(values) for values, small in zip(different, few, strict=True) if small], dtype=float)
    many = max(int(room ** (1.0 / max(len(few) - sum(few), 1)) + 1e-9), 2)
    shares = np.arange(1, many) / many
    return Bins([
        _between(values) if small else np.unique(np.quantile(column, shares).astype(np.float32))
        for values, small, column in zip(different, few, seen.T, strict=True)
    ])  # fmt: skip


def _between(values: Floats) -> Floats:
    """Return the edges that divide sorted values."""
    middle: Floats = (values[1:] + values[:-1]) / 2.0
    return middle


def _watched(system: System) -> Floats:
    """Return the observations (n, D) of episodes of random actions; always the same for a system."""
    rng, top = spawn(0, "bins"), sizes(system.levels)
    x, seen = system.initial(rng, LANES), []
    for _ in range(system.horizon):
        x = system.step(x, rng.integers(top, size=(LANES, len(top))), rng).state
        seen.append(system.observe(x))
    return np.concatenate(seen).astype(np.float64)
