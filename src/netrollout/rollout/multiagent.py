"""Multi-agent rollout: one action component at a time.

With K components of m settings each a joint maximisation compares m^K actions.  Multi-agent rollout goes through the
components in an order; each takes its best setting while those before it stand at their new and those after it at their
base setting: m K comparisons (Bertsekas 2021, "Multiagent reinforcement learning: rollout and policy iteration",
IEEE/CAA Journal of Automatica Sinica 8(2)).  The base's setting is always a candidate and wins ties.  Where the base
draws its components independently, those that are not yet asked stand at its distribution.

* Exactly evaluated and with one step of lookahead the result is nowhere worse than the base, in any order.
* With more lookahead this is false; `netrollout.rollout.fortified_table` restores it.
* Repeated, it ends in a policy that no single component can improve (agent-by-agent optimal), not in an optimal one.
* The autonomous variant, where every component assumes that all others stay with the base, saves the coordination and
  may be worse than the base.

Batch letters: S states, A joint actions, B lanes, K components, N samples, P pairs of a lane and a setting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from netrollout import batch
from netrollout.batch import BatchPolicy
from netrollout.dp.mdp import MDP
from netrollout.dp.value import Solution, choose, evaluate_policy, q_factors, tie_tolerance
from netrollout.rollout.lookahead import q_rollout
from netrollout.rollout.truncated import Terminal, simulate_returns, take_memory
from netrollout.types import Floats, InputError, Ints, Policy, State, System

Order = Sequence[int] | Literal["best"] | None


def multiagent_table(
    mdp: MDP,
    levels: batch.Levels,
    base: Any,
    order: Order = None,
    lookahead: int = 1,
    autonomous: bool = False,
) -> Ints:
    """Return the multi-agent rollout policy as a table (S,) of joint actions, exactly evaluated.

    Parameters
    ----------
    mdp : MDP
    levels : K sequences
        The settings of every component: `System.levels`.
    base : (S,) int or (S, A)
        Base policy: actions, or probabilities under which the components are independent.
    order : sequence of int, "best" or None
        In which order the components are asked; None is 0, 1, ..; "best" asks, in every state, the component that
        gains most first, and needs a base of actions.
    lookahead : int
        The components maximise one step before T^(lookahead - 1) J_mu.  Above 1 the result may be worse than the base.
    autonomous : bool
        Every component assumes that the others stay with the base; the order does not matter then.

    Raises
    ------
    InputError
        If something does not fit, the order does not name every component once, or what autonomous components choose
        is not feasible together.

    Examples
    --------
    >>> mdp = MDP.from_arrays(np.ones((1, 4, 1)), [[0.0, 1.0, 1.0, -9.0]], 0.0)
    >>> levels = ((0.0, 1.0), (0.0, 1.0))
    >>> base = np.array([0])
    >>> multiagent_table(mdp, levels, base).tolist(), multiagent_table(mdp, levels, base, autonomous=True).tolist()
    ([2], [3])
    """
    sizes = batch.sizes(levels)
    if int(np.prod(sizes)) != mdp.n_actions:
        raise InputError(
            f"levels of sizes {sizes} make {np.prod(sizes)} joint actions; the process has {mdp.n_actions}"
        )
    components = _checked_order(order, len(sizes))
    value = evaluate_policy(mdp, base).value
    q, tolerance = q_rollout(mdp, value, lookahead), tie_tolerance(mdp, value)
    if order == "best":
        if np.ndim(base) != 1:
            raise InputError("order 'best' needs a base policy of actions (S,), not of probabilities")
        return _best_first(q, np.array(base, dtype=np.int64), sizes, tolerance)
    marginals = _marginals(np.asarray(base), sizes)
    if autonomous:
        firsts = [[k, *(i for i in components if i != k)] for k in range(len(sizes))]
        settings = np.stack([_in_order(q, marginals, first, tolerance)[:, first[0]] for first in firsts], axis=1)
        fits = mdp.feasible[np.arange(mdp.n_states), batch.joint_index(settings, levels)]
        if not fits.all():
            s = int(fits.argmin())
            raise InputError(
                f"autonomous: in state {s} the components' own choices {settings[s].tolist()} are not feasible "
                "together; only components that each have a mask of their own can choose alone"
            )
    else:
        settings = _in_order(q, marginals, components, tolerance)
    return batch.joint_index(settings, levels)


def multiagent_policy_iteration(mdp: MDP, levels: batch.Levels, base: Any, limit: int = 1000) -> Solution:
    """Repeat multi-agent rollout until no component changes: the policy is then agent-by-agent optimal.

    Parameters
    ----------
    mdp : MDP
    levels : K sequences
    base : (S,) int or (S, A)
    limit : int
        Largest number of improvements, at least 1.

    Returns
    -------
    Solution
        ``residual`` is that of Bellman's equation for joint actions: 0 only where the policy is optimal.

    Raises
    ------
    InputError
        If something does not fit.
    """
    table, iterations = np.asarray(base), 0
    while True:
        iterations += 1
        better = multiagent_table(mdp, levels, table)
        stable = np.array_equal(better, table)
        if stable or iterations >= limit:
            value = evaluate_policy(mdp, table).value
            residual = np.abs(q_factors(mdp, value).max(axis=1) - value).max()
            return Solution(value, table, iterations, float(residual), stable)
        table = better


class MultiagentRollout(BatchPolicy):
    """Multi-agent rollout by simulation on any model, with the estimates of `netrollout.rollout.TruncatedRollout`.

    All comparisons of a decision meet the same disturbances; a component leaves its setting only if the mean paired
    gain is positive.

    Parameters
    ----------
    system : System
        The model to plan on; the state must be visible (`state_of`).
    base : Policy
    rng : numpy.random.Generator
        The policy's own stream.
    horizon : int
        Steps m of the base policy after the first action, 0 or more.
    samples : int
        Simulated paths N per comparison.
    terminal : callable, optional
        From a state of L lanes to values (L,); zero where None.
    order : sequence of int, optional
        In which order the components are asked; 0, 1, .. where None.
    autonomous : bool
        Every component assumes that the others stay with the base.

    Attributes
    ----------
    model_steps : int
        Lanes times steps for which the model has been run so far.

    Raises
    ------
    InputError
        If the horizon is negative, there are no samples, or the order does not name every component once.

    Examples
    --------
    >>> import netrollout, numpy as np
    >>> from netrollout.policies import RandomPolicy
    >>> spiders, rng = netrollout.make("spiders"), np.random.default_rng(0)
    >>> base = RandomPolicy(spiders, rng)
    >>> better = netrollout.MultiagentRollout(spiders, base, rng, horizon=10, samples=8)
    >>> netrollout.simulate(spiders, better, [0, 1]).rewards.sum(axis=1).tolist()  # minus the steps it takes
    [-7.0, -4.0]
    """

    def __init__(
        self,
        system: System,
        base: Policy,
        rng: np.random.Generator,
        horizon: int,
        samples: int = 1,
        terminal: Terminal | None = None,
        order: Sequence[int] | None = None,
        autonomous: bool = False,
    ) -> None:
        if horizon < 0 or samples < 1:
            raise InputError(f"horizon {horizon} and samples {samples}: expected at least 0 steps and 1 sample")
        self._system, self._base, self._rng, self._terminal = system, base, rng, terminal
        self._horizon, self._samples, self._autonomous = horizon, samples, autonomous
        self._sizes = batch.sizes(system.levels)
        self._order = _checked_order(order, len(self._sizes))
        self.model_steps = 0

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, K) and the base policy's memory, which has seen the same observations."""
        u, memory = self._base.predict(observation, state, episode_start, deterministic=True)
        w = self._system.disturbance(self._rng, (self._horizon + 1, len(u), self._samples))
        return self.improve(self._system.state_of(observation), np.asarray(u), w, memory), memory

    def improve(self, x: State, u: Ints, w: Floats, memory: Any = None) -> Ints:
        """Return the improved actions (B, K) under given disturbances.

        Parameters
        ----------
        x : State, B lanes
        u : (B, K) int
            The base's actions.
        w : (m + 1, B, N, D_w) float64
        memory : optional
            The base policy's memory after it chose u.
        """
        offsets = np.concatenate([[0], np.cumsum(self._sizes)])
        feasible = np.asarray(self._system.feasible(x), dtype=bool)
        allowed = [feasible[:, offsets[k] : offsets[k + 1]] for k in range(len(self._sizes))]
        if self._autonomous:
            return self._autonomously(x, u, w, memory, allowed)
        lanes = np.arange(len(u))
        chosen, value = u.copy(), self._returns(x, u, w, lanes, memory)
        for k in self._order:
            lane, setting = _others(allowed[k], chosen[:, k])
            if not len(lane):
                continue
            other = chosen[lane]
            other[:, k] = setting
            returns = self._returns(x, other, w, lane, memory)
            best = _best_per_lane(lane, (returns - value[lane]).mean(axis=1), len(u))
            better = best >= 0
            chosen[better], value[better] = other[best[better]], returns[best[better]]
        return chosen

    def _autonomously(self, x: State, u: Ints, w: Floats, memory: Any, allowed: list[Any]) -> Ints:
        """Compare the settings of all components at once, each against the base's action."""
        pairs = [_others(mask, u[:, k]) for k, mask in enumerate(allowed)]
        lane = np.concatenate([np.arange(len(u)), *(lanes for lanes, _ in pairs)])
        component = np.repeat(np.arange(len(pairs)), [len(lanes) for lanes, _ in pairs])
        setting = np.concatenate([settings for _, settings in pairs])
        other = u[lane]
        other[np.arange(len(u), len(lane)), component] = setting
        returns = self._returns(x, other, w, lane, memory)
        gain = (returns[len(u) :] - returns[lane[len(u) :]]).mean(axis=1)
        chosen = u.copy()
        for k, (lanes, settings) in enumerate(pairs):
            best = _best_per_lane(lanes, gain[component == k], len(u))
            chosen[best >= 0, k] = settings[best[best >= 0]]
        return chosen

    def _returns(self, x: State, u: Ints, w: Floats, lane: Ints, memory: Any) -> Floats:
        """Simulate first actions u (P, K) in the lanes (P,); returns (P, N)."""
        self.model_steps += len(lane) * w.shape[0] * w.shape[2]
        start, kept = batch.take(x, lane), take_memory(memory, lane)
        return simulate_returns(self._system, self._base, start, u, w, lane, kept, self._terminal)[0]


def _checked_order(order: Order, n: int) -> Sequence[int]:
    if order is None or order == "best":
        return range(n)
    if isinstance(order, str) or sorted(order) != list(range(n)):
        raise InputError(f"order {order!r} must name each of the components 0 to {n - 1} once")
    return order


def _others(allowed: NDArray[np.bool_], present: Ints) -> tuple[Ints, Ints]:
    """Return lane and setting (P,) of all allowed settings (B, m) but the present one (B,)."""
    left = allowed & (np.arange(allowed.shape[1]) != present[:, None])
    lane, setting = np.nonzero(left)
    return lane, setting


def _best_per_lane(lane: Ints, gain: Floats, n: int) -> Ints:
    """Return, for each of n lanes, which pair has the largest positive gain, the first of equals; -1 for none."""
    best = np.full(n, -1, dtype=np.int64)
    order = np.lexsort((-np.arange(len(gain)), gain))  # the last one written wins
    order = order[gain[order] > 0.0]
    best[lane[order]] = order
    return best


def _marginals(base: NDArray[Any], sizes: Sequence[int]) -> list[Floats]:
    """Return the distribution (S, m) of every component under a base policy that draws them independently."""
    if base.ndim == 1:
        return [np.eye(m)[setting] for m, setting in zip(sizes, np.unravel_index(base, sizes), strict=True)]
    joint = base.reshape(-1, *sizes)
    axes = range(1, len(sizes) + 1)
    marginals = [joint.sum(axis=tuple(other for other in axes if other != axis)) for axis in axes]
    product = np.ones((len(base), 1))
    for marginal in marginals:
        product = (product[:, :, None] * marginal[:, None, :]).reshape(len(base), -1)
    wrong = np.abs(product - base).max(axis=1)
    if wrong.max() > 1e-8:
        raise InputError(
            f"policy[{int(wrong.argmax())}] draws its components together; multi-agent rollout needs them independent"
        )
    return marginals


def _in_order(q: Floats, marginals: list[Floats], order: Sequence[int], tolerance: float) -> Ints:
    """Return the settings (S, K) that the components choose one after the other."""
    sizes = [marginal.shape[1] for marginal in marginals]
    forbidden = -1e300  # instead of minus infinity, which times a probability of zero is no number
    tensor = np.maximum(q, forbidden).reshape(-1, *sizes).transpose(0, *(k + 1 for k in order))
    expected = [tensor]  # last: over the first component's settings alone, the others at their distributions
    for k in reversed(order[1:]):
        expected.append(np.einsum("s...j,sj->s...", expected[-1], marginals[k]))
    chosen = np.zeros((len(q), len(sizes)), dtype=np.int64)
    place: tuple[Any, ...] = (np.arange(len(q)),)
    for k, values in zip(order, reversed(expected), strict=True):
        chosen[:, k] = choose(values[place], tolerance, marginals[k].argmax(axis=1))
        place = (*place, chosen[:, k])
    return chosen


def _best_first(q: Floats, actions: Ints, sizes: Sequence[int], tolerance: float) -> Ints:
    """Ask in every state the component that gains most, then the next among the others."""
    states, asked = np.arange(len(q)), np.zeros((len(q), len(sizes)), dtype=bool)
    strides = [int(np.prod(sizes[k + 1 :])) for k in range(len(sizes))]
    for _ in sizes:
        settings = np.stack(np.unravel_index(actions, sizes), axis=1)
        gain, target = np.full(asked.shape, -np.inf), np.zeros(asked.shape, dtype=np.int64)
        for k, m in enumerate(sizes):
            options = actions[:, None] + strides[k] * (np.arange(m) - settings[:, k, None])
            values = np.take_along_axis(q, options, axis=1)
            target[:, k] = options[states, choose(values, tolerance, settings[:, k])]
            gain[:, k] = q[states, target[:, k]]
        first = np.where(asked, -np.inf, gain).argmax(axis=1)
        actions = target[states, first]
        asked[states, first] = True
    return actions
