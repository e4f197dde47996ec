"""One worker process: a pod with a CPU limit that serves one request at a time.

A request needs a random amount of CPU, exponential with the mean that comes with it, and is worked off in small
pieces of real work: matrix products (`compute`), SQLite reads (`info`) or a pattern's matches in a text (`search`).
The limit is that of Linux CFS bandwidth control: in each period of fixed length at most quota x period of CPU, then
sleep to the start of the next one.

Protocol: a line `service mean` on stdin (mean in CPU s), a line `done` on stdout; EOF on stdin ends the worker.
"""

from __future__ import annotations

import argparse
import itertools
import math
import re
import sqlite3
import sys
import time
from collections.abc import Callable

import numpy as np

ROWS = 1000  # of the information service's table
SIDE = 40  # of the computing service's matrices
LETTERS = 2000  # of the search service's text


class Throttle:
    """CFS bandwidth control on a fixed time grid.

    Parameters
    ----------
    quota : CPU limit, cores
    period : length of a period, s
    phase : offset of the grid, s; different per worker, as the kernel's timers of different pods are
    """

    def __init__(self, quota: float, period: float, phase: float = 0.0) -> None:
        self._budget = quota * period  # CPU s per period
        self._period = period
        self._phase = phase
        self._index = -1
        self._used = 0.0  # CPU s in the present period

    def charge(self, now: float, spent: float) -> float:
        """Charge `spent` CPU s at time `now` (s) and return how long to sleep before more may be used (s)."""
        index = math.floor((now - self._phase) / self._period)
        if index != self._index:  # unused budget does not accumulate
            self._index, self._used = index, 0.0
        self._used += spent
        if self._used < self._budget:
            return 0.0
        return max(0.0, (index + 1) * self._period + self._phase - now)


def _compute_piece(rng: np.random.Generator) -> Callable[[], object]:
    """Return the small piece of the computing service: one matrix product."""
    left, right = rng.standard_normal((2, SIDE, SIDE))
    product = np.empty((SIDE, SIDE))
    return lambda: np.matmul(left, right, out=product)


def _info_piece(rng: np.random.Generator) -> Callable[[], object]:
    """Return the small piece of the information service: one range read from SQLite."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE device (id INTEGER PRIMARY KEY, value REAL)")
    database.executemany("INSERT INTO device VALUES (?, ?)", enumerate(rng.standard_normal(ROWS)))
    starts = itertools.cycle(rng.integers(0, ROWS - 10, 1000).tolist())
    query = "SELECT avg(value) FROM device WHERE id BETWEEN ? AND ? + 10"
    return lambda: database.execute(query, (start := next(starts), start)).fetchone()


def _search_piece(rng: np.random.Generator) -> Callable[[], object]:
    """Return the small piece of the search service: one pass of a pattern over a text."""
    letters = "".join(map(chr, (rng.integers(0, 26, LETTERS) + ord("a")).tolist()))
    pattern = re.compile("[aeiou][^aeiou]{2}[aeiou]")
    return lambda: pattern.findall(letters)


PIECES = {"compute": _compute_piece, "info": _info_piece, "search": _search_piece}


def work(piece: Callable[[], object], demand: float, throttle: Throttle) -> None:
    """Run `piece` until `demand` CPU s are consumed, within the throttle's limit."""
    spent, last = 0.0, time.thread_time()
    pause = throttle.charge(time.monotonic(), 0.0)  # the previous request may have used this period up
    while spent < demand:
        if pause > 0:
            time.sleep(pause)
        piece()
        now = time.thread_time()
        pause = throttle.charge(time.monotonic(), now - last)
        spent += now - last
        last = now


def main() -> None:
    """Serve requests from stdin until EOF."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quota", type=float, required=True)
    parser.add_argument("--period", type=float, required=True)
    parser.add_argument("--phase", type=float, required=True)
    parser.add_argument("--seed", type=int, nargs="+", required=True)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    pieces = {service: build(rng) for service, build in PIECES.items()}
    throttle = Throttle(args.quota, args.period, args.phase)
    print("ready", flush=True)
    for line in sys.stdin:
        service, mean = line.split()
        work(pieces[service], rng.exponential(float(mean)), throttle)
        print("done", flush=True)


if __name__ == "__main__":
    main()
