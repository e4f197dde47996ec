"""What a network is shown of a system: its actions in a view, its observations brought to [0, 1].

An algorithm sees actions setting by setting (``plain``, or ``masked`` where infeasible ones are refused), all joint
actions in one list (``joint``), or points of a box (``box``).

Batch letters: B lanes, D observation size, K action components, A joint actions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from netrollout.batch import Levels, joint_actions, sizes
from netrollout.envs.vec import NetVecEnv
from netrollout.types import Floats, Ints, System


class View:
    """Actions as an algorithm sees them; here: setting by setting.

    Parameters
    ----------
    levels : sequence of K sequences of float
    """

    def __init__(self, levels: Levels) -> None:
        self.levels = levels
        self.space: spaces.Space[Any] = spaces.MultiDiscrete(list(sizes(levels)))

    def settings(self, actions: NDArray[Any]) -> Ints:
        """Return settings (B, K) of actions (B, ...) of the space."""
        return np.asarray(actions)


class JointView(View):
    """A joint action is one number, a row of `batch.joint_actions`."""

    def __init__(self, levels: Levels) -> None:
        super().__init__(levels)
        self._joint = joint_actions(levels)
        self.space = spaces.Discrete(len(self._joint))

    def settings(self, actions: NDArray[Any]) -> Ints:
        """Return settings (B, K) of rows (B,)."""
        found: Ints = self._joint[np.asarray(actions)]
        return found


class BoxView(View):
    """An action is a point of [-1, 1] per component, from the first setting to the last, and means the nearest one."""

    def __init__(self, levels: Levels) -> None:
        super().__init__(levels)
        self._top = np.array(sizes(levels)) - 1
        self.space = spaces.Box(-1.0, 1.0, (len(levels),), np.float32)

    def settings(self, actions: NDArray[Any]) -> Ints:
        """Return settings (B, K) of points (B, K)."""
        share = (np.clip(np.asarray(actions, dtype=np.float64), -1.0, 1.0) + 1.0) / 2.0
        found: Ints = np.rint(share * self._top).astype(np.int64)
        return found


VIEWS = {"masked": View, "plain": View, "joint": JointView, "box": BoxView}


class ViewedVecEnv(NetVecEnv):
    """A batch of lanes whose actions are those of a view."""

    def __init__(self, system: System, view: View, n: int = 1, seed: int = 0) -> None:
        super().__init__(system, n, seed)
        self._view, self.action_space = view, view.space

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take the actions (B, ...) of the coming cycle."""
        super().step_async(self._view.settings(actions))


class ScaledFeatures(BaseFeaturesExtractor):
    """Clips observations (B, D) to their bounds and maps these to 0 and 1.

    Parameters
    ----------
    observation_space : Box
    low, high : (D,)
    """

    def __init__(self, observation_space: spaces.Box, low: Floats, high: Floats) -> None:
        super().__init__(observation_space, features_dim=len(low))
        self.low: torch.Tensor
        self.width: torch.Tensor
        self.register_buffer("low", torch.tensor(low, dtype=torch.float32))
        self.register_buffer("width", torch.tensor(high - low, dtype=torch.float32))

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return shares (B, D)."""
        return ((observations - self.low) / self.width).clamp(0.0, 1.0)


def bounds_of(system: System) -> tuple[Floats, Floats] | None:
    """Return what a network sees as 0 and 1, (D,) each, or None where observations are shares in [0, 1] anyway.

    A system may state the `bounds` of its observations, and beside them the `usual_bounds` that leave a network larger
    differences; what is beyond is clipped.
    """
    found: tuple[Floats, Floats] | None = getattr(system, "usual_bounds", getattr(system, "bounds", None))
    return found
