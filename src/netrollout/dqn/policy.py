"""A learned Q-network as plain arrays, and its greedy policy.

Batch letters: B lanes, D observation size, K action components, A joint actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import BatchPolicy, joint_actions, joint_feasible
from netrollout.store import read_arrays, write_arrays
from netrollout.types import Floats, InputError, Ints

KIND = "a saved Q-network; `netrollout train SYSTEM dqn` writes one"
Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


class DqnPolicy(BatchPolicy):
    """Chooses the action of the highest value of a network with rectified layers.

    Parameters
    ----------
    layers : sequence of (weight (out, in), bias (out,))
    bounds : (low (D,), high (D,)) or None
        Of observations, which are clipped and brought to [0, 1]; None takes them as they are.
    levels : sequence of K sequences of float
        Settings of the action components.
    """

    def __init__(
        self, layers: Sequence[Layer], bounds: tuple[Floats, Floats] | None, levels: Sequence[Sequence[float]]
    ) -> None:
        self.layers, self.bounds = tuple(layers), bounds
        self.levels = tuple(tuple(row) for row in levels)
        self._joint = joint_actions(self.levels)

    def values(self, observation: NDArray[Any]) -> NDArray[np.float32]:
        """Return the values (B, A) of all joint actions.

        Raises
        ------
        InputError
            If the observations are of another width.
        """
        x = np.asarray(observation, dtype=np.float32)
        width = self.layers[0][0].shape[1]
        if x.ndim != 2 or x.shape[1] != width:
            raise InputError(f"Q-network: observations of shape {x.shape}; expected (lanes, {width})")
        if self.bounds is not None:
            low, high = (np.asarray(bound, dtype=np.float32) for bound in self.bounds)
            x = np.clip((x - low) / (high - low), 0.0, 1.0)
        for weight, bias in self.layers[:-1]:
            x = np.maximum(x @ weight.T + bias, 0.0)
        weight, bias = self.layers[-1]
        found: NDArray[np.float32] = x @ weight.T + bias
        return found

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return greedy actions (B, K); exploring belongs to training."""
        values = self.values(observation)
        if action_masks is not None:
            values = np.where(joint_feasible(np.asarray(action_masks, dtype=bool), self.levels), values, -np.inf)
        return self._joint[values.argmax(axis=1)], state

    def save(self, path: str | Path) -> None:
        """Write the network, whole or not at all (npz; nothing is pickled)."""
        parts: dict[str, NDArray[Any]] = {}
        for k, (weight, bias) in enumerate(self.layers):
            parts |= {f"w{k}": weight, f"b{k}": bias}
        if self.bounds is not None:
            parts |= {"low": self.bounds[0], "high": self.bounds[1]}
        write_arrays(path, {"kind": "dqn", "layers": len(self.layers), "levels": self.levels}, parts)

    @classmethod
    def load(cls, path: str | Path) -> DqnPolicy:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If the file is not there or is not a saved Q-network.
        """
        about, found = read_arrays(path, KIND)
        try:
            layers = [(found[f"w{k}"], found[f"b{k}"]) for k in range(about["layers"])]
            bounds = (found["low"], found["high"]) if "low" in found else None
            return cls(layers, bounds, about["levels"])
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{path} is not {KIND}") from None
