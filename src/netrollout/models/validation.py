"""Held-out error of a surrogate, split so that nothing leaks.

The windows of one visit share the state of the testbed, and a visit stays in one configuration.  Splitting windows at
random therefore tests memory.  Here whole visits are held out (a known configuration, visited again) or whole
configurations (one never seen).  Letters: n windows, F features, V services.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from netrollout.seeding import spawn
from netrollout.types import Bools, Floats, InputError, Ints, Surrogate

WINDOWS = 25  # predictive windows for the coverage
CENTRAL = 0.8  # nominal coverage


class ErrorRow(NamedTuple):
    """A line of the error table.

    Attributes
    ----------
    service : index of the service
    region : ``all`` rows, or ``operating`` (measured response time within the region)
    rows : number of held-out windows
    nmae : mean absolute error of the predicted mean, over the mean measured value
    r2 : coefficient of determination; NaN where the measured values do not vary
    coverage : share of windows inside the central 80 % of the predictive distribution
    """

    service: int
    region: str
    rows: int
    nmae: float
    r2: float
    coverage: float


def nmae(measured: Floats, predicted: Floats) -> float:
    """Return mean|error| / mean(measured)."""
    return float(np.mean(np.abs(measured - predicted)) / np.mean(measured))


def r2(measured: Floats, predicted: Floats) -> float:
    """Return one minus residual over total sum of squares; NaN where the measured values do not vary."""
    total = np.sum((measured - measured.mean()) ** 2)
    return float(1.0 - np.sum((measured - predicted) ** 2) / total) if total > 0 else float("nan")


def grouped_folds(labels: Ints, folds: int, rng: np.random.Generator) -> Iterator[Bools]:
    """Yield the test mask (n,) of each fold; every label is in exactly one test set.

    Raises
    ------
    InputError
        If there are fewer labels than folds, or fewer than two folds.
    """
    names = np.unique(labels)
    if not 2 <= folds <= len(names):
        raise InputError(f"folds={folds}: expected 2 to {len(names)}, the number of groups to hold out")
    for test in np.array_split(rng.permutation(names), folds):
        yield np.isin(labels, test)


def held_out_error(
    make: Callable[[], Surrogate],
    features: Floats,
    response: Floats,
    groups: Ints,
    by: Literal["visit", "configuration"] = "visit",
    folds: int = 5,
    seed: int = 0,
    region: float = 1.0,
) -> list[ErrorRow]:
    """Cross-validate a surrogate.

    Parameters
    ----------
    make : callable
        Returns a surrogate that is not fitted yet.
    features : (n, F) float64
    response : (n, V) float64
        Window mean response times, s; NaN where nothing was routed.
    groups : (n,) int64
        Visit of each window.
    by : {"visit", "configuration"}
        What is held out; a configuration is a distinct row of `features`.
    folds, seed : int
    region : float
        Largest measured response time of the operating region, s.

    Returns
    -------
    list of ErrorRow
        For each service all rows, then the operating region (left out where it is empty).
    """
    if by not in ("visit", "configuration"):
        raise InputError(f"by={by!r}: hold out by 'visit' or by 'configuration'")
    labels = groups if by == "visit" else np.unique(features, axis=0, return_inverse=True)[1].ravel()
    mean, low, high = (np.full(response.shape, np.nan) for _ in range(3))
    for test in grouped_folds(labels, folds, spawn(seed, "held-out", by)):
        fitted = make().fit(features[~test], response[~test], groups[~test])
        mean[test] = fitted.mean(features[test])
        windows = fitted.windows(features[test], WINDOWS)
        low[test], high[test] = np.quantile(windows, [(1 - CENTRAL) / 2, (1 + CENTRAL) / 2], axis=1)
    rows = []
    for v in range(response.shape[1]):
        measured = response[:, v]
        for name, kept in (("all", np.isfinite(measured)), ("operating", measured <= region)):
            if kept.any():
                y, m = measured[kept], mean[kept, v]
                inside = (low[kept, v] <= y) & (y <= high[kept, v])
                rows.append(ErrorRow(v, name, int(kept.sum()), nmae(y, m), r2(y, m), float(inside.mean())))
    return rows
