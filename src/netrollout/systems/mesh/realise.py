"""From traces to the two realisations of a mesh: the plant and the learned model.

The visits of a configuration are split: the last half of them (of three, the last one) is the plant's, or the one visit
that is held out by its number, and the others are the model's, so that nothing is planned on what it is judged by.
The published traces visit each configuration once; there a visit is cut into blocks of five consecutive windows, the
last half of which is the plant's, and neighbours share a visit: the split is kinder than one by visit, and results on
these traces say so.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import pandas as pd

from netrollout.models import bootstrap_visits, make_surrogate, tabulate
from netrollout.seeding import spawn
from netrollout.systems.mesh.dynamics import Mesh, ResponseTable
from netrollout.systems.mesh.scenario import Scenario, Source, load_scenario
from netrollout.traces import read_kth, response_times, shipped
from netrollout.types import Floats, InputError, Ints, Phase, Surrogate

Regressor = Literal["forest", "mean-forest", "linear", "boosting", "queueing", "table"]
ROUTE_TIMEOUT = {"mesh": 5.0, "kth": 20.0}  # s
BLOCK = 5  # windows
MODEL_WINDOWS = 25  # equally likely window means of the model at each grid point


def plant(
    name: str, *, source: Source = "testbed", phase: Phase = "before", seed: int = 0, held: int | None = None
) -> Mesh:
    """Return what really happens: held-out visits.

    Parameters
    ----------
    name : str
    source : str
        ``testbed`` (the shipped traces) or ``kth`` (the published traces, where fetched).
    phase : str
    seed : int
        Of the regressor that stands in where the design is thin.
    held : int or None
        Which visit of each configuration is held out, from 0; None holds out the last half of them.
    """
    scenario = load_scenario(name, source)
    return scenario.mesh(phase, _plant_response(scenario, phase, seed, held))


def model(
    name: str,
    *,
    source: Source = "testbed",
    phase: Phase = "before",
    surrogate: Regressor = "forest",
    seed: int = 0,
    refit: int | None = None,
    held: int | None = None,
) -> Mesh:
    """Return what was learned from the other visits.

    Parameters
    ----------
    name, source, phase
        As of `plant`.
    surrogate : str
        Which regressor the model is.
    seed : int
        Of the regressor and of the bootstrap.
    refit : int or None
        Number of a bootstrap resample of the visits; None takes them as they are.
    held : int or None
        As of `plant`.
    """
    scenario = load_scenario(name, source)
    return scenario.mesh(phase, _model_response(scenario, phase, surrogate, seed, refit, held))


def outline(name: str) -> Mesh:
    """Return the mesh of the published grid without any response: no trace is read."""
    return load_scenario(name).mesh("after")


def rows(scenario: Scenario, phase: Phase) -> pd.DataFrame:
    """Return the windows of the scenario's grid in a phase.

    Returns
    -------
    DataFrame
        The controls, ``load`` (level), ``grid`` (grid point of `Mesh`), ``d_<service>`` (s; 5 s or, published, 20 s
        where nothing completed), ``visit``, and ``rank`` of the visit among those of its configuration.
    """
    return _rows(scenario, phase).copy()


@lru_cache(maxsize=16)
def _rows(scenario: Scenario, phase: Phase) -> pd.DataFrame:
    frame = _trace(scenario.trace[phase])
    mesh = scenario.mesh(phase)
    targets = [f"target_l_{service}" for service in scenario.services]
    load = [np.isclose(frame[targets].to_numpy(), level).all(axis=1) for level in mesh.loads]
    frame = frame[np.any(load, axis=0)].assign(load=np.argmax(load, axis=0)[np.any(load, axis=0)])
    levels = [_level(frame[c.name].to_numpy(), c.levels, c.name, scenario.trace[phase]) for c in scenario.controls]
    frame["grid"] = np.ravel_multi_index((frame["load"].to_numpy(), *levels), mesh.shape)
    if frame.groupby("grid")["visit"].nunique().max() == 1:
        frame["visit"] = frame["visit"] * 100 + frame.groupby("visit").cumcount() // BLOCK
    frame["rank"] = frame.groupby("grid")["visit"].rank(method="dense").astype(int) - 1
    return frame.reset_index(drop=True)


def _trace(name: str) -> pd.DataFrame:
    kind, _, file = name.partition("/")
    return response_times(shipped(name) if kind == "mesh" else read_kth(file), ROUTE_TIMEOUT[kind])


def _level(values: Floats, levels: tuple[float, ...], control: str, trace: str) -> Ints:
    nearest: Ints = np.abs(values[:, None] - np.asarray(levels)).argmin(axis=1).astype(np.int64)
    off = np.flatnonzero(~np.isclose(np.asarray(levels)[nearest], values))
    if len(off):
        raise InputError(f"{trace}: {control}={values[off[0]]:g} is not a level of the scenario ({list(levels)})")
    return nearest


def visits(name: str, source: Source = "testbed", phase: Phase = "after") -> int:
    """Return how often every configuration was visited at least: so many folds has a rotation of the held-out visit."""
    return int(rows(load_scenario(name, source), phase).groupby("grid")["rank"].max().min()) + 1


def split(frame: pd.DataFrame, side: Literal["plant", "model"], held: int | None = None) -> pd.DataFrame:
    """Return the windows of the plant or of the model.

    Parameters
    ----------
    held : int or None
        Number of the visit of each configuration that is the plant's; None: the last half of them.

    Raises
    ------
    InputError
        If a configuration has no such visit, or no other.
    """
    count = frame.groupby("grid")["rank"].transform("max") + 1
    if held is not None and not 0 <= held < count.min():
        raise InputError(f"option held={held}: expected a visit from 0 to {count.min() - 1}")
    held_out = frame["rank"] == held if held is not None else frame["rank"] >= count - np.maximum(count // 2, 1)
    return frame[held_out if side == "plant" else ~held_out]


def learned(
    scenario: Scenario,
    phase: Phase,
    surrogate: str,
    seed: int,
    refit: int | None,
    side: Literal["plant", "model"],
    held: int | None = None,
) -> tuple[Mesh, Surrogate]:
    """Fit a surrogate on one side's visits; return it with the scenario's (empty) mesh.

    Parameters
    ----------
    refit : int or None
        Number of a bootstrap resample of the visits, within configurations.
    held : int or None
        As of `split`.
    """
    mesh, frame = scenario.mesh(phase), split(rows(scenario, phase), side, held)
    features = mesh.grid_features()[frame["grid"]]
    visit = frame["visit"].to_numpy()
    chosen = np.arange(len(frame))
    if refit is not None:
        chosen = bootstrap_visits(visit, frame["grid"].to_numpy(), spawn(seed, "refit", refit))
    response = frame[[f"d_{service}" for service in scenario.services]].to_numpy()
    model = make_surrogate(surrogate, seed, controls=[c.name for c in scenario.controls], services=scenario.services)
    return mesh, model.fit(features[chosen], response[chosen], visit[chosen])


def _model_response(
    scenario: Scenario, phase: Phase, surrogate: str, seed: int, refit: int | None, held: int | None = None
) -> ResponseTable:
    """Return the learned response on the grid."""
    mesh, model = learned(scenario, phase, surrogate, seed, refit, "model", held)
    return tabulate(model, mesh, MODEL_WINDOWS)


def _plant_response(scenario: Scenario, phase: Phase, seed: int, held: int | None = None) -> ResponseTable:
    """Return the plant's response: held-out windows, or for a thin design a forest fit on held-out visits."""
    if scenario.plant == "surrogate":
        mesh, model = learned(scenario, phase, "forest", seed, None, "plant", held)
        return tabulate(model, mesh, MODEL_WINDOWS)
    return windows_table(scenario, phase, split(rows(scenario, phase), "plant", held))


def windows_table(scenario: Scenario, phase: Phase, frame: pd.DataFrame) -> ResponseTable:
    """Return each grid point's own windows as equally likely; the shorter ones repeat theirs evenly.

    Raises
    ------
    InputError
        If a grid point has no window.
    """
    mesh = scenario.mesh(phase)
    points = frame["grid"].to_numpy()
    values = frame[[f"d_{service}" for service in scenario.services]].to_numpy()
    groups = [values[points == g] for g in range(mesh.n_states)]
    missing = sum(len(group) == 0 for group in groups)
    if missing:
        raise InputError(f"{scenario.trace[phase]}: no window held out at {missing} of {mesh.n_states} grid points")
    q = max(map(len, groups))
    pick = (np.arange(q) + 0.5) / q
    return ResponseTable(np.stack([group[(pick * len(group)).astype(int)] for group in groups]))
