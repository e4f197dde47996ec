"""Workloads side by side: what the event loop reads.

Batch letters: W workloads, N tasks, P phases.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from netrollout.seeding import spawn
from netrollout.systems.serverless.workload import Workload, published
from netrollout.types import Floats, InputError

FIRST = 0.85  # s from the start of generation to the first task
DRIFT = 0.0015  # s that a window takes longer than its gaps


@dataclass(frozen=True, eq=False)
class Bank:
    """Workloads with all that chance decides about their tasks: the disturbance that a policy cannot influence.

    Parameters
    ----------
    arrival, service : (W, N) s
        Arrivals since the start of generation.
    poll : (W, N, 2) in [0, 1)
        How far a task's worker, and the collector, are from their next look into the queue.
    begins : (W, P) s
        When each phase begins.
    """

    arrival: Floats
    service: Floats
    poll: Floats
    begins: Floats

    @property
    def tasks(self) -> int:
        """Tasks per workload, N."""
        return int(self.arrival.shape[1])

    def __len__(self) -> int:
        """Return the number of workloads W."""
        return int(self.arrival.shape[0])


def bank(workloads: Sequence[Workload], seeds: Sequence[int], first: float | Sequence[float] = FIRST) -> Bank:
    """Return a bank of workloads.

    Parameters
    ----------
    workloads : sequence of Workload
        With the same number of tasks and of phases.
    seeds : sequence of int
        Of the polling, one per workload.
    first : float or sequence of float
        When the first window begins, s.

    Raises
    ------
    InputError
        If there is no workload, or they differ in their numbers of tasks or phases.
    """
    shapes = {(len(load.arrival), len(load.begins)) for load in workloads}
    if len(shapes) != 1 or len(seeds) != len(workloads):
        raise InputError(
            f"bank: {len(workloads)} workloads with (tasks, phases) {sorted(shapes)} and {len(seeds)} seeds; "
            "expected one or more, all alike, and a seed for each"
        )
    tasks, _ = shapes.pop()
    start = np.broadcast_to(np.asarray(first, dtype=np.float64), len(workloads))[:, None]
    drift = np.stack([load.window for load in workloads]) * DRIFT
    arrival = np.stack([load.arrival for load in workloads]) + drift + start
    begins = np.stack([load.begins for load in workloads])
    # A phase's first window drifts as its first task does.
    opens = np.stack([np.searchsorted(load.arrival, load.begins) for load in workloads]).clip(max=tasks - 1)
    begins = begins + np.take_along_axis(drift, opens, axis=1) + start
    poll = np.stack([spawn(seed, "polling").random((tasks, 2)) for seed in seeds])
    return Bank(arrival, np.stack([load.service for load in workloads]), poll, begins)


def seeded(seeds: Iterable[int]) -> Bank:
    """Return the bank of the published workloads of some seeds."""
    numbers = list(seeds)
    return bank([published(seed) for seed in numbers], numbers)
