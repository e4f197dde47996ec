"""Spiders and flies: the reference world of multi-agent rollout.

Spiders go about a grid of squares, one square a step; a fly is caught when a spider comes to its square, and every step
costs 1 until all flies are caught.  With x the squares, u the moves and w the flies' mood, a step is ::

    spiders' = spiders + u                  a move off the grid holds
    flies on a spider's square are caught
    flies'   = flies + move(w)              a restless fly goes to a neighbouring square, or holds at the border
    flies on a spider's square are caught
    r        = -1, and the episode ends when no fly is left

Each spider has 5 settings, so m of them have 5^m joint moves.  The base policy `Nearest` sends every spider to the fly
nearest to itself, without regard to the others: it is proper (it catches all flies), but spiders that stand together
stay together.  Squares are numbered row by row.  Batch letters: B lanes, M spiders, N flies, C squares, S states,
W noise points.

Source: the spiders-and-flies examples of Bertsekas 2021, "Multiagent reinforcement learning: rollout and policy
iteration", IEEE/CAA Journal of Automatica Sinica 8(2), and of *Rollout, Policy Iteration, and Distributed Reinforcement
Learning*; the instance and the tie rule are ours.
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
from netrollout.types import MOST_STATES, Bools, Floats, InputError, Ints, Step

FAMILY = Family(
    room=__name__,
    systems={"spiders": "spiders hunt flies on a line; each chooses for itself, all for one reward"},
    units={"caught": "flies"},
    control="step of each spider",
    ends=True,
)

MOVES = np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]])  # rows, columns: stay, up, down, left, right
STAY, UP, DOWN, LEFT, RIGHT = range(5)


class SpiderState(NamedTuple):
    """Where everybody is."""

    spiders: Ints  # (B, M) squares
    flies: Ints  # (B, N) squares; C for a fly that is caught


@dataclass(frozen=True)
class Spiders:
    """Spiders that hunt flies on a grid.

    ===========  =================  ==================
    observation  unit               1 stands for
    ===========  =================  ==================
    spiders      M numbers, square  (C: never reached)
    flies        N numbers, square  C: caught
    ===========  =================  ==================

    Actions: stay, up, down, left, right for each spider.  An episode terminates when all flies are caught.  Metric of a
    step: caught (flies, so far).

    Parameters
    ----------
    rows, columns : int
        Size of the grid.
    spiders : tuple of int
        Squares at the start.
    flies : tuple of int
        Squares at the start.
    restless : float
        Probability that a fly moves in a step, in one of the four directions; below 1.
    discount : float
        Per step; 1 counts steps.
    horizon : int
        Steps per episode.

    Raises
    ------
    InputError
        If a square is not on the grid, somebody is missing, or a number is out of its range.
    """

    rows: int = 1
    columns: int = 7
    spiders: tuple[int, ...] = (2, 2)
    flies: tuple[int, ...] = (0, 6)
    restless: float = 0.0
    discount: float = 1.0
    horizon: int = 50
    name: str = "spiders"

    def __post_init__(self) -> None:
        """Check what a user may have changed."""
        if self.rows < 1 or self.columns < 1:
            raise InputError(f"{self.name}: {self.rows} rows and {self.columns} columns; expected at least 1 of each")
        for who, squares in (("spiders", self.spiders), ("flies", self.flies)):
            if not squares or not all(0 <= square < self.squares for square in squares):
                raise InputError(
                    f"{self.name}: {who} {squares} must be one or more squares from 0 to {self.squares - 1}"
                )
        if not 0.0 <= self.restless < 1.0:
            raise InputError(f"{self.name}: restless {self.restless} is a probability below 1")
        if not 0.0 <= self.discount <= 1.0:
            raise InputError(f"{self.name}: discount {self.discount} must be at least 0 and at most 1")
        if self.horizon < 1:
            raise InputError(f"{self.name}: horizon {self.horizon} must be at least 1 step")

    @property
    def squares(self) -> int:
        """Number of squares C."""
        return self.rows * self.columns

    @property
    def levels(self) -> tuple[tuple[float, ...], ...]:
        """Five moves per spider, as rows of `MOVES`."""
        return ((0.0, 1.0, 2.0, 3.0, 4.0),) * len(self.spiders)

    @property
    def shape(self) -> tuple[int, ...]:
        """Places of every spider, then of every fly: the grid of states."""
        return (self.squares,) * len(self.spiders) + (self.squares + 1,) * len(self.flies)

    @property
    def n_states(self) -> int:
        """Number of states, C^M (C + 1)^N."""
        return int(self.squares ** len(self.spiders) * (self.squares + 1) ** len(self.flies))

    @cached_property
    def _next(self) -> Ints:
        """Square (C + 1, 5) that each move leads to from each square; a caught fly stays caught."""
        place = np.stack(np.divmod(np.arange(self.squares), self.columns), axis=1)
        moved = np.clip(place[:, None] + MOVES, 0, [self.rows - 1, self.columns - 1])
        return np.vstack([moved @ [self.columns, 1], np.full((1, 5), self.squares)]).astype(np.int64)

    def states(self) -> SpiderState:
        """Return all states as one batch, the last fly fastest.

        Raises
        ------
        InputError
            If there are more than a million.
        """
        if self.n_states > MOST_STATES:
            raise InputError(
                f"{self.name}: {self.n_states} states are not listed; take a grid with at most {MOST_STATES}"
            )
        grid = np.stack(np.unravel_index(np.arange(self.n_states), self.shape), axis=1).astype(np.int64)
        return SpiderState(grid[:, : len(self.spiders)], grid[:, len(self.spiders) :])

    def index(self, x: SpiderState) -> Ints:
        """Return the position of each lane in `states`, (B,)."""
        index: Ints = np.ravel_multi_index((*x.spiders.T, *x.flies.T), self.shape).astype(np.int64)
        return index

    def initial(self, rng: np.random.Generator, n: int) -> SpiderState:
        """Begin n episodes at the given squares."""
        return SpiderState(np.tile(np.array(self.spiders), (n, 1)), np.tile(np.array(self.flies), (n, 1)))

    def disturbance(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Draw uniforms (*shape, N): whether and where each fly moves."""
        return rng.random((*shape, len(self.flies)))

    def transition(self, x: SpiderState, u: Ints, w: Floats) -> Step:
        """Move the spiders by u (B, M), then the flies, and catch; see the module's equations."""
        hunting = (x.flies < self.squares).any(axis=1)
        spiders = self._next[x.spiders, np.asarray(u)]
        flies = self._caught(spiders, x.flies)
        if self.restless:
            flies = self._caught(spiders, self._next[flies, self._mood(w)])
        gone = flies == self.squares
        return Step(
            SpiderState(spiders, flies), -hunting.astype(float), gone.all(axis=1), {"caught": gone.sum(axis=1) * 1.0}
        )

    def _caught(self, spiders: Ints, flies: Ints) -> Ints:
        """Return the flies (B, N) after those on a spider's square are caught."""
        return np.where((flies[:, :, None] == spiders[:, None, :]).any(axis=2), self.squares, flies)

    def _mood(self, w: Floats) -> Ints:
        """Return the move (B, N) of each fly: the first `restless` of [0, 1) is shared by the four directions."""
        direction = np.minimum((w / self.restless * 4).astype(np.int64), 3) + 1
        return np.where(w < self.restless, direction, STAY)

    def step(self, x: SpiderState, u: Ints, rng: np.random.Generator) -> Step:
        """Draw a disturbance and apply `transition`."""
        return self.transition(x, u, self.disturbance(rng, (len(x.spiders),)))

    def observe(self, x: SpiderState) -> NDArray[np.float32]:
        """Return the squares as shares of C, (B, M + N)."""
        seen: NDArray[np.float32] = (np.concatenate(x, axis=1) / self.squares).astype(np.float32)
        return seen

    def state_of(self, observation: NDArray[np.floating]) -> SpiderState:
        """Return the states behind observations (B, M + N)."""
        places = np.rint(np.asarray(observation) * self.squares).astype(np.int64)
        return SpiderState(places[:, : len(self.spiders)], places[:, len(self.spiders) :])

    def feasible(self, x: SpiderState) -> Bools:
        """Return which moves stay on the grid, (B, 5 M); to stay always does."""
        inside: Bools = self._next[x.spiders] != x.spiders[:, :, None]
        inside[:, :, STAY] = True
        return inside.reshape(len(x.spiders), -1)

    def noise_support(self) -> tuple[Floats, Floats]:
        """Return the combinations of the flies' moves: one where they rest, else 5^N."""
        points, weights = [0.5], [1.0]
        if self.restless:
            points = [(i + 0.5) / 4 * self.restless for i in range(4)] + [(1.0 + self.restless) / 2]
            weights = [self.restless / 4] * 4 + [1.0 - self.restless]
        n = len(self.flies)
        w = np.array(list(itertools.product(points, repeat=n)))
        return w, np.array(list(itertools.product(weights, repeat=n))).prod(axis=1)


class Nearest(BatchPolicy):
    """The base policy: every spider goes one step along a shortest path to the fly nearest to itself.

    Of flies that are equally near it takes the one with the lowest number, of the paths the one that goes along the row
    (left or right) first.  Where no fly is left it stays.

    Parameters
    ----------
    world : Spiders
    """

    def __init__(self, world: Spiders) -> None:
        self._world = world

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, M), feasible ones."""
        x = self._world.state_of(observation)
        columns = self._world.columns
        down = x.flies[:, None, :] // columns - x.spiders[:, :, None] // columns
        right = x.flies[:, None, :] % columns - x.spiders[:, :, None] % columns
        gone = (x.flies == self._world.squares)[:, None, :]
        distance = np.where(gone, 2 * self._world.squares, np.abs(down) + np.abs(right))
        target = distance.argmin(axis=2)[:, :, None]
        down, right = (np.take_along_axis(way, target, axis=2)[:, :, 0] for way in (down, right))
        along_column = np.where(down < 0, UP, np.where(down > 0, DOWN, STAY))
        u = np.where(right < 0, LEFT, np.where(right > 0, RIGHT, along_column))
        return np.where(gone.all(axis=2), STAY, u).astype(np.int64), state


def plant(*, restless: float = 0.0) -> Spiders:
    """Return two spiders between two flies on a line."""
    return Spiders(restless=restless)
