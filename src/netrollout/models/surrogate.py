"""Regressors from a configuration to the distribution of its window mean response times.

Response times span decades and overload windows reach the timeout, so all but the published model learn log d.

==============  ======================================================  ============================================
name            centre                                                  predictive distribution
==============  ======================================================  ============================================
`forest`        random forest on log d                                  quantile forest: weighted training windows
`mean-forest`   random forest on d (as published)                       a point: every window is the mean
`linear`        ridge regression of log d on polynomial features        residuals held out by visit, of neighbours
`boosting`      histogram gradient boosting on log d                    the same
`queueing`      Allen-Cunneen formula, see `netrollout.models.queueing`  the same
`table`         none: the windows of the nearest configuration          these windows
==============  ======================================================  ============================================

Letters: n windows, F features, Q windows of a prediction, V services.  Sources: N. Meinshausen, "Quantile Regression
Forests", JMLR 7, 2006; the published model is that of Samani, Hammar & Stadler, NOMS 2024.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from netrollout.models.base import Centre, Column, ColumnSurrogate, held_out_residuals, levels, spread
from netrollout.models.queueing import Queueing
from netrollout.places import near
from netrollout.types import Floats, InputError, Ints, Surrogate

CHUNK = 512  # predicted rows whose weights on all training windows are held at once


@dataclass
class Forest(ColumnSurrogate):
    """A quantile regression forest on log d.

    A prediction weights the training windows by how often they share a leaf with it, averaged over the trees
    (Meinshausen 2006, equation 5), and takes the weighted quantiles.  The smallest leaf keeps the quantiles from
    resting on a handful of windows; a visited configuration fills whole leaves with its own windows.

    Parameters
    ----------
    trees : int
    min_leaf : int
        Fewest training windows in a leaf.
    seed : int
    """

    trees: int = 120
    min_leaf: int = 10
    seed: int = 0

    def _learn(self, features: Floats, response: Floats, groups: Ints) -> Column:
        order = np.argsort(response, kind="stable")
        x, y = features[order], response[order]
        forest = RandomForestRegressor(self.trees, min_samples_leaf=self.min_leaf, random_state=self.seed, n_jobs=1)
        forest.fit(x, np.log(y))
        first = np.cumsum([0, *(tree.tree_.node_count for tree in forest.estimators_)])

        def leaves(features: Floats) -> csr_array:
            """Return (n, nodes of all trees), one where a row ends."""
            columns = (forest.apply(features) + first[:-1]).ravel()
            rows = np.arange(len(features) + 1) * self.trees
            return csr_array((np.ones(len(columns)), columns, rows), shape=(len(features), first[-1]))

        trained = leaves(x)
        share = trained.multiply(1.0 / np.maximum(trained.sum(axis=0), 1.0)).T.tocsr() / self.trees

        def column(features: Floats, q: int) -> Floats:
            windows = np.empty((len(features), q))
            for start in range(0, len(features), CHUNK):
                weights = (leaves(features[start : start + CHUNK]) @ share).toarray()
                reached = np.cumsum(weights, axis=1)
                picks = [np.searchsorted(row, levels(q)) for row in reached]
                windows[start : start + CHUNK] = y[np.minimum(picks, len(y) - 1)]
            return windows

        return column


@dataclass
class MeanForest(ColumnSurrogate):
    """The published model: a random forest on d itself, a point prediction.

    Parameters
    ----------
    trees : int
    seed : int
    """

    trees: int = 120
    seed: int = 0

    def _learn(self, features: Floats, response: Floats, groups: Ints) -> Column:
        forest = RandomForestRegressor(self.trees, random_state=self.seed, n_jobs=1).fit(features, response)
        return lambda features, q: np.repeat(forest.predict(features)[:, None], q, axis=1)


@dataclass
class Linear(ColumnSurrogate):
    """Ridge regression of log d on the polynomials of the standardised features.

    Parameters
    ----------
    degree : int
    penalty : float
        On the squared coefficients.
    seed : int
        Of the folds that hold visits out.
    """

    degree: int = 2
    penalty: float = 1.0
    seed: int = 0

    def _learn(self, features: Floats, response: Floats, groups: Ints) -> Column:
        y = np.log(response)
        residual = held_out_residuals(self._centre, features, y, groups, self.seed)
        return spread(self._centre(features, y, groups), features, residual)

    def _centre(self, x: Floats, y: Floats, groups: Ints) -> Centre:
        model = make_pipeline(
            StandardScaler(), PolynomialFeatures(self.degree, include_bias=False), Ridge(self.penalty)
        ).fit(x, y)
        return lambda features: np.asarray(model.predict(features), dtype=float)


@dataclass
class Boosting(ColumnSurrogate):
    """Histogram gradient boosting on log d.

    Parameters
    ----------
    rounds : int
    seed : int
        Of the regressor, and of the folds that hold visits out.
    """

    rounds: int = 100
    seed: int = 0

    def _learn(self, features: Floats, response: Floats, groups: Ints) -> Column:
        y = np.log(response)
        residual = held_out_residuals(self._centre, features, y, groups, self.seed)
        return spread(self._centre(features, y, groups), features, residual)

    def _centre(self, x: Floats, y: Floats, groups: Ints) -> Centre:
        model = HistGradientBoostingRegressor(max_iter=self.rounds, early_stopping=False, random_state=self.seed)
        with threadpool_limits(1, user_api="openmp"):  # sums in the order of one thread: the same trees everywhere
            model.fit(x, y)
        return lambda features: np.asarray(model.predict(features), dtype=float)


@dataclass
class Table(ColumnSurrogate):
    """The windows of the nearest visited configuration: what is known without any regression.

    Nearest in the standardised features; a tie goes to the configuration that sorts first.

    Parameters
    ----------
    seed : int
        Unused; every surrogate takes one.
    """

    seed: int = 0

    def _learn(self, features: Floats, response: Floats, groups: Ints) -> Column:
        scaler = StandardScaler().fit(features)
        visited, which = np.unique(features, axis=0, return_inverse=True)
        windows = [response[which.ravel() == k] for k in range(len(visited))]
        near = NearestNeighbors(n_neighbors=1, n_jobs=1).fit(scaler.transform(visited))

        def column(features: Floats, q: int) -> Floats:
            index = near.kneighbors(scaler.transform(features), return_distance=False)[:, 0]
            quantiles = {k: np.quantile(windows[k], levels(q)) for k in np.unique(index)}
            return np.stack([quantiles[k] for k in index])

        return column


SURROGATES: dict[str, Callable[..., Surrogate]] = {
    "forest": Forest,
    "mean-forest": MeanForest,
    "linear": Linear,
    "boosting": Boosting,
    "queueing": Queueing,
    "table": Table,
}


def make_surrogate(
    name: str, seed: int = 0, controls: Sequence[str] | None = None, services: Sequence[str] | None = None
) -> Surrogate:
    """Make a surrogate by name.

    Parameters
    ----------
    name : str
        A key of `SURROGATES`.
    seed : int
    controls, services : sequence of str, optional
        What the features are; only ``queueing`` must know.

    Raises
    ------
    InputError
        If the name is unknown (near ones are suggested), or ``queueing`` is not told its controls and services.

    Examples
    --------
    >>> make_surrogate("table", seed=1)
    Table(seed=1)
    """
    if name not in SURROGATES:
        raise InputError(f"unknown surrogate {name!r}; {near(name, SURROGATES)}")
    if name != "queueing":
        return SURROGATES[name](seed=seed)
    if controls is None or services is None:
        raise InputError("surrogate 'queueing' needs the names of the controls and services that its features hold")
    return Queueing(tuple(controls), tuple(services), seed=seed)
