"""The allocation system by name: what happens there, and the model that a log teaches.

Bundles, capacities, priorities and the law of bursts are told; arrivals and failures are learned.  Counts of jobs are
regressed on a constant and one wave of the day, which give mean, swing and peak; a probability of failures is a count,
with a prior that is worth some cycles.

Batch letters: L cycles of a log, N services, R resources.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Literal, NamedTuple

import numpy as np
import yaml

from netrollout.seeding import spawn
from netrollout.systems.allocation.dynamics import DAY, Allocation
from netrollout.systems.allocation.rules import Proportional
from netrollout.types import Floats, InputError, Ints, Phase, Policy

WORTH = (200.0, 30.0)  # cycles that a prior probability of a failure counts for, and of a repair
SWING = 0.95  # at most
LEARNED = ("mean", "swing", "peak", "failure")
Altered = Literal["heavier", "halved", "swapped"]


@cache
def load_allocation() -> dict[str, Any]:
    """Read the scenario file."""
    text = (resources.files("netrollout.systems.allocation") / "scenario.yml").read_text(encoding="utf-8")
    scenario: dict[str, Any] = yaml.safe_load(text)
    return scenario


def plant(*, phase: Phase = "before", change: Altered = "heavier", setup: int = 1) -> Allocation:
    """Return what really happens in a phase.

    Parameters
    ----------
    phase, change : str
        ``heavier`` (bundles of service 3), ``halved`` (bandwidth) or ``swapped`` (priorities).
    setup : int
        Cycles until a new slot serves, 0 or 1.
    """
    facts = load_allocation()["change"][change] if phase == "after" else {}
    return Allocation(setup=setup, **{name: _frozen(value) for name, value in facts.items()})


def _frozen(value: Any) -> Any:
    """Return lists as tuples."""
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value


def model(
    *, phase: Phase = "before", change: Altered = "heavier", setup: int = 1, seed: int = 0, refit: int | None = None
) -> Allocation:
    """Return the model of a phase: what is told, and what a log under the demand-proportional rule teaches.

    Parameters
    ----------
    phase, change, setup
        As of `plant`.
    seed, refit
        Number of the log.
    """
    return _model(phase, change if phase == "after" else "heavier", setup, seed, refit)


@lru_cache(maxsize=64)
def _model(phase: Phase, change: Altered, setup: int, seed: int, refit: int | None) -> Allocation:
    real, days = plant(phase=phase, change=change, setup=setup), load_allocation()["days"][phase]
    known = real
    if phase == "after":
        before = _model("before", "heavier", setup, seed, refit)
        known = replace(real, **{name: getattr(before, name) for name in LEARNED})
    rng = spawn(seed, "allocation log", phase, 0 if refit is None else refit + 1)
    return learned(known, collect(real, Proportional(known), days, rng))


class Log(NamedTuple):
    """What was measured in each cycle."""

    phase: Ints  # (L,)
    came: Ints  # (L, N) jobs
    failed: Ints  # (L, 2, R) which resources had failed as the cycle began, and as it ended


def collect(system: Allocation, policy: Policy, days: int, rng: np.random.Generator) -> Log:
    """Return the log of some days under a policy, one day after the other."""
    x, memory, states = system.initial(rng, 1), None, []
    for _ in range(days * DAY):
        states.append(x)
        u, memory = policy.predict(system.observe(x), memory, deterministic=True)
        x = system.step(x, u, rng).state
    phase, came, failed = (
        np.concatenate([getattr(y, name) for y in [*states, x]]) for name in ("phase", "came", "failed")
    )
    return Log(phase[:-1], came[1:], np.stack([failed[:-1], failed[1:]], axis=1))


def learned(known: Allocation, log: Log) -> Allocation:
    """Return the known system with the arrivals and failures that a log teaches.

    Parameters
    ----------
    known : Allocation
        What is told, and the prior of the failures.
    log : Log
        Of half a day or more.

    Raises
    ------
    InputError
        If the log is shorter.
    """
    if len(log.phase) < DAY // 2:
        raise InputError(f"{known.name}: a log of {len(log.phase)} cycles; expected {DAY // 2} or more")
    (begins, ends), (calm, bursting) = known.burst, known.factors
    usual = (begins * bursting + ends * calm) / (begins + ends)
    wave = np.linalg.lstsq(_design(log.phase), log.came.astype(np.float64), rcond=None)[0]
    level = np.maximum(wave[0], 0.01)
    before, after = log.failed[:, 0] > 0, log.failed[:, 1] > 0
    counts = (((~before & after).sum(), (~before).sum()), ((before & ~after).sum(), before.sum()))
    fails, repairs = (
        float((n + p * worth) / (of + worth)) for (n, of), p, worth in zip(counts, known.failure, WORTH, strict=True)
    )
    return replace(
        known,
        mean=tuple((level / usual).tolist()),
        swing=tuple(np.minimum(np.hypot(wave[1], wave[2]) / level, SWING).tolist()),
        peak=tuple((np.arctan2(wave[2], wave[1]) / (2 * np.pi) * 24.0 % 24.0).tolist()),
        failure=(fails, repairs),
    )


def _design(phase: Ints) -> Floats:
    """Return a constant and a wave of the day, (L, 3)."""
    angle = 2.0 * np.pi * phase / DAY
    return np.column_stack([np.ones_like(angle), np.cos(angle), np.sin(angle)])
