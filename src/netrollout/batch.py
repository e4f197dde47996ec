"""Helpers for states that are NamedTuples of arrays, and for product action spaces.

Batch letters: B lanes, K action components, A joint actions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netrollout.types import Bools, Ints, State

Levels = Sequence[Sequence[float]]


def length(x: State) -> int:
    """Return the number of lanes B of a state."""
    return len(x[0])


def take(x: State, index: NDArray[np.intp] | Ints) -> State:
    """Return the lanes `index` (n,) of a state."""
    return type(x)(*(field[index] for field in x))


def repeat(x: State, n: int) -> State:
    """Return each lane n times in a row: lane b becomes lanes b n .. b n + n - 1."""
    return type(x)(*(np.repeat(field, n, axis=0) for field in x))


def where(mask: Bools, a: State, b: State) -> State:
    """Return the lanes of `a` where mask (B,) holds, and of `b` elsewhere."""
    return type(a)(*(np.where(mask.reshape(-1, *(1,) * (f.ndim - 1)), f, g) for f, g in zip(a, b, strict=True)))


def sizes(levels: Levels) -> tuple[int, ...]:
    """Return the number of settings of each action component, (K,)."""
    return tuple(len(setting) for setting in levels)


def joint_actions(levels: Levels) -> Ints:
    """Return the joint action table (A, K): every combination, the last component fastest."""
    shape = sizes(levels)
    return np.stack(np.unravel_index(np.arange(np.prod(shape)), shape), axis=1).astype(np.int64)


def joint_index(u: Ints, levels: Levels) -> Ints:
    """Return the row of `joint_actions` of each action u (B, K)."""
    index: Ints = np.ravel_multi_index(tuple(np.asarray(u).T), sizes(levels)).astype(np.int64)
    return index


def joint_feasible(mask: Bools, levels: Levels) -> Bools:
    """Return which joint actions (B, A) are allowed by a component-wise mask (B, sum of sizes)."""
    offsets = np.concatenate([[0], np.cumsum(sizes(levels))[:-1]])
    chosen: Bools = mask[:, offsets[None, :] + joint_actions(levels)]
    return np.asarray(chosen.all(axis=2))
