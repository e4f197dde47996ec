"""Rollout as a step of Newton's method on Bellman's equation J = T J.

T is the maximum of the affine maps T_mu J = r_mu + discount P_mu J.  At a value V the greedy policy mu attains the
maximum, so T_mu is a tangent of T at V, and its own fixed point is the Newton iterate ::

    J_mu = V + (I - discount P_mu)^-1 (T V - V)

(Bertsekas 2022, *Lessons from AlphaZero for Optimal, Model Predictive, and Adaptive Control*, chapter 3; Puterman &
Brumelle 1979).  One number suffices to see it in the linear-quadratic problem of one dimension, where the value is
K x^2 and T becomes Riccati's function F: there the tangent also shows where the step fails.

Batch letters: S states, n points of a line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netrollout.dp.mdp import MDP
from netrollout.dp.value import evaluate_policy, greedy, q_factors
from netrollout.types import Floats, InputError


@dataclass(frozen=True)
class LinearQuadratic:
    """Regulate x' = a x + b u at the least sum of q x^2 + r u^2 (undiscounted cost; Bertsekas 2022, section 2.1).

    Parameters
    ----------
    a, b : float
        Dynamics; b is not 0.
    q, r : float
        Weights of state and control, both positive.

    Raises
    ------
    InputError
        If b is 0 or a weight is not positive.

    Examples
    --------
    >>> problem = LinearQuadratic(a=1.0, b=1.0, q=1.0, r=1.0)
    >>> round(problem.optimum(), 6), round(problem.newton(1.0), 6)
    (1.618034, 1.666667)
    """

    a: float
    b: float
    q: float
    r: float

    def __post_init__(self) -> None:
        """Refuse problems without a positive definite answer."""
        if self.b == 0.0 or not self.q > 0.0 or not self.r > 0.0:
            raise InputError(f"b {self.b}, q {self.q}, r {self.r}: b must not be 0, q and r must be positive")

    def riccati(self, k: float) -> float:
        """Return F(K) = q + a^2 r K / (r + b^2 K): the least cost of one step and K x^2 afterwards, per x^2."""
        return self.q + self.a**2 * self.r * k / (self.r + self.b**2 * k)

    def slope(self, k: float) -> float:
        """Return F'(K) = (a + b L)^2, L the greedy gain: the factor by which x^2 shrinks or grows under it."""
        return (self.a + self.b * self.gain(k)) ** 2

    def gain(self, k: float) -> float:
        """Return the gain L of the policy u = L x that is greedy for K x^2."""
        return -self.a * self.b * k / (self.r + self.b**2 * k)

    def cost(self, gain: float) -> float:
        """Return the true cost K_L of u = L x, per x^2; infinite where the closed loop does not shrink."""
        pole = (self.a + self.b * gain) ** 2
        return (self.q + self.r * gain**2) / (1.0 - pole) if pole < 1.0 else np.inf

    def newton(self, k: float) -> float:
        """Return where the tangent of F at K meets the diagonal.

        Within the region of stability, F'(K) < 1, this is the true cost of the greedy policy.  Beyond it the formula
        still gives a number, but the true cost is infinite.
        """
        slope = self.slope(k)
        return (self.riccati(k) - slope * k) / (1.0 - slope)

    def edge(self) -> float:
        """Return the K with F'(K) = 1, where the region of stability K > edge begins."""
        return self.r * (abs(self.a) - 1.0) / self.b**2

    def optimum(self) -> float:
        """Return the positive K with F(K) = K."""
        # b^2 K^2 - (q b^2 + (a^2 - 1) r) K - q r = 0
        half = (self.q * self.b**2 + (self.a**2 - 1.0) * self.r) / 2.0
        return (half + float(np.sqrt(half**2 + self.b**2 * self.q * self.r))) / self.b**2


@dataclass(frozen=True, eq=False)
class Line:
    """Bellman's operator along a line of values V(t) = (1 - t) start + t end, averaged over states.

    Attributes
    ----------
    t : (n,)
    value : (n,) mean of V(t)
    bellman : (n,) mean of T V(t)
    greedy : (n,) mean of the value of the policy that is greedy for V(t): the Newton iterate from V(t)
    """

    t: Floats
    value: Floats
    bellman: Floats
    greedy: Floats


def along_line(mdp: MDP, start: Floats, end: Floats, t: Floats, weights: Floats | None = None) -> Line:
    """Follow T and the Newton step along a line through value space.

    A picture in one dimension of a map in S dimensions: the tangents of T leave the line, so the Newton iterates drawn
    above it are those of the whole problem, not of the curve that is drawn.

    Parameters
    ----------
    mdp : MDP
    start, end : (S,)
        Values at t = 0 and t = 1, such as a base policy's and the optimal one.
    t : (n,)
        Points of the line, also outside [0, 1].
    weights : (S,), optional
        How the states are averaged; equally where None.

    Raises
    ------
    InputError
        If something does not fit.
    """
    mean = np.full(mdp.n_states, 1.0 / mdp.n_states) if weights is None else np.asarray(weights, dtype=float)
    if mean.shape != (mdp.n_states,):
        raise InputError(f"weights has shape {mean.shape}; expected ({mdp.n_states},)")
    points = [(1.0 - s) * np.asarray(start) + s * np.asarray(end) for s in t]
    bellman = [q_factors(mdp, point).max(axis=1) for point in points]
    improved = [evaluate_policy(mdp, greedy(mdp, point)).value for point in points]
    return Line(np.asarray(t), np.stack(points) @ mean, np.stack(bellman) @ mean, np.stack(improved) @ mean)
