"""`netrollout systems` and `netrollout policies`: what can be made, and what a policy may be called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_args

from rich.console import Console
from rich.table import Table

from netrollout.cli.common import Load, System


def systems() -> None:
    """List the systems with their controls, states and joint actions."""
    from netrollout.catalog import describe
    from netrollout.family import names

    table = Table("system", "what it is", "controls", "states", "joint actions")
    for name in names():
        entry = describe(name)
        table.add_row(name, entry.summary, entry.controls, str(entry.states or "not listed"), str(entry.actions))
    Console().print(table)


def policies(system: System, load: Load = None) -> None:
    """List the names of policies that a system has, their options and what these are by default."""
    from netrollout.family import family_named
    from netrollout.makers import acts, makers_of

    table = Table("policy", "options and defaults", "what it does", title=f"policies of {system}")
    for head, function in sorted(makers_of(family_named(system)).items()):
        about = (inspect.getdoc(function) or "").partition("\n\n")[0]
        table.add_row(f"{head}(POLICY)" if acts(function) else head, _options(function), " ".join(about.split()))
    console = Console()
    console.print(table)
    console.print(f"--set of {system}: {_settings(system)}", markup=False, highlight=False)


def _settings(system: str) -> str:
    """Return what --set may say of a system; of a choice, all there is to choose."""
    from netrollout.family import family_named
    from netrollout.naming import options_of

    realise = family_named(system).part("realise")
    sides = [getattr(realise, side) for side in ("plant", "model") if hasattr(realise, side)]
    options = {"discount": float, "horizon": int} | {k: v for side in sides for k, v in options_of(side).items()}
    kinds = {key: [a for a in get_args(kind) if isinstance(a, str)] for key, kind in options.items()}
    return ", ".join(f"{key}={'|'.join(choices)}" if choices else key for key, choices in kinds.items())


def _options(function: Callable[..., Any]) -> str:
    """Return the options of a maker as they are written; one without a default is decided by the system."""
    words = inspect.signature(function).parameters.values()
    named = [p.name if p.default in (None, "") else f"{p.name}={str(p.default).lower()}"
             for p in words if p.kind is p.KEYWORD_ONLY]  # fmt: skip
    return ", ".join([*named, *("CONTROL=VALUE" for p in words if p.kind is p.VAR_KEYWORD)])
