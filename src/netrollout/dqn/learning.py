"""Deep Q-learning on a batch of lanes, in segments.

Batch letters: B lanes, A joint actions.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch.nn import Linear

from netrollout.batch import joint_actions
from netrollout.dqn.double import DoubleDQN
from netrollout.dqn.policy import DqnPolicy
from netrollout.dqn.settings import PUBLISHED, Settings
from netrollout.envs.vec import NetVecEnv
from netrollout.scaling import bounds_of, extractor
from netrollout.seeding import spawn
from netrollout.stages.weights import arrays_of, begin_segment, restore
from netrollout.types import InputError, System

STORED = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


class JointVecEnv(NetVecEnv):
    """A batch of lanes whose actions are rows of `batch.joint_actions`: one number per lane."""

    def __init__(self, system: System, n: int = 1, seed: int = 0) -> None:
        super().__init__(system, n, seed)
        self._joint = joint_actions(system.levels)
        self.action_space = spaces.Discrete(len(self._joint))

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Take the joint actions (B,) of the coming cycle."""
        super().step_async(self._joint[np.asarray(actions)])


def learn(
    system: System,
    steps: int = 60_000,
    seed: int = 0,
    double: bool = True,
    *,
    lanes: int = 8,
    settings: Settings | None = None,
    published: bool = False,
) -> DqnPolicy:
    """Learn a Q-network on a system; infeasible increments hold, so no action is masked.

    Parameters
    ----------
    system : System
    steps : int
        Environment steps, each with an update; rounded up to whole steps of all lanes.
    seed : int
        The same seed and lanes give the same network.
    double : bool
        Double DQN, or the plain target.
    lanes : int
        Environments side by side.
    settings : Settings, optional
    published : bool
        Take the settings of the published farm, its frozen target included.

    Raises
    ------
    InputError
        If a number is not positive, or settings are given besides `published`.
    """
    run = DqnRun(system, seed, double=double, lanes=lanes, settings=settings, published=published)
    if steps < 1:
        raise InputError(f"steps {steps}; expected 1 or more")
    run.advance(steps)
    return run.policy()


class DqnRun:
    """A training that can stop after any segment and go on; the parameters are those of `learn`.

    A segment begins new episodes.
    """

    unit = "steps"

    def __init__(
        self,
        system: System,
        seed: int = 0,
        *,
        double: bool = True,
        lanes: int = 8,
        settings: Settings | None = None,
        published: bool = False,
    ) -> None:
        if lanes < 1:
            raise InputError(f"lanes {lanes}; expected 1 or more")
        if published and settings is not None:
            raise InputError("published settings and others: give one of the two")
        torch.set_num_threads(1)
        self._system, self._seed = system, seed
        s = self._settings = settings or (PUBLISHED if published else Settings())
        gamma = system.discount if s.discount is None else s.discount
        self.model = DoubleDQN(
            "MlpPolicy", JointVecEnv(system, lanes, seed), settings=s, double=double, horizon=system.horizon,
            learning_rate=s.learning_rate, buffer_size=s.buffer, learning_starts=s.starts, batch_size=s.batch,
            gamma=gamma, train_freq=1, gradient_steps=-1, max_grad_norm=s.gradient_limit, seed=seed, device="cpu",
            replay_buffer_kwargs={"handle_timeout_termination": not s.limit_ends},
            policy_kwargs={"net_arch": list(s.hidden), **extractor(system)},
        )  # fmt: skip

    @property
    def done(self) -> int:
        """Environment steps so far."""
        return int(self.model.num_timesteps)

    def advance(self, until: int) -> None:
        """Train a segment, until there are at least so many steps."""
        if until > self.done:
            begin_segment(self.model, self._seed, "dqn")
            self.model.rng = spawn(self._seed, "dqn exploring", self.done)
            self.model.learn(until - self.done, reset_num_timesteps=False)

    def policy(self) -> DqnPolicy:
        """Return the greedy policy of the network as it is now."""
        linear = [module for module in self.model.q_net.q_net if isinstance(module, Linear)]
        layers = [(m.weight.detach().numpy().copy(), m.bias.detach().numpy().copy()) for m in linear]
        return DqnPolicy(layers, bounds_of(self._system), self._system.levels)

    def about(self) -> dict[str, Any]:
        """Return what makes this training: a checkpoint of another one does not fit."""
        settings = {**asdict(self._settings), "hidden": list(self._settings.hidden)}
        return {
            "algorithm": "dqn", "system": self._system.name, "seed": self._seed, "lanes": self.model.n_envs,
            "double": self.model.double, "settings": settings,
        }  # fmt: skip

    def state(self) -> dict[str, NDArray[Any]]:
        """Return networks, optimiser, replay buffer and counters."""
        buffer: Any = self.model.replay_buffer
        stored = {f"buffer/{name}": getattr(buffer, name)[: buffer.size()] for name in STORED}
        counters = np.array([self.done, self.model._n_updates, buffer.pos, buffer.full])
        return {**arrays_of(self.model), **stored, "counters": counters}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Take over what `state` returned."""
        restore(self.model, state)
        buffer: Any = self.model.replay_buffer
        for name in STORED:
            array = state[f"buffer/{name}"]
            getattr(buffer, name)[: len(array)] = array
        self.model.num_timesteps, self.model._n_updates, buffer.pos, full = (int(n) for n in state["counters"])
        buffer.full = bool(full)
