"""The control cycle: observe, remember, test for change, refit, plan, act; each step's time on record.

    window  ->  residuals  ->  change?  ->  refit  ->  tabulate  ->  plan  ->  act

A room's `Relearner` says what its windows tell of its model; a detector listens to each of its streams of residuals; a
plan makes a policy on the newest model.  A policy that is told its model (the one from before the change, or the true
new one) is listened to all the same, so that alarms are on record for every policy.

Letters: Z streams of residuals, K components of an action, V services.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from netrollout.models.drift import Detector
from netrollout.types import Floats, Ints, Policy, Step


class Relearner(Protocol):
    """The newest model of a system, window by window.

    Attributes
    ----------
    streams : tuple of str
        Names of the residuals.
    alarms : int
        Changes that were noticed.
    """

    streams: tuple[str, ...]
    alarms: int

    def model(self) -> Any:
        """Return the newest model; the same one as long as nothing moves it."""

    def state(self, window: Any) -> Any:
        """Return the model's state (one lane) after a window, or before the first one (None)."""

    def residuals(self, window: Any) -> Floats:
        """Return the standardised residuals (Z,) of a window; NaN where nothing is told."""

    def learn(self, window: Any, z: Floats) -> None:
        """Take a usable window, met with residuals z (Z,)."""

    def change(self, stream: str) -> None:
        """Believe that what a stream tells of has changed."""

    def predicted(self, x: Any, u: Ints) -> Floats:
        """Return the expected response times (V,), s, of action u (K,) in state x."""

    def reward(self, window: Any) -> tuple[float, bool]:
        """Return the reward of a window and whether it broke a bound."""


class Plant(Protocol):
    """What really happens."""

    def act(self, u: Ints) -> Any:
        """Move the controls by u (K,), let a cycle pass, and return its window."""


class Changing:
    """A simulated system that changes after a number of cycles; a room says what its windows tell (`window`).

    Two with the same draws meet the same disturbances cycle by cycle, whatever is done to them.

    Parameters
    ----------
    before, after : System
    change_at : int
        Cycle (from 0) in which the change strikes.
    x : State
        Where it begins, one lane.
    draw : callable
        From a cycle's number to its disturbance (1, ...).
    cycle : int
        Number of the first cycle.
    """

    def __init__(
        self, before: Any, after: Any, change_at: int, x: Any, draw: Callable[[int], Floats], cycle: int = 0
    ) -> None:
        self._worlds, self._change_at, self._x, self._draw, self._cycle = (before, after), change_at, x, draw, cycle

    def act(self, u: Ints) -> Any:
        """Move the controls by u (K,), let a cycle pass, and return its window."""
        phase = int(self._cycle >= self._change_at)
        begun, step = self._x, self._worlds[phase].transition(self._x, np.asarray(u)[None], self._draw(self._cycle))
        window = self.window(phase, begun, step)
        self._cycle, self._x = self._cycle + 1, step.state
        return window

    def window(self, phase: int, x: Any, step: Step) -> Any:
        """Return what a step from state x measured; phase is 1 after the change."""
        raise NotImplementedError


@dataclass(frozen=True)
class Record:
    """One cycle.

    Attributes
    ----------
    cycle : int
        From 0.
    action : (K,) increments as indices into the system's `levels`
    window : object
        What was measured after the action.
    reward : float
        Of the measured window.
    violation : bool
        Whether a bound was broken.
    predicted : (V,) expected response times before they were met, s
    residuals : (Z,) standardised; NaN where the window was not usable
    alarms : tuple of str
        Streams in which a change was noticed after this window.
    explored : bool
    seconds : dict of str to float
        Computing time of each step of this cycle, s.
    """

    cycle: int
    action: Ints
    window: Any
    reward: float
    violation: bool
    predicted: Floats
    residuals: Floats
    alarms: tuple[str, ...]
    explored: bool
    seconds: Mapping[str, float]

    @property
    def alarm(self) -> bool:
        """Whether a change was noticed."""
        return bool(self.alarms)


@dataclass
class Controller:
    """Decides, and learns from what follows.

    Parameters
    ----------
    relearner : Relearner
    detectors : sequence of Detector
        One for each of the relearner's streams.
    plan : callable
        From a model and the cycle's number to a policy; called anew whenever the model has moved.
    told : callable, optional
        From the cycle's number to the model to plan on in place of the newest one.

    Attributes
    ----------
    cycle : int
        Number of the coming cycle.
    x : State
        Where the system stands, one lane.
    """

    relearner: Relearner
    detectors: Sequence[Detector]
    plan: Callable[[Any, int], Policy]
    told: Callable[[int], Any] | None = None
    cycle: int = 0
    x: Any = None
    _planned: tuple[Any, Policy] | None = None
    _memory: Any = None
    _seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin where the relearner says that the system stands."""
        self.x = self.relearner.state(None) if self.x is None else self.x

    def decide(self) -> Ints:
        """Return the action (K,) for the coming cycle."""
        self._seconds = {step: self._seconds.get(step, 0.0) for step in ("detect", "refit")}
        with self._timed("tabulate"):
            model = self.relearner.model() if self.told is None else self.told(self.cycle)
        with self._timed("plan"):
            begin = self._planned is None or self._planned[0] != model
            if self._planned is None or begin:
                self._planned, self._memory = (model, self.plan(model, self.cycle)), None
            policy, seen = self._planned[1], model.observe(self.x)
            u, self._memory = policy.predict(seen, self._memory, np.array([begin]), deterministic=True)
        action: Ints = u[0]
        return action

    def learn(self, window: Any) -> tuple[Floats, tuple[str, ...]]:
        """Remember a window, test for change, and refit; return its residuals and the streams that changed."""
        learner = self.relearner
        z, alarms = np.full(len(learner.streams), np.nan), list[str]()
        self._seconds, self.cycle = {}, self.cycle + 1
        if window.usable:
            with self._timed("detect"):
                z = learner.residuals(window)
                told = zip(learner.streams, self.detectors, z, strict=True)
                alarms = [s for s, detector, one in told if np.isfinite(one) and detector.update(float(one))]
            with self._timed("refit"):
                learner.learn(window, z)
                for stream in alarms:
                    learner.change(stream)
        self.x = learner.state(window)
        return z, tuple(alarms)

    def step(self, plant: Plant) -> Record:
        """Run one cycle on a plant."""
        x, cycle, action = self.x, self.cycle, self.decide()
        explored = bool(getattr(self._planned and self._planned[1], "explored", False))
        predicted, before = self.relearner.predicted(x, action), self._seconds
        window = plant.act(action)
        reward, violation = self.relearner.reward(window)
        z, alarms = self.learn(window)
        seconds = {**before, **self._seconds}
        return Record(cycle, action, window, reward, violation, predicted, z, alarms, explored, seconds)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self._seconds[step] = time.perf_counter() - begin


def run(
    plant: Plant, controller: Controller, cycles: int, watch: Callable[[Record], Any] = lambda record: None
) -> list[Record]:
    """Run a number of cycles, telling `watch` of each, and return their records."""
    records = []
    for _ in range(cycles):
        records.append(controller.step(plant))
        watch(records[-1])
    return records


def replay(controller: Controller, cycles: Sequence[tuple[Ints, Any]], plant: Plant | None = None) -> None:
    """Let a fresh controller live through cycles again, each an action and its window; a simulated plant, too."""
    for action, window in cycles:
        controller.decide()
        controller.learn(window if plant is None else plant.act(action))
