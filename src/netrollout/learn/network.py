"""Networks by Stable-Baselines3: one adapter for MaskablePPO, PPO, Double DQN, SAC and TD3, and their policy.

Batch letters: B lanes, D observation size, K action components, A joint actions, S states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise

from netrollout.batch import BatchPolicy, Levels, joint_actions, joint_feasible
from netrollout.learn.config import Identity, Recipe
from netrollout.learn.view import VIEWS, ScaledFeatures, ViewedVecEnv, bounds_of
from netrollout.seeding import SEEDS, spawn
from netrollout.types import Bools, Enumerable, Floats, InputError, Ints, System

WEIGHTS, VARIABLES, MOMENTS = "weights/", "variables/", "moments/"
STORED = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def build(system: System, recipe: Recipe, seed: int) -> BaseAlgorithm:
    """Return an untrained model of Stable-Baselines3 for a system."""
    options = dict(recipe.settings)
    view = VIEWS[recipe.actions](system.levels)
    env = ViewedVecEnv(system, view, options.pop("lanes"), seed)
    network: dict[str, Any] = {"net_arch": list(options.pop("hidden"))}
    bounds = bounds_of(system)
    if bounds is not None:
        scaled = {"low": bounds[0], "high": bounds[1]}
        network |= {"features_extractor_class": ScaledFeatures, "features_extractor_kwargs": scaled}
    discount = options.pop("discount")
    if "limit_ends" in options:
        options["replay_buffer_kwargs"] = {"handle_timeout_termination": not options.pop("limit_ends")}
    if "noise" in options:
        k = len(system.levels)
        options["action_noise"] = NormalActionNoise(np.zeros(k), np.full(k, options.pop("noise")))
    if "double" in options:
        options["horizon"] = system.horizon
    module, name = recipe.maker.rsplit(".", 1)
    gamma = system.discount if discount is None else discount
    made: BaseAlgorithm = getattr(import_module(module), name)(
        "MlpPolicy", env, gamma=gamma, seed=seed, device="cpu", policy_kwargs=network, **options
    )
    return made


class LearnedPolicy(Protocol):
    """A policy that knows what it was learned on: `NetworkPolicy`, `netrollout.learn.table.LearnedTable`."""

    identity: Identity


class NetworkPolicy(BatchPolicy):
    """The action that a trained network prefers: the most probable, the best-valued, or the point it names.

    Parameters
    ----------
    model : BaseAlgorithm
        It may be trained further; the policy changes with it.
    system : System
        Says which settings are feasible behind an observation, where these are masked.  Where its state is not visible
        nothing is: an increment beyond the range holds.
    identity : Identity
    """

    def __init__(self, model: BaseAlgorithm, system: System, identity: Identity) -> None:
        self.model, self.identity, self._system = model, identity, system
        self._actions = identity.recipe.actions
        self._view = VIEWS[self._actions](identity.levels)

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, K); exploring belongs to training.

        Raises
        ------
        InputError
            If the observations are of another width.
        """
        seen = np.asarray(observation, dtype=np.float32)
        if seen.ndim != 2 or seen.shape[1] != self.identity.width:
            raise InputError(f"network: observations of shape {seen.shape}; expected (lanes, {self.identity.width})")
        masks = None if action_masks is None else np.asarray(action_masks, dtype=bool)
        if self._actions == "joint":
            return self._view.settings(self._best(seen, masks)), state
        model: Any = self.model
        if self._actions == "masked":
            masks = self._feasible(seen) if masks is None else masks
            actions, _ = model.predict(seen, deterministic=True, action_masks=masks)
            return self._view.settings(actions), state
        settings = self._view.settings(model.predict(seen, deterministic=True)[0])
        return (settings if masks is None else nearest(settings, masks, self.identity.levels)), state

    def values(self, observation: NDArray[Any]) -> NDArray[np.float32]:
        """Return the values (B, A) that a Q-network gives all joint actions."""
        model: Any = self.model
        with torch.no_grad():
            found: NDArray[np.float32] = model.q_net(torch.from_numpy(np.asarray(observation, np.float32))).numpy()
        return found

    def _best(self, observation: NDArray[np.float32], masks: Bools | None) -> Ints:
        values = self.values(observation)
        if masks is not None:
            values = np.where(joint_feasible(masks, self.identity.levels), values, -np.inf)
        best: Ints = values.argmax(axis=1)
        return best

    def _feasible(self, observation: NDArray[Any]) -> Bools | None:
        try:
            return self._system.feasible(self._system.state_of(observation))
        except InputError:
            return None

    def about(self) -> dict[str, Any]:
        """Return what a file of it says besides its identity."""
        return {}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the weights."""
        return {name: tensor.numpy().copy() for name, tensor in self.model.policy.state_dict().items()}

    @classmethod
    def restored(cls, identity: Identity, system: System, arrays: Mapping[str, NDArray[Any]]) -> NetworkPolicy:
        """Return the policy of the weights that `arrays` returned.

        Raises
        ------
        InputError, RuntimeError, TypeError
            If there is no such policy.
        """
        if not all(array.dtype.kind == "f" and np.isfinite(array).all() for array in arrays.values()):
            raise InputError("a weight is not a finite number")
        small = {"lanes": 1, "buffer_size": 1, "n_steps": 2, "batch_size": 2}  # it is not trained
        settings = {key: small.get(key, value) for key, value in identity.recipe.settings.items()}
        model = build(system, replace(identity.recipe, settings=settings), 0)
        model.policy.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        return cls(model, system, identity)


def nearest(settings: Ints, masks: Bools, levels: Levels) -> Ints:
    """Return the feasible settings (B, K) nearest to given ones; a mask is (B, sum of sizes)."""
    found, start = settings.copy(), 0
    for k, row in enumerate(levels):
        values = np.asarray(row)
        away = np.abs(values[None, :] - values[settings[:, k]][:, None])
        found[:, k] = np.where(masks[:, start : start + len(row)], away, np.inf).argmin(axis=1)
        start += len(row)
    return found


class NetworkRun:
    """A training that can stop after any segment and go on.

    A segment begins new episodes and is rounded up to what the algorithm takes at once.

    Parameters
    ----------
    system : System
    recipe : Recipe
        Its setting ``lanes`` is the number of environments side by side.
    seed : int
        The same seed and lanes give the same network.
    warm : NetworkPolicy, optional
        Weights to begin with.
    fresh : bool
        Whether a segment draws from streams of its own and begins new episodes.  Otherwise all segments are one
        training, which cannot be taken up again from a checkpoint.

    Raises
    ------
    InputError
        If `warm` is of another algorithm or shape.
    """

    unit = "steps"

    def __init__(
        self, system: System, recipe: Recipe, seed: int = 0, warm: LearnedPolicy | None = None, fresh: bool = True
    ) -> None:
        self.identity = Identity.of(system, recipe)
        self._system, self._seed, self._fresh = system, seed, fresh
        self.model = build(system, recipe, seed)
        if warm is not None:
            _refuse_another_shape(warm.identity, self.identity)
            assert isinstance(warm, NetworkPolicy)
            self.model.policy.load_state_dict(warm.model.policy.state_dict())

    @property
    def at_once(self) -> int:
        """Environment steps of a rollout, or of all lanes."""
        return int(self.model.n_envs * getattr(self.model, "n_steps", 1))

    @property
    def done(self) -> int:
        """Environment steps so far."""
        return int(self.model.num_timesteps)

    def advance(self, until: int) -> None:
        """Train a segment, until there are at least so many steps."""
        if until > self.done:
            if self._fresh:
                self._begin_segment()
            self.model.learn(until - self.done, reset_num_timesteps=False)

    def policy(self) -> NetworkPolicy:
        """Return the policy of the network, which changes as training goes on."""
        return NetworkPolicy(self.model, self._system, self.identity)

    def about(self) -> dict[str, Any]:
        """Return what makes this training: a checkpoint of another one does not fit."""
        return {**self.identity.about(), "seed": self._seed}

    def state(self) -> dict[str, NDArray[Any]]:
        """Return networks, optimisers, replay buffer and counters.

        Raises
        ------
        InputError
            If the training is one that cannot be taken up again.
        """
        if not self._fresh:
            raise InputError("a training in one piece cannot be taken up again; leave out the checkpoint")
        model: Any = self.model
        buffer = getattr(model, "replay_buffer", None)
        stored = {f"buffer/{name}": getattr(buffer, name)[: buffer.size()] for name in STORED} if buffer else {}
        place = [buffer.pos, buffer.full] if buffer else [0, 0]
        return {**_parts(model), **stored, "counters": np.array([self.done, model._n_updates, *place])}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Take over what `state` returned."""
        model: Any = self.model
        done, updates, place, full = (int(n) for n in state["counters"])
        _restore_parts(model, state)
        buffer = getattr(model, "replay_buffer", None)
        if buffer:
            size = buffer.buffer_size if full else place
            _refuse_no_buffer(state, size, 0 <= place <= buffer.buffer_size, self.model.action_space)
            for name in STORED:
                getattr(buffer, name)[:size] = state[f"buffer/{name}"]
            buffer.pos, buffer.full = place, bool(full)
        model.num_timesteps, model._n_updates = done, updates

    def _begin_segment(self) -> None:
        """Draw all that follows from the streams of the segment that begins now, with a new episode in every lane."""
        name = self.identity.recipe.name
        model: Any = self.model
        model.set_random_seed(int(spawn(self._seed, name, self.done).integers(SEEDS)))
        if name == "dqn":
            model.rng = spawn(self._seed, "dqn exploring", self.done)
        model._last_obs = None  # `learn` then resets the environment


def _refuse_another_shape(found: Identity, wanted: Identity) -> None:
    """Refuse a warm start whose weights do not fit."""
    if (found.width, found.levels) != (wanted.width, wanted.levels):
        raise InputError(f"the warm start was trained on {found.shape()}; {wanted.system} has {wanted.shape()}")
    first, second = ((one.recipe.maker, one.recipe.settings.get("hidden")) for one in (found, wanted))
    if first != second:
        raise InputError(f"the warm start is a policy of {found.recipe.name}; expected one of {wanted.recipe.name}")


def _optimisers(model: Any) -> dict[str, torch.optim.Optimizer]:
    """Return the optimisers of a model by the names that Stable-Baselines3 saves them under."""
    names = [name for name in model._get_torch_save_params()[0] if name.endswith("optimizer")]
    found = {}
    for name in names:
        part = model
        for attribute in name.split("."):
            part = getattr(part, attribute)
        found[name] = part
    return found


def _parts(model: Any) -> dict[str, NDArray[Any]]:
    """Return the weights of a model's networks, its other variables, and the moments of its optimisers."""
    found = {WEIGHTS + name: tensor.numpy().copy() for name, tensor in model.policy.state_dict().items()}
    found |= {VARIABLES + name: getattr(model, name).detach().numpy().copy()
              for name in model._get_torch_save_params()[1]}  # fmt: skip
    for name, optimiser in _optimisers(model).items():
        for number, moments in optimiser.state_dict()["state"].items():
            found |= {f"{MOMENTS}{name}/{number}/{key}": tensor.numpy().copy() for key, tensor in moments.items()}
    return found


def _restore_parts(model: Any, state: Mapping[str, NDArray[Any]]) -> None:
    """Take over what `_parts` returned."""

    def under(prefix: str) -> dict[str, torch.Tensor]:
        keys = [key for key in state if key.startswith(prefix)]
        return {key.removeprefix(prefix): torch.from_numpy(np.array(state[key])) for key in keys}

    model.policy.load_state_dict(under(WEIGHTS))
    for name, value in under(VARIABLES).items():
        getattr(model, name).data.copy_(value)
    for name, optimiser in _optimisers(model).items():
        shapes = [weight.shape for group in optimiser.param_groups for weight in group["params"]]
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for key, tensor in under(f"{MOMENTS}{name}/").items():
            number, kind = key.split("/")
            if tensor.shape not in ((), shapes[int(number)]):
                raise InputError(f"moments of shape {tuple(tensor.shape)} for weights of {tuple(shapes[int(number)])}")
            moments.setdefault(int(number), {})[kind] = tensor
        optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})


def _refuse_no_buffer(state: Mapping[str, NDArray[Any]], size: int, inside: bool, space: spaces.Space[Any]) -> None:
    """Refuse stored transitions that are not as many as said, or actions that there are not."""
    actions = state["buffer/actions"]
    if not inside or any(len(state[f"buffer/{name}"]) != size for name in STORED):
        raise InputError(f"{len(actions)} stored transitions where the counters say {size}")
    if isinstance(space, spaces.Discrete) and ((actions < 0) | (actions >= space.n)).any():
        raise InputError(f"a stored action is not one of 0 to {space.n - 1}")


def policy_probabilities(policy: LearnedPolicy, system: Enumerable) -> Floats:
    """Return the stochastic masked policy as probabilities (S, A)."""
    x, actor = system.states(), _actor(policy)
    with torch.no_grad():
        law = actor.get_distribution(actor.obs_to_tensor(system.observe(x))[0], action_masks=system.feasible(x))
        parts = [part.probs.double().numpy() for part in law.distributions]
    table = joint_actions(system.levels)
    joint = np.prod([part[:, table[:, k]] for k, part in enumerate(parts)], axis=0)
    joint = joint * joint_feasible(system.feasible(x), system.levels)
    probabilities: Floats = joint / joint.sum(axis=1, keepdims=True)
    return probabilities


def critic_values(policy: LearnedPolicy, system: Enumerable) -> Floats:
    """Return the critic's values of all states, (S,)."""
    actor = _actor(policy)
    with torch.no_grad():
        values: Floats = actor.predict_values(actor.obs_to_tensor(system.observe(system.states()))[0]).double().numpy()
    return values[:, 0]


def _actor(policy: LearnedPolicy) -> Any:
    """Return actor and critic of PPO."""
    if not isinstance(policy, NetworkPolicy) or policy.identity.recipe.name != "ppo":
        raise InputError(f"a policy of {policy.identity.recipe.name} has no critic and no probabilities; ppo has")
    return policy.model.policy
