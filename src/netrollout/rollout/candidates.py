"""Which actions a rollout compares with that of its base policy.

A candidate set is a function of the system, the states x (B lanes), the base's actions u (B, K) and a generator, and
returns actions (B, C, K).  Actions are indices into `System.levels`, so a continuous action is a fine grid of levels,
of which a few are tried.  What is not feasible is dropped by the caller, and the base's own action is always compared.

Batch letters: B lanes, C candidates, K action components.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from netrollout import batch
from netrollout.types import InputError, Ints, State, System


class Candidates(Protocol):
    """A candidate set."""

    def __call__(self, system: System, x: State, u: Ints, rng: np.random.Generator) -> Ints:
        """Return actions (B, C, K)."""


def every_action(system: System, x: State, u: Ints, rng: np.random.Generator) -> Ints:
    """Return all joint actions, C = A."""
    joint = batch.joint_actions(system.levels)
    return np.broadcast_to(joint, (len(u), *joint.shape))


def one_component(width: int | None = None) -> Candidates:
    """Change one component of the base's action at a time, one candidate per component and change of level.

    Parameters
    ----------
    width : int, optional
        How many levels up and down are tried; all levels where None.

    Raises
    ------
    InputError
        If the width is below 1.
    """
    if width is not None and width < 1:
        raise InputError(f"width {width} must be at least 1 level")

    def candidates(system: System, x: State, u: Ints, rng: np.random.Generator) -> Ints:
        changes = []
        for k, size in enumerate(batch.sizes(system.levels)):
            reach = size - 1 if width is None else width
            for change in (*range(-reach, 0), *range(1, reach + 1)):
                moved = u[:, k] + change
                other = u.copy()
                other[:, k] = np.where((moved >= 0) & (moved < size), moved, u[:, k])
                changes.append(other)
        return np.stack(changes, axis=1) if changes else u[:, None][:, :0]

    return candidates


def drawn(count: int) -> Candidates:
    """Draw `count` actions uniformly from the product of all levels.

    Raises
    ------
    InputError
        If the count is below 1.
    """
    if count < 1:
        raise InputError(f"count {count} must be at least 1 candidate")

    def candidates(system: System, x: State, u: Ints, rng: np.random.Generator) -> Ints:
        return rng.integers(np.asarray(batch.sizes(system.levels)), size=(len(u), count, u.shape[1]))

    return candidates
