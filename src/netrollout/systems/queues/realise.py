"""Scenario S4 by name: its plant, and the models learned from logs of operation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Literal

import yaml

from netrollout.systems.mesh.dynamics import Control
from netrollout.systems.queues.dynamics import Pattern, QueueMesh
from netrollout.systems.queues.model import collect, learn_queues
from netrollout.systems.queues.policies import Hpa
from netrollout.types import Phase

Change = Literal["heavier", "slower", "shifted"]
LOG_ROUTING = 0.8  # so that both nodes meet requests


@dataclass(frozen=True)
class Daily:
    """What the scenario file says.

    Attributes
    ----------
    before : QueueMesh
        The plant before the change.
    changes : dict of str to QueueMesh
        The plants after each change.
    log : dict of phase to int
        Control cycles from which the model of each phase is learned.
    """

    before: QueueMesh
    changes: dict[str, QueueMesh]
    log: dict[str, int]

    def plant(self, phase: str, change: str) -> QueueMesh:
        """Return what really happens in a phase."""
        return self.before if phase == "before" else self.changes[change]


@cache
def load_daily(name: str = "mesh-s4") -> Daily:
    """Read the scenario file."""
    text = yaml.safe_load(
        (resources.files("netrollout.systems.queues") / "scenarios" / f"{name}.yml").read_text(encoding="utf-8")
    )
    controls = tuple(Control(key, tuple(map(float, value["levels"]))) for key, value in text["controls"].items())
    before = QueueMesh(
        name=text["name"],
        pattern=Pattern(**text["load"]),
        demand=tuple(text["demand"]),
        start=tuple(text["start"][control.name] for control in controls),
        discount=text["discount"],
        horizon=text["horizon"],
        controls=controls,
    )
    return Daily(before, {key: _changed(before, what) for key, what in text["change"].items()}, text["log"])


def _changed(before: QueueMesh, what: dict[str, Any]) -> QueueMesh:
    if "demand" in what:
        return replace(before, demand=tuple(what["demand"]))
    return replace(before, pattern=replace(before.pattern, **what))


def plant(*, phase: Phase = "before", change: Change = "heavier") -> QueueMesh:
    """Return what really happens in a phase.

    Parameters
    ----------
    phase : str
    change : str
        ``heavier`` (both nodes), ``slower`` (node 1) or ``shifted`` (the day).
    """
    return load_daily().plant(phase, change)


def model(*, phase: Phase = "before", change: Change = "heavier", seed: int = 0, refit: int | None = None) -> QueueMesh:
    """Return the model of a phase, learned from its own log; each seed and refit is another log."""
    return daily_model(phase, change, seed, refit)


@lru_cache(maxsize=64)
def daily_model(phase: str, change: str, seed: int, refit: int | None) -> QueueMesh:
    """Return the model of a phase, learned from its own log; each seed and refit is another log.

    After the change it goes on from what was believed before, which the log of that phase had taught.
    """
    daily = load_daily()
    number = 0 if refit is None else refit + 1
    prior = replace(daily.before, law="exponential")
    if phase == "after":
        prior = daily_model("before", change, seed, refit)
    plant = daily.plant(phase, change)
    log = collect(plant, Hpa(plant, p=LOG_ROUTING), daily.log[phase], seed * 1000 + number)
    return learn_queues(prior, log)
