"""Exact rollout and multi-step lookahead on a tabulated process.

With base policy mu, terminal value V and truncation after m steps, l-step lookahead takes in state s an action that
attains the maximum in ``T (T^(l - 1) T_mu^m V) (s)``; plain rollout is l = 1 and V = J_mu (Bertsekas 2021, chapter 2,
and chapter 5 for the discounted problem of infinite horizon).  What theory gives, J_l being the value of the policy
that results and g the discount:

* V = J_mu: ``J_l >= T^l J_mu >= T^(l-1) J_mu >= J_mu`` and ``|J* - J_l| <= g^l |J* - J_mu|`` in the supremum norm.  So
  every l improves on the base, and the guarantee grows with l; J_l itself may fall when l grows.
* Any other V: J_l >= T_mu^m V if T_mu V >= V; else only ``|J* - J_l| <= 2 g^l |T_mu^m V - J*| / (1 - g)``.

All of this holds on the process that is planned on.  On another one (the plant) nothing is guaranteed.

Batch letters: S states, A joint actions, n states that are asked about, B lanes, K action components.

References
----------
D. P. Bertsekas, *Rollout, Policy Iteration, and Distributed Reinforcement Learning*, Athena Scientific, 2021.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import BatchPolicy, joint_actions
from netrollout.dp.mdp import MDP
from netrollout.dp.value import (
    checked_table,
    checked_value,
    choose,
    evaluate_policy,
    induced,
    q_factors,
    tie_tolerance,
)
from netrollout.types import Enumerable, Floats, InputError, Ints

TERMINALS = ("base", "zero", "stale")


def q_rollout(mdp: MDP, value: Floats, lookahead: int = 1, states: Ints | None = None) -> Floats:
    """Return the Q-factors of T^(lookahead - 1) `value`.

    Parameters
    ----------
    mdp : MDP
    value : (S,)
        Terminal value.
    lookahead : int
        Steps l of exact maximisation, 1 or more.
    states : (n,) int, optional
        States to answer for, all where None; only what can be reached from them in l - 1 steps is computed.

    Returns
    -------
    (n, A) float64
        Minus infinity where an action is not feasible.

    Raises
    ------
    InputError
        If the lookahead is below 1, `value` does not fit or a state does not exist.
    """
    _check_lookahead(lookahead)
    value = checked_value(mdp, value, "value")
    if states is None:
        for _ in range(lookahead - 1):
            value = q_factors(mdp, value).max(axis=1)
        return q_factors(mdp, value)
    states = np.asarray(states)
    if not states.size:
        return np.empty((0, mdp.n_actions))
    if states.dtype.kind not in "iu" or not (0 <= states.min() and states.max() < mdp.n_states):
        raise InputError(f"states from {states.min()} to {states.max()}; expected integers, 0 to {mdp.n_states - 1}")
    return _q_reached(mdp, value, lookahead, states)


def terminal_value(
    mdp: MDP,
    base: Any,
    terminal: str | Floats = "base",
    stale_value: Floats | None = None,
    horizon: int | None = None,
) -> Floats:
    """Return the value (S,) that lookahead ends in.

    Parameters
    ----------
    mdp : MDP
    base : (S,) int or (S, A)
        Base policy: actions or probabilities.
    terminal : {"base", "zero", "stale"} or (S,)
        ``base``: the base policy evaluated exactly on `mdp`; ``zero``; ``stale``: `stale_value`, such as the base's
        value before the system changed; or any table of values.
    stale_value : (S,), optional
        Needed for ``stale``, refused otherwise.
    horizon : int, optional
        Steps m of the base policy before the terminal value counts: the result is T_mu^m V.  Zero where None.

    Raises
    ------
    InputError
        If an option is unknown, or something does not fit.
    """
    if isinstance(terminal, str) and terminal not in TERMINALS:
        raise InputError(f"terminal {terminal!r} is unknown; expected {', '.join(TERMINALS)} or a table of values")
    if (isinstance(terminal, str) and terminal == "stale") != (stale_value is not None):
        raise InputError("terminal 'stale' and stale_value go together: give both or neither")
    if horizon is not None and horizon < 0:
        raise InputError(f"horizon {horizon} must be 0 or more steps")
    if not isinstance(terminal, str):
        value = checked_value(mdp, terminal, "terminal")
    elif stale_value is not None:
        value = checked_value(mdp, stale_value, "stale_value")
    elif terminal == "base":
        return evaluate_policy(mdp, base).value  # T_mu changes nothing here
    else:
        value = np.zeros(mdp.n_states)
    reward, matrix = induced(mdp, base)
    for _ in range(horizon or 0):
        value = reward + mdp.discount * (matrix @ value)
    return value


def _base_actions(mdp: MDP, base: Any) -> Ints:
    """Return the action (S,) of a base policy to which ties go: its own, or its most probable one."""
    base = np.asarray(base)
    actions: Ints = base if base.ndim == 1 else base.argmax(axis=1)
    return actions


def rollout_table(
    mdp: MDP,
    base: Any,
    lookahead: int = 1,
    terminal: str | Floats = "base",
    stale_value: Floats | None = None,
    horizon: int | None = None,
) -> Ints:
    """Return the rollout policy as a table (S,) of joint actions.

    An action within `netrollout.dp.value.tie_tolerance` of the best is tied with it; ties go to the base policy's
    action, then to the lowest index.  With ``terminal="base"`` the policy is nowhere worse than its base on `mdp`.

    Parameters
    ----------
    mdp : MDP
    base : (S,) int or (S, A)
        Base policy: actions or probabilities.
    lookahead : int
        Steps l, 1 or more.
    terminal, stale_value, horizon
        See `terminal_value`.

    Raises
    ------
    InputError
        If the lookahead is below 1 or something does not fit.

    Examples
    --------
    >>> import netrollout, numpy as np
    >>> from netrollout.systems.toy import Walk
    >>> mdp, hold = netrollout.MDP.from_system(Walk(pay=(0.0, -1.0, 9.0))), np.array([1, 1, 1])
    >>> netrollout.rollout_table(mdp, hold).tolist(), netrollout.rollout_table(mdp, hold, lookahead=2).tolist()
    ([1, 2, 1], [2, 2, 1])
    """
    value = terminal_value(mdp, base, terminal, stale_value, horizon)
    return choose(q_rollout(mdp, value, lookahead), tie_tolerance(mdp, value), _base_actions(mdp, base))


def fortified_table(mdp: MDP, base: Ints, proposed: Ints) -> Ints:
    """Take the proposed action only where one step of it, followed by the base policy, is no worse than the base.

    Then T_mu' J_mu >= J_mu, hence J_mu' >= J_mu, wherever the proposal came from.  The fortified rollout of Bertsekas
    2021, chapter 2, does the same along a single deterministic path.

    Parameters
    ----------
    mdp : MDP
    base, proposed : (S,) int

    Raises
    ------
    InputError
        If a policy does not fit.
    """
    value = evaluate_policy(mdp, base).value
    q = q_factors(mdp, value)
    states, proposed = np.arange(mdp.n_states), checked_table(mdp, np.asarray(proposed))
    accept = q[states, proposed] >= value - tie_tolerance(mdp, value)
    return np.where(accept, proposed, base)


class RolloutPolicy(BatchPolicy):
    """The rollout policy of `rollout_table`, decided state by state as it is asked, and remembered.

    Parameters
    ----------
    system : Enumerable
        Gives the state behind an observation and its index.
    mdp : MDP
        The process to plan on, with the same states and joint actions.
    base : (S,) int or (S, A)
        Base policy: actions or probabilities.
    lookahead, terminal, stale_value, horizon
        See `rollout_table`.

    Attributes
    ----------
    value : (S,) float64
        The terminal value T_mu^m V.

    Raises
    ------
    InputError
        If something does not fit.
    """

    def __init__(
        self,
        system: Enumerable,
        mdp: MDP,
        base: Any,
        lookahead: int = 1,
        terminal: str | Floats = "base",
        stale_value: Floats | None = None,
        horizon: int | None = None,
    ) -> None:
        self._joint = joint_actions(system.levels)
        if (system.n_states, len(self._joint)) != mdp.reward.shape:
            raise InputError(
                f"{system.name} has {system.n_states} states and {len(self._joint)} joint actions; "
                f"the process to plan on has {mdp.n_states} and {mdp.n_actions}"
            )
        _check_lookahead(lookahead)
        self.value = terminal_value(mdp, base, terminal, stale_value, horizon)
        self._system, self._mdp, self._lookahead = system, mdp, lookahead
        self._base, self._tolerance = _base_actions(mdp, base), tie_tolerance(mdp, self.value)
        self._decided = np.full(mdp.n_states, -1, dtype=np.int64)

    def decide(self, states: Ints) -> Ints:
        """Return the joint action (n,) in states (n,), by index."""
        missing = states[self._decided[states] < 0]
        if missing.size:
            q = _q_reached(self._mdp, self.value, self._lookahead, missing)
            self._decided[missing] = choose(q, self._tolerance, self._base[missing])
        return self._decided[states]

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, K); infeasible ones are never proposed, so `action_masks` is not read."""
        index = self._system.index(self._system.state_of(observation))
        return self._joint[self.decide(index)], state


def _check_lookahead(lookahead: int) -> None:
    if lookahead < 1:
        raise InputError(f"lookahead {lookahead} must be 1 or more steps")


def _q_reached(mdp: MDP, value: Floats, lookahead: int, states: Any) -> Floats:
    """Return the Q-factors (n, A) of some states, computing only what they can reach."""
    layers = [states]
    for _ in range(lookahead - 1):
        layers.append(_next_states(mdp, layers[-1]))
    for layer in reversed(layers[1:]):
        best = _q_rows(mdp, value, layer).max(axis=1)
        value = np.zeros(mdp.n_states)
        value[layer] = best
    return _q_rows(mdp, value, states)


def _q_rows(mdp: MDP, value: Floats, states: Any) -> Floats:
    """Return the Q-factors (n, A) of some states."""
    q: Floats
    if mdp.successors is not None:
        q = np.append(value, 0.0).take(mdp.successors[states])
    else:
        q = (mdp.transition[_rows(mdp, states)] @ value).reshape(len(states), mdp.n_actions)
    q *= mdp.discount
    q += mdp.reward[states]
    return q


def _next_states(mdp: MDP, states: Any) -> Any:
    """Return the states that can be reached in one step, rising."""
    if mdp.successors is not None:
        reached = mdp.successors[states]
    else:
        reached = mdp.transition[_rows(mdp, states)].indices
    seen = np.zeros(mdp.n_states + 1, dtype=bool)
    seen[reached] = True
    return np.flatnonzero(seen[:-1])


def _rows(mdp: MDP, states: Any) -> Any:
    return (states[:, None] * mdp.n_actions + np.arange(mdp.n_actions)).ravel()
