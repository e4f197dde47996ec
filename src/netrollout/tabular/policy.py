"""A learned table and its greedy policy.

Batch letters: B lanes, K action components, A joint actions, S states of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import BatchPolicy, joint_actions, joint_feasible
from netrollout.store import read_arrays, write_arrays
from netrollout.tabular.discretise import Bins
from netrollout.types import Floats, InputError, Ints

TIES = ("least", "largest")
KIND = "a saved table; `netrollout train SYSTEM sarsa` writes one"


class TabularPolicy(BatchPolicy):
    """Chooses an action of the highest learned value.

    Parameters
    ----------
    q : (S, A) float64
        Values of joint actions, rows of `batch.joint_actions`.
    visits : (S, A) int64
        How often each was chosen in training.
    bins : Bins
        States of observations.
    levels : sequence of K sequences of float
        Settings of the action components.
    ties : str
        Which of several best actions: ``least`` (the smallest settings; where these are increments, to hold) or
        ``largest`` (the last index, as published).

    Raises
    ------
    InputError
        If `ties` is neither.
    """

    def __init__(
        self, q: Floats, visits: Ints, bins: Bins, levels: Sequence[Sequence[float]], ties: str = "least"
    ) -> None:
        self.q, self.visits, self.bins, self.ties = q, visits, bins, ties
        self.levels = tuple(tuple(row) for row in levels)
        self._joint = joint_actions(self.levels)
        self._order = preference(self.levels, ties)

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return greedy actions (B, K); exploring belongs to training."""
        values = self.q[self.bins.index(observation)]
        if action_masks is not None:
            allowed = joint_feasible(np.asarray(action_masks, dtype=bool), self.levels)
            values = np.where(allowed, values, -np.inf)
        return self._joint[greedy(values, self._order)], state

    def coverage(self) -> float:
        """Return the share of the table's states that training met."""
        return float((self.visits.sum(axis=1) > 0).mean())

    def save(self, path: str | Path) -> None:
        """Write the visited part of the table, whole or not at all (npz; nothing is pickled)."""
        about = {"kind": "table", "edges": edges_of(self.bins), "levels": self.levels, "ties": self.ties}
        write_arrays(path, about, visited(self.q, self.visits))

    @classmethod
    def load(cls, path: str | Path) -> TabularPolicy:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If the file is not there or is not a saved table.
        """
        about, found = read_arrays(path, KIND)
        try:
            bins, levels, ties = Bins(about["edges"]), about["levels"], about["ties"]
            q, visits = filled(found, (bins.n_states, int(np.prod([len(row) for row in levels]))))
            return cls(q, visits, bins, levels, ties)
        except (KeyError, TypeError, IndexError, ValueError):
            raise InputError(f"{path} is not {KIND}") from None


def preference(levels: Sequence[Sequence[float]], ties: str) -> Ints:
    """Return the joint actions (A,) in the order in which one of equal value is preferred.

    Raises
    ------
    InputError
        If `ties` is not known.
    """
    if ties not in TIES:
        raise InputError(f"ties {ties!r}; expected {' or '.join(TIES)}")
    joint = joint_actions(levels)
    if ties == "largest":
        return np.arange(len(joint))[::-1].copy()
    settings = np.stack([np.abs(np.asarray(row))[joint[:, k]] for k, row in enumerate(levels)], axis=1)
    return np.argsort(settings.sum(axis=1), kind="stable").astype(np.int64)


def greedy(values: Floats, order: Ints) -> Ints:
    """Return the best joint actions (B,) of values (B, A); of equal ones the first in `order`."""
    best: Ints = order[values[:, order].argmax(axis=1)]
    return best


def visited(q: Floats, visits: Ints) -> dict[str, NDArray[Any]]:
    """Return the rows of a table that training met; all others are zero."""
    rows = np.flatnonzero(visits.any(axis=1))
    return {"rows": rows, "q": q[rows], "visits": visits[rows]}


def filled(found: dict[str, NDArray[Any]], shape: tuple[int, int]) -> tuple[Floats, Ints]:
    """Return the tables q and visits, (S, A) each, of what `visited` returned."""
    q, visits = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    q[found["rows"]], visits[found["rows"]] = found["q"], found["visits"]
    return q, visits


def edges_of(bins: Bins) -> list[list[float]]:
    """Return the edges as JSON knows them."""
    return [[float(edge) for edge in row] for row in bins.edges]
