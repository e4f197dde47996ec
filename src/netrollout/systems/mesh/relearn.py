"""The system model of the control cycle: the old distribution, shifted by what has been learned since.

Before enough new windows exist the model is the one from before the change, every configuration's log response times
shifted by the ratio learned so far, pooled over neighbours.  The shift s (G,) of the mean log response is a Gaussian
process over the grid ::

    s ~ N(0, K),   K = common^2 + near^2 exp(-distance^2 / (2 reach^2)) + own^2 [same grid point]

with distance in levels of the controls, a level of the load counting as two.  A window at grid point g is the old mean
log response there plus s_g plus noise; the noise's variance is the old one, counted as `NOISE_WEIGHT` windows, pooled
with that of the new windows.  The posterior is exact and costs a solve of the size of the configurations met.  It says
how uncertain a configuration still is, which exploration uses.

Where a queueing formula is known (`physics`, in this room), s has after an alarm not mean 0 but what the formula
says under one of many pairs of factors on the demands.  The posterior is then a mixture over these hypotheses, weighted
by what was met, and the Gaussian process takes what the formula gets wrong.

Rules.  Each configuration keeps its newest `KEEP` windows.  Its tabulated distribution is a mixture: the old
windows, shifted, count together as much as `OLD_WEIGHT` new ones, so with every new window the old ones count less.
After an alarm the model of before the likeliest moment of the change becomes the old one, only the windows since then
stay, and K widens from QUIET (what the model is wrong by although nothing changed) to CHANGED.

Letters: G grid points, Q windows, V services, n new windows.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from netrollout.models.drift import change_point, log_moments
from netrollout.systems.mesh.dynamics import Mesh, MeshState, ResponseTable
from netrollout.systems.mesh.physics import Curves
from netrollout.systems.mesh.plants import Window, moved
from netrollout.types import Floats, Ints

KEEP = 30  # windows
OLD_WEIGHT = 10.0  # windows
NOISE_WEIGHT = 8.0  # windows
REACH = 2.0  # levels


@dataclass(frozen=True)
class Prior:
    """How far the mean log response may have moved, one standard deviation each.

    Attributes
    ----------
    common : everywhere alike
    near : alike at neighbouring configurations
    own : at each configuration for itself
    """

    common: float
    near: float
    own: float


QUIET = Prior(common=0.05, near=0.05, own=0.2)
CHANGED = Prior(common=0.5, near=0.4, own=0.25)
MISFIT = Prior(common=0.1, near=0.15, own=0.2)
"""In place of CHANGED where a queueing formula carries the rest."""


class Relearned:
    """The newest model of a mesh, window by window.

    Parameters
    ----------
    mesh : Mesh
        The model from before the change.
    curves : Curves, optional
        What changes of the demands would do everywhere.
    resting : (M,) int, optional
        Where the mesh stands before the first window, at its first load.
    quiet, changed : Prior, optional
        See the module; `changed` is MISFIT with curves and CHANGED without.

    Attributes
    ----------
    mean, variance : (G, V) float64
        Posterior of the shift s.
    factors : (2,) float64
        Posterior mean of the factors on the demands at the nodes; ones without curves and before any alarm.
    alarms : int
        Changes that were noticed.
    window : Window or None
        The last one that was met.
    """

    streams: tuple[str, ...] = ("response",)

    def __init__(
        self,
        mesh: Mesh,
        curves: Curves | None = None,
        resting: Ints | None = None,
        quiet: Prior = QUIET,
        changed: Prior | None = None,
    ) -> None:
        self.mesh, self.alarms, self._curves = mesh, 0, curves
        self.window: Window | None = None
        self._resting = np.zeros(len(mesh.controls), dtype=np.int64) if resting is None else np.asarray(resting)
        self._changed = changed or (CHANGED if curves is None else MISFIT)
        self._distance = _distances(mesh)
        self._history: deque[tuple[int, Floats, float]] = deque(maxlen=KEEP * mesh.n_states)
        self._place = np.zeros(2)
        self._begin(mesh.response, quiet, np.zeros((1, *mesh.response.windows[:, 0].shape)), np.zeros(1))

    def _begin(self, old: ResponseTable, prior: Prior, expected: Floats, weights: Floats) -> None:
        """Start from an old model, shifts (H, G, V) expected under each hypothesis, and log prior weights (H,)."""
        self._old, self._prior = old, self._covariance(prior)
        self._expected, self._log_prior = expected, weights
        self._mean, self._deviation = log_moments(old)
        self._kept: list[deque[Floats]] = [deque(maxlen=KEEP) for _ in range(self.mesh.n_states)]
        self._refit()

    def _covariance(self, prior: Prior) -> Floats:
        near = prior.near**2 * np.exp(-(self._distance**2) / (2.0 * REACH**2))
        return np.asarray(prior.common**2 + near + prior.own**2 * np.eye(len(near)))

    def residual(self, grid: int, d: Floats) -> float:
        """Return the standardised residual of a window d (V,), s, against what was predicted before it was met."""
        gap = np.log(d) - self._mean[grid] - self.mean[grid]
        z = gap / np.sqrt(self._noise(grid) + self.variance[grid])
        return float(z.sum() / np.sqrt(len(z)))

    def _noise(self, grid: int) -> Floats:
        """Return the variance (V,) of the log window means at a grid point."""
        old, kept = NOISE_WEIGHT * self._deviation[grid] ** 2, self._kept[grid]
        if len(kept) < 2:
            return np.asarray(old / NOISE_WEIGHT)
        new = (len(kept) - 1) * np.var(np.stack(kept), axis=0, ddof=1)
        return np.asarray((old + new) / (NOISE_WEIGHT + len(kept) - 1))

    def state(self, window: Window | None) -> MeshState:
        """Return where the mesh stands after a window, or before the first one."""
        self.window = window
        if window is None:
            return MeshState(self._resting[None], np.zeros(1, dtype=np.int64))
        return MeshState(window.setting[None], np.array([window.next_load]))

    def _grid(self, window: Window) -> int:
        return int(self.mesh.index(MeshState(window.setting[None], np.array([window.load])))[0])

    def residuals(self, window: Window) -> Floats:
        """Return the standardised residual (1,) of a window."""
        return np.array([self.residual(self._grid(window), window.d)])

    def learn(self, window: Window, z: Floats) -> None:
        """Take a window, met with residuals z (1,)."""
        self.take(self._grid(window), window.d, float(z[0]))

    def predicted(self, x: MeshState, u: Ints) -> Floats:
        """Return the expected response times (V,), s, of action u (M,) in state x."""
        setting = moved(self.mesh, x.setting[0], u)
        return np.asarray(self.table().windows[int(self.mesh.index(x._replace(setting=setting[None]))[0])].mean(axis=0))

    def reward(self, window: Window) -> tuple[float, bool]:
        """Return the reward of a window and whether it broke a bound."""
        reward, violation = self.mesh.objective(self.mesh.saved[self._grid(window)], window.d)
        return float(reward), bool(violation)

    def take(self, grid: int, d: Floats, z: float) -> None:
        """Take a window d (V,), s, at a grid point, met with residual z."""
        self._history.append((grid, d, z))
        self._kept[grid].append(np.log(d))
        self._refit()

    def change(self, stream: str = "response") -> None:
        """Take the model of before the likeliest moment of the change as the old one, and keep the windows since."""
        rows = list(self._history)
        since = change_point(np.array([z for _, _, z in rows]))
        self._remember(rows[:-since])
        self.alarms += 1
        self._begin(self.table(), self._changed, *self._hypotheses())
        self._remember(rows[-since:])

    def _remember(self, rows: list[tuple[int, Floats, float]]) -> None:
        """Keep these windows and no others."""
        self._history.clear()
        self._history.extend(rows)
        for kept in self._kept:
            kept.clear()
        for grid, d, _ in rows:
            self._kept[grid].append(np.log(d))
        self._refit()

    def _hypotheses(self) -> tuple[Floats, Floats]:
        """Return the shifts (H, G, V) that each hypothesis expects from here on, and the log prior weights (H,)."""
        if self._curves is None:
            return np.zeros((1, *self._mean.shape)), np.zeros(1)
        if len(self._weights) > 1:
            self._place = self._weights @ self._curves.place
        here = self._curves.logs[self._curves.nearest(self._place)]
        return self._curves.logs - here, self._curves.prior(self._place)

    @property
    def factors(self) -> Floats:
        """Posterior mean of the factors on the demands at the nodes, (2,)."""
        if self._curves is None or len(self._weights) == 1:
            return np.exp(self._place)
        return np.asarray(np.exp(self._weights @ self._curves.place))

    def _refit(self) -> None:
        met: Ints = np.flatnonzero([len(kept) > 0 for kept in self._kept])
        self._gain = [np.zeros((len(self._prior), 0))] * self._mean.shape[1]
        self._met, self._weights = met, _normalised(self._log_prior)
        self._by_hypothesis = self._expected
        if len(met):
            self._condition(met)
        self.mean = np.tensordot(self._weights, self._by_hypothesis, 1)
        between = np.tensordot(self._weights, (self._by_hypothesis - self.mean) ** 2, 1)
        within = [np.diag(self._prior) - np.einsum("gm,mg->g", gain, self._prior[met]) for gain in self._gain]
        self.variance = np.stack(within, axis=1) + between

    def _condition(self, met: Ints) -> None:
        """Condition every hypothesis on the windows met, and weigh them by how well they had foretold these."""
        count = np.array([len(self._kept[g]) for g in met])
        noise = np.stack([self._noise(g) for g in met])
        gap = np.stack([np.mean(self._kept[g], axis=0) for g in met]) - self._mean[met]
        likelihood, shifts = self._log_prior.copy(), np.empty_like(self._expected)
        for v in range(gap.shape[1]):
            inverse = np.linalg.inv(self._prior[np.ix_(met, met)] + np.diag(noise[:, v] / count))
            self._gain[v] = self._prior[:, met] @ inverse
            missed = gap[:, v] - self._expected[:, met, v]  # (H, met)
            likelihood -= 0.5 * np.einsum("hm,mn,hn->h", missed, inverse, missed)
            shifts[:, :, v] = self._expected[:, :, v] + missed @ self._gain[v].T
        self._weights, self._by_hypothesis = _normalised(likelihood), shifts

    def sample(self, rng: np.random.Generator) -> Floats:
        """Return a draw (G, V) of the shift from its posterior: what the Thompson rule believes for a while."""
        drawn: Floats = self._by_hypothesis[rng.choice(len(self._weights), p=self._weights)].copy()
        for v, gain in enumerate(self._gain):
            covariance = self._prior - gain @ self._prior[self._met]
            root = np.linalg.cholesky(covariance + 1e-9 * np.eye(len(covariance)))
            drawn[:, v] += root @ rng.standard_normal(len(covariance))
        return np.asarray(drawn)

    def table(self, shift: Floats | None = None) -> ResponseTable:
        """Tabulate the model: equally likely windows (G, Q, V) with the mean shift, or with another one (G, V)."""
        shift = self.mean if shift is None else shift
        old: Floats = np.log(self._old.windows) + shift[:, None, :]
        windows = old.copy()
        for g, kept in enumerate(self._kept):
            if kept:
                windows[g] = _mixed(old[g], np.stack(kept) + (shift[g] - self.mean[g]))
        return ResponseTable(np.exp(windows))

    def model(self, shift: Floats | None = None) -> Mesh:
        """Return the mesh with the tabulated model as its response."""
        return self.mesh.with_response(self.table(shift))


def _normalised(logs: Floats) -> Floats:
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def _mixed(old: Floats, new: Floats) -> Floats:
    """Return Q equally likely windows of the mixture of old (Q, V) and new (n, V) ones, service by service."""
    q = len(old)
    values = np.concatenate([old, new])
    weights = np.concatenate([np.full(q, OLD_WEIGHT / q), np.ones(len(new))])
    order = np.argsort(values, axis=0, kind="stable")
    reached = np.cumsum(weights[order], axis=0) / weights.sum()
    levels = (np.arange(q) + 0.5) / q
    picks = np.stack([np.searchsorted(reached[:, v], levels) for v in range(values.shape[1])], axis=1)
    rising = np.take_along_axis(values, order, axis=0)
    return np.asarray(np.take_along_axis(rising, np.minimum(picks, len(values) - 1), axis=0))


def _distances(mesh: Mesh) -> Floats:
    """Return the distance (G, G) of every two grid points, see the module."""
    x = mesh.states()
    place = np.column_stack([x.setting, 2 * x.load]).astype(float)
    return np.asarray(np.sqrt(((place[:, None, :] - place[None, :, :]) ** 2).sum(axis=2)))
