"""Policies of the allocation system by name; what a name means is said in `netrollout.makers`.

With 3,125 joint actions, a rollout tries some: the base's with one service changed, exchanges between two services, and
what the rules would do.

Batch letters: B lanes, C candidates, N services.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netrollout.makers import Worlds, make_policy, maker
from netrollout.policies import PolicyName
from netrollout.rollout import TruncatedRollout
from netrollout.rollout.candidates import Candidates
from netrollout.seeding import spawn
from netrollout.systems.allocation.dynamics import REACH, Allocation
from netrollout.systems.allocation.rules import DominantShare, Greedy, Lp, Proportional, Rule, Static, best_slots
from netrollout.types import InputError, Ints, Policy, State, System

ROOM = "allocation"
HORIZON, SAMPLES = 8, 32  # of a rollout, unless its name says otherwise; fixed on the days of calibration


def exchanges(rules: tuple[Rule, ...] = ()) -> Candidates:
    """Return the candidates: one service changed, exchanges between two, and the rules' actions."""

    def candidates(system: System, x: State, u: Ints, rng: np.random.Generator) -> Ints:
        one = np.eye(u.shape[1], dtype=np.int64)
        changes = [k * row for row in one for k in range(-2 * REACH, 2 * REACH + 1) if k]
        changes += [k * a - m * b for a in one for b in one if a is not b for k in (1, 2) for m in (1, 2)]
        tried = np.clip(u[:, None] + np.array(changes), 0, 2 * REACH)
        own = [np.asarray(rule.predict(system.observe(x))[0])[:, None] for rule in rules]
        return np.concatenate([tried, *own], axis=1)

    return candidates


def plain(head: str, kind: Callable[[Allocation], Policy]) -> None:
    """Register a rule that has no options."""

    def made(worlds: Worlds) -> Policy:
        return kind(worlds.base)

    maker(head, ROOM)(made)


plain("hold", Rule)
plain("static", lambda system: Static(system, best_slots(system)))
plain("proportional", Proportional)
plain("drf", DominantShare)
plain("priority", Greedy)


@maker("lp", ROOM)
def lp(worlds: Worlds, *, horizon: int = 8) -> Policy:
    """Plan the expected arrivals of some cycles by a linear programme on the base model."""
    return Lp(worlds.base, horizon)


@maker("rollout", ROOM)
def rollout(
    worlds: Worlds, inner: PolicyName, *, horizon: int = HORIZON, samples: int = SAMPLES, rules: bool = True
) -> Policy:
    """Improve a policy by rollout among exchanges and, unless told otherwise, the actions of three rules."""
    model = worlds.model
    own = (DominantShare(model), Lp(model, 1), Rule(model)) if rules else ()
    rng = spawn(worlds.seed, "rollout")
    return TruncatedRollout(model, make_policy(inner, worlds), rng, horizon, samples, candidates=exchanges(own))


@maker("optimal", ROOM)
@maker("oracle", ROOM)
def unknown(worlds: Worlds) -> Policy:
    """Refuse: nobody knows it."""
    raise InputError("policy optimal: the optimum is not known; `rules.known_arrivals` bounds it, lp plans ahead")
