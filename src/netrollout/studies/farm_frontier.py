"""The frontier of the constant numbers of workers, and whether a policy lies above it.

Batch letters: N episodes, K constants.
"""

from __future__ import annotations

import numpy as np

from netrollout.catalog import Worlds
from netrollout.evaluate import Estimate, over_units
from netrollout.experiment import Values, run
from netrollout.studies.farm_play import MEASURES, paired
from netrollout.systems.serverless.realise import farm_plant
from netrollout.systems.serverless.rules import Constant
from netrollout.types import Floats, Ints


def frontier(family: str, episodes: int = 100, seed: int = 0, phase: str = "before", change: str = "double") -> Values:
    """Return what every constant number of workers brings, from the least on: each of `MEASURES`, (K, N)."""
    plant = farm_plant(family, phase, change, episodes)
    rows = {k: lambda worlds, k=k: Constant(k) for k in range(plant.least, plant.most + 1)}
    table = run(lambda: Worlds(plant, plant, plant), rows, paired(episodes, seed))
    return {name: np.stack([table[name, k] for k in rows]) for name in MEASURES}


def beats_frontier(played: Values, constants: Values, measure: str = "qos") -> Estimate:
    """Return by how much a policy lies above the frontier of the constants at its own mean number of workers.

    The frontier is the upper concave hull of the constants in the plane of mean workers and a measure, up to its
    maximum: what can be had by tossing a coin between two constants at the start of an episode.  With s the slope of
    the hull there, and f the mix of the two constants that has the policy's mean workers, an episode's difference is
    measure - f's measure - s (workers - f's workers); the second part is zero on average and lets the interval know
    that the mean workers are an estimate too.  Below the smallest constant, and above that of the maximum, the
    comparison is with that constant.  The policy beats the frontier if the whole interval is above 0.

    Parameters
    ----------
    played : dict of (..., N)
        `MEASURES` of the policy.
    constants : dict of (K, N)
        Those of `frontier`, on the same episodes.
    measure : str
        ``qos``, ``in_time``, ``reward`` or ``steady``.
    """
    x, y, workers = constants["workers"], constants[measure], played["workers"]
    hull = _hull(x.mean(axis=1), y.mean(axis=1))
    at = float(np.clip(workers.mean(), x[hull[0]].mean(), x[hull[-1]].mean()))
    right = min(int(np.searchsorted(x[hull].mean(axis=1), at, side="right")), len(hull) - 1)
    low, high = hull[max(right - 1, 0)], hull[right]
    width = x[high].mean() - x[low].mean()
    share = (at - x[low].mean()) / width if width > 0.0 else 0.0
    inside = x[hull[0]].mean() < workers.mean() < x[hull[-1]].mean()
    slope = (y[high].mean() - y[low].mean()) / width if inside and width > 0.0 else 0.0
    mixed = [(1.0 - share) * part[low] + share * part[high] for part in (y, x)]
    return over_units(played[measure] - mixed[0] - slope * (workers - mixed[1]))


def _hull(x: Floats, y: Floats) -> Ints:
    """Return the points of the upper concave hull from the least x to the largest y, x rising."""
    hull: list[int] = []
    for i in np.argsort(x, kind="stable"):
        if hull and y[i] <= y[hull].max():
            continue
        while len(hull) > 1 and _below(hull[-2], hull[-1], int(i), x, y):
            hull.pop()
        hull.append(int(i))
    return np.array(hull)


def _below(a: int, b: int, c: int, x: Floats, y: Floats) -> bool:
    """Return whether point b is not above the line from a to c."""
    return bool((y[b] - y[a]) * (x[c] - x[a]) <= (y[c] - y[a]) * (x[b] - x[a]))
