"""What the surrogates share: checks, one column per service, and the spread around a point prediction.

A surrogate predicts q equally likely window means: the quantiles at levels (i + 1/2)/q.  Every service uses the same
level at index i, so a bad window is bad for all services at once.  Letters: n training windows, F features, V services,
Q predicted windows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from netrollout.models.validation import grouped_folds
from netrollout.seeding import spawn
from netrollout.types import Floats, InputError, Ints

Column = Callable[[Floats, int], Floats]  # features (n, F), q -> windows (n, q) of one service
Centre = Callable[[Floats], Floats]  # features (n, F) -> log of the typical response, (n,) or (n, V)

MEAN_POINTS = 101  # quantiles averaged for the mean
NEIGHBOURS = 100  # training windows whose residuals give the spread at a point
FOLDS = 5


class ColumnSurrogate(ABC):
    """A surrogate that learns one column per service; a subclass says how in `_learn`."""

    _columns: tuple[Column, ...] = ()

    @abstractmethod
    def _learn(self, features: Floats, response: Floats, groups: Ints) -> Column:
        """Learn one service from the rows in which it was measured: (n, F), (n,), (n,)."""

    def fit(self, features: Floats, response: Floats, groups: Ints) -> Self:
        """Fit on features (n, F), response (n, V) in s (NaN rows are dropped per service), visits (n,).

        Raises
        ------
        InputError
            If the shapes disagree, a feature is not finite, a response is not positive, or a service has no row.
        """
        check_training(features, response, groups)
        kept = np.isfinite(response)
        self._columns = tuple(
            self._learn(features[kept[:, v]], response[kept[:, v], v], groups[kept[:, v]])
            for v in range(response.shape[1])
        )
        return self

    def mean(self, features: Floats) -> Floats:
        """Return the expected response (n, V), s."""
        expected: Floats = self.windows(features, MEAN_POINTS).mean(axis=1)
        return expected

    def windows(self, features: Floats, q: int) -> Floats:
        """Return q equally likely window means (n, q, V), s."""
        return predict(self, self._columns, features, q)


def predict(surrogate: object, columns: tuple[Column, ...], features: Floats, q: int) -> Floats:
    """Return the windows (n, q, V) of all columns; `surrogate` is named if it was not fitted."""
    if not columns:
        raise InputError(f"{type(surrogate).__name__} is not fitted: call fit first")
    if q < 1:
        raise InputError(f"q={q}: a predictive distribution needs at least one window")
    return np.stack([column(features, q) for column in columns], axis=2)


def levels(q: int) -> Floats:
    """Return the levels (q,) of q equally likely quantiles."""
    return (np.arange(q) + 0.5) / q


def check_training(features: Floats, response: Floats, groups: Ints) -> None:
    """Refuse training data that no surrogate can use; the message names the first wrong row."""
    n = len(features)
    if features.ndim != 2 or response.ndim != 2 or len(response) != n or np.shape(groups) != (n,):
        raise InputError(
            f"features {features.shape}, response {response.shape} and groups {np.shape(groups)} must be "
            "(n, F), (n, V) and (n,)"
        )
    if not np.isfinite(features).all():
        raise InputError(f"features: row {np.argwhere(~np.isfinite(features))[0, 0]} is not finite")
    wrong = np.argwhere((response <= 0) | np.isinf(response))
    if len(wrong):
        row, v = wrong[0]
        raise InputError(
            f"response: row {row}, service {v} is {response[row, v]:g}; a window mean is positive, or NaN where "
            "nothing was routed"
        )
    empty = np.flatnonzero(~np.isfinite(response).any(axis=0))
    if len(empty):
        raise InputError(f"response: service {empty[0]} has no measured row")


def held_out_residuals(learn: Callable[[Floats, Floats, Ints], Centre], x: Floats, y: Floats, groups: Ints,
                       seed: int) -> Floats:  # fmt: skip
    """Return the residuals of log responses y, (n,) or (n, V), each window predicted without its own visit."""
    residual = np.empty_like(y)
    visits = len(np.unique(groups))
    if visits < 2:
        raise InputError(f"{visits} visit: the spread of windows needs at least two visits of a service")
    for test in grouped_folds(groups, min(FOLDS, visits), spawn(seed, "residuals")):
        residual[test] = y[test] - learn(x[~test], y[~test], groups[~test])(x[test])
    return residual


def spread(centre: Centre, x: Floats, residual: Floats) -> Column:
    """Return the column exp(centre + residual quantiles), the quantiles taken over the nearest training windows."""
    scaler = StandardScaler().fit(x)
    near = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(x)), n_jobs=1).fit(scaler.transform(x))

    def column(features: Floats, q: int) -> Floats:
        index = near.kneighbors(scaler.transform(features), return_distance=False)
        quantiles: Floats = np.quantile(residual[index], levels(q), axis=1).T
        windows: Floats = np.exp(centre(features)[:, None] + quantiles)
        return windows

    return column
