"""The reward of the task farm, term by term.

With the share q of tasks in time, queue Q, workers w, applied change d and r = Q / queue_target, a change is wanted
("over") where r > 1 or q < target::

    R = qos (q - target) - backlog max(0, r - 1)^2 - efficiency max(0, w - balanced) [Q <= idle_queue and q >= target]
        - scaling |d| + up |d| [d > 0 and over] + down |d| [d < 0 and not over] + 0.1 qos [q >= target and r <= 0.5]

and at the end of the episode: completion, where all tasks are done early, or - unfinished min(pending, queue_target) at
the time limit.  q is compared in single precision, as the published code does.

Batch letter: B lanes.

Source: the published farm's reward and its configuration (serverless facts, section 2.4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netrollout.types import Bools, Floats, Ints


@dataclass(frozen=True)
class Reward:
    """The weights, as shipped with the published farm; those of its other two runs differ (serverless facts, 6.2)."""

    target: float = 0.95  # share of tasks in time
    queue_target: float = 30.0  # tasks
    balanced: float = 14.0  # workers
    idle_queue: float = 8.0  # tasks
    qos: float = 36.0
    backlog: float = 2.5
    scaling: float = 0.08
    efficiency: float = 0.05
    up: float = 5.5
    down: float = 0.1
    unfinished: float = 2.0  # per task
    completion: float = 8.0

    def terms(
        self, q: NDArray[np.floating], queue: Floats, workers: Ints | Floats, change: Ints | Floats
    ) -> dict[str, Floats]:
        """Return the terms of a cycle's reward, each (B,), with their signs.

        Parameters
        ----------
        q : (B,)
            Share of the window's tasks in time.
        queue : (B,)
            Tasks that wait.
        workers, change : (B,)
            After the action; the change that was applied.
        """
        single = np.asarray(q, dtype=np.float32)
        good = single >= np.float32(self.target)
        load = np.asarray(queue, dtype=np.float64) / self.queue_target
        over, moves, d = (load > 1.0) | ~good, np.abs(change).astype(np.float64), np.asarray(change)
        calm = good & (np.asarray(queue) <= self.idle_queue)
        return {
            "reward_qos": self.qos * (single.astype(np.float64) - self.target),
            "reward_backlog": -self.backlog * np.maximum(load - 1.0, 0.0) ** 2,
            "reward_efficiency": -self.efficiency * np.maximum(np.asarray(workers) - self.balanced, 0.0) * calm,
            "reward_scaling": -self.scaling * moves,
            "reward_direction": moves * (self.up * ((d > 0) & over) + self.down * ((d < 0) & ~over)),
            "reward_steady": 0.1 * self.qos * (good & (load <= 0.5)),
        }

    def final(self, done: Bools, last: Bools, pending: Floats) -> Floats:
        """Return what the end of the episode brings, (B,): `last` is the time limit, which comes before `done`."""
        penalty = -self.unfinished * np.minimum(pending, self.queue_target)
        end: Floats = np.where(last, penalty, np.where(done, self.completion, 0.0))
        return end
