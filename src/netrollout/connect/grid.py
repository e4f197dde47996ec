"""A spec and a trace as a grid: settings of the controls times observed combinations of load levels, and their process.

Letters: n rows, C settings of the controls, L combinations of load levels, G = L C grid points (load slowest), A joint
actions, S = G states, V metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from netrollout.batch import joint_actions
from netrollout.connect.spec import Load, Spec
from netrollout.dp import MDP
from netrollout.types import Bools, Floats, InputError, Ints

MOST = 1_000_000  # state-action pairs that are planned at all
MEASURED = 4000  # grid points with windows that are learned from


class Rows(NamedTuple):
    """The trace on the grid."""

    setting: Ints  # (n,) index of the control setting
    load: Ints  # (n,) index of the load combination
    metrics: Floats  # (n, V), NaN where not measured
    visit: Ints  # (n,)

    def of(self, chosen: Ints) -> Rows:
        """Return the chosen rows."""
        return Rows(self.setting[chosen], self.load[chosen], self.metrics[chosen], self.visit[chosen])


@dataclass(frozen=True, eq=False)
class Grid:
    """Settings, loads and actions of a spec and a trace.

    Attributes
    ----------
    spec : Spec
    loads : (L, number of loads) float64, the combinations of levels that were observed
    move : (L, L) float64, probabilities of the next load
    ranges : per load of the spec, what the trace tells of
    """

    spec: Spec
    loads: Floats
    move: Floats
    ranges: tuple[tuple[float, float], ...]

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Levels of each control."""
        return tuple(len(control.levels) for control in self.spec.controls)

    @cached_property
    def settings(self) -> Ints:
        """Levels of every setting, (C, controls)."""
        return np.stack(np.unravel_index(np.arange(np.prod(self.shape)), self.shape), axis=1).astype(np.int64)

    @cached_property
    def values(self) -> Floats:
        """Control values of every setting, (C, controls)."""
        levels = [np.asarray(control.levels)[self.settings[:, m]] for m, control in enumerate(self.spec.controls)]
        return np.stack(levels, axis=1)

    @cached_property
    def features(self) -> Floats:
        """Control values, then load levels, of every grid point, (G, F)."""
        loads = np.repeat(self.loads, len(self.values), axis=0)
        return np.hstack([np.tile(self.values, (len(self.loads), 1)), loads])

    @cached_property
    def actions(self) -> Ints:
        """Increments of every joint action, levels, (A, controls)."""
        table = joint_actions([tuple(map(float, moves)) for moves in self.spec.increments])
        return np.stack([np.asarray(self.spec.increments[m])[table[:, m]] for m in range(table.shape[1])], axis=1)

    @cached_property
    def landing(self) -> tuple[Ints, Bools]:
        """Setting where each action ends, and whether it stays within the grid, (C, A)."""
        after = self.settings[:, None, :] + self.actions
        top = np.asarray(self.shape) - 1
        inside: Bools = np.asarray(((after >= 0) & (after <= top)).all(axis=2))
        ends = np.ravel_multi_index(tuple(np.moveaxis(np.clip(after, 0, top), 2, 0)), self.shape)
        return ends.astype(np.int64), inside

    @cached_property
    def process(self) -> MDP:
        """The decision process with no reward yet; the load's move and the setting's are independent."""
        ends, inside = self.landing
        c, a = ends.shape
        steps = sparse.csr_array((np.ones(c * a), ends.ravel(), np.arange(c * a + 1)), shape=(c * a, c))
        transition = sparse.kron(sparse.csr_array(self.move), steps, format="csr")
        nothing = np.zeros((len(self.loads) * c, a))
        return MDP.from_arrays(transition, nothing, self.spec.discount, np.tile(inside, (len(self.loads), 1)))

    def rewarded(self, reward: Floats) -> MDP:
        """Return the process in which grid points pay `reward` (G,)."""
        ends, inside = self.landing
        earned = reward.reshape(len(self.loads), -1)[:, ends].reshape(-1, ends.shape[1])
        return replace(self.process, reward=np.where(np.tile(inside, (len(self.loads), 1)), earned, -np.inf))

    @cached_property
    def place(self) -> Floats:
        """Levels of controls and loads at every grid point, (G, controls + loads)."""
        ranks = [np.unique(self.loads[:, k], return_inverse=True)[1].ravel() for k in range(self.loads.shape[1])]
        loads = np.stack(ranks, axis=1) if ranks else np.zeros((len(self.loads), 0))
        per_load = len(self.settings)
        return np.hstack([np.tile(self.settings, (len(loads), 1)), np.repeat(loads, per_load, axis=0)]).astype(float)

    def point(self, rows: Rows) -> Ints:
        """Grid point of each row, (n,)."""
        return rows.load * len(self.settings) + rows.setting

    def ahead(self, states: Ints, actions: Ints) -> Ints:
        """Grid points where actions end at the load of their states; the load moves afterwards."""
        load, setting = np.divmod(states, len(self.settings))
        return np.asarray(load * len(self.settings) + self.landing[0][setting, actions])

    def setting_of(self, values: Mapping[str, float]) -> int:
        """Return the setting of control values by name.

        Raises
        ------
        InputError
            If one stands off its levels.
        """
        index = []
        for control in self.spec.controls:
            value = float(values[control.name])
            index.append(int(nearest_level(np.array([value]), control.levels)[0]))
            if index[-1] < 0:
                raise InputError(f"{control.name}={value:g} is not one of the levels {list(control.levels)}")
        return int(np.ravel_multi_index(tuple(index), self.shape))

    def load_near(self, given: Mapping[str, float], now: int) -> int:
        """Return the combination of load levels nearest to some loads by name; those not given are as they are `now`.

        Raises
        ------
        InputError
            If the trace tells nothing of such a load: it is far from every level, or near one that was never met.
        """
        for k, load in enumerate(self.spec.loads):
            met, (low, high) = np.unique(self.loads[:, k]), self.ranges[k]
            value, levels = given.get(load.name, met[0]), np.asarray(load.levels or met)
            if not low <= value <= high or levels[np.abs(levels - value).argmin()] not in met:
                known = ", ".join(f"{level:g}" for level in met)
                raise InputError(f"{load.name}={value:g}: the trace tells nothing of such a load; it has {known}")
        wanted = [given.get(load.name, self.loads[now, k]) for k, load in enumerate(self.spec.loads)]
        scale = np.maximum(np.ptp(self.loads, axis=0), 1e-12)
        return int((((self.loads - wanted) / scale) ** 2).sum(axis=1).argmin())

    def towards(self, targets: Ints) -> Ints:
        """Return the table (S,) that moves every control towards a load's target (L,) as far as an increment goes."""
        index = np.zeros((len(self.loads), len(self.settings)), dtype=np.int64)
        for m, moves in enumerate(self.spec.increments):
            after = self.settings[:, m, None] + np.asarray(moves)
            gap = np.abs(after - self.settings[targets, m, None, None]).astype(float)
            gap[:, (after < 0) | (after >= self.shape[m])] = np.inf
            index = index * len(moves) + gap.argmin(axis=2)
        return index.ravel()

    @cached_property
    def hold(self) -> int:
        """The action that moves nothing."""
        return int(np.flatnonzero((self.actions == 0).all(axis=1))[0])


def on_grid(spec: Spec, frame: pd.DataFrame, path: str | Path) -> tuple[Grid, Rows, list[str]]:
    """Return grid, rows on it, and what there is to note; rows off the grid are left out.

    Raises
    ------
    InputError
        If no row stands on the grid, a visit has two settings, or the grid is too large to plan on.
    """
    levels = np.stack([nearest_level(frame[c.name].to_numpy(), c.levels) for c in spec.controls], axis=1)
    kept: Bools = np.asarray((levels >= 0).all(axis=1))
    loads = frame[[load.name for load in spec.loads]].to_numpy(dtype=float)
    known: Bools = np.asarray(np.isfinite(loads).all(axis=1))
    if not kept.any():
        line, m = int(frame.index[0]), int(np.argmin(levels[0]))
        control = spec.controls[m]
        raise InputError(f"{path}: line {line}, column {control.name}: {frame[control.name].iloc[0]:g} is not one of "
                         f"the levels {list(control.levels)}, and no other row stands on the grid")  # fmt: skip
    notes = [] if kept.all() else [f"Rows of the trace that stand off the grid and were left out: {(~kept).sum()}."]
    if (without := int((kept & ~known).sum())) and not (kept := kept & known).any():
        raise InputError(f"{path}: no row on the grid says what the load was")
    if without:
        notes.append(f"Rows of the trace without a load that were left out: {without}.")
    on = frame.loc[kept]
    notes += _far(spec.loads, on)
    shape = tuple(len(control.levels) for control in spec.controls)
    loads, load = _load_levels(spec.loads, on)
    pairs = len(loads) * np.prod([float(len(k)) for k in spec.increments]) * np.prod([float(n) for n in shape])
    if pairs > MOST:
        raise InputError(f"{spec.path}: {pairs:.0f} pairs of states and actions; at most {MOST} are planned, so give "
                         "fewer levels, increments or bins")  # fmt: skip
    setting = np.ravel_multi_index(tuple(levels[kept].T), shape).astype(np.int64)
    visit = _visits(on, setting, path)
    ranges = tuple(reach(load, on[load.name].to_numpy()) for load in spec.loads)
    grid = Grid(spec, loads, load_moves(load, visit, len(loads)), ranges)
    rows = Rows(setting, load, on[list(spec.metrics)].to_numpy(), visit)
    if (measured := len(np.unique(grid.point(rows)))) > MEASURED:
        raise InputError(f"{path}: {measured} settings and loads were measured; at most {MEASURED} are learned from, "
                         "so give fewer levels or bins")  # fmt: skip
    return grid, rows, notes


def nearest_level(values: Floats, levels: tuple[float, ...]) -> Ints:
    """Return the level of each value, -1 where it is none."""
    near = np.abs(values[:, None] - np.asarray(levels)).argmin(axis=1)
    return np.where(np.isclose(values, np.asarray(levels)[near], rtol=1e-6, atol=1e-9), near, -1)


def _load_levels(loads: tuple[Load, ...], frame: pd.DataFrame) -> tuple[Floats, Ints]:
    """Return the combinations of load levels that occur, (L, loads), and each row's, (n,)."""
    columns = []
    for load in loads:
        values = frame[load.name].to_numpy()
        levels = np.asarray(load.levels) if load.levels else _bin_levels(values, load.bins)
        columns.append(levels[np.abs(values[:, None] - levels).argmin(axis=1)])
    table = np.stack(columns, axis=1) if columns else np.zeros((len(frame), 0))
    if not columns:
        return np.zeros((1, 0)), np.zeros(len(frame), dtype=np.int64)
    combinations, which = np.unique(table, axis=0, return_inverse=True)
    return combinations, which.ravel().astype(np.int64)


def reach(load: Load, values: Floats) -> tuple[float, float]:
    """Return what counts as a load: half a gap beyond the outermost levels, or what the trace's bins hold (`values`).

    A load whose levels are not negative is not negative.
    """
    levels = np.asarray(load.levels) if load.levels else np.array([values.min(), values.max()])
    first, last = (levels[1] - levels[0], levels[-1] - levels[-2]) if len(levels) > 1 else (abs(levels[0]),) * 2
    low = levels[0] - first / 2.0
    return float(max(low, 0.0) if levels[0] >= 0.0 else low), float(levels[-1] + last / 2.0)


def _far(loads: tuple[Load, ...], frame: pd.DataFrame) -> list[str]:
    """Say of each load how many rows lie far from every level."""
    notes = []
    for load in loads:
        values = frame[load.name].to_numpy()
        low, high = reach(load, values)
        if len(far := np.flatnonzero((values < low) | (values > high))):
            row = far[np.abs(values[far] - load.levels[0]).argmax()]
            notes.append(f"Rows of the trace whose {load.name} is far from every level, and counts as the nearest: "
                         f"{len(far)}; the farthest is {values[row]:g}, in line {frame.index[row]}.")  # fmt: skip
    return notes


def _bin_levels(values: Floats, bins: int) -> Floats:
    """Return the medians of parts with as many rows each."""
    levels: Floats = np.unique([np.median(part) for part in np.array_split(np.sort(values), bins) if len(part)])
    return levels


def _visits(frame: pd.DataFrame, setting: Ints, path: str | Path) -> Ints:
    if "visit" not in frame:
        return np.cumsum(np.concatenate([[0], (np.diff(setting) != 0).astype(np.int64)]))
    visit = np.unique(frame["visit"].to_numpy(), return_inverse=True)[1].ravel().astype(np.int64)
    home = np.empty(visit.max() + 1, dtype=np.int64)
    home[visit[::-1]] = setting[::-1]
    if (stray := np.flatnonzero(home[visit] != setting)).size:
        line = int(frame.index[stray[0]])
        raise InputError(f"{path}: line {line}, column visit: the controls change within a visit; begin a new number")
    return visit


def load_moves(load: Ints, visit: Ints, n: int) -> Floats:
    """Return how the load was seen to move between successive rows of a visit; it stays where nothing was seen."""
    counts = np.zeros((n, n))
    same = visit[1:] == visit[:-1]
    np.add.at(counts, (load[:-1][same], load[1:][same]), 1.0)
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1.0), np.eye(n))
