"""MaskablePPO as a learner in segments."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout.stages.weights import arrays_of, begin_segment, restore
from netrollout.train import MaskedPolicy, begin
from netrollout.types import System


class PpoRun:
    """A training that can stop after any segment and go on; settings as in `netrollout.train.train`.

    A segment begins new episodes and ends with a whole rollout, so its steps are rounded up to rollouts.

    Parameters
    ----------
    system : System
    seed : int
    """

    unit = "steps"

    def __init__(self, system: System, seed: int = 0) -> None:
        self._system, self._seed = system, seed
        self.model = begin(system, seed)

    @property
    def done(self) -> int:
        """Environment steps so far."""
        return int(self.model.num_timesteps)

    def advance(self, until: int) -> None:
        """Train a segment, until there are at least so many steps."""
        if until > self.done:
            begin_segment(self.model, self._seed, "ppo")
            self.model.learn(until - self.done, reset_num_timesteps=False)

    def policy(self) -> MaskedPolicy:
        """Return the policy of the network, which changes as training goes on."""
        return MaskedPolicy(self.model, self._system)

    def about(self) -> dict[str, Any]:
        """Return what makes this training."""
        return {"algorithm": "ppo", "system": self._system.name, "seed": self._seed, "lanes": self.model.n_envs}

    def state(self) -> dict[str, NDArray[Any]]:
        """Return weights, moments and the number of steps."""
        return {**arrays_of(self.model), "done": np.array(self.done)}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Take over what `state` returned."""
        restore(self.model, state)
        self.model.num_timesteps = int(state["done"])
