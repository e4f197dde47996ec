"""Baselines of the serverless farm that see its nine observations: the published rules, and what an operator would try.

All change by at most one worker a cycle, as the farm does.  Memory is kept per lane and begins anew with an episode.

Batch letters: B lanes, D observation size (9).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import BatchPolicy
from netrollout.systems.serverless.farm import CYCLE, enqueued
from netrollout.types import Bools, Floats, InputError, Ints

SERVICE = 1.4715  # s, mean service time of the published law
QUEUE, RESULTS, OUTPUT, WORKERS, MEAN_TIME, MAX_TIME, ARRIVALS = 1, 2, 3, 4, 5, 6, 7  # columns of an observation
RULES = ("average", "maximum")


class Reactive(BatchPolicy):
    """The published farm model: as many workers as the queue and the arrivals ask for over a horizon.

    With S the mean (or largest) sojourn time of the last window, at least .1 s, H = max(horizon, S, 1 s), queue Q and
    arrival rate a::

        wanted = max(1, Q S / H + a S)
        busy   = min(w, max(0, A - [A > 0])) S / H adj       A = E - Q - result_q - output_q tasks in service
        d      = sign of wanted - (w - busy), where it is at least .5

    with adj = .5 for ``average`` and 1 for ``maximum``.  The published rule reads the counter E of enqueued tasks,
    which is not observed; here `netrollout.systems.serverless.farm.enqueued` sums it up, and it is the policy's memory.

    Parameters
    ----------
    rule : str
        ``average`` or ``maximum``.
    horizon : float
        s.

    Raises
    ------
    InputError
        If the rule is unknown or the horizon is not positive.

    References
    ----------
    lilanpei/AI-based-Autonomic-Management-of-Structured-Parallel-Programs (serverless facts, section 3).
    """

    def __init__(self, rule: str, horizon: float = CYCLE) -> None:
        if rule not in RULES or not horizon > 0.0:
            raise InputError(
                f"reactive: rule {rule!r}, horizon {horizon:g}; expected {' or '.join(RULES)}, and a positive time, s"
            )
        self._maximum, self._horizon = rule == "maximum", horizon

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, 1) and the tasks enqueued so far (B,)."""
        o = np.asarray(observation, dtype=np.float64)
        came = enqueued(o, _begun(np.zeros(len(o)), state, episode_start))
        present, workers = o[:, [QUEUE, RESULTS, OUTPUT]].sum(axis=1), o[:, WORKERS]
        largest = np.maximum(o[:, MAX_TIME], o[:, MEAN_TIME]) if self._maximum else o[:, MEAN_TIME]
        time = np.maximum(largest, 0.1)
        horizon = np.maximum(np.maximum(self._horizon, time), 1.0)
        wanted = np.maximum(1.0, o[:, QUEUE] * time / horizon + np.maximum(0.0, o[:, ARRIVALS]) * time)
        active = np.maximum(0.0, came - present)
        busy = np.minimum(workers, np.maximum(0.0, active - (active > 0.0))) * time / horizon
        gap = wanted - (workers - busy * (1.0 if self._maximum else 0.5))
        return _action(np.where(np.abs(gap) >= 0.5, np.sign(gap), 0.0)), came


class Constant(BatchPolicy):
    """Walks one worker a cycle to a number and holds it: static-k, and always-up with the most.

    Parameters
    ----------
    workers : int
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, 1)."""
        return _action(np.sign(self._workers - np.asarray(observation)[:, WORKERS])), state


class AlwaysUp(BatchPolicy):
    """One worker more in every cycle; the farm stops at its most.  An untrained published SARSA agent does this."""

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, 1)."""
        return _action(np.ones(len(np.asarray(observation)))), state


class Random(BatchPolicy):
    """A worker fewer, none or one more, each with probability 1/3.

    Parameters
    ----------
    rng : numpy.random.Generator
        The policy's own stream.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, 1)."""
        return self._rng.integers(3, size=(len(np.asarray(observation)), 1)), state


class _Stabilised(BatchPolicy):
    """An autoscaler that follows a rise at once, a fall only to the largest wish of its last cycles (its memory)."""

    def __init__(self, name: str, target: float, window: int) -> None:
        if not target > 0.0 or window < 1:
            raise InputError(f"{name}: target {target:g}, window {window}; expected more than 0, and 1 cycle or more")
        self._target, self._window = target, window

    def _wish(self, o: Floats) -> Floats:
        raise NotImplementedError

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, 1) and the wishes of the last cycles (B, window), the newest last."""
        o = np.asarray(observation, dtype=np.float64)
        wish, workers = np.maximum(self._wish(o), 1.0), o[:, WORKERS]
        wishes = _begun(np.repeat(wish[:, None], self._window, axis=1), state, episode_start)
        wishes = np.concatenate([wishes[:, 1:], wish[:, None]], axis=1)
        goal = np.where(wish >= workers, wish, np.minimum(wishes.max(axis=1), workers))
        return _action(np.sign(goal - workers)), wishes


class Hpa(_Stabilised):
    """The Horizontal Pod Autoscaler of Kubernetes on the load per worker.

    It wishes for ceil(w m / target) workers, m = arrival rate x mean service time / w being the share of a worker's
    time that is asked for, and for no change while m / target is within the tolerance of 1.

    Parameters
    ----------
    target : float
        Share of a worker's time.
    window : int
        Cycles of downscale stabilisation; Kubernetes' 5 min would be longer than an episode.
    tolerance : float
        About a ratio of 1.
    service : float
        Mean service time, s.

    References
    ----------
    Kubernetes documentation, "Horizontal Pod Autoscaling", section "Algorithm details".
    """

    def __init__(self, target: float = 0.7, window: int = 8, tolerance: float = 0.1, service: float = SERVICE) -> None:
        super().__init__("hpa", target, window)
        if not tolerance >= 0.0 or not service > 0.0:
            raise InputError(f"hpa: tolerance {tolerance:g}, service {service:g} s; expected 0 or more, more than 0")
        self._tolerance, self._service = tolerance, service

    def _wish(self, o: Floats) -> Floats:
        workers = o[:, WORKERS]
        ratio = o[:, ARRIVALS] * self._service / workers / self._target
        return np.where(np.abs(ratio - 1.0) <= self._tolerance, workers, np.ceil(workers * ratio - 1e-9))


class QueueLength(_Stabilised):
    """KEDA's scaling by the length of a list: ceil(waiting tasks / target) workers.

    The list holds the waiting tasks only, not those in service: an empty queue asks for one worker, however busy all
    are.

    Parameters
    ----------
    target : float
        Waiting tasks per worker; KEDA's default is 5.
    window : int
        Cycles of downscale stabilisation.

    References
    ----------
    KEDA documentation, scaler "Redis Lists", parameter listLength.
    """

    def __init__(self, target: float = 5.0, window: int = 8) -> None:
        super().__init__("queue-length", target, window)

    def _wish(self, o: Floats) -> Floats:
        return np.ceil(o[:, QUEUE] / self._target - 1e-9)


class SquareRoot(BatchPolicy):
    """Square-root staffing: the fewest workers with which, by Erlang's C formula, at most a share of the tasks waits.

    The offered load is the arrival rate of the last cycle times the mean service time; the least such k grows like
    load + beta sqrt(load).

    Parameters
    ----------
    waiting : float
        Share of the tasks that may wait.
    service : float
        Mean service time, s.
    most : int
        Workers.

    Raises
    ------
    InputError
        If the share is not between 0 and 1, or the time is not positive.

    References
    ----------
    S. Halfin and W. Whitt, "Heavy-Traffic Limits for Queues with Many Exponential Servers", 1981.
    """

    def __init__(self, waiting: float = 0.05, service: float = SERVICE, most: int = 32) -> None:
        if not 0.0 < waiting < 1.0 or not service > 0.0:
            raise InputError(
                f"square-root: waiting {waiting:g}, service {service:g} s; expected a share between 0 and 1 and a time"
            )
        self._waiting, self._service, self._most = waiting, service, most

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, 1)."""
        o = np.asarray(observation, dtype=np.float64)
        waits = erlang_c(o[:, ARRIVALS] * self._service, self._most)
        fewest = np.where((waits <= self._waiting).any(axis=1), (waits <= self._waiting).argmax(axis=1) + 1, self._most)
        return _action(np.sign(fewest - o[:, WORKERS])), state


def erlang_c(load: Floats, most: int) -> Floats:
    """Return the probability of waiting with 1 .. most servers, (B, most), at offered loads (B,) in Erlangs.

    References
    ----------
    By the recursion of Erlang's B formula; L. Kleinrock, *Queueing Systems* 1, 1975, section 3.5.
    """
    load = np.asarray(load, dtype=np.float64)
    blocked, waits = np.ones_like(load), np.ones((len(load), most))
    for k in range(1, most + 1):
        blocked = load * blocked / (k + load * blocked)
        stable = load < k
        share = np.where(stable, load / k, 0.0)
        waits[:, k - 1] = np.where(stable, blocked / (1.0 - share * (1.0 - blocked)), 1.0)
    return waits


def _begun(fresh: Floats, state: Any, episode_start: Bools | NDArray[Any] | None) -> Floats:
    """Return a memory, `fresh` (B, ...) in the lanes where an episode begins."""
    if state is None:
        return fresh
    old = np.asarray(state, dtype=np.float64)
    if episode_start is None:
        return old
    starts = np.asarray(episode_start, dtype=bool).reshape(-1, *(1,) * (fresh.ndim - 1))
    return np.where(starts, fresh, old)


def _action(change: Floats) -> Ints:
    """Return actions (B, 1), rows of the increments -1, 0, 1."""
    return (np.asarray(change)[:, None] + 1).astype(np.int64)
