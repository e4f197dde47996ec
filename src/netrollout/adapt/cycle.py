"""The control cycle: observe, remember, test for change, refit, tabulate, plan, act; each step's time on record.

    window  ->  residual  ->  change?  ->  refit  ->  tabulate  ->  plan  ->  choose  ->  act

A strategy without a model (`netrollout.adapt.strategies`) skips what lies between window and act; the detector listens
all the same, so that alarms are on record for every strategy.  Letters: M controls, V services, A joint actions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netrollout.adapt.explore import Explorer, safe_actions
from netrollout.adapt.planning import Plan, Planner
from netrollout.adapt.plants import Plant, Window
from netrollout.adapt.relearn import Relearned
from netrollout.adapt.strategies import Rule, Sight
from netrollout.models.drift import Detector
from netrollout.systems.mesh.dynamics import Mesh, MeshState
from netrollout.types import Floats, Ints

LIMIT = 4.0  # operating region: response times up to this multiple of the bound


@dataclass(frozen=True)
class Record:
    """One cycle.

    Attributes
    ----------
    cycle : int
        From 0.
    action : (M,) increments as indices into `Mesh.levels`
    window : Window
        What was measured after the action.
    reward : float
        Of the measured window.
    violation : bool
        Whether a bound was broken.
    predicted : (V,) expected response time of the configuration before it was met, s
    residual : float
        Standardised; NaN where the window was not usable.
    alarm : bool
        Whether the detector said after this window that the system has changed.
    explored : bool
    seconds : dict of str to float
        Computing time of each step of this cycle, s.
    """

    cycle: int
    action: Ints
    window: Window
    reward: float
    violation: bool
    predicted: Floats
    residual: float
    alarm: bool
    explored: bool
    seconds: Mapping[str, float]


@dataclass
class Controller:
    """Decides, and learns from what follows.

    Parameters
    ----------
    relearned : Relearned
        The newest model.
    detector : Detector
    planner : Planner
    base : (S,) int
        The policy from before the change.
    plan : str
        A plan's name, see `netrollout.adapt.planning`; unused where a rule is given.
    explorer : Explorer
    rule : Rule, optional
        Decides in place of a plan.
    training : int
        Cycles that pass between the model that a plan is made on and its being in force; 0 plans anew every cycle.
    limit : float
        Operating region: no action is taken that is expected to bring a response time above this multiple of its bound,
        where another does not.  With 1 the plan is constrained by the bound itself.
    """

    relearned: Relearned
    detector: Detector
    planner: Planner
    base: Ints
    plan: str = "rollout"
    explorer: Explorer = field(default_factory=Explorer)
    rule: Rule | None = None
    training: int = 0
    limit: float = LIMIT
    cycle: int = 0
    _window: Window | None = None
    _residual: float = float("nan")
    _alarm: bool = False
    _begun: tuple[int, Mesh] | None = None
    _ready: Mesh | None = None
    _seconds: dict[str, float] = field(default_factory=dict)

    @property
    def mesh(self) -> Mesh:
        """The mesh from before the change."""
        return self.relearned.mesh

    def decide(self, x: MeshState) -> tuple[int, bool]:
        """Return the joint action in state x (one lane), and whether it only explores."""
        self._seconds = {step: self._seconds.get(step, 0.0) for step in ("detect", "refit")}
        index = int(self.mesh.index(x)[0])
        if self.rule is not None:
            with self._timed("plan"):
                return self.rule.act(Sight(index, x.setting[0], self._window)), False
        with self._timed("tabulate"):
            expected = self.relearned.model()
            shift = self.explorer.shift(self.relearned, self.cycle)
            believed = expected if shift is None else self.relearned.model(shift)
        with self._timed("plan"):
            plan = self._planned(believed)
            safe = safe_actions(
                self.planner.landing[index],
                np.isfinite(plan.q[index]),
                expected.response.windows.mean(axis=1),
                self.limit * np.asarray(self.mesh.objective.bounds),
            )
            return self.explorer.choose(int(plan.table[index]), plan.q[index], safe, self.cycle)

    def _planned(self, model: Mesh) -> Plan:
        if not self.training:
            return self.planner.plan(self.plan, model, self.base)
        if self.relearned.alarms and self._begun is None:
            self._begun = (self.cycle, model)
        if self._begun is not None and self.cycle - self._begun[0] >= self.training:
            self._ready, self._begun = self._begun[1], (self.cycle, model)
        if self._ready is None:
            return self.planner.plan("base", model, self.base)
        return self.planner.plan(self.plan, self._ready, self.base)

    def learn(self, window: Window) -> None:
        """Remember a window, test for change, and refit."""
        self._window, self._residual, self._alarm = window, float("nan"), False
        self._seconds = {}
        self.cycle += 1
        if not window.usable:
            return
        grid = int(self.mesh.index(MeshState(window.setting[None], np.array([window.load])))[0])
        with self._timed("detect"):
            self._residual = self.relearned.residual(grid, window.d)
            self._alarm = self.detector.update(self._residual)
        with self._timed("refit"):
            self.relearned.learn(grid, window.d, self._residual)
            if self._alarm:
                self.relearned.change()

    def step(self, plant: Plant) -> Record:
        """Run one cycle on a plant."""
        x = plant.state
        joint, explored = self.decide(x)
        action = self.planner.actions[joint]
        grid = self.planner.landing[int(self.mesh.index(x)[0]), joint]
        predicted = self.relearned.table().windows[grid].mean(axis=0)
        before, cycle = self._seconds, self.cycle
        window = plant.act(action)
        reward, violation = self.reward(window)
        self.learn(window)
        seconds = {**before, **self._seconds}
        return Record(cycle, action, window, reward, violation, predicted, self._residual, self._alarm, explored,
                      seconds)  # fmt: skip

    def reward(self, window: Window) -> tuple[float, bool]:
        """Return reward of a window and whether it broke a bound."""
        grid = int(self.mesh.index(MeshState(window.setting[None], np.array([window.load])))[0])
        reward, violation = self.mesh.objective(self.planner.saved[grid], window.d)
        return float(reward), bool(violation)

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
