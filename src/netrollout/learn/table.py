"""SARSA(lambda) and Watkins' Q(lambda) for a table over binned observations.

With action a' chosen in s', values q, traces e and surprise delta::

    delta = r + gamma v - q(s, a)          the second term is 0 where the episode has ended in s'
    v     = q(s', a')                      SARSA: the policy that is followed, with its exploring
    v     = max_a q(s', a)                 Q: the greedy policy, while another one explores
    e(s, a) = 1 + keep e(s, a)             keep is 1 (accumulating), 0 (replacing) or 1 - alpha (Dutch)
    q    += alpha delta e
    e    *= gamma lambda                   for Q only where a' is greedy, else 0: what comes after exploring says
                                           nothing about the greedy policy

Episodes advance together in rounds of B lanes; in every step the lanes choose, then the table is updated lane after
lane.  A round draws from its own stream and no trace outlives it, so training may stop after any round and go on later.

Sources: Sutton & Barto, *Reinforcement Learning*, 2nd edition, sections 12.7, 12.10 and figure 12.10; Watkins 1989;
replacing traces of Singh & Sutton 1996; Dutch ones of van Seijen & Sutton 2014, without the further terms of their true
online update.

Batch letters: B lanes, K action components, A joint actions, S states of the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import BatchPolicy, Levels, joint_actions, joint_feasible
from netrollout.learn.bins import Bins, bins_of
from netrollout.learn.config import Identity, Recipe, exploring
from netrollout.seeding import spawn
from netrollout.types import Bools, Floats, InputError, Ints, Step, System

MOST_VISITS = 2**40  # of an action in a state, in a file
MOST_ENTRIES = 2**26  # of a table, states times joint actions: a gigabyte with its visits
STREAMS = {"sarsa": "sarsa", "qlearning": "q-learning"}  # names of random streams, which never change


class LearnedTable(BatchPolicy):
    """Chooses an action of the highest learned value.

    Parameters
    ----------
    identity : Identity
        What it was learned on and how; of several best actions it takes the setting ``ties``.
    bins : Bins
        States of observations.
    q : (S, A) float64
        Values of joint actions, rows of `batch.joint_actions`.
    visits : (S, A) int64
        How often each was chosen in training.
    """

    def __init__(self, identity: Identity, bins: Bins, q: Floats, visits: Ints) -> None:
        self.identity, self.bins, self.q, self.visits = identity, bins, q, visits
        self._joint = joint_actions(identity.levels)
        self._order = _preference(identity.levels, identity.recipe.settings["ties"])

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return greedy actions (B, K); exploring belongs to training."""
        values = self.q[self.bins.index(observation)]
        if action_masks is not None:
            allowed = joint_feasible(np.asarray(action_masks, dtype=bool), self.identity.levels)
            values = np.where(allowed, values, -np.inf)
        return self._joint[_preferred(values, self._order)], state

    def about(self) -> dict[str, Any]:
        """Return what a file of it says besides its identity."""
        return {"edges": self.bins.record()}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the visited part of the table."""
        return visited(self.q, self.visits)

    @classmethod
    def restored(cls, identity: Identity, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> LearnedTable:
        """Return the policy of what `about` and `arrays` returned.

        Raises
        ------
        InputError, KeyError, TypeError, ValueError
            If there is no such policy.
        """
        bins = Bins(about["edges"])
        if len(bins.edges) != identity.width:
            raise InputError(f"bins of {len(bins.edges)} observations where there are {identity.width}")
        return cls(identity, bins, *filled(arrays, (bins.n_states, len(joint_actions(identity.levels)))))


class TableRun:
    """A training that can stop after any round and go on.

    Parameters
    ----------
    system : System
        Infeasible increments hold, so no action is masked.
    recipe : Recipe
        Its setting ``lanes`` is the number of episodes that advance together.
    seed : int
        The same seed and lanes give the same table.
    bins : Bins, optional
        States of the table; see `bins_of`.

    Attributes
    ----------
    done : int
        Episodes so far.
    """

    unit = "episodes"

    def __init__(self, system: System, recipe: Recipe, seed: int = 0, bins: Bins | None = None) -> None:
        self.identity = Identity.of(system, recipe)
        self._system, self._seed, self._settings = system, seed, recipe.settings
        self._q_learning, self._stream = recipe.name == "qlearning", STREAMS[recipe.name]
        self._bins = bins or bins_of(system)
        self._joint, self._order = joint_actions(system.levels), _preference(system.levels, recipe.settings["ties"])
        shape = (self._bins.n_states, len(self._joint))
        if shape[0] * shape[1] > MOST_ENTRIES:
            told = f"a table of {shape[0]} binned states x {shape[1]} joint actions is too large"
            raise InputError(
                f"{system.name}: {told} (at most {MOST_ENTRIES} entries); take a network, such as ppo or dqn"
            )
        self._q, self._visits = np.zeros(shape), np.zeros(shape, dtype=np.int64)
        own = recipe.settings["discount"]
        self._discount = system.discount if own is None else own
        self.done = 0

    @property
    def at_once(self) -> int:
        """Episodes of a round."""
        return int(self._settings["lanes"])

    def advance(self, until: int) -> None:
        """Train up to a number of episodes, rounded up to whole rounds."""
        while self.done < until:
            self._round()

    def policy(self) -> LearnedTable:
        """Return the greedy policy of the table as it is now."""
        return LearnedTable(self.identity, self._bins, self._q.copy(), self._visits.copy())

    def about(self) -> dict[str, Any]:
        """Return what makes this training: a checkpoint of another one does not fit."""
        return {**self.identity.about(), "seed": self._seed, "edges": self._bins.record()}

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that goes on into the next round."""
        return {**visited(self._q, self._visits), "done": np.array(self.done)}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Take over what `state` returned."""
        q, visits = filled(state, (self._q.shape[0], self._q.shape[1]))
        done = int(state["done"])
        if not done <= visits.sum() <= done * self._system.horizon:
            raise InputError(f"{visits.sum()} visits in {done} episodes")
        self._q, self._visits, self.done = q, visits, done

    def _round(self) -> None:
        """Run an episode in every lane."""
        system, lanes, settings = self._system, self.at_once, self._settings
        rng = spawn(self._seed, self._stream, self.done)
        epsilon, keep = exploring(settings, self.done), keep_of(settings["traces"], settings["step_size"])
        traces = [Traces(system.horizon, keep, settings["threshold"]) for _ in range(lanes)]
        x, alive = system.initial(rng, lanes), np.ones(lanes, dtype=bool)
        s = self._bins.index(system.observe(x))
        a = self._choose(s, epsilon, rng)
        for _ in range(system.horizon):
            step = system.step(x, self._joint[a], rng)
            after = self._bins.index(system.observe(step.state))
            chosen = self._choose(after, epsilon, rng)
            for lane in np.flatnonzero(alive):
                self._update(traces[lane], step, lane, (s[lane], a[lane]), (after[lane], chosen[lane]))
            alive = alive & ~step.terminated
            x, s, a = step.state, after, chosen
            if not alive.any():
                break
        self.done += lanes

    def _choose(self, s: Ints, epsilon: float, rng: np.random.Generator) -> Ints:
        """Return joint actions (B,), random with probability epsilon."""
        u = rng.random((2, len(s)))
        explore: Bools = u[0] < epsilon
        return np.where(explore, (u[1] * len(self._joint)).astype(np.int64), _preferred(self._q[s], self._order))

    def _update(
        self, traces: Traces, step: Step, lane: np.intp, now: tuple[Any, Any], following: tuple[Any, Any]
    ) -> None:
        """Learn from one step of a lane, from the pair `now` to the pair `following` of state and action."""
        settings, row = self._settings, self._q[following[0]]
        chosen = float(row[following[1]])
        best = float(row.max()) if self._q_learning else chosen
        value = 0.0 if step.terminated[lane] and not settings["bootstrap_at_end"] else best
        surprise = float(step.reward[lane]) + self._discount * value - float(self._q[now])
        self._visits[now] += 1
        traces.visit(int(now[0]) * self._q.shape[1] + int(now[1]))
        traces.credit(self._q.reshape(-1), settings["step_size"] * surprise)
        if chosen == best:
            traces.fall(self._discount * settings["decay"])
        else:
            traces.cut()


def keep_of(kind: str, step_size: float) -> float:
    """Return the share of a trace that a further visit keeps."""
    return {"accumulating": 1.0, "replacing": 0.0, "dutch": 1.0 - step_size}[kind]


class Traces:
    """The traces of one episode: how much of a surprise belongs to what was done before.

    Parameters
    ----------
    steps : int
        Of the episode, at most: so many pairs can be visited.
    keep : float
        The share of a trace that a further visit keeps.
    threshold : float
        A trace below it is dropped.
    """

    def __init__(self, steps: int, keep: float, threshold: float) -> None:
        self._keep, self._threshold = keep, threshold
        self._slot: dict[int, int] = {}
        self._pairs = np.zeros(steps, dtype=np.int64)
        self._weights = np.zeros(steps)

    def visit(self, pair: int) -> None:
        """Raise the trace of a state and action, an index of the flat table."""
        slot = self._slot.setdefault(pair, len(self._slot))
        self._pairs[slot] = pair
        self._weights[slot] = 1.0 + self._keep * self._weights[slot]

    def credit(self, flat: Floats, amount: float) -> None:
        """Add to every traced value of a flat table (S A,) its share of an amount, in place."""
        n = len(self._slot)
        flat[self._pairs[:n]] += amount * self._weights[:n]

    def fall(self, factor: float) -> None:
        """Multiply all traces."""
        weights = self._weights[: len(self._slot)]
        weights *= factor
        weights[weights < self._threshold] = 0.0

    def cut(self) -> None:
        """Forget all traces."""
        self._slot.clear()
        self._weights[:] = 0.0


def _preference(levels: Levels, ties: str) -> Ints:
    """Return the joint actions (A,) in the order in which one of equal value is preferred.

    With ties ``least`` these are the smallest settings first (where they are increments: to hold), with ``largest`` the
    last index, as published.
    """
    joint = joint_actions(levels)
    if ties == "largest":
        return np.arange(len(joint))[::-1].copy()
    settings = np.stack([np.abs(np.asarray(row))[joint[:, k]] for k, row in enumerate(levels)], axis=1)
    return np.argsort(settings.sum(axis=1), kind="stable").astype(np.int64)


def _preferred(values: Floats, order: Ints) -> Ints:
    """Return the best joint actions (B,) of values (B, A); of equal ones the first in `order`."""
    best: Ints = order[values[:, order].argmax(axis=1)]
    return best


def visited(q: Floats, visits: Ints) -> dict[str, NDArray[Any]]:
    """Return the rows of a table that training met; all others are zero."""
    rows = np.flatnonzero(visits.any(axis=1))
    return {"rows": rows, "q": q[rows], "visits": visits[rows]}


def filled(found: Mapping[str, NDArray[Any]], shape: tuple[int, int]) -> tuple[Floats, Ints]:
    """Return the tables q and visits, (S, A) each, of what `visited` returned.

    Raises
    ------
    InputError
        If there are no such tables.
    """
    rows, values, counts = found["rows"], found["q"], found["visits"]
    if rows.dtype.kind != "i" or rows.ndim != 1 or (np.diff(rows, prepend=-1) < 1).any() or (rows >= shape[0]).any():
        raise InputError(f"its rows are not rising numbers from 0 to {shape[0] - 1}")
    if not values.shape == counts.shape == (len(rows), shape[1]):
        raise InputError(f"{len(rows)} rows with values of shape {values.shape} and visits of shape {counts.shape}")
    absurd = counts.dtype.kind != "i" or ((counts < 0) | (counts > MOST_VISITS)).any()
    if absurd or values.dtype.kind != "f" or not np.isfinite(values).all():
        raise InputError("a value that is not finite, or visits that are no counts")
    q, visits = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    q[rows], visits[rows] = values, counts
    return q, visits
