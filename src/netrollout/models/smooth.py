"""What a trace tells of every grid point: its own windows where it has any, a Gaussian process on logs elsewhere.

The mean log response of a grid point is a smooth function of its place (Matern's covariance with smoothness 3/2, a
length for each control and load, in levels) plus a deviation of its own.  Where a point was measured, its windows are
kept and moved to the posterior mean: hardly, where they say more than the neighbours do.  Where it was not, the process
answers with the windows of all points around what it foresees.  Visits of one point differ more than the windows of one
visit; the mean over k visits with n windows is uncertain by (between visits) / k + (within a visit) / n.

Lengths and variances are those of greatest posterior density under wide priors.  Draws of the posterior are exact for
what was measured; the prior draw that each starts from is made of random waves [1]_, so that no covariance of the whole
grid is ever held.

Letters: G grid points, D dimensions, n windows of the trace, V metrics, Q windows of a prediction, R draws, P points
that were measured.

References
----------
.. [1] J. T. Wilson et al., "Pathwise conditioning of Gaussian processes", JMLR 22, 2021; A. Rahimi & B. Recht, "Random
   features for large-scale kernel machines", NIPS 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.stats import norm
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from netrollout.models.base import levels
from netrollout.types import Floats, Ints

WINDOWS = 25
DRAWS = 200
REACH = 2.0  # levels; where the prior of the lengths is centred
LEAST = 0.25  # variance of the logs over the grid that is always held possible
OWN = -1.25  # log of the share of a point's own deviation, where its prior is centred
FITTED = 300  # measured points that the lengths are fitted to
WAVES = 400
FREEDOM = 4.0  # degrees of freedom of the draws: how far the fitted variances may be off
ROWS = 2000  # grid points whose covariances are held at once


class Points(NamedTuple):
    """One metric's logs by grid point."""

    mean: Floats  # (G,) mean over visits of the mean log; NaN where not measured
    variance: Floats  # (G,) of that mean; infinite where not measured
    windows: Floats  # (G, Q) logs around the mean, rising


class Law(NamedTuple):
    """Lengths and variances of the process."""

    lengths: Floats  # (D,)
    smooth: float
    common: float
    own: float


@dataclass(frozen=True, eq=False)
class Belief:
    """What is believed of every grid point.

    Attributes
    ----------
    mean : (G, V) posterior mean of the log
    draws : (R, G, V) posterior draws of the log; their mean is `mean`
    around : (G, Q, V) logs of equally likely windows around the mean
    shift : (V,) what was added to a metric before its logarithm was taken
    range : (2, V) limits within which windows are foreseen
    """

    mean: Floats
    draws: Floats
    around: Floats
    shift: Floats
    range: Floats

    def windows(self) -> Floats:
        """Return equally likely windows (G, Q, V), the uncertainty of the mean among what spreads them."""
        z = norm.ppf(levels(self.around.shape[1]))
        deviation = self.draws.std(axis=0)
        wide = np.stack(
            [_sums(self.around[:, :, v], deviation[:, v, None] * z) for v in range(len(self.shift))], axis=2
        )
        return self._plain(wide + self.mean[:, None, :])

    def drawn(self, r: int) -> Floats:
        """Return the windows (G, Q, V) of draw r."""
        return self._plain(self.around + self.draws[r][:, None, :])

    def _plain(self, logs: Floats) -> Floats:
        return np.asarray(np.clip(np.exp(np.minimum(logs, 700.0)) - self.shift, *self.range))


def believe(place: Floats, point: Ints, response: Floats, visit: Ints, rng: np.random.Generator) -> Belief:
    """Learn from the windows of a trace.

    Parameters
    ----------
    place : (G, D) float64
        Where the grid points lie, in levels.
    point : (n,) int
        Grid point of each window.
    response : (n, V) float64
        Metrics; NaN where not measured.  A metric without a value is taken for 1.
    visit : (n,) int
    rng : numpy.random.Generator
    """
    response = np.where(np.isnan(response).all(axis=0), 1.0, response)
    low, high = np.nanmin(response, axis=0), np.nanmax(response, axis=0)
    # What may be zero or negative is moved above zero and back, and foreseen only where it was met.
    shift = np.where(low > 0, 0.0, np.where(high > low, high - low, 1.0) - low)
    with threadpool_limits(1, user_api="blas"):  # the same sums everywhere, and no waiting for each other on small ones
        found = [_metric(place, _points(len(place), point, y, visit), rng) for y in np.log(response + shift).T]
    mean, draws, around = (np.stack(parts, axis=-1) for parts in zip(*found, strict=True))
    limits = np.where(low > 0, [low / 10.0, high * 10.0], [low, high])
    return Belief(mean, draws, around, shift, limits)


def _points(n: int, point: Ints, y: Floats, visit: Ints) -> Points:
    """Gather logs y (n,) by grid point; what is NaN is passed over."""
    met = np.isfinite(y)
    y, point = y[met], point[met]
    pairs, which = np.unique(np.stack([point, visit[met]], axis=1), axis=0, return_inverse=True)
    home, which = pairs[:, 0], which.ravel()
    long = np.bincount(which)
    told = np.bincount(which, y) / long
    visits, windows = np.bincount(home, minlength=n), np.bincount(point, minlength=n)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(home, told, minlength=n) / visits
    within = float(((y - told[which]) ** 2).sum() / max(len(y) - len(long), 1))
    between = _between(told - mean[home], visits, within, len(long) / float((1.0 / long).sum()))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = between / visits + within / windows
    variance[visits == 0] = np.inf
    return Points(mean, variance, _around(point, y - mean[point], n))


def _between(gaps: Floats, visits: Ints, within: float, windows: float) -> float:
    """Return the variance between visits, as if one more had shown it to be that within a visit."""
    freedom = int((visits[visits > 0] - 1).sum())
    of_means = (float((gaps**2).sum()) + within * (1.0 + 1.0 / windows)) / (freedom + 1)
    return max(of_means - within / windows, 0.0)


def _around(point: Ints, gaps: Floats, n: int) -> Floats:
    """Return windows (G, Q) around each point's mean: its own, and all points' together for as much as one more."""
    at = levels(WINDOWS)
    pooled = np.quantile(gaps, at)
    around = np.tile(pooled, (n, 1))
    order = np.argsort(point, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(point[order])) + 1):
        own = gaps[part]
        values = np.concatenate([own, pooled])
        weights = np.concatenate([np.ones(len(own)), np.full(WINDOWS, 1.0 / WINDOWS)])
        rising = np.argsort(values, kind="stable")
        reached = np.cumsum(weights[rising]) - weights[rising] / 2.0
        around[point[part[0]]] = np.interp(at * weights.sum(), reached, values[rising])
    return around


def _metric(place: Floats, points: Points, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Return posterior mean (G,), draws (R, G) and windows around the mean (G, Q) of one metric."""
    met = np.flatnonzero(np.isfinite(points.variance))
    y, noise = points.mean[met], points.variance[met]
    level, spread = float(y.mean()), max(float(y.var()), LEAST)
    law = _law(place[met], y - level, noise, spread, rng)
    among = _covariance(law, place[met], place[met]) + np.diag(law.own + noise)
    factor = cho_factor(among)
    deviations = _prior(law, place, rng)
    missed = deviations[:, met] + rng.standard_normal((len(deviations), len(met))) * np.sqrt(noise)
    gaps = np.column_stack([y - level, -missed.T])  # (P, 1 + R/2)
    moved = np.empty((len(place), gaps.shape[1]))
    weights = cho_solve(factor, gaps)
    for start in range(0, len(place), ROWS):
        moved[start : start + ROWS] = _covariance(law, place[start : start + ROWS], place[met]) @ weights
    moved[met] += law.own * weights
    heavy = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, (len(deviations), 1)))
    mean, deviations = level + moved[:, 0], (deviations + moved[:, 1:].T) * heavy
    return mean, mean + np.concatenate([deviations, -deviations]), points.windows


def _law(place: Floats, gap: Floats, noise: Floats, spread: float, rng: np.random.Generator) -> Law:
    """Fit lengths and variances to mean logs `gap` (P,) around their mean, by their posterior density."""
    if len(gap) > FITTED:
        some = rng.choice(len(gap), FITTED, replace=False)
        place, gap, noise = place[some], gap[some], noise[some]
    centre = np.array([0.5 * np.log(spread), 0.5 * np.log(spread) + OWN, *[np.log(REACH)] * place.shape[1]])

    def law(x: Floats) -> Law:
        return Law(np.exp(x[2:]), float(np.exp(2 * x[0])), spread, float(np.exp(2 * x[1])))

    def unlikely(x: Floats) -> float:
        at = law(x)
        try:
            root = np.linalg.cholesky(_covariance(at, place, place) + np.diag(at.own + noise))
        except np.linalg.LinAlgError:
            return 1e10
        told = np.linalg.solve(root, gap)
        return float(0.5 * told @ told + np.log(np.diag(root)).sum() + 0.5 * ((x - centre) ** 2).sum())

    return law(minimize(unlikely, centre, method="L-BFGS-B", bounds=[(c - 4, c + 4) for c in centre],
                        options={"maxiter": 50}).x)  # fmt: skip


def _covariance(law: Law, a: Floats, b: Floats) -> Floats:
    """Return the covariance (len(a), len(b)) of what is smooth and what is common."""
    a, b = a / law.lengths, b / law.lengths
    square = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2.0 * a @ b.T
    r = np.sqrt(3.0 * np.maximum(square, 0.0))
    return np.asarray(law.common + law.smooth * (1.0 + r) * np.exp(-r))


def _prior(law: Law, place: Floats, rng: np.random.Generator) -> Floats:
    """Return draws (R/2, G) of the process before anything was measured."""
    count, (n, d) = DRAWS // 2, place.shape
    # Matern's spectrum with smoothness 3/2 is Student's t with 3 degrees of freedom.
    wave = rng.standard_normal((WAVES, d)) * np.sqrt(3.0 / rng.chisquare(3.0, (WAVES, 1))) / law.lengths
    waves = np.cos(place @ wave.T + rng.uniform(0.0, 2.0 * np.pi, WAVES))
    smooth = np.sqrt(2.0 * law.smooth / WAVES) * rng.standard_normal((count, WAVES)) @ waves.T
    common = np.sqrt(law.common) * rng.standard_normal((count, 1))
    return np.asarray(smooth + common + np.sqrt(law.own) * rng.standard_normal((count, n)))


def _sums(a: Floats, b: Floats) -> Floats:
    """Return Q equally likely values (G, Q) of the sum of two independent ones, each given by (G, Q)."""
    q = a.shape[1]
    found = np.empty_like(a)
    for start in range(0, len(a), ROWS):
        rows = slice(start, start + ROWS)
        sums = (a[rows, :, None] + b[rows, None, :]).reshape(-1, q * q)
        found[rows] = np.quantile(sums, levels(q), axis=1).T
    return found
