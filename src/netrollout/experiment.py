"""One way to run a comparison: policies by name, in cells of worlds, judged exactly or by paired episodes.

A cell is a world of its own: a refit of the model, a log, a training.  Cells stand on a grid: the key of a cell has a
part for each axis, the outermost first, so that ``("slower", 3)`` is refit 3 after the change ``slower``.  Cells and
episodes are crossed: episode i is the same thing in every cell and for every policy.

Letters: C cells along each axis, N values of a measure (episodes, say), T cycles, S states, A joint actions.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed

from netrollout.dp import MDP, evaluate_policy
from netrollout.evaluate import Episodes, Estimate, bootstrap, simulate
from netrollout.makers import make_policy, policy_table
from netrollout.types import Floats, InputError

Values = dict[str, Floats]  # measure -> (N,)
Cell = Callable[[], Any]  # makes the worlds (`netrollout.makers.Worlds`) of a comparison where it is run
Row = str | Callable[[Any], Any]  # a policy's name, or from worlds to what is judged; to Values: judged already
Rows = Mapping[Any, Row] | Sequence[str]
crossed = partial(bootstrap, crossed=True)


class Judge(NamedTuple):
    """How rows are judged.

    Attributes
    ----------
    make : from a policy's name and worlds to what is judged
    of : from worlds to the judge of what was made for them
    """

    make: Callable[[str, Any], Any]
    of: Callable[[Any], Callable[[Any], Values]]


@dataclass(frozen=True, eq=False)
class Table:
    """What a comparison found.

    Attributes
    ----------
    axes : parts of the cells' keys, axis by axis
    values : row -> measure -> (C, ..., N)

    Examples
    --------
    >>> import netrollout
    >>> table = netrollout.run(lambda: netrollout.world("walk"), ["random", "optimal"], netrollout.episodes(range(3)))
    >>> table["mean_reward", "optimal"].round(1).tolist()
    [1.6, 1.2, 1.4]
    >>> gain = table.estimate("mean_reward", "optimal", minus="random")
    >>> round(gain.low, 1), round(gain.high, 1)
    (0.4, 0.7)
    """

    axes: tuple[tuple[Any, ...], ...]
    values: dict[Any, Values]

    def __getitem__(self, where: tuple[str, Any]) -> Floats:
        """Return the values (C, ..., N) of a measure and row."""
        measure, row = where
        return self.values[row][measure]

    def at(self, part: Any) -> Table:
        """Return the table of the cells whose key begins so."""
        k = self.axes[0].index(part)
        return Table(self.axes[1:], {row: {m: v[k] for m, v in of.items()} for row, of in self.values.items()})

    def estimate(
        self, measure: str, row: Any, minus: Any = None, interval: Callable[[Floats], Estimate] = crossed
    ) -> Estimate:
        """Return a row's mean with its interval, or that of its paired difference to another row.

        Parameters
        ----------
        measure : str
        row, minus : as given to `run`
        interval : callable
            From values (C, ..., N) to an estimate.
        """
        found = self[measure, row]
        return interval(found if minus is None else found - self[measure, minus])


def run(cells: Cell | Mapping[Any, Cell], rows: Rows | Callable[..., Rows], judge: Judge, jobs: int = 1) -> Table:
    """Judge every row in every cell.

    Parameters
    ----------
    cells : callable, or mapping of key to callable
        One cell, or a whole grid of them.  Those with the same last part of their key run in one process, one after the
        other, so that what is learned in one of them can be found again in the next.
    rows : mapping, sequence of str, or callable
        Row to a policy's name or function; names that stand for themselves; or from the parts of a key to either.
    judge : Judge
    jobs : int
        Processes, as joblib counts them.

    Raises
    ------
    InputError
        If a name is unknown or does not fit the system, before anything of its cell is judged; if cells are missing.

    Examples
    --------
    >>> import netrollout
    >>> def cell(change):
    ...     return lambda: netrollout.world("mesh-s2", phase=change)
    >>> cells = {change: cell(change) for change in ("before", "after")}
    >>> table = netrollout.run(cells, ["static", "rollout(static)"], netrollout.exactly())
    >>> table["mean", "static"].round(1).tolist()  # before and after the change
    [[47.2], [-2.3]]
    >>> table["mean", "rollout(static)"].round(1).tolist()
    [[47.2], [23.1]]
    """
    grid = (
        {key if isinstance(key, tuple) else (key,): cell for key, cell in cells.items()}
        if isinstance(cells, Mapping)
        else {(): cells}
    )
    groups: dict[Any, list[Any]] = {}
    for key in grid:
        groups.setdefault(key[-1:], []).append((key, grid[key], _named(rows(*key) if callable(rows) else rows)))
    found = Parallel(n_jobs=jobs if len(groups) > 1 else 1)(
        delayed(_together)(group, judge) for group in groups.values()
    )
    return _gather({key: values for group in found for key, values in group})


def _named(rows: Rows) -> Mapping[Any, Row]:
    return rows if isinstance(rows, Mapping) else {row: row for row in rows}


def _together(
    group: Sequence[tuple[Any, Cell, Mapping[Any, Row]]], judge: Judge
) -> list[tuple[Any, dict[Any, Values]]]:
    return [(key, _judged(cell(), rows, judge)) for key, cell, rows in group]


def _judged(worlds: Any, rows: Mapping[Any, Row], judge: Judge) -> dict[Any, Values]:
    made = {row: judge.make(what, worlds) if isinstance(what, str) else what(worlds) for row, what in rows.items()}
    of = judge.of(worlds)
    return {row: what if isinstance(what, dict) else of(what) for row, what in made.items()}


def _gather(found: dict[Any, dict[Any, Values]]) -> Table:
    axes = tuple(tuple(dict.fromkeys(parts)) for parts in zip(*found, strict=True))
    keys = list(itertools.product(*axes))
    if missing := [key for key in keys if key not in found]:
        raise InputError(f"no cell {missing[0]}; expected one for each of {len(keys)} keys")
    shape = tuple(len(axis) for axis in axes)
    values = {
        row: {m: np.reshape([found[key][row][m] for key in keys], (*shape, -1)) for m in measures}
        for row, measures in found[keys[0]].items()
    }
    return Table(axes, values)


def exactly(cycles: int = 0) -> Judge:
    """Judge tables, (S,) or (S, A), by the plant's own process.

    Measures are the discounted value at the ``start``, N = 1; its ``mean`` over all states; and ``path``, the expected
    reward of each cycle from the start, N = T = `cycles`.

    Examples
    --------
    >>> import netrollout
    >>> worlds = netrollout.world("walk")
    >>> table = netrollout.run(lambda: worlds, ["random", "rollout(random)"], netrollout.exactly())
    >>> [round(table["start", row].item(), 6) for row in table.values]
    [5.0, 10.0]
    """

    def of(worlds: Any) -> Callable[[Any], Values]:
        mdp = MDP.from_system(worlds.plant)
        start = int(worlds.plant.index(worlds.plant.initial(np.random.default_rng(0), 1))[0])

        def worth(table: Any) -> Values:
            value = evaluate_policy(mdp, table).value
            path = {"path": _reward_path(mdp, table, start, cycles)} if cycles else {}
            return {"start": value[start, None], "mean": value.mean(keepdims=True)} | path

        return worth

    return Judge(policy_table, of)


def _reward_path(mdp: MDP, table: Any, start: int, cycles: int) -> Floats:
    """Return the expected reward of each cycle, (T,), from one state under a policy table (S,) or (S, A)."""
    n_states, n_actions = mdp.reward.shape
    weights = np.asarray(table, dtype=float) if np.ndim(table) == 2 else np.eye(n_actions)[np.asarray(table)]
    reward = np.where(weights > 0, mdp.reward, 0.0)
    law = np.zeros(n_states)
    law[start] = 1.0
    rewards = np.empty(cycles)
    for t in range(cycles):
        joint = law[:, None] * weights
        rewards[t] = (joint * reward).sum()
        law = mdp.transition.T @ joint.ravel()
    return rewards


def means(plant: Any, ran: Episodes) -> Values:
    """Return each episode's discounted ``return``, ``mean_reward`` per cycle, and the mean of every metric, (N,)."""
    found = {"return": ran.returns(plant.discount), "mean_reward": ran.mean_rewards()}
    alive = ran.alive.sum(axis=1)
    return found | {metric: (values * ran.alive).sum(axis=1) / alive for metric, values in ran.metrics.items()}


COST = ("milliseconds", "model_steps")


def episodes(
    seeds: Sequence[int],
    measures: Callable[[Any, Episodes], Values] = means,
    given: Callable[[Any], Floats] | None = None,
) -> Judge:
    """Judge policies by paired episodes on the plant.

    Parameters
    ----------
    seeds : sequence of int, (N,)
    measures : callable
        From plant and episodes to what is reported; besides it, with N = 1, `COST`: the computing time and the lanes
        times steps for which a model was run, both per decision of one lane.
    given : callable, optional
        From the plant to recorded disturbances (T, N, D_w) in place of drawn ones.

    Examples
    --------
    >>> import netrollout
    >>> worlds = netrollout.world("walk", horizon=100)
    >>> table = netrollout.run(lambda: worlds, ["random", "rollout(random)"], netrollout.episodes(seeds=[1, 2]))
    >>> table["place", "random"].tolist(), table["place", "rollout(random)"].tolist()
    ([0.48, 0.61], [1.0, 1.0])
    """

    def of(worlds: Any) -> Callable[[Any], Values]:
        plant, w = worlds.plant, None if given is None else given(worlds.plant)

        def brought(policy: Any) -> Values:
            begin = time.perf_counter()
            ran = simulate(plant, policy, seeds, given=w)
            cost = 1e3 * (time.perf_counter() - begin), getattr(policy, "model_steps", 0)
            return measures(plant, ran) | {k: np.array([c / ran.rewards.size]) for k, c in zip(COST, cost, strict=True)}

        return brought

    return Judge(make_policy, of)
