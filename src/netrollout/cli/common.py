"""What the sub-commands share: options as key=value, seeds, estimates in print and in JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from netrollout.evaluate import Estimate
from netrollout.types import InputError

Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Option of the system; may be repeated.")
]
Seeds = Annotated[int, typer.Option("--seeds", min=1, help="Number of paired episodes, seeds 0 .. N-1.")]


def _writable(path: Path | None) -> Path | None:
    """Refuse a file that cannot be written before the work begins."""
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise InputError(f"--json {path}: {'is a folder' if path.is_dir() else 'its folder does not exist'}; {A_FILE}")
    return path


A_FILE = "give a file in a folder that exists"
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Also write the numbers here.", callback=_writable)
]


def parse_settings(settings: Sequence[str] | None) -> dict[str, str]:
    """Return KEY=VALUE texts as a dictionary.

    Raises
    ------
    InputError
        If one has no ``=`` or a key comes twice.
    """
    options: dict[str, str] = {}
    for text in settings or ():
        key, separator, value = text.partition("=")
        if not separator or not key or not value:
            raise InputError(f"--set {text}: expected KEY=VALUE, such as --set phase=after")
        if key in options:
            raise InputError(f"--set {key}: given twice")
        options[key] = value
    return options


def estimate_record(estimate: Estimate, unit: str, how: str) -> dict[str, Any]:
    """Return an estimate in the form of the results files."""
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "level": estimate.level,
        "n": estimate.n,
        "unit": unit,
        "how": how,
    }


def show(estimate: Estimate) -> str:
    """Print a number with its interval."""
    return f"{estimate.value:.4g} [{estimate.low:.4g}, {estimate.high:.4g}]"


def write_json(path: Path | None, record: dict[str, Any]) -> None:
    """Write a record, whole or not at all.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written.
    """
    if path is None:
        return
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"--json {path}: {error.strerror}; {A_FILE}") from None


def notice(message: str) -> None:
    """Tell the reader something that is no result (standard error)."""
    Console(file=sys.stderr, highlight=False).print(message, markup=False)
