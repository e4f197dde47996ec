"""`netrollout compare`: several policies on the same episodes."""

from __future__ import annotations

from typing import Annotated

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
    write_json,
)
from netrollout.cli.evaluate import HOW, estimates, judged, records
from netrollout.types import InputError


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
