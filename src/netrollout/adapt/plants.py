"""Plants of the control cycle: what really happens, cycle by cycle.

A plant is asked where it stands (`state`), given increments, and answers with the window that it then measured.  Three
realisations: `SimulatedPlant` here (a mesh before and after a change), `RecordedPlant` here (windows of a trace, in the
order in which they were measured), and `netrollout.testbed.live.LivePlant`.

Batch letters: M controls, V services, G grid points, Q windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from netrollout.seeding import spawn
from netrollout.systems.mesh.dynamics import Mesh, MeshState
from netrollout.types import Floats, InputError, Ints


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


class Plant(Protocol):
    """What really happens."""

    @property
    def mesh(self) -> Mesh:
        """Grid, controls and objective; its response is not to be asked."""

    @property
    def state(self) -> MeshState:
        """Where the controls stand and which load comes, one lane."""

    def act(self, u: Ints) -> Window:
        """Move the controls by u (M,), let a cycle pass, and return its window."""


class SimulatedPlant:
    """A mesh that changes after a number of cycles.

    Two plants with the same seed meet the same disturbances cycle by cycle, whatever is done to them.

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
        Number of the first cycle; above 0 where a run is resumed.
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
        self._worlds, self._change_at, self._cycle = (before, after), change_at, cycle
        self._rewards = tuple(held_rewards(world) for world in self._worlds)
        self._busy = busy
        self._seed = seed
        self._x = MeshState(np.asarray(setting)[None], np.array([load]))

    @property
    def mesh(self) -> Mesh:
        """The mesh before the change."""
        return self._worlds[0]

    @property
    def state(self) -> MeshState:
        """Where the controls stand and which load comes, one lane."""
        return self._x

    def act(self, u: Ints) -> Window:
        """Move the controls by u (M,), let a cycle pass, and return its window."""
        phase = int(self._cycle >= self._change_at)
        world, load = self._worlds[phase], int(self._x.load[0])
        w = world.disturbance(spawn(self._seed, "disturbance", self._cycle), (1,))
        step = world.transition(self._x, np.asarray(u)[None], w)
        setting: Ints = step.state.setting[0]
        grid = int(world.index(MeshState(setting[None], self._x.load))[0])
        busy = float("nan") if self._busy is None else self._drawn(self._busy[phase][grid])
        d = np.array([step.metrics[f"d_{name}"][0] for name in world.services])
        self._cycle, self._x = self._cycle + 1, step.state
        return Window(setting, load, d, busy=busy, expected=float(self._rewards[phase][grid]))

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

    @property
    def mesh(self) -> Mesh:
        """The grid."""
        return self._mesh

    @property
    def state(self) -> MeshState:
        """Where the controls stand and which load comes, one lane."""
        return self._x

    def act(self, u: Ints) -> Window:
        """Move the controls by u (M,) and return the next window recorded there."""
        setting = moved(self._mesh, self._x.setting[0], u)
        self._x = MeshState(setting[None], self._x.load)
        g = int(self._mesh.index(self._x)[0])
        row = self._rows[g][self._met[g] % len(self._rows[g])]
        self._met[g] += 1
        return Window(setting, self._load, self._d[row])


def moved(mesh: Mesh, setting: Ints, u: Ints) -> Ints:
    """Return the levels (M,) after increments u (M,), indices into `Mesh.levels`; beyond the range they hold."""
    top = np.array([len(control.levels) for control in mesh.controls]) - 1
    levels: Ints = np.clip(np.asarray(setting) + np.asarray(u) - 1, 0, top)
    return levels


def held_rewards(mesh: Mesh) -> Floats:
    """Return the expected reward of a cycle at every grid point, (G,)."""
    q = mesh.response.windows.shape[1]
    x = mesh.states()
    lanes = MeshState(np.repeat(x.setting, q, axis=0), np.repeat(x.load, q))
    w = np.column_stack([np.tile((np.arange(q) + 0.5) / q, mesh.n_states), np.full(q * mesh.n_states, 1.0 - 1e-9)])
    reward: Floats = mesh.transition(lanes, np.ones_like(lanes.setting), w).reward
    return np.asarray(reward.reshape(mesh.n_states, q).mean(axis=1))
