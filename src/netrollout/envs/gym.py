"""One lane of a system as a Gymnasium environment.

Batch letters: K action components, D observation size.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from netrollout.batch import sizes
from netrollout.types import InputError, Ints, System


def spaces_of(system: System) -> tuple[spaces.Box[np.float32], spaces.MultiDiscrete[np.int64]]:
    """Return observation and action space; observations are shares in [0, 1] unless a system states its `bounds`."""
    width = system.observe(system.initial(np.random.default_rng(0), 1)).shape[1]
    low, high = getattr(system, "bounds", (np.zeros(width), np.ones(width)))
    box = spaces.Box(low.astype(np.float32), high.astype(np.float32), (width,), np.float32)
    return box, spaces.MultiDiscrete(list(sizes(system.levels)))


def checked_actions(system: System, actions: Any, top: Ints) -> Ints:
    """Return actions (B, K) whose settings are numbers from 0 to `top` (K,), or refuse them.

    Systems do not check them: in a rollout that would cost more than the step.
    """
    u = np.asarray(actions)
    expected = f"expected whole numbers from 0 to {top.tolist()}"
    if u.dtype.kind not in "iu" or u.shape[1:] != top.shape:
        raise InputError(f"{system.name}: actions of shape {u.shape} and type {u.dtype}; {expected}")
    outside = ((u < 0) | (u > top)).any(axis=1)
    if outside.any():
        raise InputError(f"{system.name}: action {u[outside.argmax()].tolist()}; {expected}")
    return u


class NetEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.int64]]):
    """A system with B = 1; it counts control cycles and truncates at the system's horizon.

    The only randomness is `np_random`, seeded by `reset`.

    Parameters
    ----------
    system : System
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own declaration)

    def __init__(self, system: System) -> None:
        self.system = system
        self.observation_space, self.action_space = spaces_of(system)
        self._top = np.array(sizes(system.levels)) - 1
        self._cycle = 0
        self._x = system.initial(np.random.default_rng(0), 1)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self._cycle = 0
        self._x = self.system.initial(self.np_random, 1)
        return self.system.observe(self._x)[0], {}

    def step(self, action: NDArray[np.int64]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Run one control cycle; info holds the metrics.

        Raises
        ------
        InputError
            If the action is not in the action space.
        """
        u = checked_actions(self.system, np.asarray(action)[None], self._top)
        step = self.system.step(self._x, u, self.np_random)
        self._x, self._cycle = step.state, self._cycle + 1
        info = {name: float(values[0]) for name, values in step.metrics.items()}
        truncated = self._cycle >= self.system.horizon
        return self.system.observe(self._x)[0], float(step.reward[0]), bool(step.terminated[0]), truncated, info

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which settings of each component are feasible, concatenated."""
        mask: NDArray[np.bool_] = self.system.feasible(self._x)[0]
        return mask
