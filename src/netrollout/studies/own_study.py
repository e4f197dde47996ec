"""A system of one's own, judged: plans made on some visits of a trace, worth what the others measured.

Every configuration was visited several times.  Fold k keeps the k-th visit of each for judging, its raw windows and no
model between; plans are made on bootstrap resamples of the other visits.

Letters: R refits, S states, A actions, G grid points, Q windows, V metrics.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from netrollout.connect.grid import Grid, Rows, on_grid
from netrollout.connect.log import read_log
from netrollout.connect.own import best_measured, expected_reward, learned, measured
from netrollout.connect.planning import counted_on, plan_on
from netrollout.connect.spec import read_spec
from netrollout.dp import MDP, evaluate_policy, policy_iteration
from netrollout.experiment import Cell, Judge, Values
from netrollout.models import bootstrap_visits
from netrollout.seeding import spawn
from netrollout.types import Floats, InputError, Ints

ROWS = ("hold", "random", "reactive", "best-measured", "walk", "rollout", "exact", "oracle")
IDLE = 0.5  # share of the bound under which the reactive rule gives up a worker


class Held(NamedTuple):
    """Worlds of one fold and refit: the process of the held-out windows, and every row's table, (S,) or (S, A)."""

    plant: MDP
    tables: dict[str, Floats | Ints]


def held_out(
    spec_file: str | Path, trace_file: str | Path, workers: str, refits: int = 10, seed: int = 0
) -> dict[tuple[int, int], Cell]:
    """Return the cells of a comparison on held-out visits, by fold and refit.

    Parameters
    ----------
    spec_file, trace_file : path
        See `netrollout.connect.own.recommend`; every grid point must have been visited equally often, twice or more,
        and the spec must bound one metric.
    workers : str
        The control that the reactive rule moves: up a level where a window broke the bound, down where it used less
        than `IDLE` of it.
    refits : int
        R, resamples of the visits that a plan is made on.
    seed : int

    Raises
    ------
    InputError
        If the trace's visits or the spec's bounds are not as asked for, or spec and trace are wrong.
    """
    spec = read_spec(spec_file)
    grid, rows, _ = on_grid(spec, read_log(spec, trace_file), trace_file)
    if len(spec.bounds) != 1:
        raise InputError(f"{spec.path}: key bounds: {len(spec.bounds)} of them; the reactive rule watches one")
    fold = _folds(grid, rows, trace_file)
    keys = itertools.product(range(int(fold.max()) + 1), range(refits))
    return {(k, refit): partial(_held, grid, rows, fold, workers, seed, k, refit) for k, refit in keys}


def _held(grid: Grid, rows: Rows, fold: Ints, workers: str, seed: int, k: int, refit: int) -> Held:
    held, known = _windows(grid, rows, np.flatnonzero(fold == k)), np.flatnonzero(fold != k)
    world = grid.rewarded(expected_reward(grid, held))
    chosen = known[bootstrap_visits(rows.visit[known], rows.setting[known], spawn(seed, "own", k, refit))]
    told = measured(grid, rows.of(chosen))
    plan = plan_on(grid, rows, counted_on(learned(grid, rows, seed + refit, chosen).rewards, told))
    best = grid.towards(best_measured(grid, told))
    made: dict[str, Any] = {"best-measured": best, "walk": plan.walk, "rollout": plan.rollout, "exact": plan.optimal}
    return Held(world, _fixed(grid, world, held, workers) | made)


def _judge(worlds: Held) -> Callable[[Any], Values]:
    def worth(table: Any) -> Values:
        value = evaluate_policy(worlds.plant, table).value.mean(keepdims=True)
        return {"reward": value * (1.0 - worlds.plant.discount)}

    return worth


by_windows = Judge(lambda name, worlds: worlds.tables[name], _judge)
"""Judges rows of `ROWS` by the held-out windows: reward per cycle, discounted, mean over all states to begin in.

The rows: never moving; moving at random; the reactive rule; walking to the setting of the best mean measured at the
load; walking to the best setting of the model; one-step rollout on `hold` and `walk`; the model's exact optimum; the
optimum of the held-out windows themselves, which is a bound.
"""


def _folds(grid: Grid, rows: Rows, path: str | Path) -> Ints:
    """Return for each row the how-manieth visit of its grid point it belongs to, (n,)."""
    point = rows.load * len(grid.settings) + rows.setting
    fold = np.empty(len(point), dtype=np.int64)
    counts = []
    for g in range(len(grid.features)):
        here = np.flatnonzero(point == g)
        visits, number = np.unique(rows.visit[here], return_inverse=True)
        fold[here] = number
        counts.append(len(visits))
    if min(counts) != max(counts) or min(counts) < 2:
        told = f"{min(counts)} to {max(counts)} visits of a setting"
        raise InputError(f"{path}: {told}; every one must have equally many, 2 or more")
    return fold


def _windows(grid: Grid, rows: Rows, chosen: Ints) -> Floats:
    """Return the chosen rows' windows by grid point, (G, Q, V)."""
    point = (rows.load * len(grid.settings) + rows.setting)[chosen]
    order = chosen[np.argsort(point, kind="stable")]
    return rows.metrics[order].reshape(len(grid.features), -1, rows.metrics.shape[1])


def _fixed(grid: Grid, world: MDP, held: Floats, workers: str) -> dict[str, Floats | Ints]:
    """Return the tables that no model is needed for; the oracle's is made on the held-out windows."""
    allowed = np.asarray(world.feasible, dtype=np.float64)
    names = [control.name for control in grid.spec.controls]
    metric, bound = next(iter(grid.spec.bounds.items()))
    d = held[:, :, grid.spec.metrics.index(metric)]
    one = np.zeros(len(names), dtype=np.int64)
    one[names.index(workers)] = 1
    up, down = (int(np.flatnonzero((grid.actions == sign * one).all(axis=1))[0]) for sign in (1, -1))
    rule = np.zeros_like(allowed)
    rule[:, up], rule[:, down] = (d > bound).mean(axis=1), (d < IDLE * bound).mean(axis=1)
    rule *= allowed
    rule[:, grid.hold] = 1.0 - rule.sum(axis=1)
    states = len(allowed)
    return {
        "hold": np.full(states, grid.hold),
        "random": allowed / allowed.sum(axis=1, keepdims=True),
        "reactive": rule,
        "oracle": policy_iteration(world).policy,
    }
