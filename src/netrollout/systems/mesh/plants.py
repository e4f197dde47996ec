"""Plants of a mesh in the control cycle, their windows, and how a log keeps these.

A plant answers increments with the window that it then measured.  Three realisations: `SimulatedPlant` here (a mesh
before and after a change), `RecordedPlant` here (windows of a trace, in the order in which they were measured), and
`netrollout.testbed.live.LivePlant`.

Batch letters: M controls, V services, G grid points, Q windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netrollout.adapt.cycle import Changing, Record
from netrollout.adapt.journal import is_number, is_time
from netrollout.seeding import spawn
from netrollout.systems.mesh.dynamics import Mesh, MeshState
from netrollout.types import Floats, InputError, Ints, Step


@dataclass(frozen=True)
class Window:
    """What one cycle measured.

    Attributes
    ----------
    setting : (M,) levels of the controls in this cycle
    load : int
        Level of the load in this cycle.
    d : (V,) response times, s; the route timeout where nothing completed
    busy : float
        Share of node 1's worker time in use; NaN where it is not known.
    usable : bool
        Whether the window tells of the configuration: not after a fault, not while another process took the machine.
    expected : float
        Expected reward of this configuration on the plant, where the plant knows it (a simulator); else NaN.
    next_load : int
        Level of the load that comes.
    notes : dict
        Whatever else was measured, for the log: loads, foreign CPU time, faults.
    """

    setting: Ints
    load: int
    d: Floats
    busy: float = float("nan")
    usable: bool = True
    expected: float = float("nan")
    notes: Mapping[str, Any] = field(default_factory=dict)
    next_load: int = 0


class SimulatedPlant(Changing):
    """A mesh that changes after a number of cycles.

    Parameters
    ----------
    before, after : Mesh
        With the same grid.
    change_at : int
        Cycle (from 0) in which the change strikes.
    setting : (M,) int
        Where the controls stand at first.
    seed : int
        Of the disturbances.
    load : int
        Level of the load at first; while unchanged it stays there.
    busy : pair of (G, Q) float64, optional
        Share of node 1's worker time in use in windows of every grid point, before and after.
    cycle : int
        Number of the first cycle.
    """

    def __init__(
        self,
        before: Mesh,
        after: Mesh,
        change_at: int,
        setting: Ints,
        seed: int,
        load: int = 0,
        busy: tuple[Floats, Floats] | None = None,
        cycle: int = 0,
    ) -> None:
        if before.shape != after.shape:
            raise InputError(f"{before.name}: grids {before.shape} before and {after.shape} after the change differ")
        x = MeshState(np.asarray(setting)[None], np.array([load]))
        super().__init__(
            before, after, change_at, x, lambda n: before.disturbance(spawn(seed, "disturbance", n), (1,)), cycle
        )
        self._rewards, self._busy, self._seed = (before.held_rewards(), after.held_rewards()), busy, seed

    def window(self, phase: int, x: MeshState, step: Step) -> Window:
        """Return what a step from state x measured."""
        world, load, setting = self._worlds[phase], int(x.load[0]), step.state.setting[0]
        grid = int(world.index(MeshState(setting[None], x.load))[0])
        busy = float("nan") if self._busy is None else self._drawn(self._busy[phase][grid])
        d = np.array([step.metrics[f"d_{name}"][0] for name in world.services])
        expected = float(self._rewards[phase][grid])
        return Window(setting, load, d, busy=busy, expected=expected, next_load=int(step.state.load[0]))

    def _drawn(self, windows: Floats) -> float:
        return float(windows[int(spawn(self._seed, "busy", self._cycle).random() * len(windows))])


class RecordedPlant:
    """The windows of a trace: each configuration answers with its own, in the order in which they were measured.

    When a configuration has no further window it begins again with its first.

    Parameters
    ----------
    mesh : Mesh
        The grid; its response is not used.
    grid : (n,) int
        Grid point of each recorded window.
    d : (n, V) float64
        Response times, s.
    setting : (M,) int
        Where the controls stand at first.
    load : int
        Level of the load, which stays.

    Raises
    ------
    InputError
        If a grid point of this load was never recorded.
    """

    def __init__(self, mesh: Mesh, grid: Ints, d: Floats, setting: Ints, load: int = 0) -> None:
        rows = [np.flatnonzero(grid == g) for g in range(mesh.n_states)]
        per_load = mesh.n_states // len(mesh.loads)
        missing = [g for g in range(load * per_load, (load + 1) * per_load) if not len(rows[g])]
        if missing:
            raise InputError(f"{mesh.name}: the trace has no window at grid point {missing[0]} (load level {load})")
        self._mesh, self._rows, self._d, self._load = mesh, rows, d, load
        self._met = np.zeros(mesh.n_states, dtype=np.int64)
        self._x = MeshState(np.asarray(setting)[None], np.array([load]))

    def act(self, u: Ints) -> Window:
        """Move the controls by u (M,) and return the next window recorded there."""
        setting = moved(self._mesh, self._x.setting[0], u)
        self._x = MeshState(setting[None], self._x.load)
        g = int(self._mesh.index(self._x)[0])
        row = self._rows[g][self._met[g] % len(self._rows[g])]
        self._met[g] += 1
        return Window(setting, self._load, self._d[row], next_load=self._load)


def moved(mesh: Mesh, setting: Ints, u: Ints) -> Ints:
    """Return the levels (M,) after increments u (M,), indices into `Mesh.levels`; beyond the range they hold."""
    top = np.array([len(control.levels) for control in mesh.controls]) - 1
    levels: Ints = np.clip(np.asarray(setting) + np.asarray(u) - 1, 0, top)
    return levels


KINDS: dict[str, Any] = {  # what a resumed run reads of a log's cycle
    "setting": dict,
    "load": lambda value: type(value) is int,
    "next_load": lambda value: type(value) is int,
    "d": lambda value: isinstance(value, list) and len(value) > 0 and all(map(is_time, value)),
    "busy": is_number,
    "usable": bool,
    "expected": is_number,
    "notes": dict,
    "action": lambda value: isinstance(value, list) and all(k in (0, 1, 2) for k in value),
}


def line_of(record: Record, names: tuple[str, ...]) -> dict[str, Any]:
    """Return a cycle as a log keeps it; `names` are those of the controls."""
    window: Window = record.window
    return {
        "setting": dict(zip(names, window.setting.tolist(), strict=True)),
        "load": window.load,
        "next_load": window.next_load,
        "d": window.d.tolist(),
        "busy": window.busy,
        "usable": window.usable,
        "expected": window.expected,
        "reward": record.reward,
        "violation": record.violation,
        "predicted": record.predicted.tolist(),
        "residual": float(record.residuals[0]),
        "alarm": record.alarm,
        "explored": record.explored,
        "action": record.action.tolist(),
        "seconds": dict(record.seconds),
        "notes": dict(window.notes),
    }


def window_of(line: Mapping[str, Any], mesh: Mesh) -> Window:
    """Return the window of a logged cycle.

    Raises
    ------
    InputError
        If it names a load or a level of a control that the mesh does not have.
    """
    for load in ("load", "next_load"):
        place = [line[load], *line["setting"].values()]
        if not _within(place, mesh.shape):
            raise InputError(
                f"cycle {line['cycle']} of the log: {load} {place[0]} and setting {line['setting']} are no levels "
                f"of {mesh.name}"
            )
    names = [control.name for control in mesh.controls]
    if len(line["d"]) != len(mesh.services) or list(line["setting"]) != names:
        found = f"{len(line['d'])} response times and a setting of {', '.join(line['setting'])}"
        known = f"{mesh.name} has {len(mesh.services)} and {', '.join(names)}"
        raise InputError(f"cycle {line['cycle']} of the log: {found}; {known}")
    busy, expected, *d = (float("nan") if v is None else float(v) for v in (line["busy"], line["expected"], *line["d"]))
    setting = np.array(list(line["setting"].values()))
    return Window(setting, line["load"], np.array(d), busy, line["usable"], expected, line["notes"], line["next_load"])


def _within(place: list[Any], shape: tuple[int, ...]) -> bool:
    return len(place) == len(shape) and all(type(k) is int and 0 <= k < n for k, n in zip(place, shape, strict=True))
