"""A fleet of K queues under one budget of workers: a world whose joint actions cannot be listed for large K.

Every queue gets requests, serves at most one per worker and cycle, and keeps the rest; its controller takes a worker
away, holds, or adds one.  Alone, each queue would be easy; together they must stay within a budget::

    c'  = clip(c + u)
    q'  = min(q + a - min(q + a, c'), MOST_WAITING)          a: arrivals, Poisson
    r   = - mean over queues of (WORKER c' + WAITING q') - OVER max(sum of c' - budget, 0) / K

A queue that is full turns requests away, which costs nothing more.  The reward is per queue, so that fleets of
different sizes compare.  For one and two queues states and noise can be listed and the fleet solved exactly.

Batch letters: B lanes, K queues, S states, W noise points.

Source: ours, after the multi-agent problems of Bertsekas 2021, "Multiagent reinforcement learning: rollout and policy
iteration".
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import BatchPolicy
from netrollout.family import Family
from netrollout.types import Bools, Floats, InputError, Ints, Step

FAMILY = Family(
    room=__name__,
    systems={"fleet": "queues that share one budget of workers; joint actions cannot be listed for many"},
    units={"waiting": "requests", "workers": "workers", "over": "workers"},
    control="workers of each queue",
)

MOST_WORKERS = 4
MOST_WAITING = 15
WORKER, WAITING, OVER = 0.3, 0.2, 3.0  # reward per worker, per waiting request, per worker over the budget
CELLS = 512  # of [0, 1), on which the law of the arrivals is laid out
MOST_LOAD = float(MOST_WORKERS)  # more can never be served
MOST_LISTED = 2  # queues up to which states and noise are listed


class FleetState(NamedTuple):
    """Where every queue stands."""

    waiting: Ints  # (B, K) requests
    workers: Ints  # (B, K) 1 to 4


@dataclass(frozen=True)
class Fleet:
    """K queues that share a budget of workers.

    ===========  ==========================  ===========
    observation  unit                        1 stands for
    ===========  ==========================  ===========
    waiting      K numbers, requests         15
    workers      K numbers                   4
    ===========  ==========================  ===========

    Actions: one worker fewer, the same, one more, for each queue.  Nothing terminates.  Metrics: waiting, workers (mean
    per queue), over (workers over the budget).

    Parameters
    ----------
    components : int
        Queues K.
    load : float
        Mean arrivals of a queue per cycle, at most 4; the queues' loads spread evenly from half to one and a half of
        it.
    share : float
        The budget is so many workers per queue, rounded down.  The default was chosen by the base policy alone: with
        it `Alone` is over the budget in a third to a half of the cycles whether there are 2 queues or 32, while from
        2.25 on a large fleet never meets its budget and its queues have nothing to agree on.
    discount : float
        Per cycle.
    horizon : int
        Cycles per episode.

    Raises
    ------
    InputError
        If there is no queue, the load is not positive or above 4, the budget is below one worker per queue, the
        discount is outside [0, 1) or there is no cycle.
    """

    components: int = 2
    load: float = 1.5
    share: float = 1.75
    discount: float = 0.95
    horizon: int = 60
    name: str = "fleet"

    def __post_init__(self) -> None:
        """Refuse a fleet that cannot be."""
        if self.components < 1:
            raise InputError(f"{self.name}: components {self.components} must be at least 1 queue")
        if not 0.0 < self.load <= MOST_LOAD:
            raise InputError(f"{self.name}: load {self.load} must be above 0 and at most {MOST_LOAD:g} per cycle")
        if not 1.0 <= self.share < np.inf:
            raise InputError(f"{self.name}: share {self.share} must be at least 1 worker per queue")
        if not 0.0 <= self.discount < 1.0:
            raise InputError(f"{self.name}: discount {self.discount} must be at least 0 and below 1")
        if self.horizon < 1:
            raise InputError(f"{self.name}: horizon {self.horizon} must be at least 1 cycle")

    @property
    def levels(self) -> tuple[tuple[float, ...], ...]:
        """One increment per queue."""
        return ((-1.0, 0.0, 1.0),) * self.components

    @property
    def budget(self) -> int:
        """Workers that cost nothing extra."""
        return int(self.share * self.components)

    @cached_property
    def _arrivals(self) -> Ints:
        """Quantiles (K, CELLS) of each queue's Poisson law."""
        loads = self.load * (np.linspace(0.5, 1.5, self.components) if self.components > 1 else np.ones(1))
        count = np.arange(20)
        factorial = np.cumprod(np.maximum(count, 1)).astype(float)
        law = np.exp(-loads[:, None]) * loads[:, None] ** count / factorial
        middle = (np.arange(CELLS) + 0.5) / CELLS
        quantiles: Ints = (np.cumsum(law, axis=1)[:, :, None] < middle).sum(axis=1).astype(np.int64)
        return quantiles

    @cached_property
    def _rows(self) -> Ints:
        """Where each queue's quantiles begin in the flat table, (K,): `take` from it is faster than an index pair."""
        return CELLS * np.arange(self.components)

    @cached_property
    def _tops(self) -> Floats:
        """What 1 stands for in an observation, (2 K,)."""
        return np.repeat([float(MOST_WAITING), float(MOST_WORKERS)], self.components)

    @property
    def shape(self) -> tuple[int, ...]:
        """Values of the waiting requests of every queue, then of its workers: the grid of states."""
        return (MOST_WAITING + 1,) * self.components + (MOST_WORKERS,) * self.components

    @property
    def n_states(self) -> int:
        """Number of states, 64^K; `states` lists them for one and two queues."""
        return int(((MOST_WAITING + 1) * MOST_WORKERS) ** self.components)

    def states(self) -> FleetState:
        """Return all states as one batch, the workers of the last queue fastest.

        Raises
        ------
        InputError
            If there are more than two queues.
        """
        if self.components > MOST_LISTED:
            raise InputError(
                f"{self.name}: the {self.n_states} states of {self.components} queues are not listed; "
                f"take at most {MOST_LISTED} queues"
            )
        grid = np.stack(np.unravel_index(np.arange(self.n_states), self.shape), axis=1).astype(np.int64)
        return FleetState(grid[:, : self.components], grid[:, self.components :] + 1)

    def index(self, x: FleetState) -> Ints:
        """Return the position of each lane in `states`, (B,)."""
        index: Ints = np.ravel_multi_index((*x.waiting.T, *(x.workers.T - 1)), self.shape).astype(np.int64)
        return index

    def initial(self, rng: np.random.Generator, n: int) -> FleetState:
        """Begin n episodes with empty queues and two workers each."""
        return FleetState(np.zeros((n, self.components), dtype=np.int64), np.full((n, self.components), 2))

    def disturbance(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Draw uniforms (*shape, K), which arrivals invert."""
        return rng.random((*shape, self.components))

    def transition(self, x: FleetState, u: Ints, w: Floats) -> Step:
        """Change the workers by u (B, K), let requests arrive, serve and pay."""
        workers = _within(x.workers + (np.asarray(u) - 1), 1, MOST_WORKERS)
        arrivals = self._arrivals.take((w * CELLS).astype(np.int64) + self._rows)
        waiting = _within(x.waiting + arrivals - workers, 0, MOST_WAITING)
        asked, left = workers.sum(axis=1), waiting.sum(axis=1)
        over = np.maximum(asked - self.budget, 0)
        k = self.components
        reward = asked * (-WORKER / k) + left * (-WAITING / k) + over * (-OVER / k)
        metrics = {"waiting": left / k, "workers": asked / k, "over": over.astype(float)}
        return Step(FleetState(waiting, workers), reward, np.zeros(len(reward), dtype=bool), metrics)

    def step(self, x: FleetState, u: Ints, rng: np.random.Generator) -> Step:
        """Draw a disturbance and apply `transition`."""
        return self.transition(x, u, self.disturbance(rng, (len(x.waiting),)))

    def observe(self, x: FleetState) -> NDArray[np.float32]:
        """Return waiting requests and workers as shares, (B, 2 K)."""
        seen: NDArray[np.float32] = (np.concatenate(x, axis=1) / self._tops).astype(np.float32)
        return seen

    def state_of(self, observation: NDArray[np.floating]) -> FleetState:
        """Return the states behind observations (B, 2 K)."""
        counts = np.rint(observation * self._tops).astype(np.int64)
        return FleetState(counts[:, : self.components], counts[:, self.components :])

    def feasible(self, x: FleetState) -> Bools:
        """Return which increments stay within the range, (B, 3 K)."""
        can = np.stack([x.workers > 1, np.ones_like(x.workers, dtype=bool), x.workers < MOST_WORKERS], axis=2)
        return can.reshape(len(x.workers), 3 * self.components)

    def noise_support(self) -> tuple[Floats, Floats] | None:
        """Return one noise point per combination of arrivals, exact for this law; None for more than two queues."""
        if self.components > MOST_LISTED:
            return None
        laws = [np.unique(row, return_index=True, return_counts=True)[1:] for row in self._arrivals]
        points = itertools.product(*((first + 0.5) / CELLS for first, _ in laws))
        weights = itertools.product(*(count / CELLS for _, count in laws))
        return np.array(list(points)), np.array(list(weights)).prod(axis=1)


def _within(numbers: Ints, least: int, most: int) -> Ints:
    """Do what np.clip does, in less time: the model of a rollout spends most of its own here."""
    clipped: Ints = np.minimum(np.maximum(numbers, least), most)
    return clipped


class Alone(BatchPolicy):
    """The fleet's base policy: each queue looks at itself and knows nothing of the budget.

    It adds a worker where more wait than it has workers, and takes one away where nothing waits.

    Parameters
    ----------
    fleet : Fleet
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, K), feasible ones."""
        x = self._fleet.state_of(observation)
        more = (x.waiting > x.workers) & (x.workers < MOST_WORKERS)
        fewer = (x.waiting == 0) & (x.workers > 1)
        return 1 + more.astype(np.int64) - fewer, state


def plant(*, components: int = 2) -> Fleet:
    """Return a fleet of some queues."""
    return Fleet(components=components)
