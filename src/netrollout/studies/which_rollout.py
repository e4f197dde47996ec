"""Rows of chapter 6's comparisons that no name says: kinds of exact rollout on S1, S4's bound, rollouts on a fleet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from netrollout.catalog import Worlds, policy_table
from netrollout.dp import MDP
from netrollout.experiment import Row, Values
from netrollout.policies import RandomPolicy
from netrollout.rollout import MultiagentRollout, TruncatedRollout, fortified_table, multiagent_table, rollout_table
from netrollout.seeding import spawn
from netrollout.systems.fleet import Alone, Fleet
from netrollout.systems.queues.lattice import relaxation_bound

FLEET_HORIZON, FLEET_SAMPLES = 10, 8
MOST_JOINT = 4  # components up to which all joint actions are compared
Kind = Callable[[MDP, Any, Any], Any]  # of a model, its levels and a base's table: a table


def exact_rollouts(bases: Mapping[str, Row], lookaheads: Sequence[int]) -> dict[tuple[str, str], Row]:
    """Return every kind of exact rollout around every base, planned on the model, as rows (base, kind).

    Parameters
    ----------
    bases : mapping of str to a name, or to a function from worlds to a table over the model's states
    lookaheads : sequence of int
        The deepest is that of the plan that is fortified; a base of probabilities is not.

    Returns
    -------
    dict of (base, kind) to row
        ``kind`` is ``base`` for the base itself.
    """
    kinds: dict[str, Kind] = {"base": lambda mdp, levels, base: base}
    kinds |= {f"l = {steps}": _ahead(steps) for steps in lookaheads}
    kinds["multi-agent"] = multiagent_table
    kinds["autonomous"] = lambda mdp, levels, base: multiagent_table(mdp, levels, base, autonomous=True)
    kinds["multi-agent, fortified"] = lambda mdp, levels, base: fortified_table(
        mdp, base, multiagent_table(mdp, levels, base, lookahead=max(lookaheads))
    )
    return {(name, kind): _planned(base, kinds[kind]) for name, base in bases.items() for kind in kinds}


def _ahead(steps: int) -> Kind:
    return lambda mdp, levels, base: rollout_table(mdp, base, lookahead=steps)


def _planned(base: Row, kind: Kind) -> Row:
    def row(worlds: Worlds) -> Any:
        table = policy_table(base, worlds) if isinstance(base, str) else base(worlds)
        return kind(_process(worlds.model), worlds.model.levels, table)

    return row


@lru_cache(maxsize=1)  # all rows of a cell plan on one model
def _process(system: Any) -> MDP:
    return MDP.from_system(system)


def bound(seeds: Sequence[int]) -> Row:
    """Return the row of what nobody on S4 exceeds in the episodes of these seeds: rewards alone."""

    def row(worlds: Worlds) -> Values:
        return {"mean_reward": relaxation_bound(worlds.plant, seeds, discount=1.0) / worlds.plant.horizon}

    return row


def fleet(components: int, decisions: int, seed: int) -> Worlds:
    """Return worlds of a fleet of queues: it is planned and judged on one system, episodes of `decisions` cycles."""
    system = Fleet(components=components, horizon=decisions)
    return Worlds(system, system, system, seed)


def fleet_rows(components: int) -> dict[str, Row]:
    """Return joint, multi-agent and autonomous rollout and their base; joint up to `MOST_JOINT` components."""
    rows: dict[str, Row] = {
        "random": lambda worlds: RandomPolicy(worlds.plant, spawn(worlds.seed, "random")),
        "alone (base)": lambda worlds: Alone(worlds.plant),
        "multi-agent": _around(MultiagentRollout, "multi-agent"),
        "autonomous": _around(MultiagentRollout, "autonomous", autonomous=True),
        "joint": _around(TruncatedRollout, "joint"),
    }
    return {name: row for name, row in rows.items() if name != "joint" or components <= MOST_JOINT}


def _around(kind: Any, stream: str, **how: Any) -> Row:
    def row(worlds: Worlds) -> Any:
        rng = spawn(worlds.seed, stream)
        return kind(worlds.model, Alone(worlds.model), rng, FLEET_HORIZON, FLEET_SAMPLES, **how)

    return row
