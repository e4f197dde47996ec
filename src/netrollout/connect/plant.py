"""The loop around one's own system: measure a window, learn, advise, set; every cycle in a log.

A system is whatever sets its controls (`Actuator`) and measures itself (`Sensor`), named as in the spec.  The loop
begins where the system stands and sets nothing before it has measured a window; a cycle moves every control by one
increment at most; where anything is missing (a metric, a load, an answer) it holds.

A running system is made from the spec's key ``connect``:

==============  ====================================================================================================
part            what it says
==============  ====================================================================================================
command         [program, argument, ...]: called with one line of JSON on its input, ``{"window": 30.0}``, it lets so
                many seconds pass and prints one JSON object, column -> number or null; called with
                ``{"set": {"threads": 8}}`` it sets the controls.  An exit code other than 0 is a failure.
prometheus      {url: http://..., queries: {column: PromQL}, optional: [column]}, see `prometheus.PrometheusSensor`
kubernetes      {name: .., services: [..], nodes: {1: ..}, scaled: [..], host: .., namespace: ..}, see `istio.Layout`
==============  ====================================================================================================
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from netrollout.connect.grid import Grid, Rows, load_moves
from netrollout.connect.own import advise
from netrollout.connect.protocols import Actuator, ConnectError, Sensor
from netrollout.connect.recommendation import Recommendation
from netrollout.connect.spec import Spec
from netrollout.types import Floats, InputError

KINDS = ("kubernetes", "prometheus", "command")
GRACE = 30.0  # s that a command is given beyond its window


@dataclass(frozen=True)
class RealPlant:
    """A system that runs.

    Attributes
    ----------
    spec : Spec
    actuator : Actuator or None
        None where nothing can be set: the loop only advises.
    sensor : Sensor
    seconds : float
        Length of a window.
    """

    spec: Spec
    actuator: Actuator | None
    sensor: Sensor
    seconds: float

    def measure(self) -> dict[str, float]:
        """Let a window pass and return the spec's columns that were measured, as numbers; NaN where undefined.

        Raises
        ------
        ConnectError
            If nothing usable was answered.
        """
        row = self.sensor.observe(self.seconds)
        return {name: _number(name, row[name]) for name in self.spec.places if name in row}


@dataclass(frozen=True)
class Cycle:
    """One cycle.

    Attributes
    ----------
    cycle : int
        From 0.
    setting : dict of str to float
        Where the system stood while the window was measured.
    window : dict of str to float
        What was measured, NaN where undefined; empty where nothing was.
    learned : bool
        Whether the window was learned from.
    reward : float
        Of the window; NaN where it was not learned from.
    next : dict of str to float
        The setting that is advised.
    applied : bool
        Whether the system stands there now.
    decided : bool
        Whether the model tells the advice from holding.
    note : str
        Why nothing was learned or set; else the reason for the advice.
    """

    cycle: int
    setting: dict[str, float]
    window: dict[str, float]
    learned: bool
    reward: float
    next: dict[str, float]
    applied: bool
    decided: bool
    note: str


class OwnLoop:
    """Learns and decides, cycle by cycle.

    Parameters
    ----------
    grid, rows, here, load : as `netrollout.connect.own.begin` returns them
    plant : RealPlant
    seed : int
        Of the draws.
    dry : bool
        Advise, but set nothing.
    """

    def __init__(
        self, grid: Grid, rows: Rows, here: int, load: int, plant: RealPlant, seed: int = 0, dry: bool = False
    ) -> None:
        self.grid, self.rows, self.here, self.load, self.plant = grid, rows, here, load, plant
        self.dry, self.cycle = dry or plant.actuator is None, 0
        self.found: Recommendation | None = None
        self._seed, self._visit, self._owed = seed, int(rows.visit.max()) + 1, False

    def step(self) -> Cycle:
        """Run one cycle: a window, what it teaches, the advice, and the advised setting applied."""
        window: dict[str, float] = {}
        try:
            if self._owed:
                self._apply(self._named(self.here))
            window = self.plant.measure()
            self._stand(window)
            reward = self._learn(window)
        except InputError as error:
            return self._end(window, math.nan, self.here, str(error))
        self.found = advise(self.grid, self.rows, self.here, self.load, self._seed, [])
        return self._end(window, reward, self.grid.setting_of(self.found.action.setting), self.found.why()[0])

    def live_again(self, cycles: Sequence[Mapping[str, Any]]) -> None:
        """Take logged cycles as lived: learn their windows, and stand where the last one ended.

        Before the next window the system is set there again, since the program may have ended between setting and
        writing.

        Raises
        ------
        InputError
            If a cycle is not of this system.
        """
        try:
            self._lived(cycles)
        except (KeyError, TypeError, ValueError) as error:
            told = error if isinstance(error, InputError) else f"{error} is missing or no number"
            raise InputError(f"cycle {self.cycle} of the log: {told}") from None
        self._owed = bool(cycles) and not self.dry

    def _lived(self, cycles: Sequence[Mapping[str, Any]]) -> None:
        for line in cycles:
            window = {name: math.nan if value is None else float(value) for name, value in line["window"].items()}
            if line["learned"]:
                self._stand(window)
                self._learn(window)
            self.cycle += 1
            if line["applied"]:
                self._move(self.grid.setting_of(line["next"]))

    def _end(self, window: dict[str, float], reward: float, target: int, note: str) -> Cycle:
        before, learned = self._named(self.here), not math.isnan(reward)
        applied = target == self.here and not self._owed
        if target != self.here and not self.dry:
            try:
                self._apply(self._named(target))
                applied = True
            except ConnectError as error:
                # It may stand anywhere between: before the next window it is sent back to where it stood.
                self._owed, note = True, str(error)
        decided = learned and self.found is not None and self.found.decided
        done = Cycle(self.cycle, before, window, learned, reward, self._named(target), applied, decided, note)
        self.cycle += 1
        if applied:
            self._move(target)
        return done

    def _apply(self, setting: dict[str, float]) -> None:
        if self.plant.actuator is not None and not self.dry:
            self.plant.actuator.apply(setting)
            self._owed = False

    def _move(self, setting: int) -> None:
        if setting != self.here:
            self.here, self._visit = setting, self._visit + 1

    def _stand(self, window: Mapping[str, float]) -> None:
        """Take the controls from a window that has them all: it knows best where the system stands."""
        controls = self.grid.spec.controls
        if all(control.name in window for control in controls):
            self._move(self.grid.setting_of({control.name: window[control.name] for control in controls}))

    def _learn(self, window: Mapping[str, float]) -> float:
        """Learn a window and return its reward; nothing is learned where a metric or a load is missing."""
        spec = self.grid.spec
        for name in (*(load.name for load in spec.loads), *spec.metrics):
            if not math.isfinite(window.get(name, math.nan)):
                raise ConnectError(f"the window has no {name}: nothing was learned, and the setting is held")
        self.load = self.grid.load_near({load.name: window[load.name] for load in spec.loads}, self.load)
        metrics: Floats = np.array([[window[metric] for metric in spec.metrics]])
        new = (np.array([self.here]), np.array([self.load]), metrics, np.array([self._visit]))
        rows = Rows(*map(np.concatenate, zip(self.rows, new, strict=True)))
        reward = spec.objective(self._named(self.here) | dict(window))
        self.rows = rows
        self.grid = replace(self.grid, move=load_moves(rows.load, rows.visit, len(self.grid.loads)))
        return float(reward)

    def _named(self, setting: int) -> dict[str, float]:
        values = map(float, self.grid.values[setting])
        return {control.name: value for control, value in zip(self.grid.spec.controls, values, strict=True)}


class Command:
    """A program of one's own as actuator and sensor; see the module for what it is told and what it prints.

    Parameters
    ----------
    arguments : sequence of str
        The program and its arguments.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = list(arguments)

    def apply(self, values: Mapping[str, float]) -> None:
        """Set the named controls; see `Actuator`."""
        self._told({"set": dict(values)}, GRACE)

    def observe(self, seconds: float) -> dict[str, Any]:
        """Let a window pass and return what was measured; see `Sensor`."""
        said = self._told({"window": seconds}, seconds + GRACE)
        try:
            row = json.loads(said)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise ConnectError(f"{self._arguments[0]}: printed {said.strip()[:60]!r}; expected one JSON object")
        return row

    def _told(self, order: Mapping[str, Any], seconds: float) -> str:
        name, text = self._arguments[0], json.dumps(order) + "\n"
        try:
            done = subprocess.run(self._arguments, input=text, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise ConnectError(f"{name}: no answer within {seconds:g} s") from None
        except (OSError, ValueError) as error:
            raise ConnectError(f"{name}: cannot be run: {error}") from None
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise ConnectError(f"{name}: exit code {done.returncode}: {last[:200]}")
        return done.stdout


def connected(spec: Spec, kind: str) -> tuple[Actuator | None, Sensor]:
    """Return actuator and sensor of a kind from a spec's key ``connect``.

    Raises
    ------
    InputError
        If the spec has no such part, or it is wrong.
    """
    parts = spec.connect.entries(KINDS) if spec.connect is not None else {}
    for part in ("prometheus", "kubernetes") if kind == "kubernetes" else (kind,):
        if part not in parts:
            raise InputError(f"{spec.path}: connect.{part} is missing; it says how the system is reached")
    if kind == "command":
        program = Command([item.text() for item in parts["command"].items()] or parts["command"].wrong("is empty"))
        return program, program
    return (_cluster(parts["kubernetes"]) if kind == "kubernetes" else None), _prometheus(parts["prometheus"])


def _prometheus(entry: Any) -> Sensor:
    from netrollout.connect.prometheus import PrometheusSensor

    keys = entry.entries(("url", "queries", "optional"), ("url", "queries"))
    optional = [item.text() for item in keys["optional"].items()] if "optional" in keys else []
    queries = {name: part.text() for name, part in keys["queries"].entries().items()}
    return PrometheusSensor(keys["url"].text(), queries, optional)


def _cluster(entry: Any) -> Actuator:
    from netrollout.connect.cluster import KubernetesActuator
    from netrollout.connect.istio import Layout

    texts, lists = ("name", "host", "namespace", "workers", "container"), ("services", "scaled")
    keys = entry.entries((*texts, *lists, "nodes", "quota", "timeout"), ("name", "services"))
    options: dict[str, Any] = {name: keys[name].text() for name in texts if name in keys}
    options |= {name: keys[name].number() for name in ("quota", "timeout") if name in keys}
    options["services"] = tuple(item.text() for item in keys["services"].items())
    if "scaled" in keys:
        options["scaled"] = tuple(item.whole() for item in keys["scaled"].items())
    if "nodes" in keys:
        nodes = keys["nodes"].entries()
        if not all(name.isdecimal() for name in nodes):
            keys["nodes"].wrong("expected number of a node: its name")
        options["nodes"] = {int(name): part.text() for name, part in nodes.items()}
    return KubernetesActuator(Layout(**options))


def _number(name: str, value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or math.isinf(value):
        raise ConnectError(f"the window has {name}={str(value)[:40]!r}; expected a finite number or null")
    return float(value)
