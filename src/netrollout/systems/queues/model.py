"""The learned model of scenario S4: service demands and the load's pattern from a log of control cycles.

The model has the structure of the plant with what the controller cannot know replaced by what it has measured: the
mean demand of a request at each node is the worker time spent over the requests served, and the daily pattern is the
least-squares sine through the measured loads, burst cycles scaled down.  The law of the demands is taken to be
exponential, which the plant's is not.  What the log cannot say (a node without requests) stays as it was believed.

Batch letters: T cycles.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from netrollout.seeding import spawn
from netrollout.systems.queues.dynamics import Pattern, QueueMesh
from netrollout.types import Floats, InputError, Ints, Policy

ROUNDS = 10  # of telling bursts from calm and fitting again; the marks settle in three or four


class Log(NamedTuple):
    """What was measured, one cycle a row."""

    phase: Ints  # (T,) cycle of the day
    load: Floats  # (T,) requests/s, offered
    n: Floats  # (T, 2) requests given to each node
    cpu: Floats  # (T, 2) s, worker time that they asked for


def collect(plant: QueueMesh, policy: Policy, cycles: int, seed: int, phase: int = 0) -> Log:
    """Run a policy on the plant and keep the log.

    Parameters
    ----------
    plant : QueueMesh
    policy : Policy
    cycles : int
        Length T of the log, 1 or more.
    seed : int
    phase : int
        Cycle of the day at which the log begins.

    Raises
    ------
    InputError
        If there are no cycles.
    """
    if cycles < 1:
        raise InputError(f"cycles {cycles}: a log needs at least one")
    rng = spawn(seed, "log")
    x = plant.initial(rng, 1)._replace(phase=np.array([phase % plant.pattern.day]))
    memory, begin, rows = None, np.ones(1, dtype=bool), []
    for _ in range(cycles):
        u, memory = policy.predict(plant.observe(x), memory, begin, deterministic=True)
        step, begin = plant.step(x, u, rng), np.zeros(1, dtype=bool)
        m = step.metrics
        rows.append((x.phase[0], m["load"][0], m["n_1"][0], m["n_2"][0], m["cpu_1"][0], m["cpu_2"][0]))
        x = step.state
    table = np.array(rows)
    return Log(table[:, 0].astype(np.int64), table[:, 1], table[:, 2:4], table[:, 4:6])


def learn_queues(prior: QueueMesh, log: Log) -> QueueMesh:
    """Return the model that the log suggests.

    Parameters
    ----------
    prior : QueueMesh
        What was believed before; it gives the structure, and whatever the log cannot say.
    log : Log
    """
    n, cpu = log.n.sum(axis=0), log.cpu.sum(axis=0)
    first, second = np.where(n > 0, cpu / np.maximum(n, 1.0), prior.demand)
    pattern = learn_pattern(prior.pattern, log)
    return replace(prior, demand=(float(first), float(second)), law="exponential", pattern=pattern)


def learn_pattern(prior: Pattern, log: Log) -> Pattern:
    """Fit mean, amplitude and shift of the day to the measured loads; a log under half a day leaves them as they were.

    A cycle is marked as a burst where its load is nearer to the burst's than to the calm load of the present fit; the
    sine is then fit to the loads, those of bursts divided by the burst's factor, which is itself taken from before, as
    are the probabilities of a burst's beginning and end.
    """
    if len(np.unique(log.phase)) < prior.day // 2:
        return prior
    angle = 2 * np.pi * log.phase / prior.day
    design = np.column_stack([np.ones_like(angle), np.sin(angle), np.cos(angle)])
    best: tuple[float, Floats] | None = None
    for begin in _first_guesses(prior):
        weights = begin
        for _ in range(ROUNDS):
            scale = np.where(log.load > 0.5 * (1.0 + prior.burst) * (design @ weights), prior.burst, 1.0)
            weights = np.linalg.lstsq(design, log.load / scale, rcond=None)[0]
        error = float(((log.load / scale - design @ weights) ** 2 * scale).sum())
        if best is None or error < best[0]:
            best = error, weights
    assert best is not None
    mean, sine, cosine = best[1]
    shift = -np.arctan2(cosine, sine) / (2 * np.pi) * prior.day
    return replace(prior, mean=float(mean), amplitude=float(np.hypot(sine, cosine)), shift=float(shift % prior.day))


def _first_guesses(prior: Pattern) -> list[Floats]:
    """Return the believed pattern shifted by every eighth of a day: the marks depend on where the fit begins."""
    shifts = 2 * np.pi * (prior.shift / prior.day + np.arange(8) / 8)
    return [np.array([prior.mean, prior.amplitude * np.cos(s), -prior.amplitude * np.sin(s)]) for s in shifts]
