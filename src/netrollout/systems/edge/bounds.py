"""What can be had on the edge: the best static and hourly placements, the exact plan, and a bound by clairvoyance.

All enumerate the placements a (S of them), so they are for four sites.  The backup of exact planning is::

    V(x) = min over a within reach of x  of  L(min(x, a)) + fee (a - x)+ + G(a)

Along an axis a placement grows, which leaves min(x, a) = x and costs the fee, or does not, and then min(x, a) = a.  So
2^N tables, one for each set of axes that grow, are collapsed axis by axis with running minima; the 625 actions of a
placement are never listed.

Batch letters: B lanes, N sites, S placements, A joint actions, T cycles, C = N + 1 places of an event (first: none).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from netrollout.batch import joint_actions
from netrollout.seeding import spawn
from netrollout.systems.edge.dynamics import DAY, REACH, Edge, EdgeState, Rule
from netrollout.types import Floats, InputError, Ints

MOST = 10_000  # placements that are enumerated
CALIBRATION = range(5000, 5016)  # seeds of the days on which statics are compared; no judged day is among them
NEVER = 1e9  # cost of pods at a site that is down


def placements(edge: Edge) -> Ints:
    """Return all placements (S, N), the last site fastest.

    Raises
    ------
    InputError
        If they are too many to be enumerated.
    """
    shape = [most + 1 for most in edge.slots]
    if (number := float(np.prod(shape, dtype=float))) > MOST:
        raise InputError(
            f"{edge.name}: {edge.sites} sites have {number:.3g} placements, and at most {MOST:,} are enumerated; "
            "static, hourly and exact plans are for 4 sites"
        )
    return np.stack(np.unravel_index(np.arange(int(number)), shape), axis=1).astype(np.int64)


def placement_means(edge: Edge, seeds: Sequence[int] = CALIBRATION) -> Floats:
    """Return the mean reward per cycle (S,) of walking to each placement and keeping it, on the same days."""
    goal = np.repeat(placements(edge), len(seeds), axis=0)
    w = np.stack([edge.disturbance(spawn(seed, "disturbance"), (edge.horizon,)) for seed in seeds], axis=1)
    x, total = edge.initial(spawn(0, "start"), len(goal)), np.zeros(len(goal))
    for now in w:
        step = edge.transition(x, edge.towards(x, goal), np.tile(now, (len(goal) // len(seeds), 1)))
        x, total = step.state, total + step.reward
    means: Floats = total.reshape(-1, len(seeds)).mean(axis=1) / edge.horizon
    return means


@lru_cache(maxsize=16)
def best_placement(edge: Edge) -> Ints:
    """Return the best placement (N,) on the days of calibration."""
    best: Ints = placements(edge)[int(placement_means(edge).argmax())]
    return best


@lru_cache(maxsize=16)
def hourly_placements(edge: Edge, samples: int = 64) -> Ints:
    """Return the best placement of each hour (24, N) under its mean conditions; starts of pods are not counted."""
    every, rng, per_hour = placements(edge), spawn(0, "hourly"), DAY // 24
    crowded, slow = (begins / (begins + ends) for begins, ends in (edge.crowd, edge.slow))
    best = []
    for hour in range(24):
        phase = hour * per_hour + np.arange(samples) % per_hour
        load = edge.table[phase] * np.exp(edge.sigma * rng.standard_normal((samples, edge.sites)) - edge.sigma**2 / 2)
        crowd = np.where(rng.random(samples) < crowded, rng.integers(edge.sites, size=samples), -1)
        load = np.where(crowd[:, None] == np.arange(edge.sites), edge.factor * load, load)
        late = sum(_late(edge, every, one, q) for one, q in zip(load, rng.random(samples) < slow, strict=True))
        best.append(every[(every @ np.array(edge.price) + late / samples).argmin()])
    return np.array(best)


def _late(edge: Edge, pods: Ints, load: Floats, slow: Any) -> Floats:
    """Return the penalty (S,) of late requests under one load (N,)."""
    late, _ = edge.served(pods, np.broadcast_to(load, pods.shape), np.full(len(pods), int(slow)))
    cost: Floats = edge.penalty * late.sum(axis=1)
    return cost


def backup(after: Floats, late: Floats, fee: float, axis: int = 0) -> Floats:
    """Return the least cost V of the module's equation; axes before `axis` keep the placement.

    `after` (slots_1 + 1, .., slots_N + 1, E) is G, in each of E circumstances, and `late` of the same shape is L.
    """
    if axis == after.ndim - 1:
        return after + late
    kept = _least(backup(after, late, fee, axis + 1), axis, [(-k, 0.0) for k in range(REACH + 1)])
    grown = _least(after, axis, [(k, k * fee) for k in range(1, REACH + 1)])
    return np.minimum(kept, backup(grown, late, fee, axis + 1))


def _least(table: Floats, axis: int, moves: list[tuple[int, float]]) -> Floats:
    """Return the least entry at x + k along an axis, with its cost, over moves (k, cost); infinite where none is."""
    out, n = np.full_like(table, np.inf), table.shape[axis]
    view, table = np.moveaxis(out, axis, 0), np.moveaxis(table, axis, 0)
    for k, cost in moves:
        to, there = slice(max(-k, 0), n - max(k, 0)), slice(max(k, 0), n - max(-k, 0))
        np.minimum(view[to], table[there] + cost, out=view[to])
    return out


class Exact(Rule):
    """The optimal plan of a day on a model, by dynamic programming over phase, pods, crowd, failure and network.

    The crowd of the last cycle is taken as known, so `value` bounds every policy from above, up to the error of the
    expected late requests, which are means over `samples` draws of the loads.
    """

    def __init__(self, edge: Edge, samples: int = 8, seed: int = 0) -> None:
        super().__init__(edge)
        self._every = placements(edge)
        self._grid = tuple(most + 1 for most in edge.slots)
        self._moves = joint_actions(edge.levels) - REACH
        self._crowds = _chain(edge.crowd, edge.sites)
        late = np.einsum("ce,tesx->txcs", self._crowds, self._expected(samples, seed), optimize=True)
        self._late = late.astype(np.float32)
        self._after = self._planned()

    @property
    def value(self) -> float:
        """Expected reward per cycle of a day under the plan."""
        return -float(self._costs(self.system.initial(spawn(0, "start"), 1)).min()) / DAY

    def _expected(self, samples: int, seed: int) -> Floats:
        """Return the expected penalty of late requests, (T, C, 2, S): by phase, crowd, network, and what serves.

        The draws of a phase are a Latin hypercube, another one for each phase, so that their errors average out.
        """
        edge, n = self.system, self.system.sites
        strata = spawn(seed, "exact").permuted(np.tile(np.arange(samples), (DAY, n, 1)), axis=2)
        factor = np.exp(edge.sigma * ndtri((strata.swapaxes(1, 2) + 0.5) / samples))
        crowd = 1.0 + (edge.factor - 1.0) * np.eye(n + 1, n, -1)
        load = (edge.table[:, None] * factor / factor.mean(axis=1, keepdims=True))[:, None] * crowd[:, None]
        cells = [(draws, slow) for draws in load.reshape(-1, samples, n) for slow in (0, 1)]
        late = [sum(_late(edge, self._every, one, slow) for one in draws) for draws, slow in cells]
        return np.stack(late).reshape(DAY, n + 1, 2, -1) / samples

    def _planned(self) -> NDArray[np.float32]:
        """Return the cost after a cycle's late requests and fee, (T, S, C, C, 2): rent and what follows."""
        edge, every, places = self.system, self._every, self.system.sites + 1
        failure = _chain(edge.failure, edge.sites) if edge.lost < 0 else np.eye(places)
        law = np.kron(np.kron(self._crowds, failure), _chain(edge.slow, 1)).astype(np.float32)
        emptied = np.stack([_emptied(every, place - 1) for place in range(places)], axis=1)  # (S, C, N)
        left = np.ravel_multi_index(tuple(np.moveaxis(emptied, 2, 0)), self._grid)
        rent = (every @ np.array(edge.price))[:, None] + NEVER * (emptied != every[:, None]).any(axis=2)
        cost = np.zeros((len(every), places, places, 2), dtype=np.float32)
        out = np.empty((DAY, *cost.shape), dtype=np.float32)
        for t in range(DAY - 1, -1, -1):
            fallen = np.stack([cost[left[:, place], :, place] for place in range(places)], axis=2)
            out[t] = rent[:, None, :, None] + (fallen.reshape(len(every), -1) @ law.T).reshape(cost.shape)
            late = np.broadcast_to(self._late[t][:, :, None], cost.shape).reshape(*self._grid, -1)
            cost = backup(out[t].reshape(late.shape), late, edge.fee).reshape(cost.shape)
        return out

    def _costs(self, x: EdgeState) -> Floats:
        """Return the expected cost (B, A) of every joint action until the end of the day."""
        most = np.array(self.system.slots)
        wish = x.pods[:, None] + self._moves
        inside, asked = ((wish >= 0) & (wish <= most)).all(axis=2), np.clip(wish, 0, most)
        place, serves = (
            np.ravel_multi_index(tuple(np.moveaxis(pods, 2, 0)), self._grid)
            for pods in (asked, np.minimum(asked, x.pods[:, None]))
        )
        t, c, d, q = (index[:, None] for index in (x.phase, x.crowd + 1, x.down + 1, x.slow))
        fee = self.system.fee * np.maximum(self._moves, 0).sum(axis=1)
        return np.where(inside, self._after[t, place, c, d, q] + self._late[t, serves, c, q] + fee, np.inf)

    def goal(self, x: EdgeState) -> Ints:
        """Return the pods (B, N) of the least expected cost."""
        goal: Ints = x.pods + self._moves[self._costs(x).argmin(axis=1)]
        return goal


def _chain(law: tuple[float, float], places: int) -> Floats:
    """Return the transition matrix (C, C) of an event that begins at a place drawn uniformly; first: none."""
    begins, ends = law
    matrix = (1.0 - ends) * np.eye(places + 1)
    matrix[0], matrix[1:, 0] = begins / places, ends
    matrix[0, 0] = 1.0 - begins
    return matrix


def _emptied(pods: Ints, site: int) -> Ints:
    """Return placements (S, N) without the pods of a site; as they are where it is -1."""
    return np.where(np.arange(pods.shape[1]) == site, 0, pods)


def known_day(edge: Edge, w: Floats) -> float:
    """Return the mean reward per cycle of the best actions on a known episode w (T, 5 + N), which no policy exceeds."""
    every, grid = placements(edge), tuple(most + 1 for most in edge.slots)
    x, path = edge.initial(spawn(0, "start"), 1), []
    begin, hold = tuple(x.pods[0]), np.full((1, edge.sites), REACH)
    for now in w:  # loads, failures and network do not depend on what is done
        after = edge.transition(x, hold, now[None]).state
        path.append((x.down[0], x.slow[0], after.load[0], after.down[0]))
        x = after
    cost = np.zeros(grid)
    for down, slow, load, fails in reversed(path):
        total = cost[tuple(_emptied(every, fails).T)] + every @ np.array(edge.price)
        total = total + NEVER * (_emptied(every, down) != every).any(axis=1)
        late = _late(edge, every, load, slow)
        cost = backup(total.reshape(*grid, 1), late.reshape(*grid, 1), edge.fee)[..., 0]
    return -float(cost[begin]) / len(w)
