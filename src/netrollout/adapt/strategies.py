"""Who decides: the rows of the comparison, from no control to rollout with the true new model.

==============  =======================================================================================================
name            decision
==============  =======================================================================================================
`none`          stands at the scenario's start
`static`        walks to the best static setting of the old model and holds it
`static-new`    the same for the true new system (an oracle)
`hpa`           threshold autoscaler with the algorithm of Kubernetes' HorizontalPodAutoscaler, on node 1's workers
`base`          the optimum of the model from before the change, unadapted
`retrain`       retrained on the relearned model: in force only when its training time is over, then trained anew
`walk`          walks to the best static setting of the relearned model
`dp`            exact optimum of the relearned model
`rollout-1`     one-step rollout on the base policy with the relearned model
`rollout`       parallel rollout on base policy and walk, with the relearned model
`constrained`   the same among the actions that are expected to keep the response time within its bound
`rollout-true`  rollout with the true new model from the moment of the change (an oracle)
`optimum`       exact optimum of the true new model from the moment of the change (an oracle)
==============  =======================================================================================================

Letters: S states, A joint actions, M controls.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from netrollout.adapt.plants import Window
from netrollout.systems.mesh.dynamics import Mesh
from netrollout.types import Ints

ADAPTIVE = {"retrain": "dp", "walk": "walk", "dp": "dp", "rollout-1": "rollout-1", "rollout": "rollout",
            "constrained": "rollout"}  # fmt: skip
STRATEGIES = ("none", "static", "static-new", "hpa", "base", *ADAPTIVE, "rollout-true", "optimum")


@dataclass(frozen=True)
class Sight:
    """What a fixed rule sees: the state's index, its setting (M,), and the last window (None at first)."""

    index: int
    setting: Ints
    window: Window | None


class Rule(Protocol):
    """Decides without a model."""

    def act(self, sight: Sight) -> int:
        """Return a joint action."""


class Follow:
    """Looks the joint action up in a table (S,)."""

    def __init__(self, table: Ints) -> None:
        self._table = table

    def act(self, sight: Sight) -> int:
        """Return a joint action."""
        return int(self._table[sight.index])


def routing_of(mesh: Mesh) -> int:
    """Return the index of the first routing weight among the controls."""
    return next(k for k, control in enumerate(mesh.controls) if control.name.startswith("p_"))


class Hpa:
    """Kubernetes' HorizontalPodAutoscaler on the workers of node 1.

    desired = ceil(current * busy / target), nothing being done while busy / target is within the tolerance of 1; down
    only to the largest desired of the last `window` cycles.  One level a cycle, as every controller here; the routing
    weight walks to the level that it was tuned with.

    Parameters
    ----------
    mesh : Mesh
        Names its controls; the workers are ``c_1``.
    target : float
        Share of worker time in use.
    routing : int
        Level of the routing weight.
    tolerance : float
    window : int
        Cycles of the stabilisation window.
    """

    def __init__(self, mesh: Mesh, target: float, routing: int, tolerance: float = 0.1, window: int = 12) -> None:
        self._k = [control.name for control in mesh.controls].index("c_1")
        self._workers = np.asarray(mesh.controls[self._k].levels)
        self._actions = [len(levels) for levels in mesh.levels]
        self._target, self._tolerance = target, tolerance
        self._p, self._routing = routing_of(mesh), routing
        self._wanted: deque[float] = deque(maxlen=window)

    def act(self, sight: Sight) -> int:
        """Return a joint action."""
        u = np.ones(len(self._actions), dtype=np.int64)
        u[self._p] += int(np.sign(self._routing - sight.setting[self._p]))
        if sight.window is not None and np.isfinite(sight.window.busy):
            u[self._k] += int(np.sign(self._desired(sight.window) - self._workers[sight.setting[self._k]]))
        top = len(self._workers) - 1
        u[self._k] = np.clip(sight.setting[self._k] + u[self._k] - 1, 0, top) - sight.setting[self._k] + 1
        return int(np.ravel_multi_index(tuple(u), self._actions))

    def _desired(self, window: Window) -> float:
        current = float(self._workers[window.setting[self._k]])
        ratio = window.busy / self._target
        desired = current if abs(ratio - 1.0) <= self._tolerance else float(np.ceil(current * ratio))
        self._wanted.append(desired)
        return max(desired, min(current, max(self._wanted)))
