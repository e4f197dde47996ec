"""An upper bound of the total reward of a farm's episode, by information relaxation.

Whoever is bounded knows all arrivals, services, polls and scaling times beforehand, and what is known is relaxed
further until it can be computed.  The metric is the undiscounted sum of `Reward` over an episode; with
``replace(farm, reward=replace(farm.reward, up=0.0, down=0.0))`` it is that sum without the term for the direction of
changes, where the bound is tighter.

Let the *fast farm* add a worker in every cycle, each cycle as short as it can be, and let no task in it wait for a look
into the queue.  No policy's reward is larger than `reward_bound`, because:

1. Every task is collected no earlier under a policy than in the fast farm.  By induction: when task k starts under the
   policy, at most m - 1 earlier tasks are unfinished, m being the workers there; the fast farm has finished what the
   policy has, has as many workers, and so has one for task k by then.  (m counts one that was told to leave and still
   works, hence the one worker more than `most` in the fast farm.)
2. Observation t is made between T_t (no start of a worker stretches a cycle) and T_t' (all do).  At least
   Q_t = (tasks that came by T_t) - (tasks started by T_t' in the fast farm) wait then.
3. Of the tasks seen in the window at most G_t are in time: those in time and collected by T_t' in the fast farm, with a
   deadline after the window begins.  If all through the window some task of the fast farm has waited longer than a look
   into the queue takes, it waits under the policy too, so that no worker is idle, and each that is there all through
   completes at least n tasks, the window over the longest service, rounded down.  The QoS seen is then at most
   G_t / (n (w - [d > 0])); it is at most 1 anyhow.
4. The largest reward of a cycle under these two limits follows by cases: QoS on target or not, queue over its target
   or not.  The price of workers beyond `balanced` is left out.
5. Dynamic programming over cycles and workers takes the best changes and the best end: with everything done, which
   cannot be before the fast farm is done, or at the time limit.

Batch letters: B episodes, T cycles, N tasks, M workers at most.

References
----------
D. B. Brown, J. E. Smith and P. Sun, "Information Relaxations and Duality in Stochastic Dynamic Programs", Operations
Research 58, 2010; here with a penalty of zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from netrollout.systems.serverless import kernel
from netrollout.systems.serverless.farm import CYCLE, FIRST_SEEN, MARGIN, POLLED, WINDOW, Farm
from netrollout.systems.serverless.reward import Reward
from netrollout.types import Bools, Floats, InputError, Ints

CHANGES = np.array([-1, 0, 1])
SINGLE = 1e-6  # by how much the target may be missed in single precision


class Limits(NamedTuple):
    """What holds under every policy at each observation."""

    waiting: Ints  # (T, B) tasks at least
    in_time: Ints  # (T, B) tasks of the window at most
    busy: Bools  # (T, B) no worker is idle all through the window
    pending: Ints  # (B,) tasks not collected at the time limit, at least
    ended: Bools  # (T, B) whether all tasks can have been collected


def reward_bound(farm: Farm, w: Floats) -> Floats:
    """Return what no policy's total reward exceeds, (B,), in episodes with the disturbances w (T, B, 3).

    The weights of the reward must be 0 or more.

    Raises
    ------
    InputError
        If the disturbances do not fit the horizon.
    """
    if w.ndim != 3 or w.shape[0] != farm.horizon or w.shape[2] != 3:
        raise InputError(f"bound: disturbances of shape {w.shape}; expected ({farm.horizon}, episodes, 3)")
    known, r = known_limits(farm, w), farm.reward
    workers = np.arange(farm.least, farm.most + 1)
    end = -r.unfinished * np.minimum(known.pending, r.queue_target)
    value = np.broadcast_to(end[:, None], (w.shape[1], len(workers)))
    for t in reversed(range(farm.horizon)):
        if t < farm.horizon - 1:
            value = np.maximum(value, np.where(known.ended[t], r.completion, -np.inf)[:, None])
        value = _before(value, _cycle_bound(farm, known, t, workers))
    return value[:, farm.start - farm.least]


def known_limits(farm: Farm, w: Floats) -> Limits:
    """Return what holds under every policy at the observations of episodes with the disturbances w (T, B, 3)."""
    usual = CYCLE + w[:, :, 2]
    first = FIRST_SEEN + np.cumsum(usual, axis=0)
    last = FIRST_SEEN + np.cumsum(np.maximum(CYCLE, w[:, :, 1] + MARGIN) + w[:, :, 2], axis=0)
    start, collect = _fast(farm, w, first - usual + w[:, :, 1] - POLLED)
    rows = w[0, :, 0].astype(np.int64)
    arrival, service = farm.bank.arrival[rows], farm.bank.service[rows]
    slack = np.clip(kernel.DEADLINE * service, kernel.LEAST, kernel.MOST)
    good = collect - arrival <= slack
    waiting, in_time = np.zeros((2, *first.shape), dtype=np.int64)
    busy = np.zeros(first.shape, dtype=bool)
    for b in range(first.shape[1]):
        since, until = first[:, b] - WINDOW, last[:, b]
        came = np.searchsorted(arrival[b], first[:, b], side="right")
        waiting[:, b] = np.maximum(came - np.searchsorted(start[b], until, side="right"), 0)
        gone, due = collect[b][good[b]], (arrival + slack)[b][good[b]]
        in_time[:, b] = ((gone <= until[:, None]) & (due > since[:, None])).sum(axis=1)
        busy[:, b] = _covered(arrival[b] + kernel.POLL, start[b], since, until)
    return Limits(waiting, in_time, busy, (collect > last[-1][:, None]).sum(axis=1), last >= collect.max(axis=1))


def _fast(farm: Farm, w: Floats, joins: Floats) -> tuple[Floats, Floats]:
    """Return when each task starts and is collected in the fast farm, (B, N) each, given when workers join (T, B)."""
    lanes, tasks, b = w.shape[1], farm.bank.tasks, farm.bank
    free = np.zeros((lanes, farm.start))
    free = np.concatenate([free, np.sort(joins, axis=0)[: farm.most + 1 - farm.start].T], axis=1)
    poll = b.poll.copy()
    poll[..., 0] = 0.0
    rows, never, forever = w[0, :, 0].astype(np.int64), np.full(lanes, np.inf), np.full(lanes, 1e12)
    finish, collect = np.empty((2, lanes, tasks))
    begun = np.zeros(lanes, dtype=np.int64)
    kernel.advance(b.arrival, b.service, poll, rows, forever, never, never, begun, free, finish, collect)
    return finish - b.service[rows] - kernel.OVERHEAD, collect


def _covered(opens: Floats, closes: Floats, since: Floats, until: Floats) -> Bools:
    """Return which of the windows [since, until] (T,) lie in the union of [opens, closes) (N,), both rising."""
    n = len(opens)
    gap = np.append(opens[1:] > closes[:-1], True)
    gaps = np.concatenate([[0], np.cumsum(gap)])
    first = np.searchsorted(closes, since, side="right")
    last = np.searchsorted(closes, until, side="right")
    inside = np.minimum(first, n - 1)
    covered: Bools = (last < n) & (opens[inside] <= since) & (gaps[np.minimum(last, n)] == gaps[first])
    return covered


def _cycle_bound(farm: Farm, known: Limits, t: int, workers: Ints) -> Floats:
    """Return the largest reward of cycle t, (B, workers after the change, change)."""
    longest = farm.bank.service.max() + kernel.OVERHEAD
    each = int((WINDOW - 2 * kernel.POLL - kernel.COLLECT) / longest)
    there = each * np.maximum(workers[:, None] - (CHANGES > 0), 0)
    good = known.in_time[t][:, None, None]
    share = np.where(good < there, good / np.maximum(there, 1), 1.0)
    qos = np.where(known.busy[t][:, None, None], share, 1.0)
    return _best(farm.reward, qos, known.waiting[t].astype(np.float64)[:, None, None])


def _best(r: Reward, qos: Floats, queue: Floats) -> Floats:
    """Return the largest reward with at most a QoS and at least a queue; the last axis is the change."""
    up, down = CHANGES > 0, CHANGES < 0
    moved = -r.scaling * np.abs(CHANGES)
    backlog = -r.backlog * np.maximum(queue / r.queue_target - 1.0, 0.0) ** 2
    long = np.maximum(queue, np.floor(r.queue_target) + 1.0)
    price = -r.backlog * (long / r.queue_target - 1.0) ** 2
    met = r.qos * (qos - r.target) + moved
    calm = met + backlog + 0.1 * r.qos * (queue <= 0.5 * r.queue_target) + r.down * down
    over = met + price + r.up * up
    missed = r.qos * (np.minimum(qos, r.target) - r.target) + moved + backlog + r.up * up
    on_target = np.maximum(np.where(queue <= r.queue_target, calm, -np.inf), over)
    best: Floats = np.maximum(np.where(qos >= r.target - SINGLE, on_target, -np.inf), missed)
    return best


def _before(value: Floats, reward: Floats) -> Floats:
    """Return the value (B, W) before a cycle, given that after it and the cycle's reward (B, W, change)."""
    worth = np.full((*value.shape, len(CHANGES)), -np.inf)
    total = value[:, :, None] + reward
    worth[:, 1:, 0] = total[:, :-1, 0]  # one worker fewer after the change
    worth[:, :, 1] = total[:, :, 1]
    worth[:, :-1, 2] = total[:, 1:, 2]
    best: Floats = worth.max(axis=2)
    return best
