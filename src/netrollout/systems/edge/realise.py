"""The edge by name: what happens there, and the model that a log teaches.

An operator is told prices, delays and losses; the pattern of the day, the spread of the loads, crowds, failures and
the network's slowness are learned.  The log load of a station is regressed on a constant and four harmonics of the day,
with the known pattern as a weak prior (a part of the day that was not seen keeps it); loads far above the fit are a
crowd, left out and fitted again.  A probability is a count, with a prior that is worth some cycles.

Batch letters: L cycles of a log, N stations, T cycles of a day.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Literal, NamedTuple

import numpy as np
import yaml

from netrollout.seeding import spawn
from netrollout.systems.edge.dynamics import DAY, RING, Edge, pattern
from netrollout.systems.edge.policies import Band
from netrollout.types import Bools, Floats, InputError, Ints, Phase, Policy

MOST = 128  # sites
HARMONICS, FITS = 4, 8
LOOSE = 0.3  # prior standard deviation of each coefficient of the log pattern
FAR = (2.5, 0.3)  # a crowd is further above the fit than so many deviations, and than this in the log
WORTH = {"crowd": 20.0, "failure": 100.0, "slow": 50.0}  # cycles that a prior probability counts for
LEARNED = ("table", "sigma", "crowd", "factor", "failure", "slow")
Altered = Literal["moved", "dear", "far", "lost"]


@cache
def load_edge() -> dict[str, Any]:
    """Read the scenario file."""
    text = (resources.files("netrollout.systems.edge") / "scenario.yml").read_text(encoding="utf-8")
    scenario: dict[str, Any] = yaml.safe_load(text)
    return scenario


def plant(*, sites: int = 4, phase: Phase = "before", change: Altered = "moved") -> Edge:
    """Return what really happens in a phase.

    Parameters
    ----------
    sites : int
        A multiple of four; a larger ring repeats the four sites.
    phase, change : str
        ``moved`` (users), ``dear`` (a site), ``far`` (delays) or ``lost`` (a site).

    Raises
    ------
    InputError
        If there is no ring of so many sites.
    """
    if sites % RING or not RING <= sites <= MOST:
        raise InputError(f"edge: sites={sites}; expected a multiple of {RING} from {RING} to {MOST}")
    edge, facts = Edge(), load_edge()["change"][change] if phase == "after" else {}
    four = {"slots": edge.slots, "start": edge.start, "price": facts.get("price", edge.price)}
    told: dict[str, Any] = {key: value for key, value in facts.items() if key != "rotate"}
    told |= {key: tuple(values) * (sites // RING) for key, values in four.items()}
    return replace(edge, table=pattern(sites, facts.get("rotate", 0)), **told)


def model(
    *, sites: int = 4, phase: Phase = "before", change: Altered = "moved", seed: int = 0, refit: int | None = None
) -> Edge:
    """Return the model of a phase: what is told, and what a log under the band rule teaches.

    Parameters
    ----------
    sites, phase, change
        As of `plant`.
    seed, refit
        Number of the log.
    """
    return _model(sites, phase, change if phase == "after" else "moved", seed, refit)


@lru_cache(maxsize=64)
def _model(sites: int, phase: Phase, change: Altered, seed: int, refit: int | None) -> Edge:
    real, days = plant(sites=sites, phase=phase, change=change), load_edge()["days"][phase]
    if phase == "after":
        before = _model(sites, "before", "moved", seed, refit)
        known = replace(real, **{name: getattr(before, name) for name in LEARNED})
    else:
        known = replace(real, table=np.full_like(real.table, real.table.mean()))  # nothing is known of the pattern
    rng = spawn(seed, "edge log", phase, 0 if refit is None else refit + 1)
    return learned(known, collect(real, Band(real), days, rng))


class Log(NamedTuple):
    """What was measured in each cycle."""

    phase: Ints  # (L,)
    load: Floats  # (L, N) requests/s
    down: Ints  # (L, 2) site that was down as the cycle began, and as it ended; -1 none
    slow: Ints  # (L, 2) whether the network was slow, likewise


def collect(system: Edge, policy: Policy, days: int, rng: np.random.Generator) -> Log:
    """Return the log of some days under a policy, one day after the other."""
    x, memory, states = system.initial(rng, 1), None, []
    for _ in range(days * DAY):
        states.append(x)
        u, memory = policy.predict(system.observe(x), memory, deterministic=True)
        x = system.step(x, u, rng).state
    phase, down, slow, load = (
        np.concatenate([getattr(y, name) for y in [*states, x]]) for name in ("phase", "down", "slow", "load")
    )
    return Log(phase[:-1], load[1:], np.stack([down[:-1], down[1:]], axis=1), np.stack([slow[:-1], slow[1:]], axis=1))


def learned(known: Edge, log: Log) -> Edge:
    """Return the known system with the pattern and the laws that a log teaches.

    Parameters
    ----------
    known : Edge
        What is told (prices, delays, a lost site), and the prior of what is learned.
    log : Log
        Of L >= 2 cycles.

    Raises
    ------
    InputError
        If the log is shorter.
    """
    if len(log.phase) < 2:
        raise InputError(f"{known.name}: a log of {len(log.phase)} cycles; expected 2 or more")
    fits = [_fit(known, log, station) for station in range(known.sites)]
    above, calm = np.stack([fit.rest for fit in fits], axis=1), np.stack([fit.calm for fit in fits], axis=1)
    crowded: Bools = ~np.asarray(calm.all(axis=1))
    crowds = above[~calm]
    return replace(
        known,
        table=np.stack([fit.mean for fit in fits], axis=1),
        sigma=float(above[calm].std()),
        crowd=_law(crowded[:-1], crowded[1:], known.crowd, WORTH["crowd"]),
        factor=float(np.exp(np.median(crowds))) if len(crowds) > 3 else known.factor,
        failure=_law(log.down[:, 0] >= 0, log.down[:, 1] >= 0, known.failure, WORTH["failure"]),
        slow=_law(log.slow[:, 0] > 0, log.slow[:, 1] > 0, known.slow, WORTH["slow"]),
    )


class _Fit(NamedTuple):
    mean: Floats  # (T,) mean load of every phase, requests/s
    rest: Floats  # (L,) log loads above the fit
    calm: Bools  # (L,) no crowd


def _design(phase: Ints, day: int) -> Floats:
    """Return a constant and the harmonics of a day, (L, 2 HARMONICS + 1)."""
    angle = 2.0 * np.pi * np.outer(phase, np.arange(HARMONICS + 1)) / day
    return np.concatenate([np.cos(angle), np.sin(angle[:, 1:])], axis=1)


def _fit(known: Edge, log: Log, station: int) -> _Fit:
    """Regress the log loads of a station, leaving crowds out."""
    whole, design = _design(np.arange(DAY), DAY), _design(log.phase, DAY)
    prior = np.linalg.lstsq(whole, np.log(known.table[:, station]) - known.sigma**2 / 2, rcond=None)[0]
    y, calm = np.log(log.load[:, station]), np.ones(len(log.phase), dtype=bool)
    weight = np.eye(len(prior)) * (max(known.sigma, 0.01) / LOOSE) ** 2
    for _ in range(FITS):
        x = design[calm]
        change = np.linalg.solve(x.T @ x + weight, x.T @ (y[calm] - x @ prior))
        rest = y - design @ (prior + change)
        middle = np.median(rest[calm])
        spread = 1.48 * np.median(np.abs(rest[calm] - middle))
        calm = rest < middle + max(FAR[0] * spread, FAR[1])
    return _Fit(np.exp(whole @ (prior + change) + rest[calm].var() / 2), rest, calm)


def _law(before: Bools, after: Bools, prior: tuple[float, float], worth: float) -> tuple[float, float]:
    """Return the probabilities that an event begins and that it ends."""
    begun, ended = (~before & after).sum(), (before & ~after).sum()
    counts = ((begun, (~before).sum()), (ended, before.sum()))
    begins, ends = (float((n + p * worth) / (of + worth)) for (n, of), p in zip(counts, prior, strict=True))
    return begins, ends


def residuals(model: Edge, log: Log) -> Floats:
    """Return the standardised log loads (L, N) of a log under a model, of a crowd or not, whichever is nearer."""
    sigma = max(model.sigma, 0.01)
    z: Floats = (np.log(log.load / model.table[log.phase]) + sigma**2 / 2) / sigma
    crowded = z - np.log(model.factor) / sigma
    return np.where(np.abs(z) <= np.abs(crowded), z, crowded)
