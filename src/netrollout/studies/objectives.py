"""Management objectives of two information services: a contextual bandit, as far as control goes.

The state is the offered load (l1, l2) in req/s, which no action moves. The action sets four absolute levels: the
routing weights p1, p2 to node 1 and the blocking rates b1, b2. One control cycle does not affect the next, so the best
policy maximises the expected reward load by load, and there is nothing to look ahead to.

A service's response time d_i is the larger of the means over its two nodes, s. Its carried load cl_i, req/s, counts in
full while d_i is within its bound and fades out beyond it::

    y_i = cl_i                                 if d_i <= O_i
        = cl_i / (1 + exp(200 (d_i - x_i)))    otherwise

with (O_1, x_1) = (.035, .05) s and (O_2, x_2) = (.110, .113) s, d_1 rounded to four and d_2 to three digits as in the
published files. An objective weighs y_1, y_2 and the shortfall of service 1 below its floor.

Source: Samani & Stadler, CNSM 2022 and TNSM 2024 (MO1, MO2); the third published objective could not be recovered from
its files, MO3 is our own. Letters: L loads, A = 1296 actions.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from netrollout.types import Floats, InputError, Ints

LEVELS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
ACTIONS: Floats = np.array(list(itertools.product(LEVELS, repeat=4)))  # (1296, 4): p1, p2, b1, b2
BOUNDS = (0.035, 0.110)  # s
CENTRES = (0.050, 0.113)  # s; here half of the carried load counts
DIGITS = (4, 3)
STEEPNESS = 200.0  # 1/s
FLOOR = 5.0  # req/s of service 1 in MO3: the least offered load, so that it can always be met


@dataclass(frozen=True)
class Objective:
    """A weighted sum of what was credited.

    Attributes
    ----------
    name : str
    first, second : reward per credited req/s of service 1 and of service 2
    shortfall : penalty per req/s that service 1 carries below `FLOOR`
    """

    name: str
    first: float
    second: float
    shortfall: float = 0.0

    def reward(self, outcome: Floats) -> Floats:
        """Return the reward (...) of outcomes (..., 3), see `outcomes`; linear, so expectations may be put in."""
        weights = np.array([self.first, self.second, -self.shortfall])
        value: Floats = outcome @ weights
        return value


MO1 = Objective("MO1", 1.0, 1.0)  # throughput
MO2 = Objective("MO2", 1.0, 5.0)  # differentiation
MO3 = Objective("MO3", 0.0, 1.0, shortfall=2.0)  # ours: service 2 counts once service 1 carries its floor
OBJECTIVES = (MO1, MO2, MO3)


def share(d: Floats) -> Floats:
    """Return which share of the carried load counts, (..., 2), at response times d (..., 2), s.

    Examples
    --------
    >>> share(np.array([[0.030, 0.113], [0.050, 0.110]]))
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    rounded = np.stack([np.round(d[..., i], digits) for i, digits in enumerate(DIGITS)], axis=-1)
    credited: Floats = np.where(rounded <= BOUNDS, 1.0, expit(-STEEPNESS * (rounded - CENTRES)))
    return credited


def outcomes(counted: Floats, carried: Floats) -> Floats:
    """Return y_1, y_2 and the shortfall of service 1, (..., 3) req/s.

    Parameters
    ----------
    counted : (..., 2) share of the carried load that counts, see `share`
    carried : (..., 2) carried load, req/s; nominal or measured
    """
    below = np.maximum(FLOOR - carried[..., 0], 0.0)
    result: Floats = np.stack([*np.moveaxis(counted * carried, -1, 0), below], axis=-1)
    return result


def nominal(loads: Floats, actions: Floats) -> Floats:
    """Return the carried load l_i (1 - b_i) that the published simulators credit, (..., 2) req/s.

    Parameters
    ----------
    loads : (..., 2) req/s
    actions : (..., 4) as in `ACTIONS`
    """
    carried: Floats = loads * (1.0 - actions[..., 2:])
    return carried


def action_index(settings: Floats) -> Ints:
    """Return the position (...) of settings (..., 4) in `ACTIONS`.

    Raises
    ------
    InputError
        If a setting is none of `LEVELS`.
    """
    steps = np.rint(np.asarray(settings) * 5)
    wrong = np.abs(np.asarray(settings) * 5 - steps) > 1e-6
    if wrong.any() or steps.min() < 0 or steps.max() > 5:
        bad = np.asarray(settings)[wrong | (steps < 0) | (steps > 5)].flat[0]
        raise InputError(f"setting {bad:g} is none of the levels {', '.join(f'{level:g}' for level in LEVELS)}")
    index: Ints = (steps @ [216, 36, 6, 1]).astype(np.int64)
    return index


def autoscaling_reward(d: Floats, workers: Floats) -> Floats:
    """Return the reward of the published comparison with Kubernetes' autoscaler, (n,).

    Few workers are rewarded while the response time keeps .4 s of distance to 1 s: 6 - c, otherwise 1 - (d + .4), with
    d (s) rounded to three digits (Samani & Stadler, TNSM 2024, published files).

    Examples
    --------
    >>> autoscaling_reward(np.array([0.2, 0.9]), np.array([2, 1]))
    array([ 4. , -0.3])
    """
    late = np.round(d, 3) + 0.4
    reward: Floats = np.where(late <= 1, 6.0 - workers, 1.0 - late)
    return reward
