"""Baselines of the queues of S4 and S5: settings that are held, rules, staffing ahead, and Kubernetes' autoscaler.

Rollouts are simulated (a cycle's requests cannot be listed), the optimum is that of the lattice
(`netrollout.systems.queues.lattice`), and ``terminal`` is ``zero``, ``lattice`` (the newest model's) or ``stale`` (that
of the model from before the change).

Batch letters: B lanes, W cycles of the autoscaler's memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import BatchPolicy
from netrollout.makers import Worlds, make_policy, maker
from netrollout.policies import PolicyName
from netrollout.rollout import MultiagentRollout, TruncatedRollout, best, constrained, safe
from netrollout.seeding import spawn
from netrollout.systems.queues.dynamics import MOST, MOST_LATE, QueueMesh
from netrollout.systems.queues.lattice import Lattice
from netrollout.types import Floats, InputError, Ints, Policy

HORIZON, SAMPLES = 4, 16  # of a rollout, unless its name says otherwise; fixed before rollout was run (mesh-s4.yml)
TABLES = 200  # simulated cycles per entry of a lattice; a loop that makes one online takes fewer
MOST_BYTES = 300_000_000  # of the lattices that a process keeps, about ten
KEPT: OrderedDict[tuple[QueueMesh, int], Lattice] = OrderedDict()
ERRORS = 2.0  # standard errors by which a gain must differ from zero for `safe`
Terminal = Literal["zero", "lattice", "stale"]


class Hold(BatchPolicy):
    """Walks every control one level a cycle to a setting and holds it there.

    Parameters
    ----------
    system : QueueMesh
    setting : (2,) int
        Target levels of p and of c.
    """

    def __init__(self, system: QueueMesh, setting: Ints) -> None:
        self._system, self._setting = system, np.asarray(setting)

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, 2)."""
        x = self._system.state_of(observation)
        return (np.sign(self._setting - x.setting) + 1).astype(np.int64), state


class Stay(BatchPolicy):
    """Leaves every control where it is: the base of model predictive control by rollout."""

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, 2)."""
        return np.ones((len(observation), 2), dtype=np.int64), state


class Predictive(BatchPolicy):
    """Staffs for the load that is to come: c = ceil(a + sqrt(a)) workers, where a is the work offered to node 1.

    The load is the greatest expected one of the cycles until a worker asked for now would serve; bursts count by their
    probability, given whether there was one in the last cycle.

    Parameters
    ----------
    system : QueueMesh
        Its day and its demand are those that are believed.
    p : int, optional
        Level of the routing weight that is held; that of the best static setting where None.

    References
    ----------
    S. Halfin, W. Whitt, "Heavy-traffic limits for queues with many exponential servers", Operations Research 29, 1981
    (square-root staffing).
    """

    def __init__(self, system: QueueMesh, p: int | None = None) -> None:
        self._system = system
        self._p = int(best_static(system)[0]) if p is None else p

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, 2)."""
        x = self._system.state_of(observation)
        weight = self._system.controls[0].levels[self._p]
        offered = self._load(x.phase, x.burst) * weight * self._system.demand[0]
        workers = np.clip(np.ceil(offered + np.sqrt(offered) - 1e-9), 1, MOST).astype(np.int64)
        return _actions(x.setting, self._p, np.sign(workers - x.setting[:, 1] - 1)), state

    def _load(self, phase: Ints, burst: Ints) -> Floats:
        """Return the greatest expected load (B,), requests/s, of the coming cycles."""
        pattern, loads = self._system.pattern, []
        share = pattern.enter / max(pattern.enter + pattern.leave, 1e-12)
        for k in range(self._system.start_cycles + 1):
            calm, high = (pattern.load((phase + k) % pattern.day, np.full(len(phase), b)) for b in (0, 1))
            likely = share + (burst - share) * (1.0 - pattern.enter - pattern.leave) ** (k + 1)
            loads.append(calm + likely * (high - calm))
        return np.asarray(np.max(loads, axis=0))


class Threshold(BatchPolicy):
    """One line of operator's reason: a worker more after a bad cycle, a worker fewer after an idle one.

    Bad is more than 5 % of the requests over the bound; idle is less than `idle` of the ready workers' time in use.

    Parameters
    ----------
    system : QueueMesh
    p : float
        Routing weight that is held.
    idle : float
        Share of time.
    """

    def __init__(self, system: QueueMesh, p: float = 1.0, idle: float = 0.4) -> None:
        self._system, self._idle = system, idle
        self._p = system.setting({"p": p, "c": 1.0})[0]

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, 2)."""
        x = self._system.state_of(observation)
        workers = np.where(x.late > MOST_LATE, 1, np.where(x.busy < self._idle, -1, 0))
        return _actions(x.setting, self._p, workers), state


class Hpa(BatchPolicy):
    """The Horizontal Pod Autoscaler of Kubernetes, one worker a cycle.

    It wishes for ceil(ready workers x busy / target) workers, and for no change while busy / target is within the
    tolerance of 1.  It follows a rise at once and a fall only to the largest wish of the last `window` cycles
    (downscale stabilisation).  Its memory are those wishes.

    Parameters
    ----------
    system : QueueMesh
    target : float
        Share of the ready workers' time that should be in use.
    tolerance : float
        About a ratio of 1.
    window : int
        Cycles of stabilisation; Kubernetes' default of 5 min is 60 cycles.
    p : float
        Routing weight that is held.

    Raises
    ------
    InputError
        If the target is not a share above 0, the tolerance is negative, or the window is below 1.

    References
    ----------
    Kubernetes documentation, "Horizontal Pod Autoscaling", section "Algorithm details".
    """

    def __init__(
        self, system: QueueMesh, target: float = 0.6, tolerance: float = 0.1, window: int = 12, p: float = 1.0
    ) -> None:
        if not 0.0 < target <= 1.0 or not tolerance >= 0.0 or window < 1:
            raise InputError(
                f"hpa: target {target:g}, tolerance {tolerance:g}, window {window}; "
                "expected a share above 0 and up to 1, at least 0, and at least 1 cycle"
            )
        self._system, self.target, self._tolerance, self._window, self.p = system, target, tolerance, window, p
        self._p = system.setting({"p": p, "c": 1.0})[0]

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return actions (B, 2) and the wishes (B, W), the newest last."""
        x = self._system.state_of(observation)
        asked = x.setting[:, 1] + 1
        ratio = x.busy / self.target
        wish = np.ceil((asked - x.starting.sum(axis=1)) * ratio - 1e-9)
        wish = np.clip(np.where(np.abs(ratio - 1.0) <= self._tolerance, asked, wish), 1, MOST).astype(np.int64)
        wishes = np.repeat(wish[:, None], self._window, axis=1) if state is None else np.asarray(state)
        if state is not None and episode_start is not None:
            wishes = np.where(np.asarray(episode_start)[:, None], wish[:, None], wishes)
        wishes = np.concatenate([wishes[:, 1:], wish[:, None]], axis=1)
        goal = np.where(wish >= asked, wish, np.minimum(wishes.max(axis=1), asked))
        return _actions(x.setting, self._p, np.sign(goal - asked)), wishes


def _actions(setting: Ints, p: int, workers: Ints) -> Ints:
    """Return actions (B, 2): the routing weight walks to level p, the workers change by -1, 0 or 1 within the range."""
    move = np.clip(setting[:, 1] + workers, 0, MOST - 1) - setting[:, 1]
    return np.stack([np.sign(p - setting[:, 0]), move], axis=1).astype(np.int64) + 1


TARGETS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # that `tuned_hpa` tries
TIE = 2.0  # standard errors of the paired difference within which two targets are a tie


@lru_cache(maxsize=8)
def tuned_hpa(system: QueueMesh, seeds: Sequence[int] = range(16)) -> Hpa:
    """Return the autoscaler whose target and routing earn most in simulated days of a system, the model of before.

    Its utilisation is measured there, with the noise that it has in operation.  Of targets that are a tie with the best
    at the same routing the median is taken.
    """
    tries = [(p, target) for p in system.controls[0].levels for target in TARGETS]
    earned = np.array([_earned(system, Hpa(system, target, p=p), seeds) for p, target in tries])
    best = int(earned.mean(axis=1).argmax())
    lost = earned[best] - earned
    error = lost.std(axis=1, ddof=1) / np.sqrt(len(seeds))
    tied = [tries[k][1] for k in np.flatnonzero(lost.mean(axis=1) <= TIE * error) if tries[k][0] == tries[best][0]]
    return Hpa(system, sorted(tied)[len(tied) // 2], p=tries[best][0])


def _earned(system: QueueMesh, policy: Policy, seeds: Sequence[int]) -> Floats:
    """Return a policy's mean reward per cycle of each seed's episode, (N,)."""
    w = np.stack([system.disturbance(spawn(seed, "disturbance"), (system.horizon,)) for seed in seeds], axis=1)
    x, total, memory = system.initial(spawn(0, "start"), len(seeds)), np.zeros(len(seeds)), None
    begin = np.ones(len(seeds), dtype=bool)
    for t in range(system.horizon):
        u, memory = policy.predict(system.observe(x), memory, begin, deterministic=True)
        step = system.transition(x, u, w[t])
        x, total, begin = step.state, total + step.reward, np.zeros(len(seeds), dtype=bool)
    return np.asarray(total / system.horizon)


def statics(system: QueueMesh, seeds: Sequence[int], cycles: int | None = None) -> Floats:
    """Return the mean reward per cycle of walking to each setting and holding it, (levels of p, levels of c).

    All settings meet the same requests: the lanes of one batch are the settings times the seeds.
    """
    shape = tuple(len(control.levels) for control in system.controls)
    goals = np.stack(np.unravel_index(np.repeat(np.arange(np.prod(shape)), len(seeds)), shape), axis=1)
    length = system.horizon if cycles is None else cycles
    w = np.stack([system.disturbance(spawn(seed, "disturbance"), (length,)) for seed in seeds], axis=1)
    x, total = system.initial(spawn(0, "start"), len(goals)), np.zeros(len(goals))
    for t in range(length):
        u = np.sign(goals - x.setting) + 1
        step = system.transition(x, u, np.tile(w[t], (int(np.prod(shape)), 1)))
        x, total = step.state, total + step.reward
    means: Floats = total.reshape(*shape, len(seeds)).mean(axis=-1) / length
    return means


def best_static(system: QueueMesh, seeds: Sequence[int] = range(16)) -> Ints:
    """Return the levels (2,) of the setting with the best mean reward in simulated days of the system (a model)."""
    return np.array(_best_static(system, tuple(seeds)))


@lru_cache(maxsize=128)  # a loop that plans every cycle asks for few models, many times
def _best_static(system: QueueMesh, seeds: Sequence[int]) -> tuple[int, ...]:
    means = statics(system, seeds)
    return tuple(int(level) for level in np.unravel_index(int(means.argmax()), means.shape))


def lattice(system: QueueMesh, samples: int = TABLES) -> Lattice:
    """Return the solved lattice of a system; it takes seconds, so the last ones are kept, up to `MOST_BYTES` in all."""
    found = KEPT.pop((system, samples), None) or Lattice(system, samples=samples)
    KEPT[system, samples] = found
    while len(KEPT) > 1 and sum(one.nbytes for one in KEPT.values()) > MOST_BYTES:
        KEPT.popitem(last=False)
    return found


@maker("static", "queues")
def static(worlds: Worlds, *, days: int = 16, **setting: float) -> Policy:
    """Walk to a setting and hold it: the best in simulated days of the base model, or the one that is named."""
    return Hold(worlds.base, worlds.base.setting(setting) if setting else best_static(worlds.base, range(days)))


@maker("hpa", "queues")
def hpa(
    worlds: Worlds,
    *,
    target: float | None = None,
    tolerance: float | None = None,
    window: int | None = None,
    p: float | None = None,
    tuned: bool = False,
) -> Policy:
    """Autoscale as Kubernetes does; tuned: with the target and the routing that earn most on the base model."""
    options = {"target": target, "tolerance": tolerance, "window": window, "p": p}
    given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    if tuned and given:
        raise InputError("policy hpa: tuned=true chooses target and routing; leave the other options out")
    return tuned_hpa(worlds.base) if tuned else Hpa(worlds.base, **given)


@maker("predictive", "queues")
def predictive(worlds: Worlds) -> Policy:
    """Staff for the load that is to come, on what the base model believes."""
    return Predictive(worlds.base)


@maker("hold", "queues")
def hold(worlds: Worlds) -> Policy:
    """Stay where it is, so that ``rollout(hold, horizon=6)`` is model predictive control."""
    return Stay()


@maker("reactive", "queues")
def reactive(worlds: Worlds) -> Policy:
    """Follow the rule of `Threshold`."""
    return Threshold(worlds.plant)


@maker("optimal", "queues")
def optimal(worlds: Worlds, *, samples: int = TABLES) -> Policy:
    """Plan on the lattice of the base model, its entries simulated a number of times."""
    return lattice(worlds.base, samples)


@maker("oracle", "queues")
def oracle(worlds: Worlds) -> Policy:
    """Plan on the lattice of the plant."""
    return lattice(worlds.plant)


@maker("greedy", "queues")
def greedy(worlds: Worlds) -> Policy:
    """Maximise the expected reward of the coming cycle (myopic), by simulation."""
    return _ahead(worlds.base, worlds, "greedy", SAMPLES, None)


@maker("lookahead", "queues")
def lookahead(worlds: Worlds, *, value: Terminal = "lattice", samples: int = SAMPLES) -> Policy:
    """Look one cycle ahead on the newest model and close with a value; there is no base policy."""
    return _ahead(worlds.model, worlds, "rollout", samples, _value(value, worlds))


def _ahead(
    system: QueueMesh, worlds: Worlds, stream: str, samples: int, value: Callable[[Any], Floats] | None
) -> Policy:
    """Return one-step lookahead; a tie goes to walking to the best static setting."""
    base = Hold(system, best_static(system))
    return TruncatedRollout(system, base, spawn(worlds.seed, stream), 0, samples, value)


@maker("rollout", "queues")
def rollout(
    worlds: Worlds,
    inner: PolicyName,
    *,
    terminal: Terminal = "zero",
    horizon: int = HORIZON,
    samples: int = SAMPLES,
    tables: int = TABLES,
    select: Literal["best", "safe", "constrained"] = "best",
    halving: bool = False,
) -> Policy:
    """Improve a policy by simulation on the newest model.

    Parameters
    ----------
    worlds, inner
    terminal, horizon, samples
        Of a path.
    tables : int
        Simulated cycles per entry of the terminal's lattice.
    select : str
        ``safe`` leaves the base only for a gain beyond its sampling error, ``constrained`` takes the best among the
        actions that are expected to keep the share of late requests within the plant's limit.
    halving : bool
        Spend the same number of paths by sequential halving.
    """
    limit = MOST_LATE * (worlds.model.discount ** np.arange(horizon + 1)).sum()
    chosen = {"best": best, "safe": safe(0.0, ERRORS), "constrained": constrained(limit)}[select]
    base, rng = make_policy(inner, worlds), spawn(worlds.seed, "rollout")
    return TruncatedRollout(
        worlds.model,
        base,
        rng,
        horizon,
        samples,
        _value(terminal, worlds, tables),
        select=chosen,
        halving=halving,
        watch="late",
    )


@maker("multiagent", "queues")
def multiagent(
    worlds: Worlds,
    inner: PolicyName,
    *,
    terminal: Terminal = "zero",
    horizon: int = HORIZON,
    samples: int = SAMPLES,
) -> Policy:
    """Improve a policy component by component, by simulation on the newest model."""
    base, rng = make_policy(inner, worlds), spawn(worlds.seed, "multiagent")
    return MultiagentRollout(worlds.model, base, rng, horizon, samples, _value(terminal, worlds))


def _value(terminal: Terminal, worlds: Worlds, tables: int = TABLES) -> Callable[[Any], Floats] | None:
    if terminal == "zero":
        return None
    return lattice(worlds.model if terminal == "lattice" else worlds.base, tables).value
