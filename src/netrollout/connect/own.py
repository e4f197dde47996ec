"""Your own system: from a spec and a trace to the next action, and why.

1. The rows of the trace are put on the grid of the spec: control settings times observed combinations of load levels.
2. A quantile forest learns the distribution of every metric's windows at a grid point (`netrollout.models`).
3. The reward of a grid point is the expectation of the objective over these windows, E r(metrics), never r(E metrics).
   The windows of different metrics are paired by level: a bad window for the first is bad for the others, or good for
   those whose rank correlation with the first within a setting is negative.
4. The decision process: an action moves every control by one of its increments, the reward is that of where it lands at
   the present load, then the load moves as it was seen to within the visits of the trace.
5. Two base policies: hold, and walk to the best setting of those in the trace.  Rollout takes one step and ends in the
   larger of their values; where the process is small, its exact optimum is computed and used instead.
6. All of it is repeated on bootstrap resamples of the visits, which gives the standard errors.

Letters: n rows, C settings of the controls, L combinations of load levels, G = L C grid points (load slowest), A joint
actions, Q windows, V metrics, R refits.
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
from netrollout.connect.log import read_log
from netrollout.connect.recommendation import Action, Recommendation, report
from netrollout.connect.spec import Load, Spec, read_spec
from netrollout.dp import MDP, evaluate_policy, policy_iteration, q_factors
from netrollout.models import bootstrap_visits, make_surrogate
from netrollout.places import PlaceError, read_numbers
from netrollout.seeding import spawn
from netrollout.systems.mesh import level_of
from netrollout.types import Bools, Floats, InputError, Ints

__all__ = ["Recommendation", "recommend", "report"]

REFITS = 20
WINDOWS = 25
EXACT = 200_000  # state-action pairs up to which the exact optimum is computed
MOST = 1_000_000  # state-action pairs that are planned at all


class Rows(NamedTuple):
    """The trace on the grid."""

    setting: Ints  # (n,) index of the control setting
    load: Ints  # (n,) index of the load combination
    metrics: Floats  # (n, V), NaN where not measured
    visit: Ints  # (n,)


class Plan(NamedTuple):
    """What was planned on one model."""

    optimal: Ints | None  # (S,)
    rollout: Ints  # (S,)
    hold: Ints  # (S,)
    walk: Ints  # (S,)
    q: Floats  # (S, A) of the method that decides


@dataclass(frozen=True, eq=False)
class Grid:
    """Settings, loads and actions of a spec and a trace.

    Attributes
    ----------
    spec : Spec
    loads : (L, number of loads) float64, the combinations of levels that were observed
    move : (L, L) float64, probabilities of the next load
    """

    spec: Spec
    loads: Floats
    move: Floats

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

    def towards(self, target: int) -> Ints:
        """Return the table (S,) that moves every control towards a setting as far as an increment goes."""
        index = np.zeros(len(self.settings), dtype=np.int64)
        for m, moves in enumerate(self.spec.increments):
            after = self.settings[:, m, None] + np.asarray(moves)
            gap = np.abs(after - self.settings[target, m]).astype(float)
            gap[(after < 0) | (after >= self.shape[m])] = np.inf
            index = index * len(moves) + gap.argmin(axis=1)
        return np.tile(index, len(self.loads))

    @cached_property
    def hold(self) -> int:
        """The action that moves nothing."""
        return int(np.flatnonzero((self.actions == 0).all(axis=1))[0])


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
        Of the forests and of the bootstrap.

    Raises
    ------
    InputError
        If spec, trace or `at` is wrong; one sentence.
    """
    spec = read_spec(spec_path)
    frame = read_log(spec, trace_path)
    grid, rows, notes = on_grid(spec, frame, trace_path)
    here, load = _standing(grid, frame, rows, at, trace_path)
    state = load * len(grid.settings) + here
    windows = learned(grid, rows, seed)
    rewards = expected_reward(grid, windows)
    plan = plan_on(grid, rows, rewards)
    refits = _refits(grid, rows, state, seed)
    notes += _doubts(grid, rows, refits)
    ends, inside = grid.landing
    tried = np.bincount(rows.load * len(grid.settings) + rows.setting, minlength=len(grid.features))
    actions = [
        _action(grid, a, load * len(grid.settings) + int(ends[here, a]), windows, rewards, plan.q[state], refits, tried)
        for a in map(int, np.flatnonzero(inside[here]))
    ]
    hold = next(i for i, action in enumerate(actions) if not any(action.move.values()))
    chosen = _choose(actions, hold)
    return Recommendation(
        name=spec.name,
        method="exact dynamic programming" if plan.optimal is not None else "rollout",
        setting=_named(grid, here),
        load=dict(zip((load.name for load in spec.loads), map(float, grid.loads[load]), strict=True)),
        actions=tuple(actions),
        chosen=chosen,
        hold=hold,
        rollout_agrees=None if plan.optimal is None else bool(plan.rollout[state] == plan.optimal[state]),
        outlook=_outlook(grid, rewards, plan, state),
        bounds=dict(spec.bounds),
        objective=spec.objective.text,
        horizon=spec.horizon,
        refits=len(refits),
        rows=len(rows.setting),
        seed=seed,
        notes=tuple(notes),
    )


def on_grid(spec: Spec, frame: pd.DataFrame, path: str | Path) -> tuple[Grid, Rows, list[str]]:
    """Return grid, rows on it, and what there is to note; rows off the grid are left out.

    Raises
    ------
    InputError
        If no row stands on the grid, a visit has two settings, or the grid is too large to plan on.
    """
    levels = np.stack([_level(frame[c.name].to_numpy(), c.levels) for c in spec.controls], axis=1)
    kept: Bools = np.asarray((levels >= 0).all(axis=1))
    if not kept.any():
        line, m = int(frame.index[0]), int(np.argmin(levels[0]))
        control = spec.controls[m]
        raise InputError(f"{path}: line {line}, column {control.name}: {frame[control.name].iloc[0]:g} is not one of "
                         f"the levels {list(control.levels)}, and no other row stands on the grid")  # fmt: skip
    notes = [] if kept.all() else [f"Rows of the trace that stand off the grid and were left out: {(~kept).sum()}."]
    on = frame.loc[kept]
    shape = tuple(len(control.levels) for control in spec.controls)
    loads, load = _load_levels(spec.loads, on)
    pairs = len(loads) * np.prod([float(len(k)) for k in spec.increments]) * np.prod([float(n) for n in shape])
    if pairs > MOST:
        raise InputError(f"{spec.path}: {pairs:.0f} pairs of states and actions; at most {MOST} are planned, so give "
                         "fewer levels, increments or bins")  # fmt: skip
    setting = np.ravel_multi_index(tuple(levels[kept].T), shape).astype(np.int64)
    visit = _visits(on, setting, path)
    grid = Grid(spec, loads, _load_moves(load, visit, len(loads)))
    return grid, Rows(setting, load, on[list(spec.metrics)].to_numpy(), visit), notes


def learned(grid: Grid, rows: Rows, seed: int, chosen: Ints | None = None) -> Floats:
    """Return equally likely windows (G, Q, V) of a forest on the rows, or on the `chosen` of them."""
    y = rows.metrics if chosen is None else rows.metrics[chosen]
    index = np.arange(len(y)) if chosen is None else chosen
    features = grid.features[rows.load[index] * len(grid.settings) + rows.setting[index]]
    # The forest learns logarithms; what may be zero or negative is moved above zero and back.
    low, high = np.nanmin(rows.metrics, axis=0), np.nanmax(rows.metrics, axis=0)
    shift = np.where(low > 0, 0.0, np.where(high > low, high - low, 1.0) - low)
    y = np.where(np.isnan(y).all(axis=0), np.nanmean(rows.metrics, axis=0), y)
    forest = make_surrogate("forest", seed).fit(features, y + shift, rows.visit[index])
    windows = forest.windows(grid.features, WINDOWS) - shift
    for v in np.flatnonzero(_against_first(rows)):
        windows[:, :, v] = windows[:, ::-1, v]
    return np.asarray(windows)


def expected_reward(grid: Grid, windows: Floats) -> Floats:
    """Return E r at every grid point, (G,).

    Raises
    ------
    PlaceError
        If the objective is not finite somewhere.
    """
    spec = grid.spec
    names = [*(c.name for c in spec.controls), *(load.name for load in spec.loads)]
    columns: dict[str, Floats] = {name: grid.features[:, k, None] for k, name in enumerate(names)}
    columns |= {metric: windows[:, :, v] for v, metric in enumerate(spec.metrics)}
    reward = np.broadcast_to(spec.objective(columns), windows.shape[:2] if spec.objective.names else (1, 1))
    mean = np.broadcast_to(reward.mean(axis=1), len(windows)).copy()
    if not np.isfinite(mean).all():
        g = int(np.argmin(np.isfinite(mean)))
        where = ", ".join(f"{name}={value:g}" for name, value in zip(names, grid.features[g], strict=True))
        raise PlaceError(
            spec.path, f"it is {mean[g]:g} at {where}; it must be finite on the grid", spec.line, "objective"
        )
    return mean


def plan_on(grid: Grid, rows: Rows, reward: Floats) -> Plan:
    """Plan on grid points that pay `reward` (G,)."""
    mdp = grid.rewarded(reward)
    share = np.bincount(rows.load, minlength=len(grid.loads)) / len(rows.load)
    seen = np.unique(rows.setting)
    best = seen[(share @ reward.reshape(len(grid.loads), -1))[seen].argmax()]
    hold, walk = np.full(mdp.n_states, grid.hold), grid.towards(int(best))
    value = np.maximum(evaluate_policy(mdp, hold).value, evaluate_policy(mdp, walk).value)
    q = q_factors(mdp, value)
    rollout: Ints = q.argmax(axis=1).astype(np.int64)
    if mdp.n_states * mdp.n_actions > EXACT:
        return Plan(None, rollout, hold, walk, q)
    solved = policy_iteration(mdp, rollout)
    return Plan(solved.policy, rollout, hold, walk, q_factors(mdp, solved.value))


def _level(values: Floats, levels: tuple[float, ...]) -> Ints:
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


def _load_moves(load: Ints, visit: Ints, n: int) -> Floats:
    """Return how the load was seen to move between successive rows of a visit; it stays where nothing was seen."""
    counts = np.zeros((n, n))
    same = visit[1:] == visit[:-1]
    np.add.at(counts, (load[:-1][same], load[1:][same]), 1.0)
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1.0), np.eye(n))


def _against_first(rows: Rows) -> Bools:
    """Return which metrics fall where the first rises, within the settings, (V,)."""
    frame = pd.DataFrame(rows.metrics)
    ranks = frame.groupby([rows.setting, rows.load]).rank(pct=True)
    centred = ranks - ranks.groupby([rows.setting, rows.load]).transform("mean")
    against: Bools = centred.mul(centred[0], axis=0).mean().to_numpy() < 0.0
    return against


def _refits(grid: Grid, rows: Rows, state: int, seed: int) -> Floats:
    """Return the Q-factors of the state on bootstrap refits, (R, A); none with a single visit."""
    if len(np.unique(rows.visit)) < 2:
        return np.zeros((0, len(grid.actions)))
    # Where no setting was visited twice, visits are drawn from all of them alike.
    strata = rows.setting if _visits_per_setting(rows).max() > 1 else np.zeros_like(rows.setting)
    found = []
    for refit in range(REFITS):
        chosen = bootstrap_visits(rows.visit, strata, spawn(seed, "refit", refit))
        windows = learned(grid, rows, int(spawn(seed, "forest", refit).integers(2**31)), chosen)
        found.append(plan_on(grid, rows, expected_reward(grid, windows)).q[state])
    return np.stack(found)


def _visits_per_setting(rows: Rows) -> Ints:
    pairs = np.unique(np.stack([rows.setting, rows.visit], axis=1), axis=0)
    return np.unique(pairs[:, 0], return_counts=True)[1].astype(np.int64)


def _doubts(grid: Grid, rows: Rows, refits: Floats) -> list[str]:
    visits = _visits_per_setting(rows)
    notes = []
    if len(visits) < len(grid.settings):
        notes.append(f"{len(grid.settings) - len(visits)} of {len(grid.settings)} settings were never tried; there the "
                     "forest predicts from the nearest ones that were.")  # fmt: skip
    if not len(refits):
        notes.append("The trace has one visit only: there are no standard errors.")
    elif once := int((visits == 1).sum()):
        notes.append(f"{once} settings were visited once only: their part in the standard errors is too small.")
    if len(grid.loads) > 1 and (np.diag(grid.move) == 1.0).all():
        notes.append("The load never moves within a visit of the trace, so it is taken to stay.")
    return notes


def _standing(grid: Grid, frame: pd.DataFrame, rows: Rows, at: str | Mapping[str, float] | None,
              path: str | Path) -> tuple[int, int]:  # fmt: skip
    """Return the setting and the load where the system stands."""
    spec = grid.spec
    values = dict(read_numbers(at, "at") if isinstance(at, str) else at or {})
    given = {load.name: values.pop(load.name) for load in spec.loads if load.name in values}
    load = int(rows.load[-1])
    if given:
        wanted = [given.get(item.name, grid.loads[load, k]) for k, item in enumerate(spec.loads)]
        scale = np.maximum(np.ptp(grid.loads, axis=0), 1e-12)
        load = int((((grid.loads - wanted) / scale) ** 2).sum(axis=1).argmin())
    if values:
        return int(np.ravel_multi_index(tuple(level_of("at", spec.controls, values)), grid.shape)), load
    last = frame.iloc[-1]
    levels = [int(_level(np.array([last[c.name]]), c.levels)[0]) for c in spec.controls]
    if min(levels) < 0:
        if spec.start is None:
            control = spec.controls[levels.index(-1)]
            place = f"{path}: line {frame.index[-1]}, column {control.name}"
            levels_text = f"the levels {list(control.levels)}"
            raise InputError(f"{place}: {last[control.name]:g} is not one of {levels_text}; say where it stands (at)")
        levels = list(map(int, level_of(spec.name, spec.controls, spec.start)))
    return int(np.ravel_multi_index(tuple(levels), grid.shape)), load


def _named(grid: Grid, setting: int) -> dict[str, float]:
    return {c.name: float(value) for c, value in zip(grid.spec.controls, grid.values[setting], strict=True)}


def _action(grid: Grid, a: int, g: int, windows: Floats, rewards: Floats, q: Floats, refits: Floats,
            tried: Ints) -> Action:  # fmt: skip
    """Return what there is to say of action `a` that lands on grid point `g`."""
    spec, here = grid.spec, refits[:, a]
    gap = here - refits[:, grid.hold]
    many = len(refits) > 1
    mean = windows[g].mean(axis=0)
    quantiles = np.quantile(windows[g], [0.1, 0.5, 0.9], axis=0)
    over = {m: float((windows[g, :, spec.metrics.index(m)] > bound).mean()) for m, bound in spec.bounds.items()}
    return Action(
        move={c.name: int(step) for c, step in zip(spec.controls, grid.actions[a], strict=True)},
        setting=_named(grid, g % len(grid.settings)),
        q=float(q[a]),
        q_error=float(here.std(ddof=1)) if many else float("nan"),
        gain=float(q[a] - q[grid.hold]),
        gain_error=float(gap.std(ddof=1)) if many else float("nan"),
        best_share=float((refits.argmax(axis=1) == a).mean()) if many else float("nan"),
        reward=float(rewards[g]),
        metrics={m: (float(mean[v]), *map(float, quantiles[:, v])) for v, m in enumerate(spec.metrics)},
        over=over,
        keeps=all(mean[spec.metrics.index(m)] <= bound for m, bound in spec.bounds.items()),
        tried=int(tried[g]),
    )


def _choose(actions: list[Action], hold: int) -> int:
    """Return the best action; where holding keeps the bounds, the best that keeps them.  A tie goes to moving least."""
    allowed = [i for i, action in enumerate(actions) if action.keeps or not actions[hold].keeps]
    best = max(actions[i].q for i in allowed)
    tied = [i for i in allowed if actions[i].q >= best - 1e-9 * (1.0 + abs(best))]
    return min(tied, key=lambda i: sum(map(abs, actions[i].move.values())))


def _outlook(grid: Grid, reward: Floats, plan: Plan, state: int) -> dict[str, float]:
    """Return the expected mean reward over the horizon, from here, of holding, walking and the plan."""
    mdp, states = grid.rewarded(reward), np.arange(len(plan.hold))
    best = plan.optimal if plan.optimal is not None else plan.rollout
    found = {}
    for name, table in (("hold", plan.hold), ("walk", plan.walk), ("plan", best)):
        value, moves = np.zeros(len(states)), mdp.transition[states * mdp.n_actions + table]
        for _ in range(grid.spec.horizon):
            value = mdp.reward[states, table] + moves @ value
        found[name] = float(value[state] / grid.spec.horizon)
    return found
