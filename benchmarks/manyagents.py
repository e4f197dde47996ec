"""Multi-agent rollout of a fleet of K queues with 3 settings each, from 2 to 32: 3^32 joint actions cannot be listed.

Ours stands alone: no public library offers multi-agent rollout on a world of one's own.  The growth that theory names
is that of the comparisons, so the number of lanes times steps for which the model is run is shown with the time; the
fleet's own transition costs more with every queue on top of that.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.clock import Row, alone, spread
from netrollout.rollout import MultiagentRollout
from netrollout.seeding import spawn
from netrollout.systems.fleet import Alone, Fleet

COMPONENTS = (2, 4, 8, 16, 32)
HORIZON, SAMPLES = 10, 8
CYCLES = 20
CEILINGS = {32: 0.020}  # s


def multiagent(repetitions: int | None) -> list[Row]:
    """Return the time per decision for every number of components."""
    return grown([row(Fleet(components=k), CEILINGS.get(k), repetitions or 7) for k in COMPONENTS])


def grown(rows: list[Row]) -> list[Row]:
    """Add to every row how many times longer its decision takes than that of the first."""
    first = spread(rows[0].ours)["median"]
    factors = [spread(row.ours)["median"] / first for row in rows]
    return [
        replace(row, checked=f"{row.checked}; {factor:.1f} times as long as for {COMPONENTS[0]} components")
        for row, factor in zip(rows, factors, strict=True)
    ]


def row(fleet: Fleet, ceiling: float | None, repetitions: int) -> Row:
    """Return the time of decisions in the states of an episode of the base policy, and the model's steps behind one."""
    base = Alone(fleet)
    policy = MultiagentRollout(fleet, base, spawn(0, "decisions"), HORIZON, SAMPLES)
    observations = walked(fleet, base)
    seconds = alone(lambda: lambda: [policy.predict(observation) for observation in observations], CYCLES, repetitions)
    policy.model_steps = 0
    for observation in observations:
        policy.predict(observation)
    steps = policy.model_steps / CYCLES
    name = f"decision, {fleet.components} components, {HORIZON} steps, {SAMPLES} samples"
    checked = f"{steps:,.0f} model steps, {steps / fleet.components:,.0f} per component"
    return Row("multiagent", name, ours=seconds, item="decision", ceiling=ceiling, checked=checked)


def walked(fleet: Fleet, base: Alone) -> list[NDArray[np.float32]]:
    """Return what the base policy observes in the first cycles of an episode, (1, 2 K) each."""
    rng = spawn(0, "episode")
    x, observations = fleet.initial(rng, 1), []
    for _ in range(CYCLES):
        observations.append(fleet.observe(x))
        x = fleet.step(x, base.predict(observations[-1])[0], rng).state
    return observations
