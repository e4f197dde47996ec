"""The published edge system: pods of four deployments, one for each base station, scaled every ten seconds.

In a step all users of the stations send a request at once::

    n       = int(100 h[hour] U(0.9, 1.1)),   users_i = a binomial share p_i of n
    answer  by the deployment of the station, or the next one (cyclic) that has pods, by one of its pods at random
    latency = (10 (j + 1) + 10 hops + quota(m) + throttle) exp(N(0, noise)) ms, lost above 800 ms
    quota   = 100 k + (w - 10 k),   w = m cost,  k = max(0, ceil(w / 10) - 1)     m-th request of a pod in the burst
    reward  = -L - 0.1 (times each pod is counted) sum(a),   L: mean latency of the answered requests

A pod throttles when the mean of its simulated CPU (of 200) and memory (of 256) is above 0.7, by 25 ms and 15 ms for
each hundredth above; a request adds 2 to 5 to each, and between bursts 100 are taken off.

What the published environment does and one may not want are settings: see `Published`.  The problem is nearly
degenerate: nobody who knows the coming burst gains more than about 2 % over four pods everywhere.

Batch letters: B lanes, D = 4 stations and deployments, M = 4 pods at most.

Source: adeptvin1/lwmecps-gym (environment v3) and adeptvin1/lwmecps-testapp (load, server), re-implemented from facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netrollout.systems.compiled import compiled, uniform
from netrollout.systems.edge.dynamics import CURVE
from netrollout.types import Bools, Floats, InputError, Ints, Step

PROFILES = {"A": (0.284, 0.249, 0.262, 0.205), "B": (0.187, 0.292, 0.307, 0.214)}
STATIONS, PODS = 4, 4
HOUR, DAY = 360, 8640  # steps
USERS, SLOWEST = 128.0, 800.0  # scale of observed users; ms, later answers are dropped
NUMBERS = 5  # random numbers of a request
FIRST = 1024  # number of the first one of them; those before it say which user is whose


class PublishedState(NamedTuple):
    """What carries over from step to step."""

    phase: Ints  # (B,) step of the day that comes
    pods: Ints  # (B, D) that run
    load: Ints  # (B, D) users of the last burst
    signal: Floats  # (B,) latency that the controller is told, ms
    total: Floats  # (B, 2) latencies and answers since the start
    cpu: Floats  # (B, D, M)
    memory: Floats  # (B, D, M)


@dataclass(frozen=True)
class Published:
    """The published environment by its rules; the action sets the pods of each deployment, 0 to 4.

    Metrics: latency (of the step), pods, lost (share of the requests), latency_1 to latency_4 (what each station adds).

    Parameters
    ----------
    profile : str
        Which stations the users are at: ``A`` or ``B``.
    zero : str
        An action of 0 takes the pods away (``off``), or does nothing (``keep``, as published).
    signal : str
        The L of the reward is that of the step (``interval``) or of all steps so far (``cumulative``, as published).
    times : int
        How often a pod is counted in the reward: once for each of four nodes as published.
    reset : int
        Length of an episode (5 as published), after which the first deployment is set to one pod, whatever the others
        have; 0 never.
    cost, noise : float
        CPU time of a request, ms, which cannot be told from the published data; deviation of the log latency.
    """

    sites: ClassVar[int] = STATIONS
    day: ClassVar[int] = DAY
    per_pod: ClassVar[float] = 8.0  # requests of a burst that a pod of the published reactive rule is meant for
    profile: str = "A"
    zero: Literal["off", "keep"] = "off"
    signal: Literal["interval", "cumulative"] = "interval"
    times: int = 4
    reset: int = 0
    cost: float = 1.2
    noise: float = 0.15
    name: str = "edge-published"
    discount: float = 0.99
    horizon: int = DAY

    def __post_init__(self) -> None:
        """Check what a user may have changed."""
        if self.profile not in PROFILES or self.zero not in ("off", "keep"):
            raise InputError(f"{self.name}: profile {self.profile}, zero {self.zero}; expected A or B, off or keep")
        if self.signal not in ("interval", "cumulative") or min(self.times, self.reset, self.cost, self.noise) < 0:
            raise InputError(f"{self.name}: expected signal interval or cumulative, and settings of 0 or more")

    @property
    def levels(self) -> tuple[tuple[float, ...], ...]:
        """Pods of each deployment."""
        return (tuple(map(float, range(PODS + 1))),) * STATIONS

    def initial(self, rng: np.random.Generator, n: int) -> PublishedState:
        """Begin n days with one idle pod everywhere."""
        one, idle = np.ones((n, STATIONS), dtype=np.int64), np.zeros((n, STATIONS, PODS))
        return PublishedState(one[:, 0] - 1, one, one - 1, idle[:, 0, 0], idle[:, 0, :2], idle, idle)

    def disturbance(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Draw uniforms (*shape, 2): the number of users, and the key of everything else in the burst."""
        return rng.random((*shape, 2))

    def transition(self, x: PublishedState, u: Ints, w: Floats) -> Step:
        """Scale to u (B, D), send a burst and pay; see the module's equations."""
        asked = np.asarray(u, dtype=np.int64)
        pods = np.where((asked == 0) & (self.zero == "keep"), x.pods, asked)
        new = np.arange(PODS) >= x.pods[:, :, None]  # idle when they start
        cpu, memory = np.where(new, 0.0, x.cpu), np.where(new, 0.0, x.memory)
        n = (CURVE[x.phase // HOUR] * (0.9 + 0.2 * w[:, 0]) * 100.0).astype(np.int64)
        users, sums, count = np.zeros_like(pods), np.zeros(pods.shape), np.zeros(len(n))
        key, share = (w[:, 1] * 2.0**53).astype(np.uint64), np.array(PROFILES[self.profile])
        burst(key, n, share, pods, self.cost, self.noise, cpu, memory, users, sums, count)
        each = sums / np.maximum(count, 1.0)[:, None]
        metrics = {f"latency_{i + 1}": each[:, i] for i in range(STATIONS)} | {
            "latency": each.sum(axis=1), "pods": pods.sum(axis=1).astype(np.float64),
            "lost": 1.0 - count / np.maximum(users.sum(axis=1), 1),
        }  # fmt: skip
        phase, total = (x.phase + 1) % DAY, x.total + np.stack([sums.sum(axis=1), count], axis=1)
        mean = total[:, 0] / np.maximum(total[:, 1], 1.0)
        signal = metrics["latency"] if self.signal == "interval" else mean
        if self.reset:
            pods = np.where((phase % self.reset == 0)[:, None] & (np.arange(STATIONS) == 0), 1, pods)
        after = PublishedState(phase, pods, users, signal, total, cpu, memory)
        return Step(after, -signal - 0.1 * self.times * asked.sum(axis=1), np.zeros(len(n), dtype=bool), metrics)

    def towards(self, x: PublishedState, goal: Ints) -> Ints:
        """Return the actions (B, D) that set the pods of a goal (B, D), at least one of each deployment."""
        return np.clip(goal, 1, PODS)

    def step(self, x: PublishedState, u: Ints, rng: np.random.Generator) -> Step:
        """Draw a disturbance and apply `transition`."""
        return self.transition(x, u, self.disturbance(rng, (len(x.phase),)))

    def observe(self, x: PublishedState) -> NDArray[np.float32]:
        """Return (B, 10): step of the day, pods, users of the last burst, latency, all in 0 to 1."""
        parts = [x.phase / DAY, x.pods / PODS, x.load / USERS, np.minimum(x.signal / SLOWEST, 1.0)]
        return np.column_stack(parts).astype(np.float32)

    def state_of(self, observation: NDArray[np.floating[Any]]) -> PublishedState:
        """Return what can be seen of the states, with idle pods."""
        seen = np.asarray(observation, dtype=np.float64)
        idle, signal = np.zeros((len(seen), STATIONS, PODS)), SLOWEST * seen[:, 9]
        phase, pods, users = (
            np.rint(part).astype(np.int64) for part in (seen[:, 0] * DAY, seen[:, 1:5] * PODS, seen[:, 5:9] * USERS)
        )
        return PublishedState(phase, pods, users, signal, np.stack([signal, signal > 0.0], axis=1), idle, idle)

    def feasible(self, x: PublishedState) -> Bools:
        """Return that every number of pods may be chosen, (B, D (M + 1))."""
        return np.ones((len(x.phase), STATIONS * (PODS + 1)), dtype=bool)

    def noise_support(self) -> None:
        """Return None: bursts cannot be listed."""


@compiled()
def burst(key, n, share, pods, cost, noise, cpu, memory, users, sums, count):  # type: ignore[no-untyped-def]
    """Send and answer a burst of lanes with keys (B,) uint64, in place.

    `users` (B, D), of n (B,) in all, are drawn by the stations' shares (D,).  `sums` (B, D) are the latencies of each
    station's requests, ms, of which `count` (B,) in all are answered; `cpu` and `memory` (B, D, M) are carried on.
    """
    for lane in range(len(key)):
        running, number = pods[lane], FIRST
        met = np.zeros((STATIONS, PODS), dtype=np.int64)
        for i in range(STATIONS):
            for k in range(n[lane]):
                users[lane, i] += uniform(key[lane], i * 128 + k) < share[i]
        for k in range(users[lane].max()):
            for i in range(STATIONS):
                number += NUMBERS  # one more request, whether or not somebody sends it
                hops, j = 0, i
                while hops < STATIONS and running[j] == 0:
                    hops, j = hops + 1, (j + 1) % STATIONS
                if k >= users[lane, i] or hops == STATIONS:
                    continue
                pod = int(uniform(key[lane], number) * running[j])
                drain = 100.0 if met[j, pod] == 0 else 0.0
                met[j, pod] += 1
                busy, full = cpu[lane, j], memory[lane, j]
                busy[pod] = min(max(busy[pod] - drain, 0.0) + 2.0 + int(4.0 * uniform(key[lane], number + 1)), 200.0)
                full[pod] = min(max(full[pod] - drain, 0.0) + 2.0 + int(4.0 * uniform(key[lane], number + 2)), 256.0)
                load = (busy[pod] / 200.0 + full[pod] / 256.0) / 2.0
                throttle = 25.0 + 1500.0 * (load - 0.7) if load > 0.7 else 0.0
                work = met[j, pod] * cost
                periods = max(np.ceil(work / 10.0) - 1.0, 0.0)
                angle = 2.0 * np.pi * uniform(key[lane], number + 4)
                normal = np.sqrt(-2.0 * np.log(uniform(key[lane], number + 3))) * np.cos(angle)
                fixed = 10.0 * (j + 1) + 10.0 * hops + 90.0 * periods + work + throttle
                latency = fixed * np.exp(noise * normal)
                if latency <= SLOWEST:
                    sums[lane, i] += latency
                    count[lane] += 1.0
