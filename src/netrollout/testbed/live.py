"""The live mesh as the plant of the control cycle: never drained between windows, never replaced while it runs.

`LivePlant` is a mesh that changes, `LiveDay` the working day: slow starts of workers, a day of load, and a change.

A cycle sets the new configuration, lets it settle where it has moved, and measures one window; the load flows all the
while, so that a backlog is carried from cycle to cycle as it would be in earnest.  A window tells nothing of its
configuration after a fault, while other processes take the machine, or while it works off a backlog that another
configuration left; such windows are marked, and the controller does not learn from them.

Letters: M controls, V services.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

import numpy as np

from netrollout.seeding import spawn
from netrollout.systems.mesh.dynamics import Mesh as Grid
from netrollout.systems.mesh.dynamics import MeshState
from netrollout.systems.mesh.plants import Window, moved
from netrollout.systems.queues.dynamics import MOST, Pattern
from netrollout.systems.queues.plants import QueueWindow
from netrollout.systems.queues.throttle import ThrottledMesh
from netrollout.testbed.mesh import Mesh
from netrollout.testbed.processes import MeshError
from netrollout.types import Floats, InputError, Ints

WINDOW = 2.0  # s
SETTLE = 0.5  # s under load after the configuration has moved
FOREIGN_LIMIT = 0.5  # cores
BACKLOG = 3  # requests waiting per node that a moved configuration may begin with
TIMEOUT = 5.0  # s
SERVICE = "compute"  # of the working day
KEPT_COLUMNS = (
    "t",
    "duration",
    "queue_1",
    "queue_2",
    "busy_seconds_1",
    "busy_seconds_2",
    "foreign_cpu",
    "steal",
    "fault",
)


@dataclass(frozen=True)
class Change:
    """What happens to the live mesh at the moment of the change.

    Attributes
    ----------
    demand : dict of service to mean CPU s of a request from then on
    slow : dict of node to the factor on each demand there
    load_moves : bool
        Whether the load moves between its levels from then on, by the grid's law.
    day : Pattern, optional
        What the load follows from then on: in every cycle it is at the level nearest to the pattern's.
    kill : str
        A process of `netrollout.testbed.Mesh.pids` that is killed (the mesh restarts it), or empty.
    """

    demand: Mapping[str, float] = field(default_factory=dict)
    slow: Mapping[int, float] = field(default_factory=dict)
    load_moves: bool = False
    day: Pattern | None = None
    kill: str = ""


class _Live:
    """What both are: a context manager that starts the mesh, anew where it breaks down, and stops it.

    `make` makes the mesh with `options`, see `netrollout.testbed.Mesh`; the rest is said by either.
    """

    def __init__(
        self, cycle: int, seed: int, options: Mapping[str, Any], foreign_limit: float, make: Callable[..., Any]
    ) -> None:
        self._cycle, self._seed, self._options = cycle, seed, options
        self._foreign_limit, self._make = foreign_limit, make

    def __enter__(self) -> Self:
        """Start the mesh in the first configuration."""
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the mesh."""
        self._live.close()

    def pids(self) -> dict[str, int]:
        """Return the process ids of the mesh's parts."""
        found: dict[str, int] = self._live.pids()
        return found

    def _started(self, demand: Mapping[str, float]) -> None:
        # A run that is resumed must not repeat the arrivals it has already made.
        seed = self._seed + 1000 * self._cycle
        self._live = self._make(dict(demand), seed=seed, **self._options).__enter__()

    def _start(self) -> None:
        """Start the mesh, and let it settle where the controls stood in the last cycle."""
        raise NotImplementedError

    def _row(self, measure: Callable[[], dict[str, Any]], put: Callable[[], None], seconds: float) -> dict[str, Any]:
        """Return a measured row; where the mesh's own supervision could not mend it, start it anew and measure then."""
        try:
            return measure()
        except (MeshError, OSError) as error:
            self._live.close()
            self._start()
            put()
            row: dict[str, Any] = self._live.window(seconds)
            row["fault"] = "; ".join(filter(None, [f"mesh restarted: {error}", row["fault"]]))
            return row


class LivePlant(_Live):
    """A live mesh in closed loop; use it as a context manager.

    Parameters
    ----------
    grid : Mesh of `netrollout.systems.mesh.dynamics`
        Controls, loads, and the law by which the load moves once it does.
    demand : dict of service to mean CPU s of a request at first
    change : Change
    change_at : int
        Cycle (from 0) in which it strikes.
    setting : (M,) int
        Where the controls stand at first.
    seed : int
        Of arrivals, demands, and the moves of the load.
    load : int
        Level of the load at first.
    cycle : int
        Number of the first cycle; above 0 where a run is resumed.
    window : float
        Length of a measuring window, s.
    foreign_limit : float
        Cores; a window in which other processes used more is marked.
    priority : str
        Of the testbed, see `netrollout.testbed.Mesh`.

    Raises
    ------
    InputError
        If a control is none that the mesh has.
    """

    def __init__(
        self,
        grid: Grid,
        demand: Mapping[str, float],
        change: Change,
        change_at: int,
        setting: Ints,
        seed: int,
        load: int = 0,
        cycle: int = 0,
        window: float = WINDOW,
        foreign_limit: float = FOREIGN_LIMIT,
        priority: str = "realtime",
    ) -> None:
        for control in grid.controls:
            kind, _, which = control.name.partition("_")
            if not (kind in ("p", "b") and which in grid.services) and not (kind == "c" and which in ("1", "2")):
                raise InputError(f"{grid.name}: the live mesh has no control {control.name}")
        self._grid, self._demand, self._change, self._change_at = grid, dict(demand), change, change_at
        self._window, self._x = window, MeshState(np.asarray(setting)[None], np.array([load]))
        workers = [int(max(c.levels)) for c in grid.controls if c.name.startswith("c_")]
        options = {
            "bounds": dict(zip(grid.services, grid.objective.bounds, strict=True)),
            "max_workers": max(workers, default=1), "timeout": TIMEOUT, "priority": priority,
        }  # fmt: skip
        super().__init__(cycle, seed, options, foreign_limit, Mesh)

    def _start(self) -> None:
        self._started(self._demand)
        self._backlog = 0
        if self._cycle >= self._change_at:
            self._alter()
        self._put(self._x.setting[0])
        self._live.load(self._rates())
        self._live.wait(SETTLE)

    def act(self, u: Ints) -> Window:
        """Move the controls by u (M,), let a cycle pass, and return its window."""
        setting, load = moved(self._grid, self._x.setting[0], u), int(self._x.load[0])
        self._backlog = 0
        row = self._row(lambda: self._measured(setting), lambda: self._put(setting), self._window)
        self._cycle += 1
        self._x = MeshState(setting[None], np.array([self._next_load(load)]))
        window = window_of(self._grid, setting, load, row, self._backlog, self._foreign_limit)
        return replace(window, next_load=int(self._x.load[0]))

    def _measured(self, setting: Ints) -> dict[str, Any]:
        if self._cycle == self._change_at:
            self._alter()
            self._kill()
        self._live.load(self._rates())
        if not np.array_equal(setting, self._x.setting[0]):
            self._put(setting)
            self._live.wait(SETTLE)
            self._backlog = max(self._live.queues().values())
        row: dict[str, Any] = self._live.window(self._window)
        return row

    def _put(self, setting: Ints) -> None:
        parts: dict[str, dict[Any, Any]] = {"p": {}, "b": {}, "c": {}}
        for control, level in zip(self._grid.controls, setting, strict=True):
            kind, _, which = control.name.partition("_")
            value = control.levels[int(level)]
            parts[kind][int(which) if kind == "c" else which] = int(value) if kind == "c" else value
        self._live.set(**parts)

    def _rates(self) -> dict[str, float]:
        return dict(zip(self._grid.services, map(float, self._grid.loads[int(self._x.load[0])]), strict=True))

    def _alter(self) -> None:
        self._live.demand(self._change.demand)
        self._live.slow(self._change.slow)

    def _kill(self) -> None:
        if not self._change.kill:
            return
        pids = self._live.pids()
        if self._change.kill not in pids:
            raise InputError(f"no process {self._change.kill!r} to kill; there are {', '.join(pids)}")
        os.kill(pids[self._change.kill], signal.SIGKILL)

    def _next_load(self, load: int) -> int:
        if self._cycle <= self._change_at:
            return load
        if self._change.day is not None:
            return self._level_of_day(self._change.day)
        if not self._change.load_moves:
            return load
        w = self._grid.disturbance(spawn(self._seed, "load", self._cycle), (1,))
        return int(self._grid.transition(self._x, np.ones_like(self._x.setting), w).state.load[0])

    def _level_of_day(self, pattern: Pattern) -> int:
        """Return the level nearest to the pattern's load; bursts are drawn from the seed, cycle by cycle."""
        burst, cycles = np.zeros(1, dtype=np.int64), range(self._change_at, self._cycle)
        for cycle in cycles:
            burst = pattern.move(burst, spawn(self._seed, "burst", cycle).random(1))
        load = pattern.load(np.array([len(cycles) % pattern.day]), burst)
        return int(np.abs(np.asarray(self._grid.loads)[:, 0] - load).argmin())


def window_of(
    grid: Grid, setting: Ints, load: int, row: Mapping[str, Any], backlog: int, foreign_limit: float = FOREIGN_LIMIT
) -> Window:
    """Return a row of the testbed as a window of the control cycle."""
    reasons = []
    if row["fault"]:
        reasons.append("fault")
    if row["foreign_cpu"] > foreign_limit:
        reasons.append("foreign CPU")
    if backlog > BACKLOG:
        reasons.append("backlog")
    d = np.array([_response(row, service) for service in grid.services])
    if not np.isfinite(d).all():
        reasons.append("no requests")
    notes = {key: row[key] for key in KEPT_COLUMNS} | {"backlog": backlog, "unusable": ", ".join(reasons)}
    for service in grid.services:
        notes |= {key: row[key] for key in (f"{name}_{service}" for name in ("l", "n", "timeout", "late"))}
        notes[f"d_{service}_p90"] = row[f"d_{service}_p90"]
    return Window(setting, load, d, busy=row["busy_1"], usable=not reasons, notes=notes)


def _response(row: Mapping[str, Any], service: str) -> float:
    """Return the mean response time, s: the route timeout where requests were admitted and none completed."""
    if row[f"d_{service}"] is not None:
        return float(row[f"d_{service}"])
    return TIMEOUT if row[f"cl_{service}"] > 0 else float("nan")


class LiveDay(_Live):
    """The live mesh through scenario S5; use it as a context manager.

    A worker that is asked for is given requests `start_cycles` later: the mesh is told its number only then.  Day and
    bursts follow from the seed as they do in simulation; arrivals and demands are the mesh's own.

    Parameters
    ----------
    before, after : ThrottledMesh
        What the mesh is before and after the change; only their demands differ.
    change_at : int
        Cycle (from 0) in which the change strikes.
    seed : int
        Of the bursts, and of arrivals and demands.
    cycle : int
        Number of the first cycle; above 0 where a run is resumed.
    setting, starting : (2,) and (start_cycles,) int, optional
        Where the controls stand, and which workers start, where a run is resumed.
    foreign_limit : float
        Cores; a window in which other processes used more is marked.
    priority : str
        Of the testbed, see `netrollout.testbed.Mesh`.
    mesh : callable
        Makes the live mesh; another in tests.
    """

    def __init__(
        self,
        before: ThrottledMesh,
        after: ThrottledMesh,
        change_at: int,
        seed: int,
        cycle: int = 0,
        setting: Ints | None = None,
        starting: Ints | None = None,
        foreign_limit: float = FOREIGN_LIMIT,
        priority: str = "realtime",
        mesh: Callable[..., Any] = Mesh,
    ) -> None:
        self._worlds, self._change_at = (before, after), change_at
        options = {"quota": before.quota, "period": before.period, "max_workers": MOST, "timeout": before.timeout,
                   "bounds": {SERVICE: before.bound}, "priority": priority}  # fmt: skip
        super().__init__(cycle, seed, options, foreign_limit, mesh)
        x = before.initial(spawn(seed, "start"), 1)
        self._setting: Ints = x.setting[0] if setting is None else np.asarray(setting)
        self._starting: Ints = x.starting[0] if starting is None else np.asarray(starting)
        self._burst = np.zeros(1, dtype=np.int64)
        for earlier in range(cycle):
            self._burst = self._moved(earlier)

    def _start(self) -> None:
        self._started({SERVICE: self._demand()})
        self._put(self._setting, self._starting)
        self._live.load({SERVICE: self._load(self._burst)})
        self._live.wait(SETTLE)

    def act(self, u: Ints) -> QueueWindow:
        """Move the controls by u (2,), let a cycle pass, and return its window."""
        world = self._worlds[0]
        setting, starting = world.asked(self._setting[None], self._starting[None], np.asarray(u)[None])
        moves = int(np.abs(setting[0] - self._setting).sum())
        self._burst = self._moved(self._cycle)
        to = setting[0], starting[0]
        row = self._row(lambda: self._measured(*to), lambda: self._put(*to), world.cycle) | {
            "burst": int(self._burst[0])
        }
        self._setting, self._starting = setting[0], np.append(starting[0, 1:], 0)
        phase, self._cycle = self._cycle % world.pattern.day, self._cycle + 1
        return replace(window_of_row(row, self._setting, self._starting, moves, self._foreign_limit), phase=phase)

    def _measured(self, setting: Ints, starting: Ints) -> dict[str, Any]:
        if self._cycle == self._change_at:
            self._live.demand({SERVICE: self._demand()})
        self._put(setting, starting)
        self._live.load({SERVICE: self._load(self._burst)})
        row: dict[str, Any] = self._live.window(self._worlds[0].cycle)
        return row

    def _demand(self) -> float:
        return self._worlds[self._cycle >= self._change_at].demand[0]

    def _load(self, burst: Ints) -> float:
        pattern = self._worlds[0].pattern
        return float(pattern.load(np.array([self._cycle % pattern.day]), burst)[0])

    def _moved(self, cycle: int) -> Ints:
        w: Floats = self._worlds[0].disturbance(spawn(self._seed, "disturbance", cycle), (1,))
        return self._worlds[0].pattern.move(self._burst, w[:, 0])

    def _put(self, setting: Ints, starting: Ints) -> None:
        p, c = (control.levels[int(k)] for control, k in zip(self._worlds[0].controls, setting, strict=True))
        self._live.set(p={SERVICE: p}, c={1: int(c) - int(starting.sum()), 2: 1})


def window_of_row(
    row: Mapping[str, Any], setting: Ints, starting: Ints, moves: int, foreign_limit: float = FOREIGN_LIMIT
) -> QueueWindow:
    """Return a row of the testbed as a window of the working day; `starting` as the next cycle begins."""
    reasons = ["fault"] * bool(row["fault"]) + ["foreign CPU"] * (row["foreign_cpu"] > foreign_limit)
    ended = int(row[f"n_{SERVICE}"]) + int(row[f"timeout_{SERVICE}"])
    columns = (f"n_{SERVICE}", "busy_seconds", "queue")
    n, busy, queue = (np.array([float(row[f"{name}_{k}"]) for k in (1, 2)]) for name in columns)
    late, d = row[f"late_{SERVICE}"], row[f"d_{SERVICE}"]
    kept = (*KEPT_COLUMNS, "burst", f"timeout_{SERVICE}", f"target_l_{SERVICE}", f"d_{SERVICE}_p99")
    return QueueWindow(
        setting, starting, float(row[f"l_{SERVICE}"]), n, busy, queue, float(late or 0.0), ended,
        float("nan") if d is None else float(d), moves, not reasons,
        {key: row[key] for key in kept} | {"unusable": ", ".join(reasons)},
    )  # fmt: skip
