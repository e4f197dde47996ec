"""Stable-Baselines3's DQN with the double target of van Hasselt, Guez & Silver (2016), which moves by updates.

With online network q and target network q'::

    y = r + gamma q'(s', argmax_a q(s', a))       the second term is 0 where the episode has ended in s'

The plain target takes the argmax of q' instead, and values come out too high.

Batch letters: B lanes, A joint actions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.utils import polyak_update
from torch.nn.functional import smooth_l1_loss
from torch.nn.utils import clip_grad_norm_

from netrollout.learn.config import exploring

OURS = ("double", "reward_limit", "epsilon", "epsilon_factor", "epsilon_least", "target_every", "target_share")


class DoubleDQN(DQN):
    """Deep Q-learning by our settings; `rng`, the stream of exploring, is set before each segment.

    Parameters
    ----------
    *args, **kwargs
        Of `stable_baselines3.DQN`, and the settings `OURS`, which ``algorithms.yml`` explains.
    horizon : int
        Steps that count as an episode when exploring fades.
    """

    def __init__(self, *args: Any, horizon: int, **kwargs: Any) -> None:
        self.ours, self.horizon = {key: kwargs.pop(key) for key in OURS}, horizon
        self.rng = np.random.default_rng(0)
        super().__init__(*args, **kwargs)

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Update the network `gradient_steps` times, and the target network when it is its turn."""
        assert self.replay_buffer is not None
        self.policy.set_training_mode(True)
        for _ in range(gradient_steps):
            batch: Any = self.replay_buffer.sample(batch_size)
            target = batch.rewards + (1.0 - batch.dones) * self.gamma * self._ahead(batch.next_observations)
            values = self.q_net(batch.observations).gather(1, batch.actions.long())
            loss = smooth_l1_loss(values, target)
            self.policy.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            clip_grad_norm_(self.q_net.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
            self._n_updates += 1
            if self._n_updates % self.ours["target_every"] == 0:
                polyak_update(self.q_net.parameters(), self.q_net_target.parameters(), self.ours["target_share"])

    def _ahead(self, observations: torch.Tensor) -> torch.Tensor:
        """Return the target's values (n, 1) of the states that follow."""
        with torch.no_grad():
            values: torch.Tensor = self.q_net_target(observations)
            chooser = self.q_net(observations) if self.ours["double"] else values
            return values.gather(1, chooser.argmax(dim=1, keepdim=True))

    def _on_step(self) -> None:
        """Do nothing: the target moves by updates, and exploring fades by steps."""

    def _sample_action(
        self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return actions (B,), random in each lane on its own."""
        warming = self.num_timesteps < learning_starts
        epsilon = 1.0 if warming else exploring(self.ours, self.num_timesteps / self.horizon)
        assert isinstance(self._last_obs, np.ndarray)
        best, _ = self.policy.predict(self._last_obs, deterministic=True)
        other = self.rng.integers(self.action_space.n, size=n_envs)  # type: ignore[attr-defined]
        actions = np.where(self.rng.random(n_envs) < epsilon, other, best)
        return actions, actions

    def _store_transition(
        self,
        replay_buffer: ReplayBuffer,
        buffer_action: NDArray[Any],
        new_obs: Any,
        reward: NDArray[Any],
        dones: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Store a transition with its reward clipped."""
        limit = self.ours["reward_limit"]
        super()._store_transition(replay_buffer, buffer_action, new_obs, reward.clip(-limit, limit), dones, infos)
