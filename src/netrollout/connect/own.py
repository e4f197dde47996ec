"""Your own system: from a spec and a trace to the next action, and why.

1. The rows of the trace are put on the grid of the spec (`netrollout.connect.grid`).
2. Where a setting has windows at a load, the model is those windows, hardly moved where they say more than their
   neighbours do; a Gaussian process on logs answers where nothing was measured (`netrollout.models.smooth`).
3. The reward of a grid point is the expectation of the objective over its windows, E r(metrics), never r(E metrics).
   The windows of different metrics are paired by level: a bad window for the first is bad for the others, or good for
   those whose rank correlation with the first within a setting is negative.
4. The decision process: an action moves every control by one of its increments, the reward is that of where it lands at
   the present load, then the load moves as it was seen to within the visits of the trace.
5. Two base policies: hold, and walk to the best setting of those in the trace.  Rollout takes one step and ends in the
   larger of their values; where the process is small, its exact optimum is computed and used instead.
6. Draws from the posterior of the model say how sure the plan is.  Where following it gains over holding in less than
   `ENOUGH` of them, or the controls never moved in the trace, holding is advised, and what to measure next: the setting
   of which knowing the reward would improve the choice most.

Letters: n rows, C settings of the controls, L combinations of load levels, G = L C grid points (load slowest), S = G
states, A joint actions, Q windows, V metrics, R draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from netrollout.connect.grid import Grid, Rows, nearest_level, on_grid
from netrollout.connect.log import read_log
from netrollout.connect.planning import ENOUGH, counted_on, end_of, followed_values, most_informative, outlook, plan_on
from netrollout.connect.recommendation import (
    BEST,
    END,
    HERE,
    NEXT,
    Action,
    Place,
    Recommendation,
    pairs,
    report,
    with_error,
)
from netrollout.connect.spec import read_spec
from netrollout.models.smooth import believe
from netrollout.places import PlaceError, read_numbers
from netrollout.seeding import spawn
from netrollout.systems.mesh.dynamics import level_of
from netrollout.types import Bools, Floats, InputError, Ints

__all__ = ["Recommendation", "recommend", "report"]

FAR = 0.5  # share of what was measured by which a prediction that is off is told


class Model(NamedTuple):
    """What is believed of the grid points."""

    windows: Floats  # (G, Q, V) predicted
    rewards: Floats  # (R, G) of the draws


def recommend(
    spec_path: str | Path, trace_path: str | Path, at: str | Mapping[str, float] | None = None, seed: int = 0
) -> Recommendation:
    """Learn a system from its trace, plan, and recommend the next action.

    Parameters
    ----------
    spec_path : str or Path
        See `netrollout.connect.spec`.
    trace_path : str or Path
        CSV with a column for each control, load and metric; a column `visit` numbers uninterrupted stays, without it
        successive rows with the same setting are one.
    at : str or mapping, optional
        Where the system stands, such as ``p=0.8,c=3``, loads too where wanted; else the last row of the trace.
    seed : int
        Of the draws.

    Raises
    ------
    InputError
        If spec, trace or `at` is wrong; one sentence.
    """
    grid, rows, here, load, notes = begin(spec_path, trace_path, at)
    return advise(grid, rows, here, load, seed, notes)


def begin(
    spec_path: str | Path, trace_path: str | Path, at: str | Mapping[str, float] | None = None
) -> tuple[Grid, Rows, int, int, list[str]]:
    """Return grid, rows, setting and load where the system stands, and what there is to note; see `recommend`."""
    spec = read_spec(spec_path)
    frame = read_log(spec, trace_path)
    grid, rows, notes = on_grid(spec, frame, trace_path)
    here, load, told = _standing(grid, frame, rows, at, trace_path)
    return grid, rows, here, load, [*notes, *told]


def advise(grid: Grid, rows: Rows, here: int, load: int, seed: int, notes: list[str]) -> Recommendation:
    """Learn from rows on a grid, plan, and recommend the next action at a setting and a load."""
    spec, state = grid.spec, load * len(grid.settings) + here
    model = learned(grid, rows, seed)
    told = measured(grid, rows)
    reward = counted_on(model.rewards, told)
    plan = plan_on(grid, rows, reward)
    values = followed_values(grid, plan.table, model.rewards)
    look = _Look(grid, rows, model, told)
    draws = _draws_of_q(grid, state, model.rewards, values)
    actions = [look.action(state, a, plan.q[state], draws) for a in map(int, np.flatnonzero(grid.landing[1][here]))]
    hold = next(i for i, action in enumerate(actions) if not any(action.move.values()))
    considered = _choose(actions, hold)
    doubt = _doubt(rows, actions[considered], considered == hold)
    return Recommendation(
        name=spec.name,
        method="exact dynamic programming" if plan.optimal is not None else "rollout",
        setting=actions[hold].setting,
        load=dict(zip((load.name for load in spec.loads), map(float, grid.loads[load]), strict=True)),
        actions=tuple(actions),
        considered=considered,
        chosen=hold if doubt else considered,
        hold=hold,
        doubt=doubt,
        places=tuple(look.places(state, plan.table, load)),
        rollout_agrees=None if plan.optimal is None else bool(plan.rollout[state] == plan.optimal[state]),
        outlook=outlook(grid, reward, plan, state),
        bounds=dict(spec.bounds),
        objective=spec.objective.text,
        horizon=spec.horizon,
        draws=len(model.rewards),
        rows=len(rows.setting),
        seed=seed,
        notes=(*notes, *_doubts(grid, rows), *look.disagreements()),
    )


def learned(grid: Grid, rows: Rows, seed: int, chosen: Ints | None = None) -> Model:
    """Return what the rows, or the `chosen` of them, tell of the grid points."""
    if chosen is not None:
        rows = rows.of(chosen)
    belief = believe(grid.place, grid.point(rows), rows.metrics, rows.visit, spawn(seed, "belief"))
    against = np.flatnonzero(_against_first(rows))
    rewards = [expected_reward(grid, _paired(belief.drawn(r), against)) for r in range(len(belief.draws))]
    return Model(_paired(belief.windows(), against), np.stack(rewards))


def _paired(windows: Floats, against: Ints) -> Floats:
    windows[:, :, against] = windows[:, ::-1, against]
    return windows


def expected_reward(grid: Grid, windows: Floats) -> Floats:
    """Return E r at every grid point, (G,), over windows (G, Q, V).

    Raises
    ------
    PlaceError
        If the objective is not finite somewhere.
    """
    spec = grid.spec
    mean: Floats = _objective(grid, np.arange(len(windows)), windows).mean(axis=1)
    if not np.isfinite(mean).all():
        g = int(np.argmin(np.isfinite(mean)))
        names = [*(c.name for c in spec.controls), *(load.name for load in spec.loads)]
        where = pairs(dict(zip(names, map(float, grid.features[g]), strict=True)))
        raise PlaceError(
            spec.path, f"it is {mean[g]:g} at {where}; it must be finite on the grid", spec.line, "objective"
        )
    return mean


def measured(grid: Grid, rows: Rows) -> Floats:
    """Return the mean of the objective over the windows measured at each grid point, (G,); NaN where there are none."""
    reward = pd.Series(_objective(grid, grid.point(rows), rows.metrics[:, None, :])[:, 0])
    return np.asarray(reward.groupby(grid.point(rows)).mean().reindex(range(len(grid.features))), dtype=float)


def best_measured(grid: Grid, told: Floats) -> Ints:
    """Return the setting of the best mean measured at each load, (L,); -1 where none was."""
    by_load = np.where(np.isnan(told), -np.inf, told).reshape(len(grid.loads), -1)
    return np.where(np.isfinite(by_load).any(axis=1), by_load.argmax(axis=1), -1)


def _objective(grid: Grid, point: Ints, windows: Floats) -> Floats:
    """Return the objective (n, Q) of windows (n, Q, V) at grid points (n,)."""
    spec = grid.spec
    names = [*(c.name for c in spec.controls), *(load.name for load in spec.loads)]
    columns: dict[str, Floats] = {name: grid.features[point, k, None] for k, name in enumerate(names)}
    columns |= {metric: windows[:, :, v] for v, metric in enumerate(spec.metrics)}
    return np.asarray(np.broadcast_to(spec.objective(columns) if spec.objective.names else
                                      spec.objective(columns)[None, None], windows.shape[:2]))  # fmt: skip


def _against_first(rows: Rows) -> Bools:
    """Return which metrics fall where the first rises, within the settings, (V,)."""
    frame = pd.DataFrame(rows.metrics)
    ranks = frame.groupby([rows.setting, rows.load]).rank(pct=True)
    centred = ranks - ranks.groupby([rows.setting, rows.load]).transform("mean")
    against: Bools = centred.mul(centred[0], axis=0).mean().to_numpy() < 0.0
    return against


def _visits_per_setting(rows: Rows) -> Ints:
    pairs = np.unique(np.stack([rows.setting, rows.visit], axis=1), axis=0)
    return np.unique(pairs[:, 0], return_counts=True)[1].astype(np.int64)


class _Look:
    """Says of settings what is predicted and what was measured."""

    def __init__(self, grid: Grid, rows: Rows, model: Model, told: Floats) -> None:
        self._grid, self._model, self._told = grid, model, told
        points = grid.point(rows)
        self._rows = np.bincount(points, minlength=len(grid.features))
        means = pd.DataFrame(rows.metrics).groupby(points).mean()
        self._means: Floats = means.reindex(range(len(grid.features))).to_numpy()

    def _outcome(self, g: int) -> dict[str, Any]:
        spec, windows = self._grid.spec, self._model.windows[g]
        mean, quantiles = windows.mean(axis=0), np.quantile(windows, [0.1, 0.5, 0.9], axis=0)
        values = self._grid.values[g % len(self._grid.settings)]
        return {
            "setting": {c.name: float(value) for c, value in zip(spec.controls, values, strict=True)},
            "reward": float(self._model.rewards[:, g].mean()),
            "reward_error": float(self._model.rewards[:, g].std()),
            "measured_reward": float(self._told[g]),
            "metrics": {m: (float(mean[v]), *map(float, quantiles[:, v])) for v, m in enumerate(spec.metrics)},
            "measured": {m: float(self._means[g, v]) for v, m in enumerate(spec.metrics)},
            "over": {m: float((windows[:, spec.metrics.index(m)] > top).mean()) for m, top in spec.bounds.items()},
            "keeps": all(mean[spec.metrics.index(m)] <= top for m, top in spec.bounds.items()),
            "tried": int(self._rows[g]),
        }

    def action(self, state: int, a: int, q: Floats, draws: Floats) -> Action:
        """Return what there is to say of action `a` in a state with Q-factors q (A,) and draws of them (R, A)."""
        grid, gain = self._grid, draws[:, a] - draws[:, self._grid.hold]
        return Action(
            **self._outcome(int(grid.ahead(np.array([state]), np.array([a]))[0])),
            move={c.name: int(step) for c, step in zip(grid.spec.controls, grid.actions[a], strict=True)},
            q=float(q[a]),
            q_error=float(draws[:, a].std()),
            gain=float(gain.mean()),
            gain_error=float(gain.std()),
            gain_share=float((gain > 0.0).mean()),
        )

    def places(self, state: int, table: Ints, load: int) -> Iterator[Place]:
        """Yield the settings that the page shows beside each other."""
        first = load * len(self._grid.settings)
        yield Place(**self._outcome(state), name=HERE)
        yield Place(**self._outcome(int(end_of(self._grid, table, np.array([state]))[0])), name=END)
        if (best := int(best_measured(self._grid, self._told)[load])) >= 0:
            yield Place(**self._outcome(first + best), name=BEST)
        at_load = self._model.rewards[:, first : first + len(self._grid.settings)]
        if (unknown := most_informative(at_load)) is not None:
            yield Place(**self._outcome(first + unknown), name=NEXT)

    def disagreements(self) -> list[str]:
        """Say of each metric where what is predicted is far from what was measured."""
        spec, predicted, notes = self._grid.spec, self._model.windows.mean(axis=1), []
        names = [*(c.name for c in spec.controls), *(load.name for load in spec.loads)]
        for v, metric in enumerate(spec.metrics):
            size = np.abs(self._means[:, v])
            gap = np.nan_to_num(np.abs(predicted[:, v] - self._means[:, v]) / np.where(size > 0.0, size, np.nan))
            if (gap > FAR).any():
                g = int(gap.argmax())
                where = pairs(dict(zip(names, map(float, self._grid.features[g]), strict=True)))
                notes.append(f"Predicted and measured {metric} differ by more than {FAR:.0%} at {(gap > FAR).sum()} of "
                             f"{(self._rows > 0).sum()} places; most at {where}: measured {self._means[g, v]:.4g} in "
                             f"{self._rows[g]} rows, predicted {predicted[g, v]:.4g}.")  # fmt: skip
        return notes


def _draws_of_q(grid: Grid, state: int, rewards: Floats, values: Floats) -> Floats:
    """Return draws (R, A) of the Q-factors of a state; actions beyond the levels have -inf."""
    actions = np.arange(len(grid.actions))
    ahead = grid.ahead(np.full(len(actions), state), actions)
    load, here = divmod(state, len(grid.settings))
    after = grid.move[load] @ values.reshape(len(values), len(grid.loads), -1)[:, :, ahead % len(grid.settings)]
    return np.where(grid.landing[1][here], rewards[:, ahead] + grid.spec.discount * after, -np.inf)


def _doubt(rows: Rows, action: Action, holds: bool) -> str:
    """Return why nothing distinguishes an action from holding; empty where something does."""
    if len(np.unique(rows.setting)) == 1:
        return "The controls never moved in the trace, so it tells nothing of other settings."
    if holds or action.gain_share >= ENOUGH:
        return ""
    gain = with_error(action.gain, action.gain_error)
    return (f"The plan would take {action.label}, but the trace cannot tell it from holding: it gains {gain}, and at "
            f"all in {action.gain_share:.0%} of the draws.")  # fmt: skip


def _doubts(grid: Grid, rows: Rows) -> list[str]:
    visits = _visits_per_setting(rows)
    notes = []
    if len(visits) < len(grid.settings):
        notes.append(f"{len(grid.settings) - len(visits)} of {len(grid.settings)} settings were never tried; there the "
                     "model predicts from the nearest ones that were.")  # fmt: skip
    if visits.max() == 1:
        notes.append("No setting was visited twice: visits are taken to differ as much as windows do.")
    if len(grid.loads) > 1 and (np.diag(grid.move) == 1.0).all():
        notes.append("The load never moves within a visit of the trace, so it is taken to stay.")
    return notes


def _standing(grid: Grid, frame: pd.DataFrame, rows: Rows, at: str | Mapping[str, float] | None,
              path: str | Path) -> tuple[int, int, list[str]]:  # fmt: skip
    """Return the setting and the load where the system stands, and what there is to note."""
    spec = grid.spec
    values = dict(read_numbers(at, "at") if isinstance(at, str) else at or {})
    given = {load.name: values.pop(load.name) for load in spec.loads if load.name in values}
    load, notes = int(rows.load[-1]), []
    if given:
        load = grid.load_near(given, load)
        taken = dict(zip((item.name for item in spec.loads), map(float, grid.loads[load]), strict=True))
        notes = [f"{name}={value:g} counts as {taken[name]:g}." for name, value in given.items()
                 if value != taken[name]]  # fmt: skip
    if values:
        return int(np.ravel_multi_index(tuple(level_of("at", spec.controls, values)), grid.shape)), load, notes
    last = frame.iloc[-1]
    levels = [int(nearest_level(np.array([last[c.name]]), c.levels)[0]) for c in spec.controls]
    if min(levels) < 0:
        if spec.start is None:
            control = spec.controls[levels.index(-1)]
            place = f"{path}: line {frame.index[-1]}, column {control.name}"
            levels_text = f"the levels {list(control.levels)}"
            raise InputError(f"{place}: {last[control.name]:g} is not one of {levels_text}; say where it stands (at)")
        levels = list(map(int, level_of(spec.name, spec.controls, spec.start)))
    return int(np.ravel_multi_index(tuple(levels), grid.shape)), load, notes


def _choose(actions: list[Action], hold: int) -> int:
    """Return the best action; where holding keeps the bounds, the best that keeps them.  A tie goes to moving least."""
    allowed = [i for i, action in enumerate(actions) if action.keeps or not actions[hold].keeps]
    best = max(actions[i].q for i in allowed)
    tied = [i for i in allowed if actions[i].q >= best - 1e-9 * (1.0 + abs(best))]
    return min(tied, key=lambda i: sum(map(abs, actions[i].move.values())))
