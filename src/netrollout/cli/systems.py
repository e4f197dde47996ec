"""`netrollout systems`: what can be made."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table


def systems() -> None:
    """List the systems with their controls, states and joint actions."""
    from netrollout.catalog import describe
    from netrollout.family import names

    table = Table("system", "what it is", "controls", "states", "joint actions")
    for name in names():
        entry = describe(name)
        table.add_row(name, entry.summary, entry.controls, str(entry.states or "not listed"), str(entry.actions))
    Console().print(table)
