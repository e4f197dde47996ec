"""The one table, and the JSON behind it."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table

from benchmarks.clock import Row, spread
from netrollout.results import SCHEMA, encode, provenance
from netrollout.store import write_file

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))
COLUMNS = ("section", "what", "peer", "ours", "peer's", "peer / ours: median [min, max]", "acceptance", "met")


def show(rows: list[Row], console: Console) -> None:
    """Print the table; below it how equal work was made sure of, what is behind a time, and what was not run."""
    table = Table(*COLUMNS, title="How many times longer the peer takes (one thread each, pairs in one process)")
    for number, row in enumerate(rows):
        table.add_row(*cells(row), end_section=number + 1 < len(rows) and rows[number + 1].section != row.section)
    console.print(table)
    for row in rows:
        told = row.checked if row.not_run is None else f"not run: {row.not_run}"
        if told:
            console.print(f"{row.section}, {row.name}: {told}", markup=False, highlight=False)


def cells(row: Row) -> list[str]:
    """Return the texts of a row, in the order of `COLUMNS`."""
    if row.not_run is not None:
        return [
            row.section,
            row.name,
            row.peer or "",
            "not run",
            "not run",
            f"not run: {row.not_run}",
            acceptance(row),
            "",
        ]
    ratios = ""
    if row.unit and row.theirs:
        ratios = f"{fmean(row.theirs) / max(fmean(row.ours), 1e-12):.3g}x of the means"
    elif row.ratios:
        ratio = spread(row.ratios)
        ratios = f"{times(ratio['median'])} [{times(ratio['min'])}, {times(ratio['max'])}]"
    met = {None: "", True: "yes", False: "NO"}[row.met]
    peers = amount(row, row.theirs) if row.theirs else ""
    return [row.section, row.name, row.peer or "", amount(row, row.ours), peers, ratios, acceptance(row), met]


def acceptance(row: Row) -> str:
    """Return what the row has to reach."""
    if row.floor is not None:
        return f"at least {times(row.floor)}"
    if row.most is not None:
        return f"ours at most {times(row.most)} + {row.apart:g}"
    if row.ceiling is None:
        return ""
    return f"ours at most {f'{row.ceiling:.3g}' if row.unit else duration(row.ceiling)}"


def amount(row: Row, seconds: list[float]) -> str:
    """Return the median time of an item, or the items per second; the mean where no time is compared."""
    if row.unit:
        return f"{fmean(seconds):.4f} {row.unit}"
    median = spread(seconds)["median"]
    return f"{1 / median:,.0f} {row.item}s/s" if row.rate else duration(median)


def duration(seconds: float) -> str:
    """Return a time in a unit that suits it."""
    size, unit = next((pair for pair in UNITS if seconds >= pair[0]), UNITS[-1])
    return f"{seconds / size:.3g} {unit}"


def times(ratio: float) -> str:
    """Return a ratio with three digits or as a whole number."""
    return f"{ratio:,.0f}x" if ratio >= 100 else f"{ratio:.3g}x"


def write(rows: list[Row], path: Path, options: dict[str, object]) -> None:
    """Write every repetition of every row, whole or not at all."""
    record = {
        "schema": SCHEMA,
        "ran": datetime.now(UTC).isoformat(timespec="seconds"),
        "parameters": options,
        "provenance": provenance({}),
        "python": platform.python_version(),
        "rows": [row.record() for row in rows],
        "not_run": {f"{row.section}: {row.name} ({row.peer})": row.not_run for row in rows if row.not_run},
        "tables": {"benchmarks": {"columns": list(COLUMNS), "rows": [cells(row) for row in rows]}},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, encode(record))
