"""Networks of Stable-Baselines3 with their optimiser as plain arrays, and the randomness of a segment."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm

from netrollout.seeding import SEEDS, spawn

WEIGHTS, MOMENTS = "weights/", "moments/"


def arrays_of(model: BaseAlgorithm) -> dict[str, NDArray[Any]]:
    """Return the weights of a model's networks and the moments of its optimiser."""
    found = {WEIGHTS + name: tensor.numpy().copy() for name, tensor in model.policy.state_dict().items()}
    for number, moments in model.policy.optimizer.state_dict()["state"].items():
        for name, tensor in moments.items():
            found[f"{MOMENTS}{number}/{name}"] = tensor.numpy().copy()
    return found


def restore(model: BaseAlgorithm, arrays: dict[str, NDArray[Any]]) -> None:
    """Take over what `arrays_of` returned.

    Raises
    ------
    RuntimeError
        If the weights belong to another network.
    """
    optimizer, moments = model.policy.optimizer, dict[int, dict[str, torch.Tensor]]()
    weights = {}
    for key, array in arrays.items():
        if key.startswith(WEIGHTS):
            weights[key.removeprefix(WEIGHTS)] = torch.from_numpy(array.copy())
        elif key.startswith(MOMENTS):
            number, name = key.removeprefix(MOMENTS).split("/")
            moments.setdefault(int(number), {})[name] = torch.from_numpy(np.array(array))
    model.policy.load_state_dict(weights)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})


def begin_segment(model: BaseAlgorithm, seed: int, algorithm: str) -> None:
    """Draw all that follows from the streams of the segment that begins now, with a new episode in every lane."""
    model.set_random_seed(int(spawn(seed, algorithm, model.num_timesteps).integers(SEEDS)))
    model._last_obs = None  # `learn` then resets the environment
