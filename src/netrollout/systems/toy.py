"""Tiny worlds with closed-form answers, for tests and for first steps with the package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netrollout.family import Family
from netrollout.types import Bools, Floats, Ints, Step

FAMILY = Family(
    room=__name__,
    systems={"walk": "a walk on a line with a known optimum (for tests and first steps)"},
    units={"place": "place"},
    control="step",
)


class ToyState(NamedTuple):
    """One integer per lane."""

    place: Ints  # (B,)


@dataclass(frozen=True)
class Walk:
    """A walk on the places 0 .. n - 1 by steps -1, 0, +1; being at place k pays ``pay[k]``, with noise of +-1.

    With ``n = 2`` this is a two-armed bandit with a memory of one step.  The optimum from place x is to walk to the
    best place and stay, and its value follows from the geometric series.

    Parameters
    ----------
    pay : tuple of float
        Reward of arriving at each place.
    slip : float
        Probability that a step does not happen.
    end : bool
        Whether arriving at the last place terminates.
    discount : float
        Per step.
    horizon : int
        Steps per episode.
    """

    pay: tuple[float, ...] = (0.0, 1.0)
    slip: float = 0.0
    end: bool = False
    discount: float = 0.9
    horizon: int = 10
    name: str = "walk"

    @property
    def levels(self) -> tuple[tuple[float, ...], ...]:
        """One component: down, hold, up."""
        return ((-1.0, 0.0, 1.0),)

    @property
    def n_states(self) -> int:
        """Number of places."""
        return len(self.pay)

    def states(self) -> ToyState:
        """Return all places."""
        return ToyState(np.arange(self.n_states))

    def index(self, x: ToyState) -> Ints:
        """Return the place of each lane."""
        return x.place

    def initial(self, rng: np.random.Generator, n: int) -> ToyState:
        """Begin at place 0."""
        return ToyState(np.zeros(n, dtype=np.int64))

    def disturbance(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Draw uniforms (*shape, 2): noise of the reward, and slipping."""
        return rng.random((*shape, 2))

    def transition(self, x: ToyState, u: Ints, w: Floats) -> Step:
        """Step, unless slipping, and collect."""
        move = np.where(w[:, 1] < self.slip, 0, np.asarray(u)[:, 0] - 1)
        place = np.clip(x.place + move, 0, self.n_states - 1)
        reward = np.asarray(self.pay)[place] + np.where(w[:, 0] < 0.5, -1.0, 1.0)
        terminated = self.end & (place == self.n_states - 1)
        return Step(ToyState(place), reward, terminated, {"place": place.astype(float)})

    def step(self, x: ToyState, u: Ints, rng: np.random.Generator) -> Step:
        """Draw a disturbance and apply `transition`."""
        return self.transition(x, u, self.disturbance(rng, (len(x.place),)))

    def observe(self, x: ToyState) -> NDArray[np.float32]:
        """Return the place as a share of the last, (B, 1)."""
        return (x.place[:, None] / (self.n_states - 1)).astype(np.float32)

    def state_of(self, observation: NDArray[np.floating]) -> ToyState:
        """Return the place behind each observation."""
        return ToyState(np.rint(observation[:, 0] * (self.n_states - 1)).astype(np.int64))

    def feasible(self, x: ToyState) -> Bools:
        """Return which steps stay on the line, (B, 3)."""
        hold = np.ones_like(x.place, dtype=bool)
        return np.stack([x.place > 0, hold, x.place < self.n_states - 1], axis=1)

    def noise_support(self) -> tuple[Floats, Floats]:
        """Return the four combinations of noise and slipping."""
        w = np.array([[n, s] for n in (0.25, 0.75) for s in (self.slip / 2, (1 + self.slip) / 2)])
        p = np.array([0.5 * q for _ in range(2) for q in (self.slip, 1 - self.slip)])
        return w, p


def plant() -> Walk:
    """Return the walk between two places."""
    return Walk()
