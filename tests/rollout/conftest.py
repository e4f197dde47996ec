"""A small world with several action components."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

from netrollout.types import Step


class Places(NamedTuple):
    place: np.ndarray  # (B, K)


@dataclass(frozen=True)
class Walkers:
    """K walkers on 0 .. n - 1 step down, hold or up; each finds noise of +-1 and `pay` at its place, and walkers that
    stand together share a bonus."""

    k: int = 2
    n: int = 4
    bonus: float = 1.0
    seed: int = 0
    discount: float = 0.9
    horizon: int = 10
    name: str = "walkers"

    @property
    def levels(self):
        return ((-1.0, 0.0, 1.0),) * self.k

    @property
    def n_states(self):
        return self.n**self.k

    def states(self):
        grid = np.unravel_index(np.arange(self.n_states), (self.n,) * self.k)
        return Places(np.stack(grid, axis=1))

    def index(self, x):
        return np.ravel_multi_index(tuple(x.place.T), (self.n,) * self.k)

    def initial(self, rng, n):
        return Places(rng.integers(self.n, size=(n, self.k)))

    def disturbance(self, rng, shape):
        return rng.choice([-1.0, 1.0], size=(*shape, 1))

    def transition(self, x, u, w):
        place = np.clip(x.place + u - 1, 0, self.n - 1)
        pay = np.random.default_rng(self.seed).normal(size=(self.k, self.n))
        together = (place == place[:, :1]).all(axis=1)
        reward = pay[np.arange(self.k), place].sum(axis=1) + self.bonus * together + w[:, 0]
        return Step(Places(place), reward, np.zeros(len(place), dtype=bool), {"sum": place.sum(axis=1).astype(float)})

    def step(self, x, u, rng):
        return self.transition(x, u, self.disturbance(rng, (len(u),)))

    def observe(self, x):
        return (x.place / (self.n - 1)).astype(np.float32)

    def state_of(self, observation):
        return Places(np.rint(np.asarray(observation) * (self.n - 1)).astype(np.int64))

    def feasible(self, x):
        can = np.stack([x.place > 0, np.ones_like(x.place, dtype=bool), x.place < self.n - 1], axis=2)
        return can.reshape(len(x.place), -1)

    def noise_support(self):
        return np.array([[-1.0], [1.0]]), np.array([0.5, 0.5])


class Hold:
    """Holds every component where it is."""

    def __init__(self, k=1):
        self.k = k

    def predict(self, observation, state=None, episode_start=None, deterministic=False, action_masks=None):
        return np.ones((len(observation), self.k), dtype=np.int64), state


@pytest.fixture
def walkers():
    return Walkers


@pytest.fixture
def hold():
    return Hold
