"""Observations cut into bins: the states of a table.

Batch letters: B lanes, D observation size, S states of the table.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netrollout.models.farm import QueueModel
from netrollout.systems.serverless import OBSERVATION, Farm
from netrollout.types import Enumerable, InputError, Ints, System

FARM = {
    "input_q": (0.5, 1.5, 2.5),
    "worker_q": (0.5, 2.5, 5.5, 9.5, 15.5, 30.5),
    "workers": (3.5, 7.5, 11.5, 12.5, 16.5, 20.5, 24.5),
    "avg_time": (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0),
    "arrival_rate": (0.15, 0.5, 1.5, 3.5),
    "qos_rate": (0.5, 0.8, 0.9, 0.95, 0.999),
}
"""Published edges of the task farm, 53,760 states; the other observations are left out (serverless facts, 4.1)."""
MOST = 10**8  # states; a table of them would not fit


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

    def __init__(self, edges: Sequence[Sequence[float]]) -> None:
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

    def bins(self, index: Ints) -> Ints:
        """Return the bin of every observation, (B, D), of states (B,)."""
        return np.stack(np.unravel_index(index, self.shape), axis=1).astype(np.int64)


def bins_of(system: System) -> Bins:
    """Return the bins of a system: the published ones of the farm, every distinct value where states can be listed.

    Raises
    ------
    InputError
        If the system is neither.
    """
    if isinstance(system, (Farm, QueueModel)):
        return Bins([FARM.get(name, ()) for name in OBSERVATION])
    if not isinstance(system, Enumerable):
        raise InputError(f"{system.name}: its states cannot be listed, so say where to cut its observations: bins=Bins")
    seen = system.observe(system.states()).astype(np.float64)
    values = [np.unique(column) for column in seen.T]
    return Bins([(row[1:] + row[:-1]) / 2.0 for row in values])
