"""Exact solution of finite Markov decision processes.

Notation: (T_mu J)(s) = r(s, mu(s)) + discount * E J(s') is one step of policy mu, and T J = max over mu of T_mu J.

Stopping.  For any J let lo and hi be the least and greatest entry of T J - J, and mu greedy for J.  Then ::

    T J + discount / (1 - discount) lo  <=  J_mu  <=  J*  <=  T J + discount / (1 - discount) hi

(Puterman 1994, theorem 6.6.1, after MacQueen); where the process may end, lo is replaced by min(lo, 0) and hi by
max(hi, 0).  Value and modified policy iteration stop when the two sides are less than epsilon apart: mu is then
epsilon-optimal, and the middle between the sides, which is returned as the value, is within epsilon / 2 of J*.
With discount 1 there is no such bound: they stop when no entry of T J - J exceeds epsilon.

Batch letters: S states, A joint actions, H steps.
"""

from __future__ import annotations

import numpy as np

from netrollout.dp.mdp import MDP, proper_policy
from netrollout.dp.value import (
    Solution,
    checked_table,
    checked_value,
    choose,
    evaluate_policy,
    follow,
    induced,
    q_factors,
    tie_tolerance,
)
from netrollout.types import Floats, InputError, Ints


def value_iteration(mdp: MDP, epsilon: float = 1e-6, value: Floats | None = None, limit: int = 100_000) -> Solution:
    """Repeat J <- T J (Puterman 1994, section 6.3), stopped by the bounds in the module's docstring.

    Parameters
    ----------
    mdp : MDP
    epsilon : float
        The policy's value is within epsilon of J*, the returned value within epsilon / 2.
    value : (S,), optional
        Where to begin; zero where None.
    limit : int
        Largest number of iterations.

    Examples
    --------
    >>> import netrollout
    >>> mdp = netrollout.MDP.from_system(netrollout.make("walk"))
    >>> found = netrollout.value_iteration(mdp, epsilon=1e-6)
    >>> found.policy.tolist(), found.value.round(6).tolist(), found.converged
    ([2, 1], [10.0, 10.0], True)
    """
    return modified_policy_iteration(mdp, epsilon, 0, value, limit)


def modified_policy_iteration(
    mdp: MDP, epsilon: float = 1e-6, sweeps: int = 20, value: Floats | None = None, limit: int = 100_000
) -> Solution:
    """Repeat J <- T_mu^sweeps T J with mu greedy for J (Puterman 1994, section 6.5), stopped as value iteration is.

    Parameters
    ----------
    mdp : MDP
    epsilon : float
        The policy's value is within epsilon of J*, the returned value within epsilon / 2.
    sweeps : int
        Steps of the greedy policy after each improvement; 0 is value iteration.
    value : (S,), optional
        Where to begin; zero where None.
    limit : int
        Largest number of improvements.

    Raises
    ------
    InputError
        If epsilon is not positive, or `value` does not fit.

    Examples
    --------
    >>> from netrollout.systems.toy import Walk
    >>> modified_policy_iteration(MDP.from_system(Walk()), sweeps=5).policy.tolist()
    [2, 1]
    """
    if not epsilon > 0.0 or sweeps < 0 or limit < 1:
        raise InputError(f"epsilon {epsilon}, sweeps {sweeps}, limit {limit}: expected > 0, at least 0, at least 1")
    proper = not mdp.ends.any()
    now = np.zeros(mdp.n_states) if value is None else checked_value(mdp, value, "value")
    iterations = 0
    while True:
        iterations += 1
        q = q_factors(mdp, now)
        better = q.max(axis=1)
        shift, width = _bounds(mdp, better - now, proper)
        if width < epsilon or iterations >= limit:
            result = better + shift
            residual = np.abs(q_factors(mdp, result).max(axis=1) - result).max()
            return Solution(result, choose(q, tie_tolerance(mdp, now)), iterations, float(residual), width < epsilon)
        now = _swept(mdp, q, better, sweeps) if sweeps else better


def policy_iteration(mdp: MDP, policy: Ints | None = None, limit: int = 1000) -> Solution:
    """Evaluate exactly, improve, until the policy is greedy for its own value (Puterman 1994, section 6.4).

    The present action is kept where it is tied with the best, so the values rise strictly and the loop ends; the policy
    returned is optimal up to the tie tolerance: J* - J_mu <= residual / (1 - discount).

    Parameters
    ----------
    mdp : MDP
    policy : (S,) int, optional
        Where to begin; where None the myopic policy, and with discount 1 one that ends from everywhere.
    limit : int
        Largest number of improvements, at least 1.

    Raises
    ------
    InputError
        If `policy` does not fit; with discount 1 also if a policy that never ends turns out to be an improvement.  One
        that never ends and is only as good is not taken: see `MDP.from_arrays`.

    Examples
    --------
    >>> import netrollout
    >>> mdp = netrollout.MDP.from_system(netrollout.make("walk"))
    >>> netrollout.policy_iteration(mdp).policy.tolist()
    [2, 1]
    """
    if policy is not None:
        table = checked_table(mdp, np.asarray(policy))
    else:
        table = proper_policy(mdp) if mdp.discount == 1.0 else mdp.reward.argmax(axis=1)
    iterations = 0
    while True:
        iterations += 1
        value = evaluate_policy(mdp, table).value
        q = q_factors(mdp, value)
        better = choose(q, tie_tolerance(mdp, value), table)
        stable = np.array_equal(better, table)
        if stable or iterations >= limit:
            return Solution(value, table, iterations, float(np.abs(q.max(axis=1) - value).max()), stable)
        table = better


def backward_induction(mdp: MDP, horizon: int, terminal: Floats | None = None) -> Solution:
    """Solve the problem of `horizon` steps exactly (Puterman 1994, section 4.5).

    Parameters
    ----------
    mdp : MDP
    horizon : int
        Number of steps H, 0 or more.
    terminal : (S,), optional
        Value of the state that is reached after them; zero where None.

    Returns
    -------
    Solution
        ``value`` (H + 1, S): row t is the value with H - t steps to go, the last row the terminal one; ``policy``
        (H, S): the action at time t.

    Raises
    ------
    InputError
        If the horizon is negative or `terminal` does not fit.

    Examples
    --------
    >>> import netrollout
    >>> mdp = netrollout.MDP.from_system(netrollout.make("walk"))
    >>> netrollout.backward_induction(mdp, horizon=2).value.round(2).tolist()
    [[1.9, 1.9], [1.0, 1.0], [0.0, 0.0]]
    """
    if horizon < 0:
        raise InputError(f"horizon {horizon} must be 0 or more steps")
    value = np.zeros((horizon + 1, mdp.n_states))
    policy = np.zeros((horizon, mdp.n_states), dtype=np.int64)
    if terminal is not None:
        value[-1] = checked_value(mdp, terminal, "terminal")
    for t in reversed(range(horizon)):
        q = q_factors(mdp, value[t + 1])
        value[t], policy[t] = q.max(axis=1), choose(q, tie_tolerance(mdp, value[t + 1]))
    return Solution(value, policy, horizon, 0.0, True)


def _bounds(mdp: MDP, change: Floats, proper: bool) -> tuple[float, float]:
    """Return the middle of the bounds on J* - T J and the distance between them."""
    low, high = float(change.min()), float(change.max())
    if not proper:
        low, high = min(low, 0.0), max(high, 0.0)
    if mdp.discount == 1.0:
        return 0.0, float(np.abs(change).max())
    factor = mdp.discount / (1.0 - mdp.discount)
    return factor * (low + high) / 2.0, factor * (high - low)


def _swept(mdp: MDP, q: Floats, value: Floats, sweeps: int) -> Floats:
    """Apply T_mu `sweeps` times, mu the greedy policy behind `q`."""
    table = q.argmax(axis=1)
    if mdp.successors is not None:
        reward, after = follow(mdp, table)
        for _ in range(sweeps):
            value = reward + mdp.discount * np.append(value, 0.0).take(after)
        return value
    reward, matrix = induced(mdp, table)
    for _ in range(sweeps):
        value = reward + mdp.discount * (matrix @ value)
    return value
