"""Training base policies with Stable-Baselines3, and reading them out as tables.

Batch letters: B lanes, K action components, A joint actions, S states.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib import MaskablePPO

from netrollout.batch import BatchPolicy, joint_actions, joint_feasible, joint_index
from netrollout.envs.vec import NetVecEnv
from netrollout.scaling import extractor
from netrollout.store import read_arrays, write_arrays
from netrollout.types import Enumerable, Floats, InputError, Ints, System

ALGORITHMS = ("ppo",)
KIND = "a saved policy; `netrollout train SYSTEM ppo` writes one"
PUBLISHED: dict[str, Any] = {
    "n_steps": 512,
    "batch_size": 64,
    "learning_rate": 5e-4,
    "ent_coef": 0.05,
    "clip_range": 0.2,
    "policy_kwargs": {"net_arch": [128, 128, 128]},
}
"""Settings of Samani, Hammar & Stadler, NOMS 2024 (their published code): 3 x 128 units."""
BATCHED: dict[str, Any] = {**PUBLISHED, "n_steps": 128, "batch_size": 512, "ent_coef": 0.01}
"""The same network for a system without a table of states, where training needs many more steps: on `LANES` lanes."""
LANES = 16


@dataclass(frozen=True)
class Training:
    """How a training up to a target went.

    Attributes
    ----------
    steps : int
        Environment steps taken.
    seconds : float
        Of training alone, without judging.
    reached : bool
        Whether the target was met within the budget.
    curve : tuple of (steps, judged value)
    """

    steps: int
    seconds: float
    reached: bool
    curve: tuple[tuple[int, float], ...]


def train(
    system: System, algo: str = "ppo", steps: int = 50_000, seed: int = 0, warm: MaskablePPO | None = None
) -> MaskablePPO:
    """Train a policy on a system.

    Parameters
    ----------
    system : System
        Usually a learned model; infeasible settings are masked (Huang & Ontanon 2022).
    algo : str
        ``ppo``: MaskablePPO, with the published settings and one environment on a system whose states can be listed,
        with `BATCHED` on 16 lanes on any other.
    steps : int
        Environment steps; rounded up to whole rollouts of 512 (2,048 on 16 lanes).
    seed : int
        The same seed gives the same policy.
    warm : MaskablePPO, optional
        Weights to begin with.

    Raises
    ------
    InputError
        If the algorithm is unknown, there are no steps, or `warm` belongs to a system of another shape.
    """
    if algo not in ALGORITHMS:
        near = difflib.get_close_matches(algo, ALGORITHMS, cutoff=0.3)
        raise InputError(f"unknown algorithm {algo!r}; {f'did you mean {near[0]}?' if near else 'known: ppo'}")
    if steps < 1:
        raise InputError(f"steps {steps}: at least one environment step is needed")
    model = begin(system, seed, warm)
    model.learn(steps)
    return model


def begin(system: System, seed: int, warm: MaskablePPO | None = None) -> MaskablePPO:
    """Return an untrained model for a system, with the weights of `warm` if given."""
    torch.set_num_threads(1)
    lanes, settings = (1, PUBLISHED) if isinstance(system, Enumerable) else (LANES, BATCHED)
    env = NetVecEnv(system, lanes, seed)
    kwargs = {**settings["policy_kwargs"], **extractor(system)}
    settings = {**settings, "policy_kwargs": kwargs}
    model = MaskablePPO("MlpPolicy", env, gamma=system.discount, seed=seed, device="cpu", **settings)
    if warm is not None:
        _refuse_another_shape("the warm start", _shape(warm), model, system)
        model.policy.load_state_dict(warm.policy.state_dict())
    return model


def _shape(model: MaskablePPO) -> tuple[int, list[int]]:
    """Return D and the number of settings of every action component: what weights must fit."""
    observation: Any = model.observation_space
    action: Any = model.action_space
    return observation.shape[0], action.nvec.tolist()


def _refuse_another_shape(what: str, found: tuple[int, list[int]], model: MaskablePPO, system: System) -> None:
    mine = _shape(model)
    if found != mine:
        raise InputError(f"{what} was trained on {found[0]} observations and levels {found[1]}; "
                         f"{system.name} has {mine[0]} and {mine[1]}")  # fmt: skip


def train_until(
    system: Enumerable,
    judge: Callable[[Ints], float],
    target: float,
    seed: int,
    budget: int = 50_000,
    every: int = 1024,
    warm: MaskablePPO | None = None,
) -> tuple[MaskablePPO, Training]:
    """Train until the greedy policy's judged value reaches a target.

    Parameters
    ----------
    system : Enumerable
    judge : callable
        From a policy table (S,) to its value.
    target : float
    seed : int
    budget : int
        Environment steps at most, rounded up to whole rollouts of 512.
    every : int
        Steps between judgements, rounded up likewise.
    warm : MaskablePPO, optional
        Weights to begin with.
    """
    model, seconds, curve = begin(system, seed, warm), 0.0, []
    while True:
        value = judge(policy_table(model, system))
        curve.append((model.num_timesteps, value))
        if value >= target or model.num_timesteps >= budget:
            return model, Training(model.num_timesteps, seconds, value >= target, tuple(curve))
        start = time.perf_counter()
        model.learn(min(every, budget - model.num_timesteps), reset_num_timesteps=False)
        seconds += time.perf_counter() - start


class MaskedPolicy(BatchPolicy):
    """A trained network that chooses its most probable feasible action.

    Parameters
    ----------
    model : MaskablePPO
    system : System
        Says which settings are feasible behind an observation.  Where its state is not visible nothing is masked: an
        increment beyond the range holds.
    """

    def __init__(self, model: MaskablePPO, system: System) -> None:
        self._model, self._system = model, system

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, K)."""
        mask = action_masks if action_masks is not None else self._feasible(observation)
        actions, _ = self._model.predict(observation, deterministic=True, action_masks=mask)
        return np.asarray(actions), state

    def _feasible(self, observation: NDArray[Any]) -> NDArray[np.bool_] | None:
        try:
            return self._system.feasible(self._system.state_of(observation))
        except InputError:
            return None


def policy_table(model: MaskablePPO, system: Enumerable) -> Ints:
    """Return the greedy masked policy as a table (S,) of joint actions, by one forward pass over all states."""
    x = system.states()
    actions, _ = model.predict(system.observe(x), deterministic=True, action_masks=system.feasible(x))
    return joint_index(actions.reshape(-1, len(system.levels)), system.levels)


def policy_probabilities(model: MaskablePPO, system: Enumerable) -> Floats:
    """Return the stochastic masked policy as probabilities (S, A)."""
    x = system.states()
    with torch.no_grad():
        observation = model.policy.obs_to_tensor(system.observe(x))[0]
        law: Any = model.policy.get_distribution(observation, action_masks=system.feasible(x))
        parts = [part.probs.double().numpy() for part in law.distributions]
    table = joint_actions(system.levels)
    joint = np.prod([part[:, table[:, k]] for k, part in enumerate(parts)], axis=0)
    joint = joint * joint_feasible(system.feasible(x), system.levels)
    probabilities: Floats = joint / joint.sum(axis=1, keepdims=True)
    return probabilities


def critic_values(model: MaskablePPO, system: Enumerable) -> Floats:
    """Return the critic's values of all states, (S,)."""
    with torch.no_grad():
        observation = model.policy.obs_to_tensor(system.observe(system.states()))[0]
        return model.policy.predict_values(observation).double().numpy()[:, 0]


def save(model: MaskablePPO, path: str | Path) -> None:
    """Write the weights as arrays with their spaces as JSON (npz; nothing is pickled)."""
    observation, levels = _shape(model)
    about = {"algo": "ppo", "observation": observation, "levels": levels}
    weights = {name: tensor.numpy() for name, tensor in model.policy.state_dict().items()}
    write_arrays(path, about, weights)


def load(path: str | Path, system: System) -> MaskablePPO:
    """Read a policy of `save` for a system.

    Raises
    ------
    InputError
        If the file is not there, is not a saved policy, or belongs to a system of another shape.
    """
    about, arrays = read_arrays(path, KIND)
    stranger = InputError(f"{path} is not {KIND}")
    try:
        found = (about["observation"], about["levels"])
        weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
    except (KeyError, TypeError, ValueError):
        raise stranger from None
    model = begin(system, 0)
    _refuse_another_shape(str(path), found, model, system)
    try:
        model.policy.load_state_dict(weights)
    except RuntimeError:
        raise stranger from None
    return model
