"""Scenario S5 on the live mesh: a day of load, slow starts of workers, and a change, without a pause.

A cycle moves the controls and the load, and measures one window as long as the cycle; the load flows all the while, so
that a backlog is carried from cycle to cycle.  A worker that is asked for is given requests `start_cycles` later: the
mesh is told its number only then.  Day and bursts follow from the seed as they do in simulation
(`netrollout.adapt.day.SimulatedDay`); arrivals and demands are the mesh's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np

from netrollout.adapt.day import DayWindow
from netrollout.seeding import spawn
from netrollout.systems.queues.dynamics import MOST
from netrollout.systems.queues.throttle import ThrottledMesh
from netrollout.testbed.live import FOREIGN_LIMIT, KEPT_COLUMNS, SETTLE
from netrollout.testbed.mesh import Mesh
from netrollout.testbed.processes import MeshError
from netrollout.types import Floats, Ints

SERVICE = "compute"


class LiveDay:
    """The live mesh through its day; use it as a context manager.

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
        self._worlds, self._change_at, self._seed, self._cycle = (before, after), change_at, seed, cycle
        self._foreign_limit, self._priority, self._make = foreign_limit, priority, mesh
        x = before.initial(spawn(seed, "start"), 1)
        self._setting: Ints = x.setting[0] if setting is None else np.asarray(setting)
        self._starting: Ints = x.starting[0] if starting is None else np.asarray(starting)
        self._burst = np.zeros(1, dtype=np.int64)
        for earlier in range(cycle):
            self._burst = self._moved(earlier)

    def __enter__(self) -> Self:
        """Start the mesh in the first setting, under the night's load."""
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the mesh."""
        self._live.close()

    def _start(self) -> None:
        world = self._worlds[0]
        # A run that is resumed must not repeat the arrivals it has already made.
        self._live = self._make(
            {SERVICE: self._demand()}, quota=world.quota, period=world.period, max_workers=MOST, timeout=world.timeout,
            seed=self._seed + 1000 * self._cycle, bounds={SERVICE: world.bound}, priority=self._priority,
        ).__enter__()  # fmt: skip
        self._put(self._setting, self._starting)
        self._live.load({SERVICE: self._load(self._burst)})
        self._live.wait(SETTLE)

    def act(self, u: Ints) -> DayWindow:
        """Move the controls by u (2,), let a cycle pass, and return its window."""
        world = self._worlds[0]
        setting, starting = world.asked(self._setting[None], self._starting[None], np.asarray(u)[None])
        moves = int(np.abs(setting[0] - self._setting).sum())
        self._burst = self._moved(self._cycle)
        row = self._measured(setting[0], starting[0])
        self._setting, self._starting = setting[0], np.append(starting[0, 1:], 0)
        self._cycle += 1
        return window_of_row(row, self._setting, self._starting, moves, self._foreign_limit)

    def _measured(self, setting: Ints, starting: Ints) -> dict[str, Any]:
        try:
            if self._cycle == self._change_at:
                self._live.demand({SERVICE: self._demand()})
            self._put(setting, starting)
            self._live.load({SERVICE: self._load(self._burst)})
            row: dict[str, Any] = self._live.window(self._worlds[0].cycle)
        except (MeshError, OSError) as error:  # what the mesh's own supervision could not mend
            self._live.close()
            self._start()
            self._put(setting, starting)
            row = self._live.window(self._worlds[0].cycle)
            row["fault"] = "; ".join(filter(None, [f"mesh restarted: {error}", row["fault"]]))
        return row | {"burst": int(self._burst[0])}

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
) -> DayWindow:
    """Return a row of the testbed as a window of the working day; `starting` as the next cycle begins."""
    reasons = ["fault"] * bool(row["fault"]) + ["foreign CPU"] * (row["foreign_cpu"] > foreign_limit)
    ended = int(row[f"n_{SERVICE}"]) + int(row[f"timeout_{SERVICE}"])
    columns = (f"n_{SERVICE}", "busy_seconds", "queue")
    n, busy, queue = (np.array([float(row[f"{name}_{k}"]) for k in (1, 2)]) for name in columns)
    late, d = row[f"late_{SERVICE}"], row[f"d_{SERVICE}"]
    kept = (*KEPT_COLUMNS, "burst", f"timeout_{SERVICE}", f"target_l_{SERVICE}", f"d_{SERVICE}_p99")
    return DayWindow(
        setting, starting, float(row[f"l_{SERVICE}"]), n, busy, queue, float(late or 0.0), ended,
        float("nan") if d is None else float(d), moves, not reasons,
        {key: row[key] for key in kept} | {"unusable": ", ".join(reasons)},
    )  # fmt: skip
