"""Kubernetes' autoscaler on a mesh: it acts on the utilisation of the last window, which is no part of the state.

Letters: M controls, G grid points, Q windows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import BatchPolicy
from netrollout.seeding import spawn
from netrollout.systems.mesh.dynamics import Mesh, MeshState
from netrollout.systems.mesh.plants import Window, moved
from netrollout.types import Floats, Ints

TARGETS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # that `tuned` tries
TUNING = 400  # cycles for which a pair of the autoscaler's numbers is tried


def routing_of(mesh: Mesh) -> int:
    """Return the index of the first routing weight among the controls."""
    return next(k for k, control in enumerate(mesh.controls) if control.name.startswith("p_"))


class Autoscaler(BatchPolicy):
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
    last : callable
        Returns the last window, None before the first.
    tolerance : float
    window : int
        Cycles of the stabilisation window.
    """

    def __init__(
        self,
        mesh: Mesh,
        target: float,
        routing: int,
        last: Callable[[], Window | None],
        tolerance: float = 0.1,
        window: int = 12,
    ) -> None:
        self._mesh, self._k = mesh, [control.name for control in mesh.controls].index("c_1")
        self._workers = np.asarray(mesh.controls[self._k].levels)
        self._target, self._tolerance, self._last = target, tolerance, last
        self._p, self._routing = routing_of(mesh), routing
        self._wanted: deque[float] = deque(maxlen=window)

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return an action (1, M)."""
        return self.move(self._mesh.state_of(observation).setting[0])[None], state

    def move(self, setting: Ints) -> Ints:
        """Return increments (M,) at a setting (M,)."""
        u, window = np.ones(len(setting), dtype=np.int64), self._last()
        u[self._p] += int(np.sign(self._routing - setting[self._p]))
        if window is not None and np.isfinite(window.busy):
            u[self._k] += int(np.sign(self._desired(window) - self._workers[setting[self._k]]))
        u[self._k] = np.clip(setting[self._k] + u[self._k] - 1, 0, len(self._workers) - 1) - setting[self._k] + 1
        return u

    def _desired(self, window: Window) -> float:
        current = float(self._workers[window.setting[self._k]])
        ratio = window.busy / self._target
        desired = current if abs(ratio - 1.0) <= self._tolerance else float(np.ceil(current * ratio))
        self._wanted.append(desired)
        return max(desired, min(current, max(self._wanted)))


def tuned(model: Mesh, busy: Floats, resting: Ints) -> tuple[float, int]:
    """Return the autoscaler's target and the level of its routing weight that earn most on a model.

    Every pair runs `TUNING` cycles from a resting state (M,), and sees the utilisation of single windows (G, Q), as it
    will live.  Of the targets within a standard error of the best the median is taken.
    """
    rewards = model.held_rewards()

    def earned(target: float, level: int) -> Floats:
        seen: list[Window | None] = [None]
        rule, setting, found = Autoscaler(model, target, level, lambda: seen[-1]), resting, np.empty(TUNING)
        for cycle, u in enumerate(spawn(0, "autoscaler").random(TUNING)):
            setting = moved(model, setting, rule.move(setting))
            grid = int(model.index(MeshState(setting[None], np.zeros(1, dtype=np.int64)))[0])
            seen.append(Window(setting, 0, np.empty(0), busy=float(busy[grid, int(u * busy.shape[1])])))
            found[cycle] = rewards[grid]
        return found

    levels = range(len(model.controls[routing_of(model)].levels))
    runs = {(target, level): earned(target, level) for target in TARGETS for level in levels}
    best = max(runs, key=lambda pair: float(runs[pair].mean()))
    near = [target for target in TARGETS if _tied(runs[best], runs[target, best[1]])]
    return near[(len(near) - 1) // 2], best[1]


def _tied(best: Floats, other: Floats) -> bool:
    """Return whether a run earns as much as the best within a standard error of their paired difference."""
    gap = best - other
    return bool(gap.mean() <= gap.std(ddof=1) / np.sqrt(len(gap)))
