"""`netrollout evaluate` and `netrollout compare`: one policy, or several on the same episodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from netrollout.cli.common import (
    JsonFile,
    Load,
    Seeds,
    Settings,
    System,
    estimate_record,
    parse_settings,
    planned,
    printer,
    show,
    working,
    write_json,
)
from netrollout.types import InputError

if TYPE_CHECKING:
    from netrollout.evaluate import Estimate
    from netrollout.experiment import Table as Judgement

HOW = "bootstrap over {n} paired episodes; one policy"


def judged(
    system: str, policies: Sequence[str], settings: Sequence[str] | None, seeds: int
) -> tuple[list[str], Judgement]:
    """Judge each policy on the same episodes, seeds 0 .. seeds - 1; return canonical names and a row for each number.

    Raises
    ------
    InputError
        If a name or an option is unknown; all are checked before anything is planned.
    """
    from netrollout import experiment
    from netrollout.catalog import world
    from netrollout.family import family_named
    from netrollout.makers import resolved
    from netrollout.policies import PolicyName

    parsed = [PolicyName.parse(text) for text in policies]
    for name in parsed:
        resolved(name, family_named(system))
    names = [str(name) for name in parsed]
    with working(f"{', '.join(names)} on {system}"):
        worlds = world(system, **parse_settings(settings))
        return names, experiment.run(lambda: worlds, dict(enumerate(names)), experiment.episodes(range(seeds)))


def estimates(table: Judgement, row: int) -> dict[str, Estimate]:
    """Return every measure of a row but for what computing cost."""
    from netrollout.experiment import COST

    return {m: table.estimate(m, row) for m in table.values[row] if m not in COST}


def _unit_of(system: str) -> Callable[[str], str]:
    """Return what says the unit of a system's measure."""
    from netrollout.family import family_named

    return family_named(system).unit


def records(system: str, found: dict[str, Estimate], seeds: int) -> dict[str, Any]:
    """Return estimates in the form of the results files."""
    unit = _unit_of(system)
    return {k: estimate_record(e, unit(k), HOW.format(n=seeds)) for k, e in found.items()}


def evaluate(
    system: System,
    policy: Annotated[str, typer.Argument(metavar="POLICY", help="Such as static, optimal, 'rollout(ppo)'.")],
    settings: Settings = None,
    seeds: Seeds = 20,
    json: JsonFile = None,
    load: Load = None,
) -> None:
    """Plan or train a policy on the system's model and judge it on the plant."""
    [name], judgement = judged(system, [policy], settings, seeds)
    found, unit = estimates(judgement, 0), _unit_of(system)
    table = Table("measure", "value [95 % interval]", "unit", title=f"{name} on {system}", caption=planned([name]))
    for measure, estimate in found.items():
        table.add_row(measure, show(estimate), unit(measure))
    printer(json).print(table)
    write_json(json, {"schema": 1, "system": system, "policy": name, "options": parse_settings(settings),
                      "seeds": list(range(seeds)), "values": records(system, found, seeds)})  # fmt: skip


def compare(
    system: System,
    policies: Annotated[list[str], typer.Argument(metavar="POLICY POLICY ...", help="The first is the reference.")],
    settings: Settings = None,
    seeds: Seeds = 20,
    json: JsonFile = None,
    load: Load = None,
) -> None:
    """Compare policies on paired episodes; differences are against the first."""
    if len(policies) < 2:
        raise InputError(f"compare needs at least two policies; got {policies[0]!r} only")
    names, judgement = judged(system, policies, settings, seeds)
    parts = [estimates(judgement, row) for row in range(len(names))]
    measures = [name for name in ("mean_reward", "violation") if name in parts[0]]
    table = Table("policy", "return", f"return - that of {names[0]}", *measures,
                  title=f"{system}, {seeds} paired episodes, 95 % intervals", caption=planned(names))  # fmt: skip
    record = {}
    for row, name in enumerate(names):
        difference = judgement.estimate("return", row, minus=0)
        table.add_row(name, show(parts[row]["return"]), show(difference) if row else "",
                      *(show(parts[row][measure]) for measure in measures))  # fmt: skip
        paired = estimate_record(difference, "reward", f"paired, {HOW.format(n=seeds)}")
        record[name] = records(system, parts[row], seeds) | {"difference": paired}
    printer(json).print(table)
    write_json(json, {"schema": 1, "system": system, "reference": names[0], "policies": record,
                      "options": parse_settings(settings), "seeds": list(range(seeds))})  # fmt: skip
