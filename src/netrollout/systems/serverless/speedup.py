"""The farm with a fixed number of workers: how long a number of tasks takes it.

The published scalability runs used an older matrix application with four task sizes, each twice the one before.  Its
weights are known, its service times are not: only their mean of 2.04 s is.  We take them proportional to the size,
which fits the tail of the runs with many workers best.

Source: serverless facts, sections 1.2 and 6.4.
"""

from __future__ import annotations

import numpy as np

from netrollout.seeding import spawn
from netrollout.systems.serverless import kernel
from netrollout.systems.serverless.tasks import FIRST
from netrollout.types import InputError

TASKS, MEAN = 1000, 2.04  # number, and worker time of a task in s
SIZES, WEIGHTS = (1.0, 2.0, 4.0, 8.0), (0.1, 0.3, 0.5, 0.1)


def runtime(
    workers: int, generation: float, seed: int = 0, repeats: int = 20, tasks: int = TASKS, mean: float = MEAN
) -> float:
    """Return the time from the start of generation to the last collected task, s, the mean of some repeats.

    Parameters
    ----------
    workers : int
        All there from the start, and to the end.
    generation : float
        s over which the tasks arrive, evenly at random.
    seed, repeats, tasks : int
    mean : float
        Worker time of a task, s, exact in every repeat.

    Raises
    ------
    InputError
        If there is no worker, repeat or task, or a time is not positive.
    """
    if min(workers, repeats, tasks) < 1 or not (generation > 0.0 and mean > kernel.OVERHEAD):
        raise InputError(
            f"runtime: {workers} workers, {repeats} repeats of {tasks} tasks in {generation:g} s of {mean:g} s each; "
            f"expected one or more, a positive time, and more than {kernel.OVERHEAD} s a task"
        )
    rng, shape = spawn(seed, "speedup"), (repeats, tasks)
    arrival, asked = FIRST + np.sort(rng.random(shape) * generation, axis=1), rng.choice(SIZES, shape, p=WEIGHTS)
    asked *= (mean - kernel.OVERHEAD) / asked.mean(axis=1, keepdims=True)
    never, none = np.full(repeats, np.inf), np.zeros(repeats, dtype=np.int64)
    finish, collect = np.empty((2, *shape))
    end = arrival.max(axis=1) + 2 * tasks * mean  # even one worker is done by then
    kernel.advance(
        arrival, asked, rng.random((*shape, 2)), np.arange(repeats), end, never, never, none,
        np.zeros((repeats, workers)), finish, collect,
    )  # fmt: skip
    return float(collect.max(axis=1).mean())
