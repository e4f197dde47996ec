"""The rule that fixes bounds and changes before any policy is run.

O is the median over configurations of the window means before the change, at the scenario's load, so that half of the
configurations are feasible; the change is the smallest step that leaves at most a fifth of them feasible.

That rule can leave nothing feasible.  The release has one with a lower limit as well: the change is the smallest step
of `STEP` by which a node is overloaded where the base policy rests, and the bound is the smallest multiple, from 4
times, of the fastest mean before the change that a sixth of the configurations can keep after it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from netrollout.types import Floats

STEP = 0.25  # of the factor on the demand
FIRST = 4  # multiple of the fastest mean that a bound is tried at first
KEPT = 0.95  # share of its windows that a configuration must have within the bound
ENOUGH = 1 / 6  # share of the configurations that must keep it


def _configuration_means(rows: pd.DataFrame, service: str) -> Floats:
    """Return the mean response time (configurations,), s, of rows with the controls and ``d_<service>``."""
    controls = [c for c in rows.columns if c.startswith(("p_", "c_"))]
    means: Floats = rows.groupby(controls)[f"d_{service}"].mean().to_numpy()
    return means


def bound_by_rule(rows: pd.DataFrame, service: str) -> float:
    """Return the bound O, s, rounded to a tenth of a millisecond."""
    return round(float(pd.Series(_configuration_means(rows, service)).median()), 4)


def feasible_share(rows: pd.DataFrame, service: str, bound: float) -> float:
    """Return the share of configurations whose mean response time is at most `bound`."""
    return float((_configuration_means(rows, service) <= bound).mean())


def keeping_share(rows: pd.DataFrame, service: str, bound: float) -> float:
    """Return the share of configurations that have `KEPT` of their windows within a bound, s."""
    controls = [c for c in rows.columns if c.startswith(("p_", "c_"))]
    within = (rows[f"d_{service}"] <= bound).groupby([rows[c] for c in controls]).mean()
    return float((within >= KEPT).mean())


def release_bound(before: pd.DataFrame, after: pd.DataFrame, service: str) -> float:
    """Return the bound of the release, s, rounded to 5 ms: see the module."""
    fastest = float(_configuration_means(before, service).min())
    bounds = (round(multiple * fastest / 0.005) * 0.005 for multiple in range(FIRST, 100))
    return round(next(bound for bound in bounds if keeping_share(after, service, bound) >= ENOUGH), 3)


def overloading_factor(load: float, p: float, workers: float, demand: float, quota: float) -> float:
    """Return the smallest multiple of `STEP` from 1 by which the demand overloads a node.

    Parameters
    ----------
    load : requests/s
    p : routing weight to node 1; the rest goes to node 2, which has one worker
    workers : of node 1
    demand : mean CPU s per request before the change
    quota : cores per worker
    """
    busiest = load * demand / quota * max(p / workers, 1.0 - p)
    return max(1.0, float(np.ceil(1.0 / busiest / STEP)) * STEP)
