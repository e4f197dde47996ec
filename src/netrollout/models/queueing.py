r"""The response of a mesh from queueing theory: the physics baseline.

Node k has c_k parallel workers; service s (offered load l_s) sends it the share p_s (node 1) or 1 - p_s (node 2) of its
requests, which hold a worker for tau_sk seconds on average.  With lambda_k = sum_s l_s p_sk, offered work
a_k = sum_s l_s p_sk tau_sk and utilisation rho_k = a_k / c_k, the mean wait of an M/G/c queue is, by Allen and Cunneen,

    W_k = C(c_k, a_k) / (c_k (1 - rho_k)) * (a_k / lambda_k) * (1 + v) / 2,

C the Erlang C formula and v the squared coefficient of variation of a request's time on a worker (Poisson arrivals).
Past rho = 0.95 the wait continues as W(0.95) + (rho - 0.95) H / 2: a queue overloaded for H seconds, seen half-way on
average.  The response time of a service is

    d_s = sum_k p_sk (o_s + tau_sk + W_k),   o_s the overhead of proxy and network.

Fitted on log d: tau (V, 2), o (V,), v and H, all positive.  Sources: A. O. Allen, *Probability, Statistics, and
Queueing Theory*, 2nd ed., 1990, section 5.3 (Allen-Cunneen approximation); Erlang C through the Erlang B recursion.
Letters: n windows, M controls, V services, 2 nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
from scipy.optimize import least_squares

from netrollout.models.base import MEAN_POINTS, Centre, Column, check_training, held_out_residuals, predict, spread
from netrollout.types import Floats, InputError, Ints

STABLE = 0.95  # utilisation up to which the stationary formula holds
NODES = 2
WIDTH = 6.0  # the parameters lie within exp(-WIDTH) to exp(WIDTH) times their first guess


class Parameters(NamedTuple):
    """What the formula needs.

    Attributes
    ----------
    demand : (V, 2) tau, s a request holds a worker of each node
    overhead : (V,) o, s
    variability : v, squared coefficient of variation
    overload : H, s
    """

    demand: Floats
    overhead: Floats
    variability: float
    overload: float


@dataclass
class Queueing:
    """The Allen-Cunneen formula with fitted parameters; its spread is that of residuals held out by visit.

    Parameters
    ----------
    controls : tuple of str
        ``p_<service>`` for every service, ``c_1`` and ``c_2`` where they are controls (else one worker).
    services : tuple of str
        The last V features are their offered loads, requests/s.
    seed : int
        Of the folds that hold visits out.

    Raises
    ------
    InputError
        If a service has no routing weight, or a control is neither a weight nor a node's workers.
    """

    controls: tuple[str, ...]
    services: tuple[str, ...]
    seed: int = 0
    parameters: Parameters | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Refuse controls that the formula cannot place."""
        known = {f"p_{service}" for service in self.services} | {"c_1", "c_2"}
        for control in self.controls:
            if control not in known:
                raise InputError(f"control {control!r}: the queueing formula knows {', '.join(sorted(known))}")
        for service in self.services:
            if f"p_{service}" not in self.controls:
                raise InputError(f"service {service!r} has no control p_{service}: its routing is unknown")
        self._columns: tuple[Column, ...] = ()

    def fit(self, features: Floats, response: Floats, groups: Ints) -> Self:
        """Fit on features (n, M + V), response (n, V) in s (NaN = nothing routed), visits (n,)."""
        check_training(features, response, groups)
        if features.shape[1] != len(self.controls) + len(self.services) or response.shape[1] != len(self.services):
            raise InputError(
                f"features {features.shape} and response {response.shape} do not fit {len(self.controls)} controls and "
                f"{len(self.services)} services"
            )
        y = np.log(response)
        residual = held_out_residuals(self._centre, features, y, groups, self.seed)
        self.parameters = fitted = self._solve(features, y)
        columns = []
        for v in range(len(self.services)):
            kept = np.isfinite(residual[:, v])
            columns.append(spread(self._log_formula(fitted, v), features[kept], residual[kept, v]))
        self._columns = tuple(columns)
        return self

    def mean(self, features: Floats) -> Floats:
        """Return the expected response (n, V), s."""
        expected: Floats = self.windows(features, MEAN_POINTS).mean(axis=1)
        return expected

    def windows(self, features: Floats, q: int) -> Floats:
        """Return q equally likely window means (n, q, V), s."""
        return predict(self, self._columns, features, q)

    def formula(self, features: Floats, parameters: Parameters) -> Floats:
        """Return the response times (n, V), s, of the module's formula."""
        weight, load, workers = self._parts(features)
        share = np.stack([weight, 1.0 - weight], axis=2)  # (n, V, 2)
        rate = np.einsum("nv,nvk->nk", load, share)
        work = np.einsum("nv,nvk,vk->nk", load, share, parameters.demand)
        wait = _wait(rate, work, workers, parameters)
        path = parameters.overhead[None, :, None] + parameters.demand[None] + wait[:, None, :]
        total: Floats = (share * path).sum(axis=2)
        return total

    def _parts(self, features: Floats) -> tuple[Floats, Floats, Floats]:
        """Return routing weights (n, V), loads (n, V) in requests/s and workers (n, 2)."""
        column = dict(zip(self.controls, features.T, strict=False))
        one = np.ones(len(features))
        weight = np.stack([column[f"p_{service}"] for service in self.services], axis=1)
        workers = np.stack([column.get(f"c_{k + 1}", one) for k in range(NODES)], axis=1)
        return weight, features[:, len(self.controls) :], workers

    def _centre(self, x: Floats, y: Floats, groups: Ints) -> Centre:
        fitted = self._solve(x, y)
        return lambda features: np.log(self.formula(features, fitted))

    def _log_formula(self, fitted: Parameters, v: int) -> Centre:
        return lambda features: np.log(self.formula(features, fitted)[:, v])

    def _solve(self, x: Floats, y: Floats) -> Parameters:
        """Fit the logarithms of the parameters to log responses y (n, V), robustly: overload windows stray far."""
        v, measured = len(self.services), np.isfinite(y)
        lightest = np.nanmin(np.exp(y), axis=0)
        start = np.concatenate([np.repeat(0.8 * lightest, NODES), 0.2 * lightest, [1.0, 10.0]])

        def unpack(theta: Floats) -> Parameters:
            p = np.exp(theta)
            return Parameters(p[: NODES * v].reshape(v, NODES), p[NODES * v : -2], float(p[-2]), float(p[-1]))

        def misfit(theta: Floats) -> Floats:
            error: Floats = (np.log(self.formula(x, unpack(theta))) - y)[measured]
            return error

        low, high = np.log(start) - WIDTH, np.log(start) + WIDTH
        found = least_squares(misfit, np.log(start), bounds=(low, high), loss="soft_l1", f_scale=0.2)
        return unpack(found.x)


def _wait(rate: Floats, work: Floats, workers: Floats, parameters: Parameters) -> Floats:
    """Return the mean wait (n, 2), s, for arrivals (n, 2) in requests/s, offered work (n, 2) and workers (n, 2)."""
    utilisation = work / workers
    stable = np.minimum(utilisation, STABLE)
    holding = work / np.maximum(rate, 1e-12)  # 0 where nothing arrives
    delayed = erlang_c(workers, stable * workers)
    stationary = delayed / (workers * (1.0 - stable)) * holding * (1.0 + parameters.variability) / 2.0
    return stationary + np.maximum(utilisation - STABLE, 0.0) * parameters.overload / 2.0


def erlang_c(workers: Floats, work: Floats) -> Floats:
    """Return the probability of waiting in M/M/c for whole numbers of workers and offered work below them (erlangs)."""
    blocking = np.ones_like(work)  # Erlang B without a worker
    for c in range(1, int(workers.max()) + 1):
        blocking = np.where(workers >= c, work * blocking / (c + work * blocking), blocking)
    probability: Floats = blocking / (1.0 - work / workers * (1.0 - blocking))
    return probability
