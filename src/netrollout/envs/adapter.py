"""A Gymnasium environment whose state can be set, as a `System`: to plan and roll out on it.

Batch letters: B lanes, K action components, D observation size, N numbers of a state.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from netrollout.batch import Levels
from netrollout.types import Bools, Floats, InputError, Ints, Step


class GymState(NamedTuple):
    """Where an environment stands, and what it shows of that."""

    place: Floats  # (B, N)
    seen: NDArray[np.float32]  # (B, D)


def _state_attribute(env: Any) -> Any:
    """Return `env.state`, where most environments that compute their dynamics keep their state."""
    return env.state


def _set_state_attribute(env: Any, place: Floats) -> None:
    """Begin an episode and put `place` (N,) in place of its state."""
    env.reset()
    env.state = place


class GymSystem:
    """An environment in the place of a system: each lane is set into a copy of it, stepped, and read again.

    Wrappers are taken off; the time limit of the id becomes `horizon`.  Every action is feasible; there are no metrics.

    Parameters
    ----------
    env : gymnasium.Env
        Observations are vectors, actions discrete.
    horizon : int, optional
        Cycles per episode; the environment's own time limit where None.
    discount : float
        Per cycle.
    levels : sequence of K sequences of float, optional
        Settings of each number of a continuous action.
    noisy : bool
        Whether a step draws from `env.np_random`, which then begins anew from the disturbance of the cycle.
    get, set : callable
        From the environment to its state (N,), and (environment, state) to an environment ready for a step.
    state_of : callable, optional
        From observations (B, D) to states (B, N); where None a state is visible if the environment shows it as it is.

    Raises
    ------
    InputError
        If there is no time limit, the spaces are of another kind, or no state can be read.

    Examples
    --------
    >>> pole = GymSystem(gymnasium.make("CartPole-v1"))
    >>> pole.name, pole.horizon, pole.levels
    ('CartPole-v1', 500, ((0.0, 1.0),))
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        horizon: int | None = None,
        discount: float = 0.99,
        *,
        levels: Levels | None = None,
        noisy: bool = False,
        get: Callable[[Any], Any] = _state_attribute,
        set: Callable[[Any, Floats], None] = _set_state_attribute,
        state_of: Callable[[NDArray[Any]], Floats] | None = None,
    ) -> None:
        self._env: Any = copy.deepcopy(env.unwrapped)
        self.name = env.spec.id if env.spec is not None else type(env.unwrapped).__name__
        self.horizon = _limit(env, self.name) if horizon is None else horizon
        self.discount, self._noisy = discount, noisy
        self._get, self._set, self._state_of = get, set, state_of
        self.levels = _levels(self._env.action_space, levels, self.name)
        self.bounds = _bounds(self._env.observation_space, self.name)
        seen = self._env.reset(seed=0)[0]
        self._visible = np.array_equal(np.asarray(self._place(), dtype=np.float32), seen)

    def initial(self, rng: np.random.Generator, n: int) -> GymState:
        """Reset n times, each time with a seed of its own."""
        rows = [(self._env.reset(seed=int(seed))[0], self._place()) for seed in rng.integers(2**31, size=n)]
        return _stacked(rows)

    def disturbance(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Draw uniforms (*shape, 1), with which the draws of a noisy environment begin."""
        return rng.random((*shape, 1))

    def transition(self, x: GymState, u: Ints, w: Floats) -> Step:
        """Set each lane's state, step, and read the state that follows; a step that truncates does not end."""
        rows, reward, ends = [], np.zeros(len(u)), np.zeros(len(u), dtype=bool)
        for lane, place in enumerate(x.place):
            self._set(self._env, place.copy())
            if self._noisy:
                self._env.np_random = np.random.default_rng(int(w[lane, 0] * 2**53))
            seen, reward[lane], ends[lane], _, _ = self._env.step(self._action(u[lane]))
            rows.append((seen, self._place()))
        return Step(_stacked(rows), reward, ends, {})

    def step(self, x: GymState, u: Ints, rng: np.random.Generator) -> Step:
        """Draw a disturbance and apply `transition`."""
        return self.transition(x, u, self.disturbance(rng, (len(x.place),)))

    def observe(self, x: GymState) -> NDArray[np.float32]:
        """Return what the environment showed, (B, D)."""
        return x.seen

    def state_of(self, observation: NDArray[np.floating[Any]]) -> GymState:
        """Return the states behind observations (B, D).

        Raises
        ------
        InputError
            If the environment shows something else and `state_of` was not given.
        """
        seen = np.asarray(observation, dtype=np.float32)
        if self._state_of is not None:
            return GymState(np.asarray(self._state_of(seen), dtype=np.float64), seen)
        if not self._visible:
            raise InputError(f"{self.name} does not show its state; give GymSystem(..., state_of=...)")
        return GymState(seen.astype(np.float64), seen)

    def feasible(self, x: GymState) -> Bools:
        """Return that everything may be done."""
        return np.ones((len(x.place), sum(len(settings) for settings in self.levels)), dtype=bool)

    def noise_support(self) -> tuple[Floats, Floats] | None:
        """Return one point, None where the environment is noisy."""
        return None if self._noisy else (np.full((1, 1), 0.5), np.ones(1))

    def _place(self) -> Floats:
        try:
            return np.asarray(self._get(self._env), dtype=np.float64).reshape(-1)
        except (AttributeError, TypeError, ValueError):
            raise InputError(
                f"{self.name} keeps no numbers in `state`; give GymSystem(..., get=..., set=...)"
            ) from None

    def _action(self, u: Ints) -> Any:
        space = self._env.action_space
        if isinstance(space, spaces.Discrete):
            return space.start + int(u[0])
        if isinstance(space, spaces.MultiDiscrete):
            return space.start + u
        chosen = [settings[k] for settings, k in zip(self.levels, u, strict=True)]
        return np.array(chosen, dtype=space.dtype).reshape(space.shape)


def _stacked(rows: list[tuple[NDArray[Any], Floats]]) -> GymState:
    return GymState(np.stack([place for _, place in rows]), np.stack([seen for seen, _ in rows]).astype(np.float32))


def _limit(env: gymnasium.Env[Any, Any], name: str) -> int:
    limit = env.spec.max_episode_steps if env.spec is not None else None
    if limit is None:
        raise InputError(f"{name} has no time limit; give GymSystem(..., horizon=...), cycles per episode")
    return limit


def _levels(space: spaces.Space[Any], levels: Levels | None, name: str) -> tuple[tuple[float, ...], ...]:
    """Return the settings of each action component."""
    if isinstance(space, spaces.Box) and levels is not None and len(levels) == np.prod(space.shape):
        return tuple(tuple(float(v) for v in settings) for settings in levels)
    counts = [space.n] if isinstance(space, spaces.Discrete) else getattr(space, "nvec", None)
    if counts is None or np.ndim(counts) != 1 or levels is not None:
        raise InputError(f"{name}: actions {space}; expected Discrete or MultiDiscrete, or a Box with levels=, the "
                         "settings of each of its numbers")  # fmt: skip
    return tuple(tuple(float(k) for k in range(n)) for n in counts)


def _bounds(space: spaces.Space[Any], name: str) -> tuple[Floats, Floats]:
    """Return the least and the largest observation, (D,) each."""
    if not isinstance(space, spaces.Box) or len(space.shape) != 1:
        raise InputError(f"{name}: observations {space}; expected a Box of one axis")
    return space.low.astype(np.float64), space.high.astype(np.float64)
