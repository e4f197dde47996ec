"""Rules for the edge: each names a number of pods for every site, and the system walks there as fast as it may."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import BatchPolicy
from netrollout.makers import Worlds, maker
from netrollout.systems.edge.bounds import Exact, best_placement, hourly_placements
from netrollout.systems.edge.dynamics import DAY, REACH, Edge, EdgeState, Rule
from netrollout.types import Floats, InputError, Ints, Policy

ROOM = "edge"


class Hold(BatchPolicy):
    """Changes nothing: the most trivial base of a rollout."""

    def __init__(self, system: Edge) -> None:
        self._sites = system.sites

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, N); where a site is down there are no pods to change."""
        return np.full((len(observation), self._sites), REACH), state


class Static(Rule):
    """Keeps a placement (N,), or one number of pods everywhere."""

    def __init__(self, system: Any, pods: Ints | int) -> None:
        super().__init__(system)
        self.pods = np.broadcast_to(pods, (system.sites,))

    def goal(self, x: Any) -> Ints:
        """Return the placement."""
        return np.tile(self.pods, (len(x.pods), 1))


class Band(Rule):
    """Keeps each site's pods between those that `low` and `high` times the load last measured at its station need.

    With one factor for both it is the published reactive rule.
    """

    def __init__(self, system: Any, low: float = 1.25, high: float = 1.75) -> None:
        super().__init__(system)
        if not 0.0 < low <= high:
            raise InputError(f"a band from {low:g} to {high:g} times the load; expected above 0, the lower one first")
        self.low, self.high = low, high

    def needed(self, load: Floats, spare: float) -> Ints:
        """Return the pods that admit `spare` times a load."""
        pods: Ints = np.ceil(spare * load / self.system.per_pod - 1e-9).astype(np.int64)
        return pods

    def load(self, x: Any) -> Floats:
        """Return the loads (B, N) that count."""
        return np.asarray(x.load)

    def goal(self, x: Any) -> Ints:
        """Return the nearest number of pods in the band."""
        load = self.load(x)
        goal: Ints = np.clip(x.pods, self.needed(load, self.low), self.needed(load, self.high))
        return goal


class Predictive(Band):
    """As many pods as the larger load that the pattern foretells for this cycle and the next needs."""

    def load(self, x: EdgeState) -> Floats:
        """Return the loads foretold, larger where there is a crowd."""
        table, crowd = self.system.table, x.crowd[:, None] == np.arange(self.system.sites)
        load: Floats = np.maximum(table[x.phase], table[(x.phase + 1) % DAY])
        return np.where(crowd, self.system.factor * load, load)


class Hourly(Rule):
    """Keeps a placement (24, N) of every hour."""

    def __init__(self, system: Any, pods: Ints) -> None:
        super().__init__(system)
        self.pods = pods

    def goal(self, x: Any) -> Ints:
        """Return the placement of the hour."""
        goal: Ints = self.pods[x.phase * 24 // self.system.day]
        return goal


exact = lru_cache(maxsize=4)(Exact)  # a plan is 50 MB


@maker("hold", ROOM)
def hold(worlds: Worlds) -> Policy:
    """Change nothing."""
    return Hold(worlds.base)


@maker("static", ROOM)
def static(worlds: Worlds) -> Policy:
    """Walk to the best placement on the days of calibration of the base model, and keep it."""
    return Static(worlds.base, best_placement(worlds.base))


@maker("reactive", ROOM)
def reactive(worlds: Worlds, *, spare: float = 1.5) -> Policy:
    """Ask for the pods that `spare` times the load last measured needs."""
    return Band(worlds.base, spare, spare)


@maker("band", ROOM)
def band(worlds: Worlds, *, low: float = 1.25, high: float = 1.75) -> Policy:
    """Keep the pods between those that `low` and `high` times the load last measured need."""
    return Band(worlds.base, low, high)


@maker("predictive", ROOM)
def predictive(worlds: Worlds, *, spare: float = 1.25) -> Policy:
    """Ask for the pods that `spare` times the load which the base model foretells needs."""
    return Predictive(worlds.base, spare, spare)


@maker("hourly", ROOM)
def hourly(worlds: Worlds) -> Policy:
    """Keep the best placement of every hour on the base model."""
    return Hourly(worlds.base, hourly_placements(worlds.base))


@maker("optimal", ROOM)
def optimal(worlds: Worlds) -> Policy:
    """Plan exactly on the base model."""
    return exact(worlds.base)


@maker("oracle", ROOM)
def oracle(worlds: Worlds) -> Policy:
    """Plan exactly on the plant."""
    return exact(worlds.plant)
