"""What the parts of the package agree on: systems, steps, policies, surrogates.

A controlled networked system is Bertsekas' discrete-time system x' = f(x, u, w) [1]_.  Batch letters:
B lanes, K action components, D observation size, V services, W noise points.

References
----------
.. [1] D. P. Bertsekas, *Rollout, Policy Iteration, and Distributed Reinforcement Learning*, 2021, section 1.2.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol, Self, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Phase = Literal["before", "after"]  # of a change
MOST_STATES = 1_000_000  # that are ever listed
State = Any  # a NamedTuple of arrays with a leading lane axis B


class InputError(ValueError):
    """Something that a user gave is wrong; the message names it and says what would be right."""


class Step(NamedTuple):
    """What one control cycle brings.

    Attributes
    ----------
    state : NamedTuple of arrays, leading axis B
    reward : (B,) float64
    terminated : (B,) bool
    metrics : dict of (B,) float64
    """

    state: State
    reward: Floats
    terminated: Bools
    metrics: dict[str, Floats]


@runtime_checkable
class System(Protocol):
    """A batched discrete-time system; a frozen dataclass of parameters that never reads files."""

    @property
    def name(self) -> str:
        """How the system is called."""

    @property
    def discount(self) -> float:
        """Per control cycle."""

    @property
    def horizon(self) -> int:
        """Control cycles per episode; adapters truncate there."""

    @property
    def levels(self) -> tuple[tuple[float, ...], ...]:
        """Settings of each of the K action components."""

    def initial(self, rng: np.random.Generator, n: int) -> State:
        """Return the states in which n episodes begin."""

    def disturbance(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Draw w of shape (*shape, D_w); the only place that draws."""

    def transition(self, x: State, u: Ints, w: Floats) -> Step:
        """Apply actions u (B, K), indices into `levels`, under disturbance w (B, D_w); deterministic."""

    def step(self, x: State, u: Ints, rng: np.random.Generator) -> Step:
        """Draw a disturbance and apply `transition`."""

    def observe(self, x: State) -> NDArray[np.float32]:
        """Return what a controller sees, (B, D)."""

    def state_of(self, observation: NDArray[np.floating[Any]]) -> State:
        """Return the states behind observations (B, D), where the state is visible."""

    def feasible(self, x: State) -> Bools:
        """Return which settings may be chosen, (B, sum of the numbers of levels), component by component."""

    def noise_support(self) -> tuple[Floats, Floats] | None:
        """Return noise points (W, D_w) and their probabilities (W,), or None where they cannot be listed."""


@runtime_checkable
class Enumerable(System, Protocol):
    """A system whose states can be listed."""

    @property
    def n_states(self) -> int:
        """Number of states S."""

    def states(self) -> State:
        """Return all states as one batch of S lanes."""

    def index(self, x: State) -> Ints:
        """Return the position of each lane in `states`, (B,)."""


def listed(system: System) -> TypeGuard[Enumerable]:
    """Return whether states and noise of a system can be listed, so that it can be planned on exactly."""
    return isinstance(system, Enumerable) and system.n_states <= MOST_STATES and system.noise_support() is not None


class Policy(Protocol):
    """Anything with the `predict` of Stable-Baselines3."""

    def predict(
        self,
        observation: NDArray[Any],
        state: Any = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
        action_masks: NDArray[Any] | None = None,
    ) -> tuple[Ints, Any]:
        """Return actions (B, K), indices into `System.levels`, and the policy's own memory."""


class Surrogate(Protocol):
    """A learned response: features of a configuration to the distribution of its window means."""

    def fit(self, features: Floats, response: Floats, groups: Ints) -> Self:
        """Fit on features (n, F), response (n, V) and visit numbers (n,)."""

    def mean(self, features: Floats) -> Floats:
        """Return the expected response, (n, V)."""

    def windows(self, features: Floats, q: int) -> Floats:
        """Return q equally likely window means, (n, q, V)."""
