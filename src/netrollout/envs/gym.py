"""One lane of a system as a Gymnasium environment.

Batch letters: K action components, A joint actions, D observation size.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from netrollout.batch import joint_feasible, sizes
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


class NetEnv(gymnasium.Env[NDArray[np.float32], Any]):
    """A system with B = 1; it counts control cycles and truncates at the system's horizon.

    The only randomness is `np_random`, seeded by `reset`.

    Parameters
    ----------
    system : System
    flat : bool
        Actions are one number, a row of `batch.joint_actions`, for learners that know no more (DQN); else one number
        for each of the K components.
    render_mode : str, optional
        ``ansi``: `render` returns the cycle, the observation and what the last step brought as a line.

    Raises
    ------
    TypeError
        For another render mode; Stable-Baselines3 then asks for none.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 2}  # noqa: RUF012  (Gymnasium's own declaration)

    def __init__(self, system: System, flat: bool = False, render_mode: str | None = None) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise TypeError(f"{system.name}: render_mode={render_mode!r}; expected None or 'ansi'")
        self.system, self.flat, self.render_mode = system, flat, render_mode
        self._sizes = sizes(system.levels)
        self.observation_space, components = spaces_of(system)
        self.action_space = spaces.Discrete(math.prod(self._sizes)) if flat else components
        self._top = np.array(self._sizes) - 1
        self._cycle, self._last = 0, ""
        self._x = system.initial(np.random.default_rng(0), 1)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self._cycle, self._last = 0, ""
        self._x = self.system.initial(self.np_random, 1)
        return self.system.observe(self._x)[0], {}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Run one control cycle; info holds the metrics.

        Raises
        ------
        InputError
            If the action is not in the action space.
        """
        step = self.system.step(self._x, self._components(action)[None], self.np_random)
        self._x, self._cycle = step.state, self._cycle + 1
        info = {name: float(values[0]) for name, values in step.metrics.items()}
        reward, truncated = float(step.reward[0]), self._cycle >= self.system.horizon
        if self.render_mode is not None:
            self._last = " ".join(f"{name} {value:.4g}" for name, value in {"reward": reward, **info}.items())
        return self.system.observe(self._x)[0], reward, bool(step.terminated[0]), truncated, info

    def render(self) -> str | None:
        """Return the line of the render mode ``ansi``."""
        if self.render_mode is None:
            return None
        seen = " ".join(f"{value:.3g}" for value in self.system.observe(self._x)[0])
        return f"{self.system.name} cycle {self._cycle}: observation {seen} {self._last}".rstrip()

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which settings of each component are feasible, concatenated; with `flat` which joint actions, (A,)."""
        mask = self.system.feasible(self._x)
        allowed: NDArray[np.bool_] = (joint_feasible(mask, self.system.levels) if self.flat else mask)[0]
        return allowed

    def _components(self, action: Any) -> Ints:
        """Return a checked action (K,)."""
        if self.flat:
            if not self.action_space.contains(action):
                most = math.prod(self._sizes) - 1
                raise InputError(f"{self.system.name}: action {action}; expected a whole number from 0 to {most}")
            return np.array(np.unravel_index(int(action), self._sizes))
        checked: Ints = checked_actions(self.system, np.asarray(action)[None], self._top)[0]
        return checked
