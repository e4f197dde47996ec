"""What a policy is worth on a finite Markov decision process, exactly, and which policy is greedy for a value.

Notation: (T_mu J)(s) = r(s, mu(s)) + discount * E J(s') is one step of policy mu.  Batch letters: S states, A joint
actions, H steps, n rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from netrollout.dp.mdp import MDP, ROW_TOLERANCE
from netrollout.types import Floats, InputError, Ints

DENSE_STATES = 128  # below this many states a dense solve is faster than a sparse one
DENSE_SHARE = 0.1  # and above this share of non-zeros too


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver found.

    Attributes
    ----------
    value : (S,) float64, or (H + 1, S) of `backward_induction`
    policy : (S,) int, or what was evaluated, or (H, S) of `backward_induction`
    iterations : int
    residual : float
        Largest entry of abs(T J - J) for the returned value J (of T_mu for `evaluate_policy`); the distance of J from
        the fixed point is at most residual / (1 - discount).
    converged : bool
        Whether the stopping rule was met within the allowed iterations.
    """

    value: Floats
    policy: Any
    iterations: int
    residual: float
    converged: bool


def tie_tolerance(mdp: MDP, value: Floats) -> float:
    """Return how near two Q-factors over `value` (S,) must be to count as equal: the rounding that a solve leaves.

    It is 1e-14 / (1 - discount), with 1 - discount at least 1e-4, times the largest reward plus the largest value.
    """
    return 1e-14 * (mdp.largest_reward + float(np.abs(value).max())) / max(1.0 - mdp.discount, 1e-4)


def q_factors(mdp: MDP, value: Floats) -> Floats:
    """Return Q(s, a) = r(s, a) + discount * E value(s'), (S, A); minus infinity where a is not feasible.

    Parameters
    ----------
    mdp : MDP
    value : (S,)

    Raises
    ------
    InputError
        If `value` does not have one number per state.
    """
    value = np.asarray(value, dtype=np.float64)
    if value.shape != (mdp.n_states,):
        raise InputError(f"value has shape {value.shape}; expected ({mdp.n_states},)")
    scaled = mdp.discount * value
    if mdp.successors is not None:
        q: Floats = np.append(scaled, 0.0).take(mdp.successors)
    else:
        q = (mdp.transition @ scaled).reshape(mdp.reward.shape)
    q += mdp.reward
    return q


def choose(q: Floats, tolerance: float, prefer: Ints | None = None) -> Ints:
    """Return the best action (n,) of each row of Q-factors (n, A).

    Actions within `tolerance` of the best are tied; a tie goes to `prefer` (n,) where that is among them, else to the
    lowest index.
    """
    floor = q.max(axis=1) - tolerance
    chosen: Ints = (q >= floor[:, None]).argmax(axis=1)
    if prefer is None:
        return chosen
    return np.where(q[np.arange(len(q)), prefer] >= floor, prefer, chosen)


def greedy(mdp: MDP, value: Floats, prefer: Ints | None = None) -> Ints:
    """Return the policy (S,) that is greedy for `value`.

    Parameters
    ----------
    mdp : MDP
    value : (S,)
    prefer : (S,) int, optional
        Where its action is tied with the best, it is kept; other ties go to the lowest index.  Tied means within
        1e-14 / (1 - discount) of the best, relative to the largest value.

    Raises
    ------
    InputError
        If `value` or `prefer` does not fit.
    """
    if prefer is not None:
        prefer = checked_table(mdp, np.asarray(prefer))
    return choose(q_factors(mdp, value), tie_tolerance(mdp, value), prefer)


def evaluate_policy(mdp: MDP, policy: Any) -> Solution:
    """Return the value of a policy, exactly.

    Solves (I - discount P_mu) J = r_mu: by path doubling where every step has one successor (after k rounds each state
    knows the rewards of its next 2^k steps; stopped when the rest is below rounding), else by a sparse or dense solve.

    Parameters
    ----------
    mdp : MDP
    policy : (S,) int or (S, A)
        Action of every state, or probabilities of the actions.

    Raises
    ------
    InputError
        If the policy does not fit, takes an action that is not feasible, or never ends while the discount is 1.

    Examples
    --------
    >>> import numpy as np, netrollout
    >>> mdp = netrollout.MDP.from_system(netrollout.make("walk"))
    >>> netrollout.evaluate_policy(mdp, np.array([1, 1])).value.round(6).tolist()  # to hold wherever it is
    [0.0, 10.0]
    """
    policy = np.asarray(policy)
    if policy.ndim == 1:
        table = checked_table(mdp, policy)
        if mdp.successors is not None:
            reward, after = follow(mdp, table)
            value = _doubled(mdp, reward, after)
            residual = np.abs(reward + mdp.discount * np.append(value, 0.0)[after] - value).max()
            return Solution(value, policy, 1, float(residual), True)
    reward, matrix = induced(mdp, policy)
    value = _solved(mdp, reward, matrix)
    residual = np.abs(reward + mdp.discount * (matrix @ value) - value).max()
    return Solution(value, policy, 1, float(residual), True)


def induced(mdp: MDP, policy: Any) -> tuple[Floats, Any]:
    """Return reward (S,) and transition (S, S), sparse, of the Markov chain under a policy.

    Parameters
    ----------
    mdp : MDP
    policy : (S,) int or (S, A)

    Raises
    ------
    InputError
        If the policy does not fit or takes an action that is not feasible.
    """
    policy, states = np.asarray(policy), np.arange(mdp.n_states)
    if policy.ndim == 1:
        table = checked_table(mdp, policy)
        return mdp.reward[states, table], mdp.transition[states * mdp.n_actions + table]
    weights = _checked_probabilities(mdp, policy)
    reward = (weights * np.where(mdp.feasible, mdp.reward, 0.0)).sum(axis=1)
    pairs = np.flatnonzero(weights)
    mix = sparse.csr_array(
        (weights.ravel()[pairs], (pairs // mdp.n_actions, pairs)), shape=(mdp.n_states, weights.size)
    )
    return reward, sparse.csr_array(mix @ mdp.transition)


def follow(mdp: MDP, table: Ints) -> tuple[Floats, Any]:
    """Return reward (S,) and successor (S,) of a deterministic process under a table."""
    states = np.arange(mdp.n_states)
    assert mdp.successors is not None
    return mdp.reward[states, table], mdp.successors[states, table]


def _doubled(mdp: MDP, reward: Floats, after: Any) -> Floats:
    """Sum the discounted rewards along each state's only path, doubling its length each round."""
    value, ahead, factor, steps = np.append(reward, 0.0), np.append(after, mdp.n_states), mdp.discount, 1
    while factor > 1e-18 and (mdp.discount < 1.0 or steps <= mdp.n_states):
        value = value + factor * value[ahead]
        ahead, factor, steps = ahead[ahead], factor * factor, 2 * steps
    if mdp.discount == 1.0 and (ahead != mdp.n_states).any():
        _refuse_endless(int((ahead != mdp.n_states).argmax()))
    return value[:-1]


def _solved(mdp: MDP, reward: Floats, matrix: Any) -> Floats:
    """Solve (I - discount P) J = r."""
    n = mdp.n_states
    if mdp.discount == 1.0:
        known = np.asarray(matrix.sum(axis=1)) < 1.0 - ROW_TOLERANCE
        while not known.all():
            more = known | (matrix @ known.astype(float) > 0.0)
            if np.array_equal(more, known):
                _refuse_endless(int(known.argmin()))
            known = more
    value: Floats
    if n <= DENSE_STATES or matrix.nnz > DENSE_SHARE * n * n:
        value = np.linalg.solve(np.eye(n) - mdp.discount * matrix.toarray(), reward)
    else:
        value = splu(sparse.csc_array(sparse.eye_array(n) - mdp.discount * matrix)).solve(reward)
    return value


def _refuse_endless(state: int) -> None:
    raise InputError(f"discount 1.0: from state {state} the policy never ends, so its value is not finite")


def checked_value(mdp: MDP, value: Any, name: str) -> Floats:
    """Return a finite value (S,), or refuse it."""
    checked = np.asarray(value, dtype=np.float64)
    if checked.shape != (mdp.n_states,):
        raise InputError(f"{name} has shape {checked.shape}; expected ({mdp.n_states},)")
    if not np.isfinite(checked).all():
        s = int(np.isfinite(checked).argmin())
        raise InputError(f"{name}[{s}] is {checked[s]}; expected a finite number")
    return checked


def checked_table(mdp: MDP, policy: Any) -> Ints:
    """Return a policy (S,) of feasible actions, or refuse it."""
    if policy.shape != (mdp.n_states,) or policy.dtype.kind not in "iu":
        raise InputError(f"policy of shape {policy.shape} and type {policy.dtype}; expected ({mdp.n_states},) integers")
    outside = (policy < 0) | (policy >= mdp.n_actions)
    bad = outside if outside.any() else ~mdp.feasible[np.arange(mdp.n_states), policy]
    if bad.any():
        s = int(bad.argmax())
        raise InputError(
            f"policy takes action {policy[s]} in state {s}; feasible there: {np.flatnonzero(mdp.feasible[s]).tolist()}"
        )
    table: Ints = policy.astype(np.int64, copy=False)
    return table


def _checked_probabilities(mdp: MDP, policy: Any) -> Floats:
    weights: Floats = np.asarray(policy, dtype=np.float64)
    if weights.shape != mdp.reward.shape:
        raise InputError(f"policy has shape {weights.shape}; expected ({mdp.n_states},) or {mdp.reward.shape}")
    bad = ~(weights >= 0.0) | (~mdp.feasible & (weights != 0.0))
    if bad.any():
        s, a = np.argwhere(bad)[0]
        raise InputError(
            f"policy[{s}, {a}] is {weights[s, a]}; expected a probability, 0 where the action is not feasible"
        )
    total = weights.sum(axis=1)
    if (np.abs(total - 1.0) > ROW_TOLERANCE).any():
        s = int(np.abs(total - 1.0).argmax())
        raise InputError(f"policy[{s}] sums to {total[s]:.10g}; expected 1")
    return weights
