"""Truncated rollout by simulation, on any system.

For every candidate action the model is run for one step of that action and m steps of the base policy, n times, and
what lies behind is valued by a terminal function V::

    Q(x, u)  ~  mean over n samples of  sum over t = 0 .. m of  discount^t r_t  +  discount^(m + 1) V(x_(m + 1))

(Bertsekas 2021, chapter 2: truncated rollout, and rollout by Monte-Carlo simulation).  The disturbances have the shape
(states, 1, samples): all candidates of a state meet the same ones (common random numbers), so the comparison rests on
paired differences, whose standard errors are reported.  After the end of an episode a factor of zero takes the place
of a reset.  A base policy with memory carries it into every simulated path.

With V = 0 or a V that is not the base's value, improvement on the base is not guaranteed: see
`netrollout.rollout.lookahead`.

Batch letters: B lanes (real states), C candidates, P pairs of a lane and a candidate, N samples, T = m + 1 steps,
K action components.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout import batch
from netrollout.batch import BatchPolicy
from netrollout.rollout.candidates import Candidates, every_action
from netrollout.types import Bools, Floats, InputError, Ints, Policy, State, System

Terminal = Callable[[State], Floats]


@dataclass(frozen=True, eq=False)
class Estimates:
    """What simulation says about C candidates in B states; candidate 0 is the base policy's action.

    Attributes
    ----------
    actions : (B, C, K) int
    mean : (B, C) float64
        Estimated Q-factors; minus infinity for candidates that are not feasible or repeat the base's action.
    gain : (B, C) float64
        Mean paired difference to the base's action; 0 for candidate 0, minus infinity as above and for candidates that
        sequential halving dropped.
    error : (B, C) float64
        Standard error of the gain; 0 for candidate 0, infinite with fewer than two samples.
    samples : (B, C) int
        Number of simulated paths.
    watched : (B, C) float64
        Mean discounted sum of the watched metric; infinite for candidates as above, 0 where nothing is watched.
    model_steps : int
        Number of lanes times steps for which the model was run.
    """

    actions: Ints
    mean: Floats
    gain: Floats
    error: Floats
    samples: Ints
    watched: Floats
    model_steps: int


Select = Callable[[Estimates], Ints]


def best(estimates: Estimates) -> Ints:
    """Return the candidate (B,) with the largest gain; a tie goes to the base's action."""
    chosen: Ints = estimates.gain.argmax(axis=1)
    return chosen


def safe(bound: float, z: float = 0.0) -> Select:
    """Leave the base policy only for a gain that is larger than what may be wrong with it.

    Parameters
    ----------
    bound : float
        How much of a gain the model's error can explain, in units of the return; 0 trusts the model.
    z : float
        Number of standard errors of the gain that are added to the bound.

    Returns
    -------
    callable
        A `select` for `TruncatedRollout`: the best candidate if gain > bound + z error, else the base's action.
    """

    def select(estimates: Estimates) -> Ints:
        margin = (
            bound + z * estimates.error if z else bound
        )  # an error may be infinite, and 0 times infinity is no number
        trusted = np.where(estimates.gain > margin, estimates.gain, -np.inf)
        trusted[:, 0] = 0.0
        chosen: Ints = trusted.argmax(axis=1)
        return chosen

    return select


def constrained(limit: float, select: Select = best) -> Select:
    """Choose among the candidates whose watched metric stays within a limit (Bertsekas 2021, constrained rollout).

    Parameters
    ----------
    limit : float
        Largest acceptable expected discounted sum of the watched metric.
    select : callable
        How to choose among them.

    Returns
    -------
    callable
        A `select`: where no candidate keeps the limit, the one with the least watched sum; the base's action remains a
        candidate only where it keeps the limit.
    """

    def chosen(estimates: Estimates) -> Ints:
        kept = estimates.watched <= limit
        masked = np.where(kept, estimates.gain, -np.inf)
        choice = select(replace(estimates, mean=np.where(kept, estimates.mean, -np.inf), gain=masked))
        fallback = np.where(kept.any(axis=1), masked.argmax(axis=1), estimates.watched.argmin(axis=1))
        return np.where(kept[np.arange(len(kept)), choice], choice, fallback)

    return chosen


def simulate_returns(
    system: System,
    base: Policy,
    x: State,
    u: Ints,
    w: Floats,
    lane: Ints,
    memory: Any = None,
    terminal: Terminal | None = None,
    watch: str | None = None,
) -> tuple[Floats, Floats]:
    """Return the simulated returns (P, N) of first actions followed by a base policy, and the watched sums (P, N).

    Parameters
    ----------
    system : System
        The model.
    base : Policy
        Its memory, if any, is None or nested tuples of arrays with a leading lane axis.
    x : State, P lanes
    u : (P, K) int
        First action of each pair.
    w : (T, B, N, D_w) float64
        Disturbances; T - 1 is the number of steps of the base policy.
    lane : (P,) int
        Which of the B disturbances each pair meets.
    memory : optional
        The base policy's memory, P lanes.
    terminal : callable, optional
        Value (lanes,) of the states that are reached; zero where None.
    watch : str, optional
        A metric whose discounted sum is returned too.
    """
    samples = w.shape[2]
    x, u, memory = batch.repeat(x, samples), np.repeat(u, samples, axis=0), repeat_memory(memory, samples)
    alive, total, watched = np.ones(len(u)), np.zeros(len(u)), np.zeros(len(u))
    start, factor = np.zeros(len(u), dtype=bool), 1.0
    for t in range(len(w)):
        if t:
            u, memory = base.predict(system.observe(x), memory, start, deterministic=True)
        step = system.transition(x, u, w[t, lane].reshape(len(alive), w.shape[-1]))
        total += factor * alive * step.reward
        if watch is not None:
            if watch not in step.metrics:
                raise InputError(f"{system.name} has no metric {watch!r}; it reports {', '.join(step.metrics)}")
            watched += factor * alive * step.metrics[watch]
        alive = alive * ~step.terminated
        x = step.state if alive.all() else batch.where(alive > 0.0, step.state, x)
        factor *= system.discount
    if terminal is not None:
        total += factor * np.where(alive > 0.0, terminal(x), 0.0)
    return total.reshape(-1, samples), watched.reshape(-1, samples)


def repeat_memory(memory: Any, n: int) -> Any:
    """Return each lane of a policy's memory n times in a row."""
    return _map_memory(memory, lambda field: np.repeat(field, n, axis=0))


def take_memory(memory: Any, index: Ints) -> Any:
    """Return the lanes `index` of a policy's memory."""
    return _map_memory(memory, lambda field: field[index])


def _map_memory(memory: Any, change: Callable[[Any], Any]) -> Any:
    if memory is None:
        return None
    if isinstance(memory, tuple):
        parts = [_map_memory(part, change) for part in memory]
        return type(memory)(*parts) if hasattr(memory, "_fields") else tuple(parts)
    return change(np.asarray(memory))


class TruncatedRollout(BatchPolicy):
    """Rollout by simulation on a model.

    Parameters
    ----------
    system : System
        The model to plan on; the state must be visible (`state_of`).
    base : Policy
    rng : numpy.random.Generator
        The policy's own stream; decisions are reproducible for a seed and a number of lanes.
    horizon : int
        Steps m of the base policy after the candidate action, 0 or more.
    samples : int
        Simulated paths N per candidate.
    terminal : callable, optional
        From a state of L lanes to values (L,); zero where None.
    candidates : callable
        Which actions to compare with the base's: see `netrollout.rollout.candidates`.
    select : callable
        How to choose: `best`, `safe(...)`, `constrained(...)` or any function of `Estimates`.
    halving : bool
        Spend the same number of paths by sequential halving (Karnin, Koren & Somekh 2013): in about log2 C rounds the
        worse half of the candidates is dropped, so that the paths gather on the good ones.  The base's action stays,
        each round takes at least one path, and all lanes spend what the one with the most candidates may.
    watch : str, optional
        Metric to be summed for `constrained`.

    Attributes
    ----------
    model_steps : int
        Lanes times steps for which the model has been run so far.

    Raises
    ------
    InputError
        If the horizon is negative or there are no samples.

    Examples
    --------
    >>> import netrollout, numpy as np
    >>> from netrollout.policies import TablePolicy
    >>> walk = netrollout.make("walk")
    >>> hold = TablePolicy(walk, np.array([1, 1]))
    >>> better = netrollout.TruncatedRollout(walk, hold, np.random.default_rng(0), horizon=9)
    >>> netrollout.simulate(walk, better, [0, 1]).metrics["place"].mean(axis=1).tolist()
    [1.0, 1.0]
    """

    def __init__(
        self,
        system: System,
        base: Policy,
        rng: np.random.Generator,
        horizon: int,
        samples: int = 1,
        terminal: Terminal | None = None,
        candidates: Candidates = every_action,
        select: Select = best,
        halving: bool = False,
        watch: str | None = None,
    ) -> None:
        if horizon < 0 or samples < 1:
            raise InputError(f"horizon {horizon} and samples {samples}: expected at least 0 steps and 1 sample")
        self._system, self._base, self._rng = system, base, rng
        self._horizon, self._samples, self._terminal = horizon, samples, terminal
        self._candidates, self._select, self._halving, self._watch = candidates, select, halving, watch
        self.model_steps = 0

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, K) and the base policy's memory, which has seen the same observations."""
        u, memory = self._base.predict(observation, state, episode_start, deterministic=True)
        return self.improve(self._system.state_of(observation), np.asarray(u), memory), memory

    def improve(self, x: State, u: Ints, memory: Any = None) -> Ints:
        """Return the chosen actions (B, K) in states x (B lanes); the parameters are those of `estimate`."""
        estimates = self.estimate(x, u, memory)
        self.model_steps += estimates.model_steps
        chosen: Ints = estimates.actions[np.arange(len(u)), self._select(estimates)]
        return chosen

    def estimate(self, x: State, u: Ints, memory: Any = None) -> Estimates:
        """Compare the candidates in states x (B lanes) with the base's actions u (B, K).

        Parameters
        ----------
        x : State
        u : (B, K) int
        memory : optional
            The base policy's memory after it chose u.
        """
        actions = np.concatenate([u[:, None], self._candidates(self._system, x, u, self._rng)], axis=1)
        valid = self._valid(x, actions)
        tally = _Tally(valid.shape)
        for number, (keep, samples) in enumerate(self._rounds(int(valid.sum(axis=1).max(initial=1)))):
            if number:
                valid = valid & _leading(tally.gain(), keep)
            tally.add(valid, *self._sample(x, actions, valid, memory, samples))
        return tally.estimates(actions, valid, self._horizon + 1)

    def _valid(self, x: State, actions: Ints) -> Bools:
        """Mask (B, C) of the candidates that are feasible and differ from the base's action, which always stays."""
        allowed = feasible_actions(self._system, x, actions)
        allowed &= (actions != actions[:, :1]).any(axis=2)
        allowed[:, 0] = True
        return allowed

    def _rounds(self, n: int) -> list[tuple[int, int]]:
        """Return how many of n candidates remain in each round, the base's among them, and the paths for each."""
        if not self._halving or n <= 2:
            return [(n, self._samples)]
        count = int(np.ceil(np.log2(n)))
        remain = [max(2, -(-n // 2**r)) for r in range(count)]
        return [(keep, max(1, self._samples * n // (count * keep))) for keep in remain]

    def _sample(self, x: State, actions: Ints, alive: Bools, memory: Any, samples: int) -> tuple[Floats, Floats]:
        """Simulate the pairs in `alive` (B, C); returns and watched sums (P, N), in the order of np.nonzero."""
        lane, candidate = np.nonzero(alive)
        w = self._system.disturbance(self._rng, (self._horizon + 1, len(alive), samples))
        return simulate_returns(
            self._system,
            self._base,
            batch.take(x, lane),
            actions[lane, candidate],
            w,
            lane,
            take_memory(memory, lane),
            self._terminal,
            self._watch,
        )


class _Tally:
    """Running sums over paths of each lane and candidate, (B, C)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count = np.zeros(shape, dtype=np.int64)
        self.total, self.watched, self.difference, self.square = (np.zeros(shape) for _ in range(4))

    def add(self, alive: Bools, returns: Floats, watched: Floats) -> None:
        """Add paths (P, N) of the pairs in `alive`; candidate 0 is among them for every lane."""
        lane, candidate = np.nonzero(alive)
        paired = returns - returns[np.flatnonzero(candidate == 0)[lane]]
        self.count[alive] += returns.shape[1]
        self.total[alive] += returns.sum(axis=1)
        self.watched[alive] += watched.sum(axis=1)
        self.difference[alive] += paired.sum(axis=1)
        self.square[alive] += (paired**2).sum(axis=1)

    def gain(self) -> Floats:
        """Return the mean paired difference; minus infinity without paths."""
        return self._mean(self.difference, -np.inf)

    def _mean(self, total: Floats, missing: float) -> Floats:
        return np.where(self.count > 0, total / np.maximum(self.count, 1), missing)

    def estimates(self, actions: Ints, left: Bools, steps: int) -> Estimates:
        """Return what was found; `left` (B, C) are the candidates of the last round."""
        n = np.maximum(self.count, 1)
        variance = np.maximum(self.square - self.difference**2 / n, 0.0) / np.maximum(n - 1, 1)
        error = np.where(self.count > 1, np.sqrt(variance / n), np.inf)
        error[:, 0] = 0.0
        return Estimates(
            actions,
            self._mean(self.total, -np.inf),
            np.where(left, self.gain(), -np.inf),
            error,
            self.count,
            self._mean(self.watched, np.inf),
            int(self.count.sum()) * steps,
        )


def feasible_actions(system: System, x: State, actions: Ints) -> Bools:
    """Mask (B, C) of the actions (B, C, K) whose every component is allowed."""
    offsets = np.concatenate([[0], np.cumsum(batch.sizes(system.levels))[:-1]])
    mask = np.asarray(system.feasible(x), dtype=bool)
    components = np.take_along_axis(mask[:, None, :], actions + offsets, axis=2)
    return np.asarray(components.all(axis=2))


def _leading(gain: Floats, keep: int) -> Bools:
    """Mask (B, C) of candidate 0 and the keep - 1 others with the largest gain."""
    ranked = gain.copy()
    ranked[:, 0] = np.inf
    mask: Bools = np.zeros(gain.shape, dtype=bool)
    np.put_along_axis(mask, np.argsort(-ranked, axis=1, kind="stable")[:, :keep], True, axis=1)
    return mask
