"""Edge placement: pods of one service on sites in a ring, each beside a station whose users commute.

A control cycle is a quarter of an hour, a day has 96, an episode is a day.  In a cycle (i: stations, j: sites)::

    a      = clip(pods + u, 0, slots), 0 at the site that is down        asked for, and paid
    load_i = table[phase, i] exp(sigma z_i - sigma^2 / 2), times `factor` while a crowd is at i
    r      = min(pods, a)                  a pod asked for serves from the next cycle on, one given back stops at once
    y_ij   : i offers its load to the sites i, i + 1, i - 1, i + 2, one round after the other; j admits up to
             admit rate r_j in all; what nobody admits goes to a far cloud and is late
    late_i = cloud_i + sum_j y_ij exp(-(rate - y_j / r_j) max(bound - near - hop distance(i, j), 0))
    reward = -(price . a + fee (pods started) + penalty (sum of late))
    pods'  = a, 0 at a site that fails

Requests are routed at random over a site's pods, so each is an M/M/1 queue, first come, first served, whose response
time is exponential with rate minus load (Kleinrock 1975, *Queueing Systems* 1, section 5.7).  At most one crowd and one
failure at a time; a crowd, a failure and a slow network begin and end with fixed probabilities.  The crowd is hidden.
The curve of the day is that of the load generator adeptvin1/lwmecps-testapp.

Batch letters: B lanes, N sites and stations, T = 96 cycles of a day.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import BatchPolicy
from netrollout.systems.compiled import compiled
from netrollout.types import Bools, Floats, InputError, Ints, Step

CURVE = np.array([.89, .72, .56, .47, .32, .28, .22, .28, .35, .48, .59, .63,
                  .73, .72, .74, .75, .78, .81, .85, .92, .96, 1.0, .98, .95])  # fmt: skip
HOME, WORK = np.array([0.20, 0.40, 0.15, 0.25]), np.array([0.45, 0.10, 0.30, 0.15])  # shares of four stations
OFFERS = (0, 1, -1, 2)  # in which order a station asks the sites around it
RING = 4  # sites whose numbers a larger ring repeats
DAY = 96  # cycles
REACH = 2  # pods added or taken at a site in a cycle at most
BUSIEST = 1000.0  # requests/s, the scale of loads in observations
UNUSUAL = 1.5  # a load above this multiple of the pattern is taken for a crowd


def pattern(sites: int = RING, rotate: int = 0) -> Floats:
    """Return the mean loads (T, N), requests/s: each four stations share 1000 at the peak; all moved on by some."""
    hours = np.arange(DAY) * 24.0 / DAY
    curve = np.interp(hours, np.arange(25), np.append(CURVE, CURVE[0]))
    at_work = 1.0 / ((1.0 + np.exp(-(hours - 8.0) * 4.0 / 1.5)) * (1.0 + np.exp((hours - 18.0) * 4.0 / 1.5)))
    shares = HOME + at_work[:, None] * (WORK - HOME)
    table: Floats = np.roll(np.tile(1000.0 * curve[:, None] * shares, sites // RING), rotate, axis=1)
    return table


class EdgeState(NamedTuple):
    """What carries over from cycle to cycle."""

    phase: Ints  # (B,) cycle of the day that comes
    pods: Ints  # (B, N) asked for in the last cycle; all serve in the coming one
    down: Ints  # (B,) site without power, -1 none
    slow: Ints  # (B,) 1: the network is slow
    crowd: Ints  # (B,) station with a crowd in the last cycle, -1 none; hidden
    load: Floats  # (B, N) measured in the last cycle, requests/s


@dataclass(frozen=True, eq=False)
class Edge:
    """The placement system.

    The action has one component per site: 2 pods fewer to 2 more.  Metrics: rent and fee (euro), late and cloud (shares
    of the requests), pods (asked for), worst (largest share of late requests of a station).

    Parameters
    ----------
    slots, start, price : (N,)
        Most pods of a site, those at the start, and euro per pod and cycle.
    table : (T, N) float64
        Mean loads, requests/s, whose logs have the standard deviation `sigma`.
    rate, admit : float
        Requests/s that a pod serves, and the share of them that it admits.
    near, hop, hop_slow, bound : float
        Delays to the nearest site, of a hop, of one while the network is slow, and the bound, ms.
    crowd, failure, slow : (2,) float
        Probabilities per cycle that one begins, and that it ends.
    factor : float
        On a station's load while a crowd is there.
    fee, penalty : float
        Euro per pod started, and per late request/s and cycle.
    lost : int
        Site that is down for good, -1 none.

    Raises
    ------
    InputError
        If the numbers of sites differ or are too few, or a number is out of range.
    """

    day: ClassVar[int] = DAY
    slots: tuple[int, ...] = (4, 6, 6, 8)
    start: tuple[int, ...] = (2, 3, 2, 3)
    price: tuple[float, ...] = (0.075, 0.05, 0.05, 0.035)
    table: Floats = field(default_factory=pattern, repr=False)
    sigma: float = 0.15
    rate: float = 100.0
    admit: float = 0.8
    near: float = 10.0
    hop: float = 20.0
    hop_slow: float = 60.0
    bound: float = 100.0
    crowd: tuple[float, float] = (1 / 32, 1 / 8)
    factor: float = 1.8
    failure: tuple[float, float] = (1 / 100, 1 / 10)
    slow: tuple[float, float] = (1 / 24, 1 / 12)
    fee: float = 0.05
    penalty: float = 0.005
    lost: int = -1
    name: str = "edge"
    discount: float = 0.99
    horizon: int = DAY

    def __post_init__(self) -> None:
        """Check what a user may have changed."""
        n, place = self.sites, self.name
        if n < RING or not len(self.start) == len(self.price) == n or self.table.shape != (DAY, n):
            raise InputError(
                f"{place}: {n} slots, {len(self.start)} starts, {len(self.price)} prices, a table of shape "
                f"{self.table.shape}; expected {RING} sites or more, and {DAY} loads of each"
            )
        if not all(0 <= pods <= most for pods, most in zip(self.start, self.slots, strict=True)):
            raise InputError(f"{place}: start {self.start}; expected 0 to {self.slots} pods")
        if not ((self.table > 0.0).all() and self.rate > 0.0 and 0.0 < self.admit < 1.0 and self.sigma >= 0.0):
            raise InputError(f"{place}: expected positive loads and rate, admit between 0 and 1, sigma of 0 or more")
        if not all(0.0 <= p <= 1.0 for p in (*self.crowd, *self.failure, *self.slow, self.discount)):
            raise InputError(f"{place}: the discount and the probabilities of events must be from 0 to 1")
        if not -1 <= self.lost < n or self.horizon < 1:
            raise InputError(f"{place}: lost {self.lost}, horizon {self.horizon}; expected -1 to {n - 1}, 1 or more")

    @property
    def sites(self) -> int:
        """Number of sites N."""
        return len(self.slots)

    @property
    def per_pod(self) -> float:
        """Requests/s that a pod admits."""
        return self.admit * self.rate

    @property
    def levels(self) -> tuple[tuple[float, ...], ...]:
        """Changes of the pods of each site."""
        return (tuple(map(float, range(-REACH, REACH + 1))),) * self.sites

    def initial(self, rng: np.random.Generator, n: int) -> EdgeState:
        """Begin n days: nothing is down but a lost site, nothing slow or crowded."""
        zero, pods = np.zeros(n, dtype=np.int64), np.tile(np.array(self.start), (n, 1))
        pods[:, np.arange(self.sites) == self.lost] = 0
        return EdgeState(zero, pods, zero + self.lost, zero, zero - 1, np.tile(self.table[-1], (n, 1)))

    def disturbance(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Draw w (*shape, 5 + N): uniforms of a crowd and its place, a failure and its place, the network; normals."""
        return np.concatenate([rng.random((*shape, 5)), rng.standard_normal((*shape, self.sites))], axis=-1)

    def transition(self, x: EdgeState, u: Ints, w: Floats) -> Step:
        """Move pods by u (B, N), serve the loads of a cycle and pay; see the module's equations."""
        sites, wish = np.arange(self.sites), np.clip(x.pods + np.asarray(u) - REACH, 0, self.slots)
        asked = np.where(x.down[:, None] == sites, 0, wish)
        crowd = _struck(x.crowd, w[:, 0], w[:, 1], self.crowd, self.sites)
        load = self.table[x.phase] * np.exp(self.sigma * w[:, 5:] - self.sigma**2 / 2)
        load = np.where(crowd[:, None] == sites, self.factor * load, load)
        late, cloud = self.served(np.minimum(x.pods, asked), load, x.slow)
        down = _struck(x.down, w[:, 2], w[:, 3], self.failure, self.sites) if self.lost < 0 else x.down
        slow = np.where(x.slow > 0, w[:, 4] >= self.slow[1], w[:, 4] < self.slow[0]).astype(np.int64)
        after = EdgeState((x.phase + 1) % DAY, np.where(down[:, None] == sites, 0, asked), down, slow, crowd, load)
        rent, fee = (asked * np.array(self.price)).sum(axis=1), self.fee * np.maximum(asked - x.pods, 0).sum(axis=1)
        total, sent = late.sum(axis=1), load.sum(axis=1)
        metrics = {
            "rent": rent, "fee": fee, "late": total / sent, "pods": asked.sum(axis=1).astype(np.float64),
            "cloud": cloud / sent, "worst": (late / load).max(axis=1),
        }  # fmt: skip
        return Step(after, -(rent + fee + self.penalty * total), np.zeros(len(rent), dtype=bool), metrics)

    def served(self, ready: Ints, load: Floats, slow: Ints) -> tuple[Floats, Floats]:
        """Return the late requests/s of every station (B, N), and all that went to the cloud (B,)."""
        late, cloud = np.empty(load.shape), np.empty(len(load))
        hop = np.where(slow > 0, self.hop_slow, self.hop) / 1000.0
        route(ready, load, hop, self.rate, self.admit, (self.bound - self.near) / 1000.0, late, cloud)
        return late, cloud

    def step(self, x: EdgeState, u: Ints, rng: np.random.Generator) -> Step:
        """Draw a disturbance and apply `transition`."""
        return self.transition(x, u, self.disturbance(rng, (len(x.phase),)))

    def towards(self, x: EdgeState, goal: Ints) -> Ints:
        """Return the actions (B, N) that walk to the pods of a goal (B, N) as fast as may be."""
        goal = np.where(x.down[:, None] == np.arange(self.sites), x.pods, np.clip(goal, 0, self.slots))
        change: Ints = np.clip(goal - x.pods, -REACH, REACH) + REACH
        return change

    def observe(self, x: EdgeState) -> NDArray[np.float32]:
        """Return (B, 4 + 3 N): phase, pods, loads, down (one-hot), slow, sine and cosine of the day, all in 0 to 1."""
        angle = 2 * np.pi * x.phase / DAY
        return np.column_stack(
            [x.phase / DAY, x.pods / np.maximum(self.slots, 1), np.minimum(x.load / BUSIEST, 1.0),
             x.down[:, None] == np.arange(self.sites), x.slow, (1 + np.sin(angle)) / 2, (1 + np.cos(angle)) / 2]
        ).astype(np.float32)  # fmt: skip

    def state_of(self, observation: NDArray[np.floating[Any]]) -> EdgeState:
        """Return the states behind observations; a crowd is where a load is far above the pattern."""
        ends = np.cumsum([1, self.sites, self.sites, self.sites])
        phase, pods, load, down, rest = np.split(np.asarray(observation, dtype=np.float64), ends, axis=1)
        phases = np.rint(phase[:, 0] * DAY).astype(np.int64) % DAY
        ratio = BUSIEST * load / self.table[phases - 1]
        return EdgeState(
            phases,
            np.rint(pods * self.slots).astype(np.int64),
            np.where((down > 0.5).any(axis=1), down.argmax(axis=1), -1),
            (rest[:, 0] > 0.5).astype(np.int64),
            np.where(ratio.max(axis=1) > UNUSUAL, ratio.argmax(axis=1), -1),
            BUSIEST * load,
        )

    def feasible(self, x: EdgeState) -> Bools:
        """Return which changes stay within 0 and the slots, (B, 5 N); none is possible at a site that is down."""
        change = np.arange(-REACH, REACH + 1)
        after = x.pods[:, :, None] + change
        down = (x.down[:, None] == np.arange(self.sites))[:, :, None]
        fits = (after >= 0) & (after <= np.array(self.slots)[:, None])
        return np.where(down, change == 0, fits).reshape(len(x.phase), -1)

    def noise_support(self) -> None:
        """Return None: loads are continuous."""


class Rule(BatchPolicy):
    """Walks towards a `goal`: what all policies of the edge have in common.

    The system tells what an observation means (`state_of`) and how to get to a number of pods (`towards`).
    """

    def __init__(self, system: Any) -> None:
        self.system = system

    def goal(self, x: Any) -> Ints:
        """Return the pods (B, N) that the rule wants in states x, within the slots or not."""
        raise NotImplementedError

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, N)."""
        x = self.system.state_of(observation)
        return self.system.towards(x, self.goal(x)), state


def _struck(place: Ints, moves: Floats, where: Floats, law: tuple[float, float], sites: int) -> Ints:
    """Return where the one event of a kind is after a cycle (B,), -1 nowhere, for uniforms `moves` and `where` (B,)."""
    begun = np.where(moves < law[0], (where * sites).astype(np.int64), -1)
    return np.where(place < 0, begun, np.where(moves < law[1], -1, place))


@compiled()
def route(ready, load, hop, rate, admit, spare, late, cloud):  # type: ignore[no-untyped-def]
    """Serve loads (B, N) by pods that are ready (B, N), in place: late (B, N) and cloud (B,), requests/s.

    A hop takes `hop` (B,) s; from the arrival at the nearest site there are `spare` s to the bound.
    """
    n = load.shape[1]
    room, head, flow = np.empty(n), np.empty(n), np.empty((len(OFFERS), n))
    for lane in range(len(load)):
        for j in range(n):
            room[j], late[lane, j] = admit * rate * ready[lane, j], load[lane, j]
        for k, offset in enumerate(OFFERS):
            for i in range(n):  # each site gets the offer of one station in a round, so their order does not matter
                j = (i + offset) % n
                flow[k, i] = min(late[lane, i], room[j])
                late[lane, i] -= flow[k, i]
                room[j] -= flow[k, i]
        cloud[lane] = 0.0
        for j in range(n):
            cloud[lane] += late[lane, j]
            head[j] = rate * (1.0 - admit) + room[j] / max(ready[lane, j], 1)
        for k, offset in enumerate(OFFERS):
            left = max(spare - hop[lane] * abs(offset), 0.0)
            for i in range(n):
                if flow[k, i] > 0.0:
                    late[lane, i] += flow[k, i] * np.exp(-left * head[(i + offset) % n])
