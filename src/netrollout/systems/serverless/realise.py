"""The serverless farm by name: its plants, and the models learned from logs of past workloads.

A plant is the event-level farm over the judged workloads of one law of arrivals.  A model is the sampled queue with
what a log teaches.  The log is a farm over past workloads, on which a learner may practise: it meets the physics of the
plant, which a planner does not know, but no workload that is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cache, lru_cache
from importlib import resources
from typing import Literal

import yaml

from netrollout.seeding import SEEDS, spawn
from netrollout.systems.serverless.farm import Farm, durations
from netrollout.systems.serverless.model import FluidModel, QueueModel, learned
from netrollout.systems.serverless.tasks import Bank, bank
from netrollout.systems.serverless.workload import (
    PUBLISHED,
    Workload,
    family,
    faster,
    intended,
    published,
    shuffled,
)
from netrollout.systems.serverless.workload import Phase as Busy
from netrollout.types import InputError, Phase

FIRST_OF_LOGS = 10_000  # seed; those below are judged
Law = Literal["published", "shuffled", "intended", "flash", "diurnal", "bursty"]
Altered = Literal["double", "cold", "rise"]

LAWS: dict[str, Callable[[int, Sequence[Busy]], Workload]] = {
    "published": published,
    "shuffled": lambda seed, phases: published(seed, shuffled(seed, phases)),
    "intended": intended,
    **{name: lambda seed, phases, name=name: family(name, seed, sum(phase.tasks for phase in phases))  # type: ignore[misc]
       for name in ("flash", "diurnal", "bursty")},
}  # fmt: skip
"""From a seed and the phases of the published workload, which say how many tasks there are, to a workload."""


@dataclass(frozen=True)
class Change:
    """By which factors a change multiplies."""

    service: float = 1.0
    scale_up: float = 1.0
    arrivals: float = 1.0


@dataclass(frozen=True)
class Scenario:
    """What the scenario file says.

    Attributes
    ----------
    name : str
    workers : dict of start, least, most
    scale_up : mean and standard deviation of the scaling time, s
    horizon, discount : of the systems
    trained, held_out : laws of arrivals that may and may not be learned from
    judged, log : numbers of workloads
    rollout : horizon and samples of a rollout, where its name does not say
    changes : dict of str to Change
    """

    name: str
    workers: dict[str, int]
    scale_up: tuple[float, float]
    horizon: int
    discount: float
    trained: tuple[str, ...]
    held_out: tuple[str, ...]
    judged: int
    log: int
    rollout: dict[str, int]
    changes: dict[str, Change]


@dataclass(frozen=True)
class LoggedQueue(QueueModel):
    """The sampled queue with what a log taught, and the log: a farm over past workloads."""

    log: Farm = field(default_factory=Farm, repr=False)


@cache
def load_serverless() -> Scenario:
    """Read the scenario file."""
    text = yaml.safe_load(
        (resources.files("netrollout.systems.serverless") / "scenario.yml").read_text(encoding="utf-8")
    )
    load = text["workload"]
    return Scenario(
        text["name"], text["workers"], tuple(text["scale_up"]), text["horizon"], text["discount"],
        tuple(load["trained"]), tuple(load["held_out"]), load["judged"], load["log"], text["rollout"],
        {name: Change(**factors) for name, factors in text["change"].items()},
    )  # fmt: skip


def plant(*, workload: Law = "published", phase: Phase = "before", change: Altered = "double") -> Farm:
    """Return what really happens in a phase.

    Parameters
    ----------
    workload : str
        Law of the arrivals.
    phase : str
    change : str
        ``double`` (service times), ``cold`` (slow starts) or ``rise`` (arrivals).
    """
    return farm_plant(workload, phase, change)


def model(
    *,
    phase: Phase = "before",
    change: Altered = "double",
    log: Literal["mixed", "published"] = "mixed",
    seed: int = 0,
    refit: int | None = None,
) -> LoggedQueue:
    """Return the model of a phase, learned from its own log; each seed and refit is another log.

    Parameters
    ----------
    phase, change
        As of `plant`.
    log : str
        Whether it was learned from all laws that may be learned from (``mixed``) or from the one of the ``published``
        farm, where every episode has the same phases.
    seed, refit
        Number of the log.
    """
    return farm_model(phase, change, log, seed, refit)


def outline() -> Farm:
    """Return a farm without drawing the judged workloads."""
    return Farm()


def farm_plant(workload: str, phase: str, change: str, workloads: int | None = None) -> Farm:
    """Return what really happens in a phase.

    Parameters
    ----------
    workload : str
        Law of the arrivals.
    phase, change : str
    workloads : int, optional
        How many are judged; the scenario's number where None.
    """
    number, factors = load_serverless().judged if workloads is None else workloads, _factors(phase, change)
    if not 1 <= number <= FIRST_OF_LOGS:
        raise InputError(f"serverless: {number} workloads; expected 1 to {FIRST_OF_LOGS}, whose seeds no log has")
    return _farm(_bank(((workload, tuple(range(number))),), factors), factors)


def farm_model(phase: str, change: str, log: str = "mixed", seed: int = 0, refit: int | None = None) -> LoggedQueue:
    """Return the model of a phase, learned from its own log; each seed and refit is another log.

    The order of the phases is learned where every episode of the log has the same, in ``published`` only.  The scaling
    time is learned from as many starts of workers as there are workloads.
    """
    return _model(_factors(phase, change), log, seed, refit)


@lru_cache(maxsize=64)
def _model(factors: Change, log: str, seed: int, refit: int | None) -> LoggedQueue:
    scenario = load_serverless()
    laws = scenario.trained if log == "mixed" else (log,)
    rng = spawn(seed, "farm log", 0 if refit is None else refit + 1)
    seeds = rng.integers(FIRST_OF_LOGS, SEEDS, size=(len(laws), scenario.log // len(laws)))
    chosen = tuple((law, tuple(row.tolist())) for law, row in zip(laws, seeds, strict=True))
    past = _farm(_bank(chosen, factors), factors)
    starts = durations(rng.random((scenario.log, 2)), past.scale_up)[:, 0]
    return LoggedQueue(
        learned(past.bank, schedule=log == "published"), past.reward, past.start, past.least, past.most,
        (float(starts.mean()), float(starts.std())), f"{scenario.name}-queue", past.discount, past.horizon, past,
    )  # fmt: skip


def fluid(model: QueueModel) -> FluidModel:
    """Return the fluid that believes the same as a sampled queue: the ablation."""
    return FluidModel(**{part.name: getattr(model, part.name) for part in fields(QueueModel) if part.name != "name"})


def _factors(phase: str, change: str) -> Change:
    return Change() if phase == "before" else load_serverless().changes[change]


def _farm(workloads: Bank, factors: Change) -> Farm:
    scenario = load_serverless()
    mean, deviation = scenario.scale_up
    start, least, most = (scenario.workers[key] for key in ("start", "least", "most"))
    return Farm(
        workloads, start=start, least=least, most=most, name=scenario.name, discount=scenario.discount,
        scale_up=(mean * factors.scale_up, deviation * factors.scale_up), horizon=scenario.horizon,
    )  # fmt: skip


@lru_cache(maxsize=32)
def _bank(chosen: tuple[tuple[str, tuple[int, ...]], ...], factors: Change) -> Bank:
    """Return the workloads of some laws and their seeds under a change."""
    phases = faster(PUBLISHED, factors.arrivals)
    seeds = [seed for _, row in chosen for seed in row]
    made = bank([LAWS[law](seed, phases) for law, row in chosen for seed in row], seeds)
    return Bank(made.arrival, made.service * factors.service, made.poll, made.begins)
