"""What is relearned of the edge from its log, window by window; prices, delays and losses are told to its operator.

Each station's load gives a stream of standardised log residuals (`realise.residuals`) and a detector of its own.  Until
an alarm the pattern and the laws of before the change hold.  After an alarm they are learned anew, with what was known
as the prior, from the cycles since the likeliest moment of the change: at once, and then every `REFIT` cycles, so that
plans can be kept.

Letters: N stations.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from netrollout.adapt.cycle import Changing
from netrollout.models.drift import change_point
from netrollout.seeding import spawn
from netrollout.systems.edge.dynamics import DAY, Edge, EdgeState
from netrollout.systems.edge.realise import LEARNED, Log, learned, residuals
from netrollout.types import Floats, Ints, Step

KEEP = 4 * DAY  # cycles
REFIT = 8  # cycles
LATE = 0.05  # share of the requests of a cycle; with more the cycle is over


class EdgeWindow(NamedTuple):
    """What one cycle measured; the states are as they were seen, without the crowd."""

    before: EdgeState
    state: EdgeState
    changed: bool  # whether the operator has been told of the change
    reward: float
    metrics: dict[str, float]
    usable: bool = True
    notes: Mapping[str, Any] = {}


@dataclass
class RelearnedEdge:
    """The newest model of the edge.

    Parameters
    ----------
    known : Edge
        The model from before the change.
    told : Edge
        Where prices, delays and losses are those of after the change; its pattern and laws are not used.

    Attributes
    ----------
    alarms : int
        Changes that were noticed.
    """

    known: Edge
    told: Edge
    alarms: int = 0
    _rows: deque[tuple[EdgeWindow, Floats]] = field(default_factory=lambda: deque(maxlen=KEEP))
    _newest: Edge | None = None
    _changed: bool = False
    _age: int = -1

    def __post_init__(self) -> None:
        """Begin with what is known."""
        self.streams = tuple(f"load_{k + 1}" for k in range(self.known.sites))
        self._newest = self.known

    def model(self) -> Edge:
        """Return the newest model."""
        if self._newest is None:
            facts = self.told if self._changed else self.known
            laws = (
                learned(self.known, _log([w for w, _ in self._rows]))
                if self._age >= 0 and len(self._rows) > 1
                else self.known
            )
            self._newest = replace(facts, **{name: getattr(laws, name) for name in LEARNED})
        return self._newest

    def state(self, window: EdgeWindow | None) -> EdgeState:
        """Return what is seen of the system after a window, or before the first one; not where a crowd is."""
        x = self.known.initial(spawn(0, "start"), 1) if window is None else window.state
        if window is not None and window.changed != self._changed:
            self._changed, self._newest = window.changed, None
        return x._replace(crowd=np.full_like(x.crowd, -1))

    def residuals(self, window: EdgeWindow) -> Floats:
        """Return the standardised log loads (N,) of a window."""
        return np.asarray(residuals(self.model(), _log([window]))[0])

    def learn(self, window: EdgeWindow, z: Floats) -> None:
        """Take a window with its residuals z (N,)."""
        self._rows.append((window, z))
        if self._age >= 0:
            self._age += 1
            if self._age % REFIT == 0:
                self._newest = None

    def change(self, stream: str) -> None:
        """Believe that the loads have changed, and forget the cycles before the likeliest moment.

        An alarm within a day of the last one says that a part of the day was not known, and nothing is forgotten.
        """
        self.alarms, self._newest = self.alarms + 1, None
        if 0 <= self._age < DAY:
            return
        since = change_point(np.array([z[self.streams.index(stream)] for _, z in self._rows]))
        rows = list(self._rows)[-max(since, 2) :]
        self._rows.clear()
        self._rows.extend(rows)
        self._age = 0

    def predicted(self, x: EdgeState, u: Ints) -> Floats:
        """Return nothing, (0,): response times are not foretold."""
        return np.empty(0)

    def reward(self, window: EdgeWindow) -> tuple[float, bool]:
        """Return the reward of a window and whether too many requests were late."""
        return window.reward, window.metrics["late"] > LATE


def _log(windows: list[EdgeWindow]) -> Log:
    """Return windows as a log."""
    begun, ended = [window.before for window in windows], [window.state for window in windows]

    def column(states: list[EdgeState], name: str) -> Any:
        return np.concatenate([getattr(x, name) for x in states])

    pairs = (np.stack([column(begun, name), column(ended, name)], axis=1) for name in ("down", "slow"))
    return Log(column(begun, "phase"), column(ended, "load"), *pairs)


class SimulatedEdge(Changing):
    """An edge that changes after a number of cycles; a site that is lost then has no pods.

    Parameters
    ----------
    before, after : Edge
    change_at : int
        Cycle (from 0) in which the change strikes.
    seed : int
        Of the disturbances.
    """

    def __init__(self, before: Edge, after: Edge, change_at: int, seed: int) -> None:
        super().__init__(
            before, after, change_at, before.initial(spawn(seed, "start"), 1),
            lambda cycle: before.disturbance(spawn(seed, "disturbance", cycle), (1,)),
        )  # fmt: skip

    def act(self, u: Ints) -> EdgeWindow:
        """Move the pods by u (N,), let a cycle pass, and return its window."""
        lost = self._worlds[1].lost
        if self._cycle == self._change_at and lost >= 0:
            pods = np.where(np.arange(self._worlds[1].sites) == lost, 0, self._x.pods)
            self._x = self._x._replace(down=np.full_like(self._x.down, lost), pods=pods)
        window: EdgeWindow = super().act(u)
        return window

    def window(self, phase: int, x: EdgeState, step: Step) -> EdgeWindow:
        """Return what a step from state x measured."""
        seen = {name: float(values[0]) for name, values in step.metrics.items()}
        return EdgeWindow(x, step.state, bool(phase), float(step.reward[0]), seen)
