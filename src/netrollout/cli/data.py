"""`netrollout data`: the traces that are shipped, those that can be fetched, and checking one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Traces: list, fetch and check them.")


@app.command("list")
def list_() -> None:
    """List the shipped traces and the files that can be fetched."""
    from rich.console import Console
    from rich.table import Column, Table

    from netrollout.traces.fetching import registry
    from netrollout.traces.shipping import present

    table = Table(Column("name", no_wrap=True), "kind", "present", "size", "licence")
    for name, size in present().items():
        table.add_row(name, "shipped", "yes", _size(size), "CC BY 4.0")
    for entry in registry().values():
        here = "yes" if entry.path.is_file() else "no"
        table.add_row(entry.name, f"fetch ({entry.collection})", here, _size(entry.size), entry.licence)
    Console().print(table)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="a name of `netrollout data list`, or a collection such as kth")],
    source: Annotated[
        Path | None, typer.Option("--from", help="take the files from this folder, whatever they are called")
    ] = None,
) -> None:
    """Fetch a published file into $NETROLLOUT_DATA (or the user's cache); its sha256 is enforced."""
    from netrollout.traces import fetch as fetch_files

    for path in fetch_files(name, source):
        print(path)


@app.command()
def check(file: Annotated[Path, typer.Argument(help="a trace, .csv or .csv.gz")]) -> None:
    """Check a trace and say what it holds."""
    from netrollout.traces import check_trace

    report = check_trace(file)
    mean, largest = report.foreign_cpu
    again = "unknown" if report.remeasured is None else report.remeasured
    print(f"{file}: good")
    print(f"rows {report.rows}, visits {report.visits}, configurations {report.configurations}")
    print(f"services {', '.join(report.services)}; nodes {', '.join(map(str, report.nodes))}")
    print(f"rows with a fault {report.faults}, windows measured again {again}")
    print(f"foreign CPU: mean {mean:.3f}, largest {largest:.3f} cores")


def _size(size: int) -> str:
    return f"{size / 1e6:.2f} MB"
