"""`netrollout compare`: several policies on the same episodes."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from netrollout.catalog.judge import HOW, UNITS, judge
from netrollout.cli.common import JsonFile, Seeds, Settings, estimate_record, parse_settings, printer, show, write_json
from netrollout.cli.evaluate import System
from netrollout.evaluate import bootstrap
from netrollout.types import InputError


def compare(
    system: System,
    policies: Annotated[list[str], typer.Argument(metavar="POLICY POLICY ...", help="The first is the reference.")],
    settings: Settings = None,
    seeds: Seeds = 20,
    json: JsonFile = None,
) -> None:
    """Compare policies on paired episodes; differences are against the first."""
    if len(policies) < 2:
        raise InputError(f"compare needs at least two policies; got {policies[0]!r} only")
    results = judge(system, policies, parse_settings(settings), seeds)
    measures = [name for name in ("mean_reward", "violation") if name in results[0].estimates]
    table = Table("policy", "return", f"return - that of {results[0].policy}", *measures,
                  title=f"{system}, {seeds} paired episodes, 95 % intervals")  # fmt: skip
    record = {}
    for result in results:
        difference = bootstrap(result.returns - results[0].returns)
        parts = result.estimates
        table.add_row(result.policy, show(parts["return"]), show(difference) if result is not results[0] else "",
                      *(show(parts[name]) for name in measures))  # fmt: skip
        how = HOW.format(n=seeds)
        record[result.policy] = {k: estimate_record(e, UNITS.get(k, "s"), how) for k, e in parts.items()}
        record[result.policy]["difference"] = estimate_record(difference, "reward", f"paired, {how}")
    printer(json).print(table)
    write_json(json, {"schema": 1, "system": system, "reference": results[0].policy, "policies": record,
                      "options": parse_settings(settings), "seeds": list(range(seeds))})  # fmt: skip
