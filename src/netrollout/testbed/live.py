"""The live mesh as the plant of the control cycle: never drained between windows, never replaced while it runs.

A cycle sets the new configuration, lets it settle where it has moved, and measures one window; the load flows all the
while, so that a backlog is carried from cycle to cycle as it would be in earnest.  A window tells nothing of its
configuration after a fault, while other processes take the machine, or while it works off a backlog that another
configuration left; such windows are marked, and the controller does not learn from them.

Letters: M controls, V services.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import numpy as np

from netrollout.adapt import Window, moved
from netrollout.seeding import spawn
from netrollout.systems.mesh.dynamics import Mesh as Grid
from netrollout.systems.mesh.dynamics import MeshState
from netrollout.systems.queues.dynamics import Pattern
from netrollout.testbed.mesh import Mesh
from netrollout.testbed.processes import MeshError
from netrollout.types import InputError, Ints

WINDOW = 2.0  # s
SETTLE = 0.5  # s under load after the configuration has moved
FOREIGN_LIMIT = 0.5  # cores
BACKLOG = 3  # requests waiting per node that a moved configuration may begin with
TIMEOUT = 5.0  # s
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


class LivePlant:
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
        self._seed, self._cycle, self._window = seed, cycle, window
        self._foreign_limit, self._priority = foreign_limit, priority
        self._x = MeshState(np.asarray(setting)[None], np.array([load]))

    def __enter__(self) -> Self:
        """Start the mesh in the first configuration."""
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the mesh."""
        self._live.close()

    def _start(self) -> None:
        workers = [int(max(c.levels)) for c in self._grid.controls if c.name.startswith("c_")]
        # A run that is resumed must not repeat the arrivals it has already made.
        bounds = dict(zip(self._grid.services, self._grid.objective.bounds, strict=True))
        self._live = Mesh(self._demand, bounds=bounds, max_workers=max(workers, default=1), timeout=TIMEOUT,
                          seed=self._seed + 1000 * self._cycle, priority=self._priority).__enter__()  # fmt: skip
        if self._cycle >= self._change_at:
            self._alter()
        self._put(self._x.setting[0])
        self._live.load(self._rates())
        self._live.wait(SETTLE)

    @property
    def mesh(self) -> Grid:
        """The grid."""
        return self._grid

    @property
    def state(self) -> MeshState:
        """Where the controls stand and which load comes, one lane."""
        return self._x

    def pids(self) -> dict[str, int]:
        """Return the process ids of the mesh's parts."""
        return self._live.pids()

    def act(self, u: Ints) -> Window:
        """Move the controls by u (M,), let a cycle pass, and return its window."""
        setting = moved(self._grid, self._x.setting[0], u)
        load = int(self._x.load[0])
        try:
            window = self._measured(setting)
        except (MeshError, OSError) as error:
            window = self._after_breakdown(setting, error)
        self._cycle += 1
        self._x = MeshState(setting[None], np.array([self._next_load(load)]))
        return window

    def _measured(self, setting: Ints) -> Window:
        if self._cycle == self._change_at:
            self._alter()
            self._kill()
        self._live.load(self._rates())
        has_moved = not np.array_equal(setting, self._x.setting[0])
        backlog = 0
        if has_moved:
            self._put(setting)
            self._live.wait(SETTLE)
            backlog = max(self._live.queues().values())
        row = self._live.window(self._window)
        return window_of(self._grid, setting, int(self._x.load[0]), row, backlog, self._foreign_limit)

    def _after_breakdown(self, setting: Ints, error: Exception) -> Window:
        """Start the whole mesh anew, which its own supervision could not mend, and measure."""
        self._live.close()
        self._start()
        self._put(setting)
        row = self._live.window(self._window)
        row["fault"] = "; ".join(filter(None, [f"mesh restarted: {error}", row["fault"]]))
        return window_of(self._grid, setting, int(self._x.load[0]), row, 0, self._foreign_limit)

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
