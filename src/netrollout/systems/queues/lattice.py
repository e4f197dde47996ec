"""Scenario S4 on a lattice: exact dynamic programming of a discretised version, and an upper bound.

Between the decisions of a cycle a node's queue needs one number, its unfinished work.  `Lattice` puts that number on a
grid for each node and replaces the request-level simulation by two tables made from it, for node 1 by offered load,
ready workers and work, for node 2 by offered load and work: the law of the work that is left, and the expected number
of late requests.  All else (time of day, burst, routing weight, workers asked for and starting) is discrete already.
The discretised problem is solved by value iteration over whole days,

    V(phase, y) = max over u of  E[ r + discount V(phase + 1, y') ],

backwards through a day until the value at its start moves by less than `TOLERANCE`; the remaining error is at most that
times discount^96 / (1 - discount^96) (Puterman 2005, theorem 6.3.1, with the day as the stage).  What is solved exactly
is the lattice; how well its policy does on the system is for simulation to say.

`relaxation_bound` gives what nobody can exceed: the best reward when all requests and bursts are known beforehand and
no work is carried over.  Both relaxations only help (more information; in a first-come-first-served queue each response
time rises with the work at the start, Kiefer & Wolfowitz 1955), so the mean of the bound over episodes is an upper
bound on the mean reward of any policy (Brown, Smith & Sun 2010, with no penalty).

Batch letters: B lanes, N seeds, P levels of p (6), C configurations of workers (20), D those after an action (36),
U, V grid points of work at node 1 and node 2, R grid points of load, A joint actions (9).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import BatchPolicy, joint_actions
from netrollout.seeding import spawn
from netrollout.systems.queues.dynamics import MOST, START_CYCLES, QueueMesh, QueueState, shared
from netrollout.systems.queues.requests import serve
from netrollout.types import Floats, InputError, Ints

WORK_1 = np.array([0.0, 0.3, 0.6, 1.0, 1.5, 2.5, 4.0, 6.0, 10.0, 18.0, 35.0])  # s
WORK_2 = np.array([0.0, 0.1, 0.3, 0.6, 1.0, 2.0, 4.0, 8.0])  # s
LOADS = np.linspace(0.0, 64.0, 33)  # requests/s offered to a node
TOLERANCE = 1e-3  # reward
MOST_DAYS = 50

# Workers of node 1: (ready, ready after 1 cycle, after 2 cycles), and after an action with a fourth, after 3 cycles.
CONFIGURATIONS = [c for c in itertools.product(range(1, MOST + 1), (0, 1), (0, 1)) if sum(c) <= MOST]
AFTER = [c for c in itertools.product(range(1, MOST + 1), (0, 1), (0, 1), (0, 1)) if sum(c) <= MOST]


def _after(configuration: tuple[int, ...], change: int) -> int:
    """Return the number in `AFTER` of a configuration after one worker more, the same, or one fewer; -1 if none."""
    ready, *starting = (*configuration, 0)
    if change > 0:
        starting[2] = 1
    elif change < 0:
        newest = next((k for k in (2, 1, 0) if starting[k]), None)
        if newest is None:
            ready -= 1
        else:
            starting[newest] = 0
    wanted = (ready, *starting)
    return AFTER.index(wanted) if wanted in AFTER else -1


ASKED = np.array([sum(c) for c in AFTER])  # (D,)
READY = np.array([c[0] for c in AFTER])  # (D,)
NEXT = np.array([CONFIGURATIONS.index((c[0] + c[1], c[2], c[3])) for c in AFTER])  # (D,)
LEADS = np.array([[_after(c, change) for change in (-1, 0, 1)] for c in CONFIGURATIONS])  # (C, 3)
NUMBER = {c: number for number, c in enumerate(CONFIGURATIONS)}


class Lattice(BatchPolicy):
    """The discretised system and its optimal policy.

    Parameters
    ----------
    system : QueueMesh
        What is discretised: the learned model, or for an oracle the plant.
    seed : int
        Of the simulation behind the tables.
    samples : int
        Simulated cycles per entry of the tables.

    Attributes
    ----------
    days : int
        Days of value iteration that were needed.
    residual : float
        By how much the last one moved the value at the start of the day.
    converged : bool

    Raises
    ------
    InputError
        If the system's levels of p are not the six of the scenario, or its workers start in another number of cycles.
    """

    def __init__(self, system: QueueMesh, seed: int = 0, samples: int = 200) -> None:
        self._system, self._weights = system, np.asarray(system.controls[0].levels)
        if len(self._weights) != len(system.controls[1].levels) or samples < 1:
            raise InputError(f"{system.name}: the lattice needs six levels of p and c, and 1 sample or more")
        if system.start_cycles != START_CYCLES:
            raise InputError(
                f"{system.name}: start_cycles {system.start_cycles}; the lattice is made for {START_CYCLES}"
            )
        self._tables(seed, samples)
        self._solve()

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return the best actions (B, 2) by interpolation between the lattice's points."""
        best = self.q_factors(self._system.state_of(observation)).argmax(axis=1)
        return joint_actions(self._system.levels)[best], state

    @property
    def nbytes(self) -> int:
        """Size of its tables."""
        return sum(part.nbytes for part in vars(self).values() if isinstance(part, np.ndarray))

    def value(self, x: QueueState) -> Floats:
        """Return the lattice's optimal value of each lane, (B,): a terminal value for truncated rollout."""
        value: Floats = self.q_factors(x).max(axis=1)
        return value

    def q_factors(self, x: QueueState) -> Floats:
        """Return the lattice's Q-factors, (B, 9); minus infinity where an action leaves the range."""
        configuration = _configuration(x)
        p, d, allowed = _moves(x.setting[:, 0], configuration)
        lanes = self._interpolated(x, p, d)
        moved = (p != x.setting[:, :1]).astype(float) + (ASKED[d] != x.setting[:, 1:] + 1)
        return np.where(allowed, lanes - self._system.move_cost * moved, -np.inf)

    def _interpolated(self, x: QueueState, p: Ints, d: Ints) -> Floats:
        """Return what follows each action, (B, 9), bilinear in the two nodes' work."""
        i, f = _between(WORK_1, x.work[:, :MOST].sum(axis=1))
        j, g = _between(WORK_2, x.work[:, MOST])
        total = np.zeros(p.shape)
        for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
            share = (f if a else 1 - f) * (g if b else 1 - g)
            total += share[:, None] * self._ahead[
                x.phase[:, None], x.burst[:, None], p, d, (i + a)[:, None], (j + b)[:, None]
            ]  # fmt: skip
        return total

    def _tables(self, seed: int, samples: int) -> None:
        """Simulate single cycles: node 1 by (R, 6, U), node 2 by (R, V)."""
        rng = spawn(seed, "lattice")
        shape = (len(LOADS), MOST, len(WORK_1), samples)
        load, ready, start = (a.ravel() for a in np.meshgrid(LOADS, np.arange(1, MOST + 1), WORK_1, indexing="ij"))
        work = np.zeros((len(load), MOST + 1))
        work[:, 0] = start
        work = shared(work, np.zeros(len(load), dtype=np.int64), ready)
        left, late = self._cycles(rng, samples, load, np.ones(len(load)), ready, work)
        self._left_1 = _spread(left[:, :MOST].sum(axis=1).reshape(shape), WORK_1)
        self._late_1 = late.reshape(shape).mean(axis=-1)
        load, start = (a.ravel() for a in np.meshgrid(LOADS, WORK_2, indexing="ij"))
        work = np.zeros((len(load), MOST + 1))
        work[:, MOST] = start
        left, late = self._cycles(rng, samples, load, np.zeros(len(load)), np.ones(len(load), dtype=np.int64), work)
        self._left_2 = _spread(left[:, MOST].reshape(len(LOADS), len(WORK_2), samples), WORK_2)
        self._late_2 = late.reshape(len(LOADS), len(WORK_2), samples).mean(axis=-1)

    def _cycles(
        self, rng: np.random.Generator, samples: int, load: Floats, p: Floats, ready: Ints, work: Floats
    ) -> tuple[Floats, Floats]:
        """Simulate each entry `samples` times; return work left and number late, lanes in the order of the entries."""
        load, p, work = (np.repeat(values, samples, axis=0) for values in (load, p, work))
        demand, exponential = self._system.demand, self._system.law == "exponential"
        key, ready = rng.random(len(load)), np.repeat(ready, samples)
        left, seen = serve(key, load, p, ready, work, demand, exponential, self._system.cycle, self._system.bound)
        return left, seen.late

    def _solve(self) -> None:
        day, discount = self._system.pattern.day, self._system.discount
        grid = (2, len(self._weights), len(CONFIGURATIONS), len(WORK_1), len(WORK_2))
        stages = [self._stage(phase) for phase in range(day)]
        self._ahead = np.empty((day, 2, len(self._weights), len(AFTER), len(WORK_1), len(WORK_2)))
        following = np.zeros(grid)
        for self.days in range(1, MOST_DAYS + 1):
            begun = following
            for phase in reversed(range(day)):
                self._ahead[phase] = self._expected(stages[phase], following, discount)
                following = _maximum(self._ahead[phase], self._system.move_cost)
            self.residual = float(np.abs(following - begun).max())
            self.converged = self.residual <= TOLERANCE
            if self.converged:
                break

    def _stage(self, phase: int) -> tuple[Floats, Floats, Floats]:
        """Return a phase's tables: reward (2, P, D, U, V), work left at node 1 (2, P, 6, U, U) and 2 (2, P, V, V)."""
        load = self._system.pattern.load(np.array([phase, phase]), np.array([0, 1]))[:, None]
        first, second = load * self._weights, load * (1.0 - self._weights)
        left_1, left_2 = _at(self._left_1, first), _at(self._left_2, second)
        late_1, late_2 = _at(self._late_1, first), _at(self._late_2, second)
        count = np.maximum(load * self._system.cycle, 1.0)[:, :, None, None, None]
        late = (late_1[:, :, READY - 1, :, None] + late_2[:, :, None, None, :]) / count
        return -self._system.late_cost * late - self._system.worker_cost * ASKED[:, None, None], left_1, left_2

    def _expected(self, stage: tuple[Floats, Floats, Floats], following: Floats, discount: float) -> Floats:
        """Return the expected reward and what follows, after an action, by the burst before it: (2, P, D, U, V)."""
        reward, left_1, left_2 = stage
        ahead = left_1[:, :, READY - 1] @ following[:, :, NEXT] @ np.swapaxes(left_2, -1, -2)[:, :, None]
        after = reward + discount * ahead
        pattern = self._system.pattern
        law = np.array([[1.0 - pattern.enter, pattern.enter], [pattern.leave, 1.0 - pattern.leave]])
        expected: Floats = np.einsum("bc,cpduv->bpduv", law, after)
        return expected


def _maximum(ahead: Floats, move_cost: float) -> Floats:
    """Return the value before the action, (2, P, C, U, V), from what follows it, (2, P, D, U, V)."""
    p = np.arange(ahead.shape[1])
    best = np.full((2, len(p), len(CONFIGURATIONS), *ahead.shape[3:]), -np.inf)
    for step, change in itertools.product((-1, 0, 1), (0, 1, 2)):
        to, source = p[(p + step >= 0) & (p + step < len(p))] + step, LEADS[:, change]
        may = source >= 0
        value = ahead[:, to][:, :, source[may]] - move_cost * (abs(step) + abs(change - 1))
        target = np.ix_(np.arange(2), to - step, np.flatnonzero(may))
        best[target] = np.maximum(best[target], value)
    return best


def _configuration(x: QueueState) -> Ints:
    """Return the number of each lane's configuration of workers."""
    ready = x.setting[:, 1] + 1 - x.starting.sum(axis=1)
    lanes = zip(ready.tolist(), x.starting[:, 0].tolist(), x.starting[:, 1].tolist(), strict=True)
    return np.array([NUMBER[lane] for lane in lanes])


def _moves(p: Ints, configuration: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Return where the 9 joint actions lead, levels of p and numbers in `AFTER` (B, 9), and which are allowed."""
    step, change = np.repeat([-1, 0, 1], 3), np.tile([0, 1, 2], 3)
    to, d = p[:, None] + step, LEADS[configuration][:, change]
    allowed = (to >= 0) & (to < MOST) & (d >= 0)
    return np.clip(to, 0, MOST - 1), np.maximum(d, 0), allowed


def _between(grid: Floats, values: Floats) -> tuple[Ints, Floats]:
    """Return the grid point below each value and how far it is to the next, 0 to 1."""
    clipped = np.clip(values, grid[0], grid[-1])
    below = np.clip(np.searchsorted(grid, clipped, side="right") - 1, 0, len(grid) - 2)
    return below, (clipped - grid[below]) / (grid[below + 1] - grid[below])


def _spread(left: Floats, grid: Floats) -> Floats:
    """Return the law (..., grid) of samples (..., n), each shared by its two neighbours so that the mean is kept."""
    below, share = _between(grid, left)
    law = np.zeros((*left.shape[:-1], len(grid)))
    for k in range(len(grid)):
        law[..., k] = (np.where(below == k, 1.0 - share, 0.0) + np.where(below + 1 == k, share, 0.0)).mean(axis=-1)
    return law


def _at(table: Floats, load: Floats) -> Floats:
    """Return a table (R, ...) at loads (...), linear between its grid points."""
    below, share = _between(LOADS, load)
    share = share.reshape(*load.shape, *(1,) * (table.ndim - 1))
    return (1.0 - share) * table[below] + share * table[below + 1]


def relaxation_bound(
    system: QueueMesh, seeds: Sequence[int], cycles: int | None = None, discount: float | None = None
) -> Floats:
    """Return each episode's reward with everything known beforehand and no work carried over, (N,).

    Parameters
    ----------
    system : QueueMesh
        The plant.
    seeds : sequence of int
        Of the episodes, the same as `netrollout.evaluate.simulate` runs.
    cycles : int, optional
        The system's horizon where None.
    discount : float, optional
        Per cycle; the system's where None.  With 1 the bound is on the plain sum of rewards.
    """
    length = system.horizon if cycles is None else cycles
    gamma = system.discount if discount is None else discount
    return np.array([_known(system, seed, length, gamma) for seed in seeds])


def _known(system: QueueMesh, seed: int, cycles: int, discount: float) -> float:
    x = system.initial(spawn(seed, "start"), 1)
    w = system.disturbance(spawn(seed, "disturbance"), (cycles,))
    late = _late_from_empty(system, x, w)
    value = np.zeros((MOST, len(CONFIGURATIONS)))
    p, d, allowed = _moves(np.repeat(np.arange(MOST), len(CONFIGURATIONS)), np.tile(np.arange(len(NUMBER)), MOST))
    asked = np.tile([sum(c) for c in CONFIGURATIONS], MOST)
    moved = np.abs(p - np.repeat(np.arange(MOST), len(NUMBER))[:, None]) + np.abs(ASKED[d] - asked[:, None])
    for t in reversed(range(cycles)):
        reward = -system.worker_cost * ASKED[d] - system.late_cost * late[t][p, READY[d] - 1] - system.move_cost * moved
        q = np.where(allowed, reward + discount * value[p, NEXT[d]], -np.inf)
        value = q.max(axis=1).reshape(value.shape)
    return float(value[x.setting[0, 0], _configuration(x)[0]])


def _late_from_empty(system: QueueMesh, x: QueueState, w: Floats) -> Floats:
    """Return the share of late requests of every cycle begun with empty queues, (T, levels of p, ready workers)."""
    burst, loads = x.burst, []
    for t, u in enumerate(w[:, 0]):
        burst = system.pattern.move(burst, np.array([u]))
        loads.append(system.pattern.load(x.phase + t, burst)[0])
    t, p, ready = (a.ravel() for a in np.indices((len(w), MOST, MOST)))
    weight, empty = np.asarray(system.controls[0].levels)[p], np.zeros((len(t), MOST + 1))
    exponential = system.law == "exponential"
    _, seen = serve(
        w[t, 1], np.array(loads)[t], weight, ready + 1, empty, system.demand, exponential, system.cycle, system.bound
    )
    share: Floats = seen.late / np.maximum(seen.n.sum(axis=1), 1.0)
    return share.reshape(len(w), MOST, MOST)
