"""Re-simulates recorded episodes: the recorded actions and step times on the workload that the seed gives.

Batch letters: B lanes (draws of the polling), T cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netrollout.seeding import spawn
from netrollout.systems.serverless.farm import CYCLE, MARGIN, POLLED, Farm
from netrollout.systems.serverless.tasks import FIRST, bank
from netrollout.systems.serverless.workload import published
from netrollout.types import Floats, InputError

DELAYS = {"DQN": 6.0, "SARSA": 5.4, "ReactiveAverage": 5.4, "ReactiveMaximum": 5.4}  # s until a new worker is there
DELAY = 5.4  # s, of an agent that is not listed
DRAWS = 32  # of the polling, which no record tells


@dataclass(frozen=True)
class Episode:
    """What a record tells of an episode.

    Parameters
    ----------
    seed : int
    action : sequence of int
        Changes of the number of workers, -1, 0 or 1, one per step.
    length : sequence of float
        Of the steps, s.
    first : float
        When the first task came, s since the start of generation.

    Raises
    ------
    InputError
        If there is no step, an action is none of the three, or a time is not finite, a length not positive or `first`
        negative.
    """

    seed: int
    action: Sequence[int]
    length: Sequence[float]
    first: float = FIRST

    def __post_init__(self) -> None:
        """Check what a record may have wrong."""
        if not len(self.action) == len(self.length) > 0:
            raise InputError(
                f"episode: {len(self.action)} actions and {len(self.length)} lengths; expected one of each per step"
            )
        for step, (change, seconds) in enumerate(zip(self.action, self.length, strict=True)):
            if change not in (-1, 0, 1) or not 0.0 < seconds < np.inf:
                raise InputError(
                    f"episode: step {step} has action {change} and length {seconds} s; expected -1, 0 or 1; above 0 s"
                )
        if not 0.0 <= self.first < np.inf:
            raise InputError(f"episode: the first task came after {self.first} s; expected 0 or more")


def final_qos(episode: Episode, delay: float = DELAY) -> float:
    """Return the final QoS of a re-simulated episode; see `replay`."""
    return replay(episode, delay)[0]


def replay(episode: Episode, delay: float = DELAY) -> tuple[float, Floats]:
    """Return the final QoS of an episode and its observations (T, 9), the means over draws of the polling.

    Parameters
    ----------
    episode : Episode
    delay : float
        Until a new worker is there after the start of its step, s.

    Raises
    ------
    InputError
        If the delay is negative or not finite.
    """
    if not 0.0 <= delay < np.inf:
        raise InputError(f"delay {delay} s; expected 0 or more")
    load, steps = published(episode.seed), len(episode.action)
    farm = Farm(bank([load] * DRAWS, range(DRAWS), episode.first), horizon=steps)
    x = farm.initial(spawn(episode.seed), DRAWS)
    rows, seen = np.arange(DRAWS, dtype=np.float64), []
    completed, violations = np.zeros((2, DRAWS))
    for change, length in zip(episode.action, episode.length, strict=True):
        time = np.full(DRAWS, delay + POLLED)
        # The recorded length counts, not the one that a start stretches.
        stretched = np.maximum(CYCLE, time + MARGIN) if change > 0 else CYCLE
        w = np.stack([rows, time, np.broadcast_to(length - stretched, DRAWS)], axis=1)
        step = farm.transition(x, np.full((DRAWS, 1), change + 1), w)
        x, completed = step.state, completed + step.metrics["completed"]
        violations = violations + step.metrics["violations"]
        seen.append(x.seen.mean(axis=0))
    return float(np.mean(1.0 - violations / np.maximum(completed, 1.0))), np.stack(seen)
