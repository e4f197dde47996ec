"""Expected outcomes of a window, learned without predicting the window first.

A quantile regression forest weighs the training windows by how often they share a leaf with a query (Meinshausen 2006,
equation 5). The expectation of any function g of a window is then a weighted mean of g over the training windows, which
equals the mean over the trees of the leaf's mean of g: no quantile has to be computed, and E g(d) is never replaced by
g(E d). Letters: n training windows, m queries, F features, V responses, G outcomes.
"""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from netrollout.types import Floats, InputError, Ints


class OutcomeForest:
    """A forest whose splits follow the responses and whose leaves hold mean outcomes.

    Parameters
    ----------
    trees : int
    min_leaf : int
        Fewest training windows in a leaf.
    seed : int

    Examples
    --------
    >>> x = np.array([[0.0], [0.0], [1.0], [1.0]])
    >>> d = np.array([[1.0], [3.0], [5.0], [5.0]])
    >>> OutcomeForest(trees=20, min_leaf=1).fit(x, d, (d > 2).astype(float)).expect(np.array([[0.0]])).shape
    (1, 1)
    """

    def __init__(self, trees: int = 120, min_leaf: int = 5, seed: int = 0) -> None:
        self._forest = RandomForestRegressor(trees, min_samples_leaf=min_leaf, random_state=seed, n_jobs=1)

    def fit(self, features: Floats, response: Floats, outcome: Floats) -> OutcomeForest:
        """Learn from features (n, F), responses (n, V) that decide the splits, and outcomes (n, G).

        Responses are standardised, so that none of them dominates the splits.

        Raises
        ------
        InputError
            If the numbers of rows differ or a number is not finite.
        """
        for name, array in (("response", response), ("outcome", outcome)):
            if len(array) != len(features):
                raise InputError(f"{name} has {len(array)} rows, features have {len(features)}")
            if not np.isfinite(array).all():
                raise InputError(f"{name}: row {np.argwhere(~np.isfinite(array))[0, 0]} is not finite")
        scale = response.std(axis=0)
        target = (response - response.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
        self._forest.fit(features, target[:, 0] if target.shape[1] == 1 else target)
        leaves = self._forest.apply(features)
        self._leaf_means = [
            _means(leaves[:, k], outcome, tree.tree_.node_count) for k, tree in enumerate(self._forest.estimators_)
        ]
        return self

    def expect(self, features: Floats) -> Floats:
        """Return the expected outcomes (m, G) of queries (m, F)."""
        leaves = self._forest.apply(features)
        total = sum(means[leaves[:, k]] for k, means in enumerate(self._leaf_means))
        expected: Floats = total / len(self._leaf_means)
        return expected


def _means(leaf: Ints, outcome: Floats, nodes: int) -> Floats:
    """Return the mean outcome per node (nodes, G), zero where no training window ended."""
    count = np.bincount(leaf, minlength=nodes)
    sums = np.column_stack([np.bincount(leaf, weights=column, minlength=nodes) for column in outcome.T])
    means: Floats = sums / np.maximum(count, 1)[:, None]
    return means
