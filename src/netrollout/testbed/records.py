"""What the load generator reports, and the statistics of a window over it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from netrollout.testbed.envoy import BLOCKED, TIMED_OUT

KEPT = 200_000  # records; bounds the memory of a mesh under load that nobody measures


class Sent(NamedTuple):
    """A request that was sent."""

    service: str
    t: float  # s, scheduled time


class Done(NamedTuple):
    """A request that was answered."""

    service: str
    t_sent: float  # s, scheduled time
    t_done: float  # s
    status: int  # HTTP status, 0 where there was no answer
    node: int  # who served it, 0 where no node did


class Records:
    """Requests sent and answered, filled by one thread and read by another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: deque[Sent] = deque(maxlen=KEPT)
        self._done: deque[Done] = deque(maxlen=KEPT)
        self._under_way = 0

    def add(self, record: Sequence[Any]) -> None:
        """Add one line of the load generator."""
        kind, *fields = record
        with self._lock:
            if kind == "sent":
                self._sent.append(Sent(*fields))
                self._under_way += 1
            else:
                self._done.append(Done(*fields))
                self._under_way -= 1

    def forget_under_way(self) -> None:
        """Forget the requests that a generator took with it when it died."""
        with self._lock:
            self._under_way = 0

    @property
    def under_way(self) -> int:
        """Number of requests without an answer yet."""
        return self._under_way

    def forget_before(self, t: float) -> None:
        """Forget what was sent or answered before `t` (s)."""
        with self._lock:
            self._sent = deque((r for r in self._sent if r.t >= t), KEPT)
            self._done = deque((r for r in self._done if r.t_done >= t), KEPT)

    def between(self, start: float, end: float) -> tuple[list[Sent], list[Done]]:
        """Return requests sent in [start, end) and requests answered in it or sent in it."""
        with self._lock:
            sent = [r for r in self._sent if start <= r.t < end]
            done = [r for r in self._done if start <= r.t_done < end or start <= r.t_sent < end]
        return sent, done


def delay_statistics(delays: Sequence[float]) -> dict[str, float | None]:
    """Return mean, sample standard deviation, 90th and 99th percentile of `delays` (s), None where undefined."""
    if not delays:
        return {"": None, "_std": None, "_p90": None, "_p99": None}
    p90, p99 = np.percentile(delays, [90, 99])
    std = float(np.std(delays, ddof=1)) if len(delays) > 1 else None
    return {"": float(np.mean(delays)), "_std": std, "_p90": float(p90), "_p99": float(p99)}


def service_statistics(
    service: str,
    sent: Iterable[Sent],
    done: Iterable[Done],
    start: float,
    end: float,
    nodes: Iterable[int],
    bound: float | None = None,
) -> dict[str, float | int | None]:
    """Return the measured columns of one service for the window [start, end) (s).

    Parameters
    ----------
    sent : requests sent in the window
    done : requests answered in the window or sent in it
    nodes : node numbers, each with its own columns
    bound : on the response time of a request, s

    Returns
    -------
    dict
        `l_s`: requests sent in the window / duration (req/s). `cl_s`: those of them that the fault filter did not
        block / duration (req/s). `d_s...` (s) and `n_s`: response times and number of the requests *completed*
        (200) in the window, whenever sent. `timeout_s`: requests that ended as 504 in it. `late_s`: the share over
        the bound of those that were completed or timed out in it; None without a bound or without any.
    """
    duration = end - start
    mine = [r for r in done if r.service == service]
    n_sent = sum(r.service == service for r in sent)
    n_blocked = sum(r.status == BLOCKED and start <= r.t_sent < end for r in mine)
    ended = [r for r in mine if start <= r.t_done < end]
    completed = [r for r in ended if r.status == 200]
    row: dict[str, float | int | None] = {
        f"l_{service}": n_sent / duration,
        f"cl_{service}": (n_sent - n_blocked) / duration,
    }
    statistics = delay_statistics([r.t_done - r.t_sent for r in completed])
    row |= {f"d_{service}{suffix}": value for suffix, value in statistics.items()}
    row[f"n_{service}"] = len(completed)
    timeouts = sum(r.status == TIMED_OUT for r in ended)
    row[f"timeout_{service}"] = timeouts
    row[f"late_{service}"] = None
    if bound is not None and (completed or timeouts):
        late = timeouts + sum(r.t_done - r.t_sent > bound for r in completed)
        row[f"late_{service}"] = late / (len(completed) + timeouts)
    for k in nodes:
        delays = [r.t_done - r.t_sent for r in completed if r.node == k]
        row[f"d_{service}_{k}"] = float(np.mean(delays)) if delays else None
        row[f"n_{service}_{k}"] = len(delays)
    return row
