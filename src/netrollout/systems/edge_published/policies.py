"""Rules of the published edge environment by name; most are those of `netrollout.systems.edge.policies`.

Batch letters: B lanes, D stations.

Source: adeptvin1/lwmecps-gym (heuristic optimized_balance), re-implemented from facts.
"""

from __future__ import annotations

import numpy as np

from netrollout.makers import Worlds, maker
from netrollout.systems.edge.dynamics import Rule
from netrollout.systems.edge.policies import Band, Static
from netrollout.systems.edge_published.dynamics import PODS, STATIONS, PublishedState
from netrollout.types import Floats, InputError, Ints, Policy

ROOM = "edge_published"


def balanced(latency: Floats, counted: Ints) -> Ints:
    """Return the pods (B,) of the published rule `optimized_balance`, for the latency and the pods that it counts.

    It weighs, for r = 1 to 4 pods everywhere, the latency that it expects of them against 0.4 r.  It counts pods once
    per node and once per deployment but compares with 4 r, so only after a reset, when it counts 4, does it choose more
    than 1: from above 30.4, 48.64 and 72.96 ms on 2, 3 and 4.
    """
    r = np.arange(1, PODS + 1)
    expected = np.maximum(30.0, latency[:, None] / np.maximum(1.0, 0.8 * STATIONS * r / counted[:, None]))
    best: Ints = (-np.round(expected + 0.1 * STATIONS * r, 9)).argmax(axis=1) + 1
    return best


class Balance(Rule):
    """The published rule `optimized_balance`, with the pods as it counts them."""

    def goal(self, x: PublishedState) -> Ints:
        """Return the number that `balanced` chooses, everywhere."""
        begins = x.phase % self.system.reset == 0 if self.system.reset else x.phase < 0
        counted = self.system.times * np.where(begins, 1, x.pods.sum(axis=1))
        return np.tile(balanced(x.signal, counted)[:, None], (1, STATIONS))


@maker("static", ROOM)
def static(worlds: Worlds, *, k: int = PODS) -> Policy:
    """Keep k pods of each deployment."""
    if not 1 <= k <= PODS:
        raise InputError(f"policy static(k={k}): expected 1 to {PODS} pods")
    return Static(worlds.base, k)


@maker("reactive", ROOM)
def reactive(worlds: Worlds, *, spare: float = 1.25) -> Policy:
    """Ask for a pod for each eight requests of `spare` times the last burst."""
    return Band(worlds.base, spare, spare)


@maker("balance", ROOM)
def balance(worlds: Worlds) -> Policy:
    """Follow the published rule `optimized_balance`."""
    return Balance(worlds.base)
