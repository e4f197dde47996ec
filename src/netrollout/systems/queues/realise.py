"""Scenarios S4 and S5 by name: their plants, and the models learned from logs of operation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Literal

import numpy as np
import yaml

from netrollout.systems.mesh.dynamics import Control
from netrollout.systems.queues.dynamics import Pattern, QueueMesh, WorkingDay
from netrollout.systems.queues.model import collect, learn_queues
from netrollout.systems.queues.plants import SimulatedQueues
from netrollout.systems.queues.policies import Hpa
from netrollout.systems.queues.throttle import ThrottledMesh
from netrollout.types import InputError, Phase

Change = Literal["heavier", "slower", "shifted"]
LOG_ROUTING = 0.8  # so that both nodes meet requests
LOG_SETTING = {"p": LOG_ROUTING, "c": 4.0}  # held while a model of S5 is learned
BELIEVED = 0.09  # s, the demand of a model of S5 that nobody has asked yet: 18 ms of CPU at a fifth of a core


@dataclass(frozen=True)
class Daily:
    """What a scenario file says.

    Attributes
    ----------
    before : QueueMesh
        The plant before the change; on S5 a `ThrottledMesh`.
    changes : dict of str to QueueMesh
        The plants after each change.
    log : dict of phase to int
        Control cycles from which the model of each phase is learned.
    text : dict
        The file.
    """

    before: QueueMesh
    changes: dict[str, QueueMesh]
    log: dict[str, int]
    text: dict[str, Any]

    def plant(self, phase: str, change: str) -> QueueMesh:
        """Return what really happens in a phase.

        Raises
        ------
        InputError
            If the scenario has no such change.
        """
        if change not in self.changes:
            raise InputError(f"{self.before.name}: change={change}: choose one of {', '.join(self.changes)}")
        return self.before if phase == "before" else self.changes[change]


@cache
def load_daily(name: str = "mesh-s4") -> Daily:
    """Read the scenario file."""
    file = resources.files("netrollout.systems.queues") / "scenarios" / f"{name}.yml"
    text = yaml.safe_load(file.read_text(encoding="utf-8"))
    controls = tuple(Control(key, tuple(map(float, value["levels"]))) for key, value in text["controls"].items())
    kind, law = (ThrottledMesh, WorkingDay) if "quota" in text else (QueueMesh, Pattern)
    told = ("name", "discount", "horizon", "cycle", "bound", "late_cost", "worker_cost", "move_cost", "start_cycles",
            "quota", "mood")  # fmt: skip
    before = kind(
        **{key: text[key] for key in told if key in text},
        pattern=law(**text["load"]),
        demand=_both(text["demand"]),
        start=tuple(text["start"][control.name] for control in controls),
        controls=controls,
    )
    return Daily(before, {key: _changed(before, what) for key, what in text["change"].items()}, text["log"], text)


def _both(demand: Any) -> tuple[float, float]:
    """Return the demands at the two nodes; one number stands for both."""
    first, second = demand if isinstance(demand, list) else (demand, demand)
    return first, second


def _changed(before: QueueMesh, what: dict[str, Any]) -> QueueMesh:
    if "demand" in what:
        return replace(before, demand=_both(what["demand"]))
    return replace(before, pattern=replace(before.pattern, **what))


def plant(name: str = "mesh-s4", *, phase: Phase = "before", change: Change = "heavier") -> QueueMesh:
    """Return what really happens in a phase.

    Parameters
    ----------
    name : str
    phase : str
    change : str
        ``heavier`` (both nodes); on mesh-s4 also ``slower`` (node 1) or ``shifted`` (the day).
    """
    return load_daily(name).plant(phase, change)


def model(
    name: str = "mesh-s4", *, phase: Phase = "before", change: Change = "heavier", seed: int = 0,
    refit: int | None = None,
) -> QueueMesh:  # fmt: skip
    """Return the model of a phase, learned from its own log; each seed and refit is another log."""
    if name == load_daily().before.name:
        return daily_model(phase, change, seed, refit)
    return day_model(name, phase, change, seed * 1000 + _number(refit))


def _number(refit: int | None) -> int:
    return 0 if refit is None else refit + 1


@lru_cache(maxsize=64)
def daily_model(phase: str, change: str, seed: int, refit: int | None) -> QueueMesh:
    """Return the model of a phase of S4, learned from its own log; each seed and refit is another log.

    After the change it goes on from what was believed before, which the log of that phase had taught.
    """
    daily = load_daily()
    real, prior = daily.plant(phase, change), replace(daily.before, law="exponential")
    if phase == "after":
        prior = daily_model("before", change, seed, refit)
    log = collect(real, Hpa(real, p=LOG_ROUTING), daily.log[phase], seed * 1000 + _number(refit))
    return learn_queues(prior, log)


@cache
def day_model(name: str = "mesh-s5", phase: str = "before", change: str = "heavier", seed: int = 0) -> QueueMesh:
    """Return the model of S5: exponential queues with the worker time per request of days at a static setting."""
    daily = load_daily(name)
    real, believed = daily.plant(phase, change), exponential(daily.before, BELIEVED)
    world, goal = SimulatedQueues(real, real, 0, seed), believed.setting(LOG_SETTING)
    setting, busy, count = believed.setting(dict(zip(("p", "c"), believed.start, strict=True))), 0.0, 0.0
    for _ in range(daily.log["before"]):
        window = world.act(np.sign(goal - setting) + 1)
        setting, busy, count = window.setting, busy + window.busy.sum(), count + window.n.sum()
    return exponential(daily.before, busy / count)


def exponential(plant: QueueMesh, demand: float) -> QueueMesh:
    """Return the model of a plant: the same mesh with exponential queues of a mean worker time per request, s."""
    shared = ("name", "pattern", "start", "discount", "horizon", "cycle", "bound", "late_cost", "worker_cost",
              "move_cost", "start_cycles", "controls")  # fmt: skip
    return QueueMesh(**{key: getattr(plant, key) for key in shared}, demand=(demand, demand), law="exponential")
