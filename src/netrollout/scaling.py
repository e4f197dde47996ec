"""Observations brought to [0, 1] inside a network.

Batch letters: B lanes, D observation size.
"""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from netrollout.models.farm import QueueModel
from netrollout.systems.serverless import Farm
from netrollout.types import Floats, System


def bounds_of(system: System) -> tuple[Floats, Floats] | None:
    """Return what to map to 0 and 1, (D,) each, or None where observations are shares in [0, 1] anyway.

    A system may state its `bounds`.  The farm's own are the widest possible ones, which would leave a network small
    differences; the published ones (serverless facts, 2.2) stand in for them, and what is beyond is clipped.
    """
    if not isinstance(system, (Farm, QueueModel)):
        return getattr(system, "bounds", None)
    tasks = float(system.bank.tasks if isinstance(system, Farm) else system.tasks)
    low = np.zeros(9)
    low[4] = system.least
    return low, np.array([3.0, 800.0, 10.0, tasks, max(system.most, system.least + 1.0), 150.0, 160.0, 12.0, 1.0])


class Scaled(BaseFeaturesExtractor):
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


def extractor(system: System) -> dict[str, object]:
    """Return what Stable-Baselines3's `policy_kwargs` needs for a system; nothing where observations are shares."""
    bounds = bounds_of(system)
    if bounds is None:
        return {}
    return {"features_extractor_class": Scaled, "features_extractor_kwargs": {"low": bounds[0], "high": bounds[1]}}
