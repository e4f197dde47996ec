"""All lanes of a system at once as a Stable-Baselines3 VecEnv.

Batch letters: B lanes, K action components, D observation size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from netrollout import batch
from netrollout.envs.gym import checked_actions, spaces_of
from netrollout.types import InputError, System


class NetVecEnv(VecEnv):
    """A batch of lanes with one Generator; done lanes are reset in the same step, the others untouched.

    Parameters
    ----------
    system : System
    n : int
        Lanes B.
    seed : int
        Of the batch's Generator; `seed` replaces it at the next reset.
    """

    render_mode = None  # the base class asks for it while it is being built

    def __init__(self, system: System, n: int = 1, seed: int = 0) -> None:
        if n < 1:
            raise InputError(f"{system.name}: {n} lanes; expected at least 1")
        super().__init__(n, *spaces_of(system))
        self.system = system
        self._rng = np.random.default_rng(seed)
        self._cycle = np.zeros(n, dtype=np.int64)
        self._x = system.initial(np.random.default_rng(seed), n)  # the batch's own stream begins at `reset`
        self._top = np.array(batch.sizes(system.levels)) - 1
        self._actions = np.zeros((n, len(system.levels)), dtype=np.int64)

    def reset(self) -> NDArray[np.float32]:
        """Begin an episode in every lane."""
        if self._seeds[0] is not None:
            self._rng = np.random.default_rng(self._seeds[0])
        self._reset_seeds()
        self._cycle[:] = 0
        self._x = self.system.initial(self._rng, self.num_envs)
        return self.system.observe(self._x)

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Take the actions (B, K) of the coming cycle.

        Raises
        ------
        InputError
            If one is not in the action space.
        """
        self._actions = checked_actions(self.system, actions, self._top)

    def step_wait(self) -> VecEnvStepReturn:
        """Run one control cycle in every lane."""
        step = self.system.step(self._x, self._actions, self._rng)
        self._cycle += 1
        truncated = self._cycle >= self.system.horizon
        done = step.terminated | truncated
        infos: list[dict[str, Any]] = [
            {name: float(values[lane]) for name, values in step.metrics.items()} for lane in range(self.num_envs)
        ]
        last = self.system.observe(step.state)
        for lane in np.flatnonzero(done):
            infos[lane]["terminal_observation"] = last[lane]
            infos[lane]["TimeLimit.truncated"] = bool(truncated[lane] and not step.terminated[lane])
        self._x = step.state
        if done.any():
            fresh = self.system.initial(self._rng, self.num_envs)
            self._x = batch.where(done, fresh, step.state)
            self._cycle[done] = 0
        return self.system.observe(self._x), step.reward.astype(np.float32), done, infos

    def close(self) -> None:
        """Nothing is held open."""

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which settings are feasible in every lane, (B, sum of sizes)."""
        return self.system.feasible(self._x)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute, the same for every lane."""
        return [getattr(self, attr_name)] * len(self._lanes(indices))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the whole batch; one lane alone has none."""
        if indices is not None:
            raise ValueError(f"{attr_name}: the lanes share their attributes; leave `indices` out")
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method that answers for all lanes, and return the rows of the lanes asked for."""
        answers = getattr(self, method_name)(*args, **kwargs)
        return [answers[lane] for lane in self._lanes(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """Return False for every lane: a batch is not a stack of wrapped environments."""
        return [False] * len(self._lanes(indices))

    def _lanes(self, indices: VecEnvIndices) -> Sequence[int]:
        return [int(lane) for lane in self._get_indices(indices)]
