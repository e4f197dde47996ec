"""The loop around the tabular learners: episodes in lanes, exploring, one table.

Episodes advance together in rounds of B lanes; in every step the lanes choose, then the table is updated lane after
lane.  A round draws from its own stream and no trace outlives it, so training may stop after any round and go on later.

Batch letters: B lanes, A joint actions, S states of the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import joint_actions
from netrollout.seeding import spawn
from netrollout.tabular import q_learning, sarsa
from netrollout.tabular.discretise import Bins, bins_of
from netrollout.tabular.policy import TabularPolicy, edges_of, filled, greedy, preference, visited
from netrollout.tabular.traces import Traces, keep
from netrollout.types import Bools, Floats, InputError, Ints, Step, System

Follow = Callable[[Floats, int], tuple[float, bool]]
ALGORITHMS: dict[str, Follow] = {"sarsa": sarsa.follow, "q-learning": q_learning.follow}


@dataclass(frozen=True)
class Settings:
    """How a table is learned; decay and traces by default are the best of a few tried on the farm, on past workloads.

    Parameters
    ----------
    step_size : float
        alpha, more than 0, at most 1.
    discount : float, optional
        gamma per control cycle; the system's own where None.
    decay : float
        lambda, 0 to 1; 0 learns from one step.
    traces : str
        ``accumulating``, ``replacing`` or ``dutch``.
    threshold : float
        A trace below it is dropped.
    epsilon, epsilon_factor, epsilon_least : float
        Probability of a random action in the first episode, its factor per episode, and its least value.
    bootstrap_at_end : bool
        Whether values go on beyond the end of an episode, which is wrong; at the time limit, which is no end of the
        system, they always do.
    ties : str
        See `TabularPolicy`.

    Raises
    ------
    InputError
        If one is out of range.
    """

    step_size: float = 0.1
    discount: float | None = None
    decay: float = 0.9
    traces: str = "dutch"
    threshold: float = 1e-5
    epsilon: float = 0.4
    epsilon_factor: float = 0.995
    epsilon_least: float = 0.05
    bootstrap_at_end: bool = False
    ties: str = "least"

    def __post_init__(self) -> None:
        """Check what a user may have changed."""
        keep(self.traces, self.step_size)
        if not 0.0 < self.step_size <= 1.0:
            raise InputError(f"step_size {self.step_size:g}; expected more than 0, at most 1")
        for name in ("discount", "decay", "epsilon", "epsilon_factor", "epsilon_least"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise InputError(f"{name} {value:g}; expected 0 to 1")

    def exploring(self, episode: int) -> float:
        """Return epsilon in an episode, the first being 0."""
        return max(self.epsilon_least, self.epsilon * self.epsilon_factor**episode)


PUBLISHED = Settings(
    step_size=0.025, discount=0.985, decay=0.5, traces="accumulating", epsilon=0.4, epsilon_factor=0.995,
    epsilon_least=0.1, bootstrap_at_end=True, ties="largest",
)  # fmt: skip
"""Of the published farm's SARSA: no ending of episodes, ties to the largest action (serverless facts, 4.1)."""


def learn(
    system: System,
    algorithm: str = "sarsa",
    episodes: int = 300,
    seed: int = 0,
    *,
    lanes: int = 1,
    settings: Settings | None = None,
    published: bool = False,
    bins: Bins | None = None,
) -> TabularPolicy:
    """Learn a table on a system; infeasible increments hold, so no action is masked.

    Parameters
    ----------
    system : System
    algorithm : str
        ``sarsa`` or ``q-learning``.
    episodes : int
        Rounded up to whole rounds of `lanes`.
    seed : int
        The same seed and lanes give the same table.
    lanes : int
        Episodes that advance together.
    settings : Settings, optional
    published : bool
        Take the settings of the published farm.
    bins : Bins, optional
        States of the table; see `bins_of`.

    Raises
    ------
    InputError
        If the algorithm is unknown, a number is not positive, settings are given besides `published`, or there are no
        bins for the system.
    """
    run = TabularRun(system, algorithm, seed, lanes=lanes, settings=settings, published=published, bins=bins)
    if episodes < 1:
        raise InputError(f"episodes {episodes}; expected 1 or more")
    run.advance(episodes)
    return run.policy()


class TabularRun:
    """A training that can stop after any round and go on; the parameters are those of `learn`.

    Attributes
    ----------
    done : int
        Episodes so far.
    returns : list of float
        Sum of rewards of each, exploring included.
    """

    unit = "episodes"

    def __init__(
        self,
        system: System,
        algorithm: str = "sarsa",
        seed: int = 0,
        *,
        lanes: int = 1,
        settings: Settings | None = None,
        published: bool = False,
        bins: Bins | None = None,
    ) -> None:
        if algorithm not in ALGORITHMS:
            raise InputError(f"unknown algorithm {algorithm!r}; known: {', '.join(ALGORITHMS)}")
        if lanes < 1:
            raise InputError(f"lanes {lanes}; expected 1 or more")
        if published and settings is not None:
            raise InputError("published settings and others: give one of the two")
        self._system, self._algorithm, self._seed, self._lanes = system, algorithm, seed, lanes
        self._settings = settings or (PUBLISHED if published else Settings())
        self._bins = bins or bins_of(system)
        self._joint, self._order = joint_actions(system.levels), preference(system.levels, self._settings.ties)
        shape = (self._bins.n_states, len(self._joint))
        self._q, self._visits = np.zeros(shape), np.zeros(shape, dtype=np.int64)
        own = self._settings.discount
        self._discount = system.discount if own is None else own
        self.done, self.returns = 0, list[float]()

    def advance(self, until: int) -> None:
        """Train up to a number of episodes, rounded up to whole rounds."""
        while self.done < until:
            self._round()

    def policy(self) -> TabularPolicy:
        """Return the greedy policy of the table as it is now."""
        return TabularPolicy(
            self._q.copy(), self._visits.copy(), self._bins, self._system.levels, self._settings.ties
        )  # fmt: skip

    def about(self) -> dict[str, Any]:
        """Return what makes this training: a checkpoint of another one does not fit."""
        return {
            "algorithm": self._algorithm, "system": self._system.name, "seed": self._seed, "lanes": self._lanes,
            "settings": asdict(self._settings), "edges": edges_of(self._bins),
        }  # fmt: skip

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that goes on into the next round."""
        return {**visited(self._q, self._visits), "done": np.array(self.done), "returns": np.array(self.returns)}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Take over what `state` returned."""
        self._q, self._visits = filled(state, (self._q.shape[0], self._q.shape[1]))
        self.done, self.returns = int(state["done"]), [float(value) for value in state["returns"]]

    def _round(self) -> None:
        """Run an episode in every lane."""
        system, lanes = self._system, self._lanes
        rng = spawn(self._seed, self._algorithm, self.done)
        epsilon, share = self._settings.exploring(self.done), keep(self._settings.traces, self._settings.step_size)
        traces = [Traces(system.horizon, share, self._settings.threshold) for _ in range(lanes)]
        x, alive, total = system.initial(rng, lanes), np.ones(lanes, dtype=bool), np.zeros(lanes)
        s = self._bins.index(system.observe(x))
        a = self._choose(s, epsilon, rng)
        for _ in range(system.horizon):
            step = system.step(x, self._joint[a], rng)
            after = self._bins.index(system.observe(step.state))
            chosen = self._choose(after, epsilon, rng)
            for lane in np.flatnonzero(alive):
                self._update(traces[lane], step, lane, (s[lane], a[lane]), (after[lane], chosen[lane]))
            total += np.where(alive, step.reward, 0.0)
            alive = alive & ~step.terminated
            x, s, a = step.state, after, chosen
            if not alive.any():
                break
        self.returns += total.tolist()
        self.done += lanes

    def _choose(self, s: Ints, epsilon: float, rng: np.random.Generator) -> Ints:
        """Return joint actions (B,), random with probability epsilon."""
        u = rng.random((2, len(s)))
        explore: Bools = u[0] < epsilon
        return np.where(explore, (u[1] * len(self._joint)).astype(np.int64), greedy(self._q[s], self._order))

    def _update(
        self, traces: Traces, step: Step, lane: np.intp, now: tuple[Any, Any], following: tuple[Any, Any]
    ) -> None:
        """Learn from one step of a lane, from the pair `now` to the pair `following` of state and action."""
        value, goes_on = ALGORITHMS[self._algorithm](self._q[following[0]], int(following[1]))
        if step.terminated[lane] and not self._settings.bootstrap_at_end:
            value = 0.0
        surprise = float(step.reward[lane]) + self._discount * value - float(self._q[now])
        self._visits[now] += 1
        traces.visit(int(now[0]) * self._q.shape[1] + int(now[1]))
        traces.credit(self._q.reshape(-1), self._settings.step_size * surprise)
        if goes_on:
            traces.fall(self._discount * self._settings.decay)
        else:
            traces.cut()
