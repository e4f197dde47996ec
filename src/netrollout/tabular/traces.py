"""Eligibility traces: how much of a surprise belongs to what was done before.

After action a in state s, the trace of the pair becomes ``1 + keep e(s, a)``, with::

    keep = 1            accumulating
    keep = 0            replacing      (Singh & Sutton 1996)
    keep = 1 - alpha    Dutch          (van Seijen & Sutton 2014, without the further terms of their true online update)

and all traces then fall by the factor gamma lambda per step.  In the words of Sutton & Barto, *Reinforcement Learning*,
2nd edition, section 12.7 and figure 12.10.
"""

from __future__ import annotations

import numpy as np

from netrollout.types import Floats, InputError

KINDS = ("accumulating", "replacing", "dutch")


def keep(kind: str, step_size: float) -> float:
    """Return the share of a trace that a further visit keeps.

    Raises
    ------
    InputError
        If the kind is not known.
    """
    if kind not in KINDS:
        raise InputError(f"traces {kind!r}; expected {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    return {"accumulating": 1.0, "replacing": 0.0, "dutch": 1.0 - step_size}[kind]


class Traces:
    """The traces of one episode.

    Parameters
    ----------
    steps : int
        Of the episode, at most: so many pairs can be visited.
    keep : float
        See `keep`.
    threshold : float
        A trace below it is dropped.
    """

    def __init__(self, steps: int, keep: float, threshold: float) -> None:
        self._keep, self._threshold = keep, threshold
        self._slot: dict[int, int] = {}
        self._pairs = np.zeros(steps, dtype=np.int64)
        self._weights = np.zeros(steps)

    def visit(self, pair: int) -> None:
        """Raise the trace of a state and action, an index of the flat table."""
        slot = self._slot.setdefault(pair, len(self._slot))
        self._pairs[slot] = pair
        self._weights[slot] = 1.0 + self._keep * self._weights[slot]

    def credit(self, flat: Floats, amount: float) -> None:
        """Add to every traced value of a flat table (S A,) its share of an amount, in place."""
        n = len(self._slot)
        flat[self._pairs[:n]] += amount * self._weights[:n]

    def fall(self, factor: float) -> None:
        """Multiply all traces."""
        weights = self._weights[: len(self._slot)]
        weights *= factor
        weights[weights < self._threshold] = 0.0

    def cut(self) -> None:
        """Forget all traces."""
        self._slot.clear()
        self._weights[:] = 0.0
