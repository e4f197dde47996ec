"""Closed loops by name: the worlds of a scenario, the controllers that act in them, and their plants.

Every loop begins at the resting state of the base policy, the optimum of the model from before the change.  The
controller knows that model and nothing of the change; the plant's windows are held out from it.

Letters: M controls, S states, G grid points, L load levels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from netrollout.adapt import (
    ADAPTIVE,
    EXPLORATIONS,
    LIMIT,
    STRATEGIES,
    Controller,
    Explorer,
    Follow,
    Hpa,
    Planner,
    RecordedPlant,
    Relearned,
    Rule,
    Sight,
    SimulatedPlant,
    Window,
    best_setting,
    held_rewards,
    moved,
)
from netrollout.adapt.physics import Curves, curves
from netrollout.adapt.strategies import routing_of
from netrollout.catalog.registry import make
from netrollout.models import Queueing
from netrollout.models.drift import make_detector
from netrollout.seeding import spawn
from netrollout.systems.mesh.dynamics import Mesh, MeshState, ResponseTable, hold_table
from netrollout.systems.mesh.realise import learned as fitted
from netrollout.systems.mesh.realise import rows, split
from netrollout.systems.mesh.scenario import load_scenario
from netrollout.systems.queues.dynamics import Pattern
from netrollout.traces import shipped
from netrollout.types import Floats, InputError, Ints

if TYPE_CHECKING:
    from netrollout.testbed.live import LivePlant

DETECTOR, SETTING = "page-hinkley", 10.0  # see `netrollout.studies.closed_loop_study.calibrated`
TARGETS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # of the autoscaler
TRAINING = 4  # cycles that a retraining takes: 10 s of training in cycles of 2.5 s
SETTLING = 60  # cycles until every policy rests
TUNING = 400  # cycles for which a pair of the autoscaler's numbers is tried

LIVE = {
    "S2": "the service gets heavier, as in the trace",
    "S2-slow": "node 1 becomes as much slower as the service gets heavier in S2",
    "S2-kill": "the process of node 1 is killed and returns",
    "S3": "the load starts to move",
    "release": "the service gets so much heavier that the mesh is overloaded where the base policy rests",
    "S4": "the load starts to follow a day of 48 cycles with bursts, on the grid of S3",
}
SIMULATED = ("S2", "S3", "release")
DAY = 48  # cycles of the live day


@dataclass(frozen=True, eq=False)
class Loop:
    """The worlds of a closed loop.

    Attributes
    ----------
    name : str
        One of `LIVE`.
    model : Mesh
        What the controller knows: the model from before the change, on the grid of after it.
    before, after : Mesh
        The simulated plant; `after` is also what the oracles plan on.
    busy : pair of (G, Q) share of node 1's worker time in use in the windows of the trace, before and after
    base : (S,) joint actions of the base policy
    planner : Planner
    resting : (M,) where the base policy rests
    curves : Curves
        Of a queueing formula fit on the same visits as the model.
    autoscaler : (float, int)
        Its target, one of `TARGETS`, and the level of its routing weight: what earns most before the change.
    """

    name: str
    model: Mesh
    before: Mesh
    after: Mesh
    busy: tuple[Floats, Floats]
    base: Ints
    planner: Planner
    resting: Ints
    curves: Curves
    autoscaler: tuple[float, int]


@lru_cache(maxsize=16)
def make_loop(name: str, seed: int = 0, refit: int | None = None) -> Loop:
    """Return the worlds of a scenario; `refit` is a bootstrap resample of the model's visits.

    Raises
    ------
    InputError
        If there is no such scenario.
    """
    if name not in LIVE:
        raise InputError(f"unknown scenario {name!r} of the closed loop; known: {', '.join(LIVE)}")
    system = _system(name)
    options: dict[str, Any] = {"seed": seed}
    after = _mesh(make(system, phase="after", side="plant", **options))
    learned = _mesh(make(system, phase="before", side="model", refit=refit, **options))
    before = after if len(after.loads) > 1 else _mesh(make(system, phase="before", side="plant", **options))
    formula = _formula(system, seed, refit)
    hypotheses = curves(formula, after)
    model = after.with_response(_extended(learned, after, hypotheses))
    planner = Planner(model)
    base = planner.base(model)
    busy = (_busy(system, "before", after), _busy(system, "after", after))
    resting = rest(model, planner, Follow(base), _start(model))
    autoscaler = _tuned_autoscaler(model, planner, busy[0], resting)
    return Loop(
        name, model, replace(before, load_move=0.0), after, busy, base, planner, resting, hypotheses, autoscaler
    )


def _system(name: str) -> str:
    """Return the system whose traces tell of a scenario; the live day has the controls and loads of S3."""
    return {"S4": "mesh-s3", "release": "mesh-release"}.get(name, f"mesh-{name[:2].lower()}")


def _mesh(system: Any) -> Mesh:
    assert isinstance(system, Mesh)
    return system


def _formula(system: str, seed: int, refit: int | None) -> Queueing:
    formula = fitted(load_scenario(system), "before", "queueing", seed, refit, "model")[1]
    assert isinstance(formula, Queueing)
    return formula


def _extended(known: Mesh, mesh: Mesh, hypotheses: Curves) -> ResponseTable:
    """Extend a response known at the first load to all loads: at a load never met, moved as the formula says."""
    windows = np.concatenate([known.response.windows] * (len(mesh.loads) // len(known.loads)))
    unchanged = hypotheses.logs[hypotheses.nearest(np.zeros(2))]
    first = np.concatenate([unchanged[: known.n_states]] * (len(mesh.loads) // len(known.loads)))
    return ResponseTable(windows * np.exp(unchanged - first)[:, None, :])


def _start(mesh: Mesh) -> Ints:
    assert mesh.start is not None
    setting: Ints = mesh.start.setting[0]
    return setting


def _busy(system: str, phase: Any, mesh: Mesh) -> Floats:
    """Return the share of node 1's worker time in use in windows of every grid point of the mesh, (G, Q)."""
    frame = rows(load_scenario(system), "after" if len(mesh.loads) > 1 else phase)
    windows = frame.groupby("grid")["busy_1"].apply(np.asarray).reindex(range(mesh.n_states))
    return np.stack([np.resize(values, max(map(len, windows))) for values in windows])


def rest(model: Mesh, planner: Planner, rule: Rule, setting: Ints) -> Ints:
    """Return where a rule rests, (M,), load unmoved at its first level."""
    for _ in range(SETTLING):
        x = MeshState(setting[None], np.zeros(1, dtype=np.int64))
        setting = moved(model, setting, planner.actions[rule.act(Sight(int(model.index(x)[0]), setting, None))])
    return setting


def _tuned_autoscaler(model: Mesh, planner: Planner, busy: Floats, resting: Ints) -> tuple[float, int]:
    """Return the autoscaler's target and the level of its routing weight that earn most before the change.

    Every pair runs `TUNING` cycles on the model from the base policy's resting state, and sees the utilisation of
    single windows, as it will live.  Of the targets within a standard error of the best the median is taken.
    """
    rewards = held_rewards(model)

    def earned(target: float, level: int) -> Floats:
        rule, setting, window, found = Hpa(model, target, level), resting, None, np.empty(TUNING)
        for cycle, u in enumerate(spawn(0, "autoscaler").random(TUNING)):
            grid = int(model.index(MeshState(setting[None], np.zeros(1, dtype=np.int64)))[0])
            setting = moved(model, setting, planner.actions[rule.act(Sight(grid, setting, window))])
            grid = int(model.index(MeshState(setting[None], np.zeros(1, dtype=np.int64)))[0])
            window = Window(setting, 0, np.empty(0), busy=float(busy[grid, int(u * busy.shape[1])]))
            found[cycle] = rewards[grid]
        return found

    levels = range(len(model.controls[routing_of(model)].levels))
    runs = {(target, level): earned(target, level) for target in TARGETS for level in levels}
    best = max(runs, key=lambda pair: float(runs[pair].mean()))
    near = [target for target in TARGETS if _tied(runs[best], runs[target, best[1]])]
    return near[(len(near) - 1) // 2], best[1]


def _tied(best: Floats, other: Floats) -> bool:
    """Return whether a run earns as much as the best within a standard error of their paired difference."""
    gap = best - other
    return bool(gap.mean() <= gap.std(ddof=1) / np.sqrt(len(gap)))


def controller(loop: Loop, policy: str, exploration: str = "none", seed: int = 0, change_at: int = 0) -> Controller:
    """Return a fresh controller.

    Parameters
    ----------
    loop : Loop
    policy : str
        One of `netrollout.adapt.STRATEGIES`.
    exploration : str
        One of `netrollout.adapt.EXPLORATIONS`; only policies that plan on the relearned model explore.
    seed : int
        Of the exploration.
    change_at : int
        Cycle of the change, which only ``rollout-true`` is told.

    Raises
    ------
    InputError
        If a name is unknown, or a policy without a model is to explore.
    """
    if policy not in STRATEGIES:
        raise InputError(f"unknown policy {policy!r} of the closed loop; known: {', '.join(STRATEGIES)}")
    if exploration != "none" and policy not in ADAPTIVE:
        raise InputError(f"exploration {exploration}: {policy} does not plan; give one of {', '.join(ADAPTIVE)}")
    if exploration not in EXPLORATIONS:
        raise InputError(f"unknown exploration {exploration!r}; known: {', '.join(EXPLORATIONS)}")
    return Controller(
        Relearned(loop.model, loop.curves),
        make_detector(DETECTOR, SETTING),
        loop.planner,
        loop.base,
        plan=ADAPTIVE.get(policy, "base"),
        explorer=Explorer(exploration, seed),
        rule=_rule(loop, policy, change_at),
        training=TRAINING if policy == "retrain" else 0,
        limit=1.0 if policy == "constrained" else LIMIT,
    )


def _rule(loop: Loop, policy: str, change_at: int) -> Rule | None:
    if policy in ADAPTIVE:
        return None
    if policy == "hpa":
        return Hpa(loop.model, *loop.autoscaler)
    if policy in ("rollout-true", "optimum"):
        return _Informed(loop, change_at, "dp" if policy == "optimum" else "rollout")
    targets = {"none": _start, "static": best_setting, "static-new": lambda model: best_setting(loop.after)}
    table = loop.base if policy == "base" else hold_table(loop.model, targets[policy](loop.model))
    return Follow(table)


class _Informed:
    """The base policy, and from the change on a plan made on the true new system."""

    def __init__(self, loop: Loop, change_at: int, plan: str) -> None:
        true = loop.planner.plan(plan, loop.after, loop.base).table
        self._tables, self._change_at, self._cycle = (loop.base, true), change_at, 0

    def act(self, sight: Sight) -> int:
        """Return a joint action."""
        self._cycle += 1
        return int(self._tables[self._cycle > self._change_at][sight.index])


def simulated(loop: Loop, change_at: int, seed: int, x: MeshState | None = None, cycle: int = 0) -> SimulatedPlant:
    """Return the simulated plant, at the base policy's resting state or in state x at a later cycle.

    Raises
    ------
    InputError
        If no trace tells how the scenario goes on after its change.
    """
    if loop.name not in SIMULATED:
        raise InputError(f"scenario {loop.name} is known on the testbed only; the simulator has {', '.join(SIMULATED)}")
    at = x or MeshState(loop.resting[None], np.zeros(1, dtype=np.int64))
    return SimulatedPlant(loop.before, loop.after, change_at, at.setting[0], seed, int(at.load[0]), loop.busy, cycle)


def trace_rewards(loop: Loop) -> Floats:
    """Return the mean reward of a window at every grid point, (G,), over all visits of the trace after the change.

    The simulated plant has one visit of each, so its best setting looks better than it is.
    """
    scenario = load_scenario(_system(loop.name))
    frame = rows(scenario, "after")
    d = frame[[f"d_{service}" for service in scenario.services]].to_numpy()
    reward, _ = loop.model.objective(loop.planner.saved[frame["grid"].to_numpy()], d)
    mean = frame.assign(reward=reward).groupby("grid")["reward"].mean()
    return np.asarray(mean.reindex(range(loop.model.n_states)))


def recorded(loop: Loop, phase: str = "after") -> RecordedPlant:
    """Return the held-out windows of the scenario's trace, in the order in which they were measured."""
    scenario = load_scenario(_system(loop.name))
    frame = split(rows(scenario, "before" if phase == "before" else "after"), "plant")
    d = frame[[f"d_{service}" for service in scenario.services]].to_numpy()
    return RecordedPlant(loop.model, frame["grid"].to_numpy(), d, loop.resting)


def live(
    loop: Loop, change_at: int, seed: int, x: MeshState | None = None, cycle: int = 0, **options: Any
) -> LivePlant:
    """Return the live mesh, at the base policy's resting state or in state x at a later cycle.

    `options` are `foreign_limit` and `priority` of the live plant.
    """
    from netrollout.testbed.live import Change, LivePlant

    scenario = load_scenario(_system(loop.name))
    demand, heavier = (
        {s: float(shipped(scenario.trace[phase]).header[f"demand_{s}"].split()[0]) for s in scenario.services}
        for phase in ("before", "after")
    )
    changes = {
        "S2": Change(demand=heavier),
        "S2-slow": Change(slow={1: heavier["compute"] / demand["compute"]}),
        "S2-kill": Change(kill="node1"),
        "S3": Change(load_moves=True),
        "release": Change(demand=heavier),
        "S4": Change(day=_live_day(loop.after)),
    }
    at = x or MeshState(loop.resting[None], np.zeros(1, dtype=np.int64))
    return LivePlant(loop.after, demand, changes[loop.name], change_at, at.setting[0], seed, int(at.load[0]), cycle,
                     **options)  # fmt: skip


def _live_day(grid: Mesh) -> Pattern:
    """Return a day that goes from the lowest level of the load to the highest, bursts beyond it."""
    levels = np.asarray(grid.loads)[:, 0]
    return Pattern(mean=float(levels.mean()), amplitude=float(np.ptp(levels)) / 2, day=DAY)
