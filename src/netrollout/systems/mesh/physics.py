"""What a change would do everywhere: response times of a queueing formula under other demands.

A service that gets heavier, or a node that slows down, moves every configuration at once, and overloaded ones most.  A
queueing formula with parameters from before the change tells how, for each pair of factors on the demands at the two
nodes.  After an alarm the controller weighs these hypotheses by the windows that it meets; what the formula gets wrong
is left to the Gaussian process of `netrollout.systems.mesh.relearn`.

Letters: H hypotheses, G grid points, V services.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netrollout.models.queueing import Queueing
from netrollout.systems.mesh.dynamics import Mesh
from netrollout.types import Floats, InputError

FACTORS = np.exp(np.linspace(np.log(0.4), np.log(3.0), 21))  # on the demand at a node
TOGETHER, APART = 0.5, 0.25  # prior standard deviations of the mean and of half the difference of the log factors


@dataclass(frozen=True, eq=False)
class Curves:
    """Log response times under every pair of factors on the demands at the nodes.

    Attributes
    ----------
    place : (H, 2) log factors
    logs : (H, G, V) log response times
    """

    place: Floats
    logs: Floats

    def prior(self, centre: Floats) -> Floats:
        """Return the logarithms (H,) of the prior weights around log factors (2,)."""
        apart = self.place - centre
        mean, half = apart.sum(axis=1) / 2.0, (apart[:, 0] - apart[:, 1]) / 2.0
        return np.asarray(-0.5 * ((mean / TOGETHER) ** 2 + (half / APART) ** 2))

    def nearest(self, centre: Floats) -> int:
        """Return the hypothesis nearest to log factors (2,)."""
        return int(((self.place - centre) ** 2).sum(axis=1).argmin())


def curves(queueing: Queueing, mesh: Mesh) -> Curves:
    """Tabulate a queueing formula on the grid of a mesh under all pairs of `FACTORS`.

    Raises
    ------
    InputError
        If the formula was not fitted.
    """
    first, second = (f.ravel() for f in np.meshgrid(FACTORS, FACTORS, indexing="ij"))
    place, features = np.log(np.column_stack([first, second])), mesh.grid_features()
    fitted = queueing.parameters
    if fitted is None:
        raise InputError("the queueing formula is not fitted: call fit first")
    logs = [
        np.log(queueing.formula(features, fitted._replace(demand=fitted.demand * factor))) for factor in np.exp(place)
    ]
    return Curves(place, np.stack(logs))
