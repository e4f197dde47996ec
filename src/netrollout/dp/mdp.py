"""A finite Markov decision process as arrays.

In state s, action a pays r(s, a) on average; then the process moves to s' with probability p(s' | s, a), or ends with
the probability that is missing, 1 - sum over s' of p(s' | s, a).  Nothing is earned after the end.  Bellman's equation
is ::

    J(s) = max over feasible a of  r(s, a) + discount * sum over s' of p(s' | s, a) J(s')

(Puterman 1994, section 6.1, with the end written as missing probability instead of one more state: S stays the number
of states of the system, and a policy table needs no entry for the end).

Batch letters: S states, A joint actions, W noise points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from netrollout.batch import joint_actions, joint_feasible, repeat, take
from netrollout.types import Bools, Enumerable, Floats, InputError, Ints, System

ROW_TOLERANCE = 1e-8  # how far the probabilities of a row may be from one
SINGLE_TOLERANCE = 1e-6  # of probabilities in single precision
CHUNK = 250_000  # lanes that are stepped at once when a system is enumerated


@dataclass(frozen=True, eq=False)
class MDP:
    """A finite Markov decision process; made by `from_arrays` or `from_system`, which check it.

    Attributes
    ----------
    transition : scipy.sparse.csr_array, (S * A, S)
        Row s * A + a holds p(. | s, a); empty where a is not feasible in s.
    reward : (S, A) float64
        Expected reward; minus infinity where a is not feasible in s.
    discount : float
        Per step, in [0, 1].
    feasible : (S, A) bool

    Examples
    --------
    >>> import netrollout
    >>> transition = [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]]  # of state, action, next state
    >>> mdp = netrollout.MDP.from_arrays(transition, reward=[[0.0, 1.0], [2.0, 0.0]], discount=0.5)
    >>> mdp.successors.tolist()
    [[0, 1], [1, 1]]
    """

    transition: Any
    reward: Floats
    discount: float
    feasible: Bools

    @property
    def n_states(self) -> int:
        """Number of states S."""
        return int(self.reward.shape[0])

    @property
    def n_actions(self) -> int:
        """Number of joint actions A."""
        return int(self.reward.shape[1])

    @cached_property
    def largest_reward(self) -> float:
        """Largest absolute reward of a feasible action."""
        return float(np.abs(self.reward[self.feasible]).max())

    @cached_property
    def ends(self) -> Floats:
        """Probability (S, A) that the process ends with a step; 0 where the action is not feasible."""
        missing = 1.0 - np.asarray(self.transition.sum(axis=1)).reshape(self.reward.shape)
        return np.where(self.feasible & (missing > ROW_TOLERANCE), missing, 0.0)

    @cached_property
    def successors(self) -> NDArray[np.intp] | None:
        """Next state (S, A) if every step has one for certain, S standing for the end; else None.

        With it a product with the transition matrix is a gather, several times faster.
        """
        entries = np.diff(self.transition.indptr)
        if entries.max(initial=0) > 1 or np.abs(self.transition.data - 1.0).max(initial=0.0) > 1e-12:
            return None
        table = np.full(entries.shape, self.n_states, dtype=np.intp)
        table[entries == 1] = self.transition.indices
        return table.reshape(self.reward.shape)

    @classmethod
    def from_arrays(
        cls,
        transition: Any,
        reward: ArrayLike,
        discount: float,
        feasible: ArrayLike | None = None,
        ends: ArrayLike | None = None,
    ) -> MDP:
        """Make an MDP from arrays and check them.

        Parameters
        ----------
        transition : (S, A, S) array or (S * A, S) scipy sparse matrix
            Probabilities of the next state; what is given for actions that are not feasible is ignored.  The
            rounding of single precision is corrected by scaling the rows.
        reward : (S, A)
            Expected reward of every step.
        discount : float
            In [0, 1].  With 1 the end, or a state that keeps itself and pays nothing, must be reachable from every
            state; such absorbing states are then stored as the end.  Where a policy may also stay away from the end for
            ever without paying, policy iteration finds the best policy that ends, value iteration from zero the best of
            all, and the two may differ.
        feasible : (S, A) bool, optional
            All actions where None.
        ends : (S, A), optional
            Probability that the process ends with the step; nowhere where None.

        Raises
        ------
        InputError
            If shapes do not fit, a feasible entry is not finite, a probability is negative, the probabilities of a
            feasible action (with `ends`) do not sum to 1 within 1e-8 (1e-6 in single precision), a state has no
            feasible action, or the discount is outside [0, 1] or is 1 while the end cannot be reached from some state.
        """
        pay = np.array(reward, dtype=np.float64)
        if pay.ndim != 2 or 0 in pay.shape:
            raise InputError(f"reward has shape {pay.shape}; expected (S, A), at least one state and one action")
        given = transition if sparse.issparse(transition) else np.asarray(transition)
        rows = _as_rows(given, *pay.shape)
        allowed = _as_mask(feasible, pay.shape)
        if not 0.0 <= discount <= 1.0:
            raise InputError(f"discount {discount} must be at least 0 and at most 1")
        stop = np.zeros(pay.shape) if ends is None else np.array(ends, dtype=np.float64)
        if stop.shape != pay.shape:
            raise InputError(f"ends has shape {stop.shape}; expected that of reward, {pay.shape}")
        single = given.dtype == np.float32
        tolerance = SINGLE_TOLERANCE if single else ROW_TOLERANCE
        stop, rows.data = _without_dust(stop, tolerance), _without_dust(rows.data, tolerance)
        _check_entries(rows, pay, allowed, stop, tolerance)
        scale = allowed.ravel().astype(float)
        if single:
            total = np.asarray(rows.sum(axis=1)).ravel()
            scale *= np.divide(1.0 - stop.ravel(), total, out=np.ones_like(total), where=total > tolerance)
        rows = sparse.csr_array(sparse.diags_array(scale) @ rows)
        rows.eliminate_zeros()
        rows.sum_duplicates()
        mdp = cls(rows, np.where(allowed, pay, -np.inf), float(discount), allowed)
        return _with_absorbing_as_end(mdp) if discount == 1.0 else mdp

    @classmethod
    def from_system(cls, system: Enumerable) -> MDP:
        """Enumerate a system: every state, feasible joint action and noise point.

        The reward is the expectation of the step's reward over the noise.  A step that terminates has no next state.

        Parameters
        ----------
        system : Enumerable

        Raises
        ------
        InputError
            If the noise of the system cannot be listed or its weights are no probabilities, or the arrays do not pass
            `from_arrays`.
        """
        noise = listed_noise(system)
        if noise is None:
            raise InputError(f"{system.name}: exact planning needs a noise that can be listed; noise_support() is None")
        points, weights = noise
        x, joint, n = system.states(), joint_actions(system.levels), system.n_states
        allowed = joint_feasible(system.feasible(x), system.levels)
        pairs = np.flatnonzero(allowed)
        reward = np.zeros(allowed.size)
        blocks = []
        for part in np.array_split(pairs, max(1, -(-len(pairs) * len(weights) // CHUNK))):
            state, action = np.divmod(part, len(joint))
            u = np.repeat(joint[action], len(weights), axis=0)
            step = system.transition(repeat(take(x, state), len(weights)), u, np.tile(points, (len(part), 1)))
            reward[part] = np.asarray(step.reward).reshape(len(part), -1) @ weights
            alive = np.flatnonzero(~np.asarray(step.terminated))
            column = system.index(take(step.state, alive))
            lane, point = np.divmod(alive, len(weights))
            blocks.append(sparse.csr_array((weights[point], (lane, column)), shape=(len(part), n)))
        stacked = sparse.vstack(blocks, format="coo")
        rows = sparse.csr_array((stacked.data, (pairs[stacked.row], stacked.col)), shape=(allowed.size, n))
        ends = np.where(allowed, 1.0 - np.asarray(rows.sum(axis=1)).reshape(allowed.shape), 0.0)
        ends[ends < 1e-12] = 0.0
        return cls.from_arrays(rows, reward.reshape(allowed.shape), system.discount, allowed, ends)


def listed_noise(system: System) -> tuple[Floats, Floats] | None:
    """Return the noise points (W, D_w) and weights (W,) of a system, None where they cannot be listed.

    Raises
    ------
    InputError
        If the weights are not as many as the points, one is negative, or they do not sum to 1 within 1e-8.
    """
    noise = system.noise_support()
    if noise is None:
        return None
    points, weights = np.asarray(noise[0]), np.asarray(noise[1])
    if points.ndim != 2 or weights.shape != points.shape[:1]:
        shapes = f"{points.shape} and {weights.shape}"
        raise InputError(f"{system.name}: noise_support() has the shapes {shapes}; expected (W, D_w) and (W,)")
    total = float(weights.sum())
    if not (weights >= 0.0).all() or not abs(total - 1.0) <= ROW_TOLERANCE:
        found = f"sum to {total:.10g}" if (weights >= 0.0).all() else f"hold {weights.min():.4g}"
        raise InputError(f"{system.name}: the weights of noise_support() {found}; expected 0 or more, and the sum 1")
    return points, weights


def proper_policy(mdp: MDP) -> Ints:
    """Return a table (S,) under which the end is reached with probability one from every state.

    Each state takes the first action that may bring it one step closer to the end.

    Raises
    ------
    InputError
        If the end cannot be reached from some state.
    """
    known = np.zeros(mdp.n_states, dtype=bool)
    policy: Ints = mdp.feasible.argmax(axis=1).astype(np.int64)
    while not known.all():
        closer = ((mdp.transition @ known.astype(float)).reshape(mdp.reward.shape) > 0) | (mdp.ends > 0)
        new = closer.any(axis=1) & ~known
        if not new.any():
            raise InputError(
                f"discount 1.0: from state {int(np.argmin(known))} no policy reaches the end or a state that keeps "
                "itself and pays nothing; use a discount below 1 or add such a state"
            )
        policy[new] = closer[new].argmax(axis=1)
        known |= new
    return policy


def _as_rows(transition: Any, n_states: int, n_actions: int) -> Any:
    flat = (n_states * n_actions, n_states)
    rows = transition if sparse.issparse(transition) else np.asarray(transition, dtype=np.float64)
    expected = flat if sparse.issparse(transition) else (n_states, n_actions, n_states)
    if rows.shape != expected:
        raise InputError(
            f"transition has shape {rows.shape}; with reward of shape ({n_states}, {n_actions}) expected {expected}"
        )
    return sparse.csr_array(rows.reshape(flat), dtype=np.float64)


def _as_mask(feasible: ArrayLike | None, shape: tuple[int, int]) -> Bools:
    given = np.ones(shape, dtype=bool) if feasible is None else np.asarray(feasible)
    if given.dtype.kind not in "biuf" or not np.isin(given, (0, 1)).all():
        raise InputError("feasible: expected only True and False, or 1 and 0")
    mask = given.astype(bool)
    if mask.shape != shape:
        raise InputError(f"feasible has shape {mask.shape}; expected that of reward, {shape}")
    if not mask.any(axis=1).all():
        raise InputError(f"state {int(mask.any(axis=1).argmin())} has no feasible action; give it at least one")
    return mask


def _without_dust(shares: Floats, tolerance: float) -> Floats:
    """Return probabilities with 0 in place of what rounding has made negative."""
    return np.where((shares < 0.0) & (shares >= -tolerance), 0.0, shares)


def _check_entries(rows: Any, reward: Floats, feasible: Bools, ends: Floats, tolerance: float) -> None:
    """Refuse values that are no rewards or no probabilities, naming the first one."""
    n_actions = reward.shape[1]
    for name, table in (("reward", reward), ("ends", ends)):
        bad = feasible & ~np.isfinite(table)
        if bad.any():
            s, a = np.argwhere(bad)[0]
            raise InputError(f"{name}[{s}, {a}] is {table[s, a]}; expected a finite number")
    entries = sparse.coo_array(rows)
    wrong = ~((entries.data >= 0.0) & (entries.data <= 1.0 + tolerance)) & feasible.ravel()[entries.row]
    if wrong.any():
        i = int(wrong.argmax())
        s, a = divmod(int(entries.row[i]), n_actions)
        raise InputError(f"transition[{s}, {a}, {entries.col[i]}] is {entries.data[i]}; expected a probability")
    total = np.asarray(rows.sum(axis=1)).reshape(reward.shape) + ends
    wrong = feasible & ((np.abs(total - 1.0) > tolerance) | (ends < 0.0))
    if wrong.any():
        s, a = np.argwhere(wrong)[0]
        raise InputError(
            f"transition[{s}, {a}] with ends[{s}, {a}] = {ends[s, a]:g} sums to {total[s, a]:.10g}; expected 1"
        )


def _with_absorbing_as_end(mdp: MDP) -> MDP:
    """Empty the rows of states that every action keeps and nothing is paid in, and check that the end is reachable."""
    shape = mdp.reward.shape
    stays = mdp.transition[np.arange(mdp.reward.size), np.repeat(np.arange(shape[0]), shape[1])].reshape(shape)
    idle = (np.abs(stays - 1.0) <= ROW_TOLERANCE) & (mdp.reward == 0.0)
    absorbing = (idle | ~mdp.feasible).all(axis=1)
    keep = sparse.diags_array(np.repeat(~absorbing, shape[1]).astype(float))
    rows = sparse.csr_array(keep @ mdp.transition)
    rows.eliminate_zeros()
    ended = MDP(rows, mdp.reward, mdp.discount, mdp.feasible)
    proper_policy(ended)
    return ended
