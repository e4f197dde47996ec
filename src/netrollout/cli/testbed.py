"""`netrollout testbed`: run the live mesh, or measure a plan on it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from netrollout.cli.common import notice, target
from netrollout.places import read_numbers
from netrollout.testbed.settings import LONGEST
from netrollout.types import InputError

app = typer.Typer(no_args_is_help=True, help="The live testbed: Envoy, two processing nodes, a load generator.")

Pairs = list[str]
FORM = "name=number"
PriorityOption = Annotated[
    str, typer.Option("--priority", help="realtime where it may be had (root or CAP_SYS_NICE), or normal.")
]


def settled(priority: str) -> str:
    """Return the priority that the testbed gets, with a notice where it is not the one asked for."""
    from netrollout.testbed.priority import obtained

    got = obtained(priority)
    if got != priority:
        notice("real-time priority may not be had (root or CAP_SYS_NICE); at normal priority other work disturbs")
    return got


@app.command()
def up(
    load: Annotated[Pairs, typer.Option(help="arrival rate, service=req/s")] = ["compute=25"],  # noqa: B006
    demand: Annotated[Pairs, typer.Option(help="mean demand, service=CPU s")] = ["compute=0.008"],  # noqa: B006
    p: Annotated[Pairs, typer.Option(help="routing weight to node 1, service=share")] = [],  # noqa: B006
    b: Annotated[Pairs, typer.Option(help="blocking rate, service=share")] = [],  # noqa: B006
    c: Annotated[Pairs, typer.Option(help="workers, node=number")] = [],  # noqa: B006
    window: Annotated[float, typer.Option(help="length of a window, s")] = 2.0,
    priority: PriorityOption = "realtime",
) -> None:
    """Run the mesh until Ctrl-C and show its settings and live response times."""
    from rich.live import Live

    from netrollout.testbed import Mesh

    rates, means = read_numbers(load, "--load", FORM), read_numbers(demand, "--demand", FORM)
    if missing := set(rates) - set(means):
        raise InputError(f"--demand is missing for {', '.join(sorted(missing))}")
    workers: Any = {int(k) if k.isdecimal() else k: n for k, n in read_numbers(c, "--c", FORM).items()}
    if not 0.0 < window <= LONGEST:
        raise InputError(f"--window {window:g}: expected more than 0 s and at most {LONGEST:g} s")
    try:
        with Mesh(means, priority=settled(priority)) as mesh, Live(auto_refresh=False) as live:
            mesh.set(read_numbers(p, "--p", FORM), read_numbers(b, "--b", FORM), workers)
            mesh.load(rates)
            while True:
                live.update(_table(mesh.services, mesh.window(window)), refresh=True)
    except KeyboardInterrupt:
        print("stopped")


def _table(services: tuple[str, ...], row: dict[str, Any]) -> Any:
    from rich.table import Table

    def ms(seconds: float | None) -> str:
        return "-" if seconds is None else f"{1000 * seconds:.0f}"

    workers = ", ".join(f"node {k}: c = {row[f'c_{k}']}, busy {row[f'busy_{k}']:.0%}" for k in (1, 2))
    title = f"t = {row['t']:.0f} s   {workers}   others' CPU {row['foreign_cpu']:.2f} cores"
    table = Table(title=title, caption=row["fault"] or "Ctrl-C stops the mesh")
    names = ["service", "p", "b", "load (req/s)", "admitted (req/s)", "mean (ms)", "p90 (ms)", "p99 (ms)", "timeouts"]
    for name in names:
        table.add_column(name, justify="left" if name == "service" else "right")
    for s in services:
        settings = [f"{row[f'p_{s}']:.2f}", f"{row[f'b_{s}']:.2f}"]
        rates = [f"{row[f'l_{s}']:.1f}", f"{row[f'cl_{s}']:.1f}"]
        delays = [ms(row[f"d_{s}{suffix}"]) for suffix in ("", "_p90", "_p99")]
        table.add_row(s, *settings, *rates, *delays, str(row[f"timeout_{s}"]))
    return table


@app.command()
def collect(
    plan: Annotated[Path, typer.Option(help="YAML file of the plan")],
    out: Annotated[Path, target("--out", "trace to write, .csv or .csv.gz")],
    priority: PriorityOption = "realtime",
) -> None:
    """Measure a plan into a trace; run again after an interruption, it goes on where it was."""
    from rich import progress as bars

    from netrollout.testbed import Plan
    from netrollout.testbed import collect as measure

    columns = [bars.TextColumn("visits"), bars.BarColumn(), bars.MofNCompleteColumn(), bars.TimeRemainingColumn()]
    parsed, got = Plan.read(plan), settled(priority)
    try:
        with bars.Progress(*columns, bars.TextColumn("left"), speed_estimate_period=3600) as bar:
            task = bar.add_task("visits", total=None)
            measure(parsed, out, lambda done, total: bar.update(task, completed=done, total=total), got)
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on where it was ({out}.part)", file=sys.stderr)
        raise typer.Exit(130) from None
    print(f"{out}: {parsed.visits * len(parsed.configurations)} visits of {parsed.windows} windows")


@app.command()
def campaign(
    plan: Annotated[Path, typer.Option(help="YAML file of the runs")],
    out: Annotated[Path, typer.Option(help="folder of the logs, one per run")],
) -> None:
    """Run closed loops on the live mesh, one log each; run again after an interruption, it goes on where it was."""
    from netrollout.testbed.processes import guarded
    from netrollout.testbed.runs import done, read_runs

    runs, failed = read_runs(plan), []
    out.mkdir(parents=True, exist_ok=True)
    for number, run in enumerate(runs, 1):
        have = done(out / run.log)
        if have >= run.cycles:
            continue
        if have < 0:
            (out / run.log).unlink(missing_ok=True)  # killed before its header was whole
        notice(f"run {number} of {len(runs)}: {run.log}" + (f", from cycle {have}" if have >= 0 else ""))
        code = subprocess.call(guarded(run.command(out, have >= 0)), stdout=subprocess.DEVNULL)
        if code in (130, -signal.SIGINT, -signal.SIGTERM):
            notice("stopped; the same command goes on where it was")
            raise typer.Exit(130)
        failed += [run.log] * (code != 0)
    if failed:
        notice(f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}; the same command tries them again")
        raise typer.Exit(1)
    print(f"{out}: {len(runs)} runs")
