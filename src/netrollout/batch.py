"""Helpers for states that are NamedTuples of arrays and for product action spaces; the base class of our policies.

Batch letters: B lanes, D observation size, K action components, A joint actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


class BatchPolicy:
    """A policy that is written for a batch of observations and answers a single one too, as Stable-Baselines3's do.

    A subclass writes `act`.
    """

    def predict(
        self,
        observation: NDArray[Any],
        state: Any = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
        action_masks: NDArray[Any] | None = None,
    ) -> tuple[Ints, Any]:
        """Return what to do.

        Parameters
        ----------
        observation : (B, D), or (D,) of one lane
        state : optional
            The memory that the last call returned.
        episode_start : (B,) bool, optional
            Where an episode begins, so that memory begins anew; for one lane a single bool will do.
        deterministic : bool
            Not obeyed: a policy of ours is what its name says.
        action_masks : (B, sum of sizes) bool, or of one lane (sum of sizes,), optional
            Feasible settings; where they are None a policy that needs them asks its system.

        Returns
        -------
        actions : (B, K) int, or (K,) for one observation
        memory : None, or with a leading axis of lanes, also for one
        """
        one = np.ndim(observation) == 1
        if one:
            observation = np.asarray(observation)[None]
            episode_start = None if episode_start is None else np.reshape(episode_start, 1)
            action_masks = None if action_masks is None else np.reshape(action_masks, (1, -1))
        actions, memory = self.act(observation, state, episode_start, action_masks)
        return actions[0] if one else actions, memory

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, K) for observations (B, D), and the memory; the parameters are those of `predict`."""
        raise NotImplementedError
