"""Which visit is held out decides much: each is the plant once, and the visits are the units of all intervals.

Fold k keeps the k-th visit of every configuration for judging; plans are made on bootstrap resamples of the others.  So
the plants of two folds share no window, and an interval over the folds holds the noise of the plant as well as that of
the model.  (The folds' models share most of their visits, as in every cross-validation, so the intervals are a little
narrow where the model's error decides.)

Letters: K folds, R refits.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from netrollout.catalog import Worlds, policy_table, world
from netrollout.evaluate import Estimate, resolution, t_interval
from netrollout.experiment import Cell, Table
from netrollout.results import Results
from netrollout.systems.mesh.realise import visits
from netrollout.systems.mesh.scenario import Source
from netrollout.types import Floats, Ints


def rotated(
    name: str, refits: int, folds: int | None = None, seed: int = 0, source: Source = "testbed", **options: Any
) -> dict[tuple[int, int], Cell]:
    """Return the cells of a comparison after a change, by fold and refit.

    Parameters
    ----------
    name : str
        A mesh.
    refits : int
        R, bootstrap resamples of the visits that are not held out.
    folds : int or None
        Only the first so many visits are held out in turn; None: all.
    seed, source
        Of the models.
    **options
        Of `netrollout.world`, such as the ``phase``.
    """
    options = {"phase": "after"} | options
    count = visits(name, source, options["phase"])
    keys = itertools.product(range(min(count, folds or count)), range(refits))
    return {(k, r): partial(world, name, seed=seed, source=source, held=k, refit=r, **options) for k, r in keys}


def known_static(worlds: Worlds) -> Ints:
    """Return the table (S,) of walking to the best static setting of the plant itself, which nobody can know."""
    table: Ints = policy_table("static", Worlds(worlds.plant, worlds.plant, worlds.plant, worlds.seed))
    return table


def signs(differences: Floats) -> str:
    """Say whether a difference, (K, ...), has the ``same`` sign in every fold or ``mixed`` ones; zero is neither."""
    folds = np.asarray(differences, dtype=float).reshape(len(differences), -1).mean(axis=1)
    return "same" if (folds > -1e-9).all() or (folds < 1e-9).all() else "mixed"


def plant_resolution(table: Table, measure: str, rows: Iterable[Any]) -> float:
    """Return the smallest difference that the folds tell with a power of 80 %, the median over pairs of rows."""
    pairs = itertools.combinations(rows, 2)
    found = [resolution(table[measure, one] - table[measure, other]) for one, other in pairs]
    return float(np.median([size for size in found if size > 1e-9] or [0.0]))


def record_worth(results: Results, name: str, values: Floats, unit: str = "reward") -> Estimate:
    """Record a mean over folds, (K, ...), with Student's t interval."""
    told = t_interval(values)
    how = f"t interval over {told.n} held-out visits; exact on each"
    results.value(name, told.value, told.low, told.high, n=told.n, unit=unit, how=how)
    return told


def record_difference(results: Results, name: str, values: Floats, unit: str = "reward") -> Estimate:
    """Record a paired difference over folds, (K, ...), and as ``<name>.sign`` what `signs` says of it."""
    results.value(f"{name}.sign", signs(values))
    return record_worth(results, name, values, unit)


def tell(results: Results, value: str, up: str, down: str, question: str, margin: str | None = None) -> str:
    """Record what a difference says in one of the sentences that it may support; its id is the value's name.

    Parameters
    ----------
    value : str
        Recorded by `record_difference`.
    up, down : str
        What is said before the number where the whole interval lies above zero, and below.
    question : str
        What is not decided where it holds zero: "whether ...".
    margin : str, optional
        Name of the recorded margin within which the difference does not matter.
    """
    shown, everywhere = f"{{{value}:.2f:interval:bare}}", "the same sign on every held-out visit"
    cases = {f"{value} within {margin}": f"Nothing that matters depends on {question}: {shown}."} if margin else {}
    for words, side in ((up, ">"), (down, "<")):
        cases[f"{value} {side} 0 and {value}.sign == same"] = f"{words} {shown}, {everywhere}."
        cases[f"{value} {side} 0"] = f"{words} {shown}, though not on every held-out visit."
    return results.finding(value, cases, otherwise=f"The held-out visits do not decide {question}: {shown}.")
