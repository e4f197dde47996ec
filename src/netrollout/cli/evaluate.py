"""`netrollout evaluate`: one policy on one system."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from netrollout.catalog.judge import HOW, UNITS, judge
from netrollout.cli.common import JsonFile, Seeds, Settings, estimate_record, parse_settings, printer, show, write_json

System = Annotated[str, typer.Argument(metavar="SYSTEM", help="A name that `netrollout systems` lists.")]


def evaluate(
    system: System,
    policy: Annotated[str, typer.Argument(metavar="POLICY", help="Such as static, optimal, 'rollout(ppo)'.")],
    settings: Settings = None,
    seeds: Seeds = 20,
    json: JsonFile = None,
) -> None:
    """Plan or train a policy on the system's model and judge it on the plant."""
    [result] = judge(system, [policy], parse_settings(settings), seeds)
    table = Table("measure", "value [95 % interval]", "unit", title=f"{result.policy} on {system}")
    for name, estimate in result.estimates.items():
        table.add_row(name, show(estimate), UNITS.get(name, "s"))
    printer(json).print(table)
    values = {k: estimate_record(e, UNITS.get(k, "s"), HOW.format(n=seeds)) for k, e in result.estimates.items()}
    write_json(json, {"schema": 1, "system": system, "policy": result.policy, "options": parse_settings(settings),
                      "seeds": list(range(seeds)), "values": values})  # fmt: skip
