"""Truncated rollout where the state is hidden: the model estimates it from what was seen.

It is `netrollout.rollout.TruncatedRollout` on ``estimate(history)`` in place of ``state_of(observation)``.  The history
is the policy's memory, kept per lane, of a bounded length, and begun anew with an episode; the base policy's memory is
kept beside it, and both are carried into simulated paths where this rollout is the base of another one.

Batch letters: B lanes, D observation size, K action components, T observations kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from netrollout.rollout.truncated import TruncatedRollout
from netrollout.types import Floats, Ints, State, System

KEPT = 64  # observations at most; more than an episode has


class Estimating(System, Protocol):
    """A model that tells the state behind a history."""

    def estimate(self, history: Any) -> State:
        """Return the states behind a sequence of (observation (B, D), action or None), the oldest first."""


class Memory(NamedTuple):
    """What the rollout remembers of an episode."""

    length: Ints  # (B,) observations kept
    seen: Floats  # (B, T, D) the oldest first; zero from the length on
    base: Any  # the base policy's memory


class EstimatedRollout(TruncatedRollout):
    """Rollout by simulation on a model that has `estimate`; the parameters are those of `TruncatedRollout`."""

    _system: Estimating

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, K) and what is remembered."""
        base = None if state is None else state.base
        u, base = self._base.predict(observation, base, episode_start, deterministic=True)
        count, seen = self._joined(np.asarray(observation, dtype=np.float64), state, episode_start)
        return self.improve(self._estimated(count, seen), np.asarray(u), base), Memory(count, seen, base)

    def _joined(self, o: Floats, state: Memory | None, episode_start: NDArray[Any] | None) -> tuple[Ints, Floats]:
        """Return the count (B,) and the observations kept (B, T, D), the new ones among them."""
        kept = min(self._system.horizon + 1, KEPT)
        if state is None:
            count, seen = np.zeros(len(o), dtype=np.int64), np.zeros((len(o), kept, o.shape[1]))
        else:
            count, seen = state.length.copy(), state.seen.copy()
        if episode_start is not None:
            count[np.asarray(episode_start, dtype=bool)] = 0
        full = count == kept
        seen[full] = np.roll(seen[full], -1, axis=1)
        seen[np.arange(len(o)), np.where(full, kept - 1, count)] = o
        return np.where(full, kept, count + 1), seen

    def _estimated(self, count: Ints, seen: Floats) -> State:
        """Return the states of all lanes; those with histories of one length are estimated together."""
        groups = [np.flatnonzero(count == length) for length in np.unique(count)]
        parts = [self._system.estimate([(seen[lanes, t], None) for t in range(count[lanes[0]])]) for lanes in groups]
        order = np.argsort(np.concatenate(groups))
        state: State = type(parts[0])(*(np.concatenate(fields)[order] for fields in zip(*parts, strict=True)))
        return state
