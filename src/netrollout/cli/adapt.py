"""`netrollout adapt`: the closed loop, live to watch, every cycle in a log."""

from __future__ import annotations

import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netrollout.cli.common import MOST, JsonFile, notice, target
from netrollout.seeding import SEEDS
from netrollout.types import InputError

if TYPE_CHECKING:
    from netrollout.adapt import Controller, Plant, Record
    from netrollout.loop import ClosedLoop

PLANTS = ("simulator", "testbed", "trace")
OWN_PLANTS = ("kubernetes", "prometheus", "command")  # with --spec and --trace
OF_THE_LOOP = (
    "plant",
    "scenario",
    "policy",
    "explore",
    "cycles",
    "change_at",
    "log",
    "resume",
    "foreign_limit",
    "priority",
)
OF_EVERY_LOOP = ("plant", "cycles", "log", "resume")
SHOWN = 12  # cycles in the live view


def adapt(
    context: typer.Context,
    plant: Annotated[
        str, typer.Option("--plant", help=f"One of {', '.join(PLANTS)}; with --spec {', '.join(OWN_PLANTS)}.")
    ] = "simulator",
    scenario: Annotated[
        str, typer.Option("--scenario", help="S2, S2-slow, S2-kill, S3, release, S4, S5, mesh-s4-heavier, ..")
    ] = "S2",
    policy: Annotated[
        str,
        typer.Option(
            "--policy",
            help="none, static, static-new, hpa, base, retrain, walk, dp, rollout-1, rollout, constrained, "
            "rollout-true or optimum; on S5 unadapted, walk, hpa, predictive, rollout, mpc, static or a policy's name.",
        ),
    ] = "rollout",
    explore: Annotated[str, typer.Option("--explore", help="none, epsilon, optimism or thompson.")] = "none",
    cycles: Annotated[int | None, typer.Option("--cycles", min=1, max=MOST, help="In all; 150, on S5 144.")] = None,
    change_at: Annotated[
        int | None, typer.Option("--change-at", min=0, max=MOST, help="Cycle of the change, from 0; 50, on S5 48.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=SEEDS - 1)] = 0,
    log: Annotated[Path | None, target("--log", "JSON lines, one per cycle.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the log.")] = False,
    foreign_limit: Annotated[
        float | None,
        typer.Option("--foreign-limit", min=0.0, help="Testbed: cores of other processes that mark a window; 0.5."),
    ] = None,
    priority: Annotated[
        str | None, typer.Option("--priority", help="Testbed: realtime where it may be had, or normal; realtime.")
    ] = None,
    spec: Annotated[Path | None, typer.Option("--spec", metavar="FILE", help="Your own system (YAML).")] = None,
    trace: Annotated[Path | None, typer.Option("--trace", metavar="FILE", help="Its trace (CSV).")] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="SETTING", help="Where your system stands.")] = None,
    report: Annotated[Path | None, target("--report", "Report on your system, .md or .json.")] = None,
    every: Annotated[str | None, typer.Option("--every", help="Your own system: length of a window; 30s.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Your own system: advise, but set nothing.")] = False,
    json: JsonFile = None,
) -> None:
    """Run the control cycle on a plant that changes, or, with --spec and --trace, on a system of your own."""
    if (spec is None) != (trace is None):
        raise InputError("--spec and --trace go together: give both or neither")
    if spec is None and (at, report, json) != (None, None, None):
        raise InputError("--at, --report and --json belong to --spec and --trace, a system of your own")
    if spec is None and (every is not None or dry_run or plant in OWN_PLANTS):
        raise InputError("--every, --dry-run and --plant kubernetes, prometheus or command need --spec and --trace")
    if spec is not None and trace is not None:
        around = plant in OWN_PLANTS
        for name in OF_THE_LOOP:
            source = context.get_parameter_source(name)
            if source is not None and source.name == "COMMANDLINE" and not (around and name in OF_EVERY_LOOP):
                raise InputError(f"--{name.replace('_', '-')} belongs to the loop on a plant; with --spec leave it out")
        if not around and (every is not None or dry_run):
            raise InputError(f"--every and --dry-run need --plant, one of {', '.join(OWN_PLANTS)}")
        if around and (report, json) != (None, None):
            raise InputError("--report and --json belong to a single recommendation; leave out --plant, or give --log")
        if resume and log is None:
            raise InputError("--resume needs the --log to go on with")
        from netrollout.cli.own import run_own, run_own_loop

        if not around:
            run_own(spec, trace, at, report, json, seed)
            return
        with _terminable():
            run_own_loop(spec, trace, at, seed, plant, every or "30s", cycles or 150, log, resume, dry_run)
        return
    if plant not in PLANTS:
        raise InputError(f"--plant {plant}: choose one of {', '.join(PLANTS)}")
    if foreign_limit is not None and plant != "testbed":
        raise InputError(f"--foreign-limit belongs to --plant testbed; the {plant} shares its time with nobody")
    if priority is not None and plant != "testbed":
        raise InputError(f"--priority belongs to --plant testbed; the {plant} runs in no real time")
    if resume and log is None:
        raise InputError("--resume needs the --log to go on with")
    if log is not None and resume != log.exists():
        told = "does not exist; leave out --resume" if resume else "exists; give --resume to go on with it"
        raise InputError(f"--log {log} {told}, or give another name")
    options = _testbed_options(foreign_limit, priority) if plant == "testbed" else {}
    _loop(plant, scenario, policy, explore, cycles, change_at, seed, log, resume, options)


def _loop(
    plant: str, scenario: str, policy: str, explore: str, cycles: int | None, change_at: int | None, seed: int,
    log: Path | None, resume: bool, options: dict[str, Any],
) -> None:  # fmt: skip
    from netrollout.adapt import Journal
    from netrollout.loop import make_loop

    worlds = make_loop(scenario)
    end, at = cycles or worlds.cycles, worlds.change_at if change_at is None else change_at
    brain, journal = worlds.controller(policy, explore, seed, at), None
    with ExitStack() as stack:
        stack.enter_context(_terminable())
        if log is not None:
            header = {"plant": plant, "scenario": scenario, "policy": policy, "explore": explore, "seed": seed,
                      "change_at": at, **worlds.header(), **_machine(options)}  # fmt: skip
            journal = stack.enter_context(Journal(log, header, resume, worlds.kinds))
        try:
            world = _plant(plant, worlds, brain, at, seed, journal.cycles if journal else [], options, stack)
            with _view(worlds, brain, f"{scenario}, {policy}", at) as show:
                for _ in range(brain.cycle, end):
                    record = brain.step(world)
                    if journal is not None:
                        journal.add(record, worlds.line(record, brain))
                    show(record)
        except KeyboardInterrupt:
            again = "; the same command with --resume goes on" if log is not None else ""
            notice(f"stopped after cycle {brain.cycle - 1}{again}")
            raise typer.Exit(130) from None
    notice(f"{brain.cycle} cycles" + (f", written to {log}" if log is not None else ""))


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM stop the loop as cleanly as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _testbed_options(foreign_limit: float | None, priority: str | None) -> dict[str, Any]:
    from netrollout.cli.testbed import settled

    try:
        got = settled(priority or "realtime")
    except ValueError as error:
        raise InputError(f"--{error}") from None
    return {"foreign_limit": 0.5 if foreign_limit is None else foreign_limit, "priority": got}


def _machine(options: dict[str, Any]) -> dict[str, Any]:
    if not options:
        return {}
    from netrollout.testbed.campaign import machine
    from netrollout.testbed.envoy import envoy_version
    from netrollout.testbed.priority import described

    about = {"machine": machine(), "envoy": envoy_version(), "foreign_limit": options["foreign_limit"]}
    return about | {"priority": described(options["priority"])}


def _plant(
    kind: str, worlds: ClosedLoop, brain: Controller, change_at: int, seed: int, done: list[dict[str, Any]],
    options: dict[str, Any], stack: ExitStack,
) -> Plant:  # fmt: skip
    """Let the controller, and a simulated plant, live through logged cycles again; return the plant to go on with."""
    from netrollout.adapt import replay

    if kind == "trace" and done:
        raise InputError("--resume: a trace is replayed in a moment; delete the log and begin again")
    plant = {"simulator": lambda: worlds.simulated(change_at, seed), "trace": worlds.recorded}.get(kind, lambda: None)()
    windows = [worlds.window(line) for line in done]
    replay(brain, list(zip([line["action"] for line in done], windows, strict=True)), plant)
    if plant is not None:
        return plant
    worlds.prepare(brain)
    live = worlds.live(change_at, seed, len(done), windows[-1] if windows else None, **options)
    found: Plant = stack.enter_context(live)
    return found


@contextmanager
def _view(worlds: ClosedLoop, brain: Controller, title: str, change_at: int) -> Iterator[Callable[[Record], None]]:
    """Show the newest cycles: a live table on a terminal, one line each elsewhere."""
    from rich.live import Live

    rows: deque[tuple[list[str], str | None]] = deque(maxlen=SHOWN)
    if not sys.stdout.isatty():
        yield lambda record: print("  ".join(_cells(record, worlds, brain, change_at)), flush=True)
        return
    with Live(auto_refresh=False) as screen:

        def show(record: Record) -> None:
            style = "bold red" if record.alarm else "yellow" if record.violation else None
            rows.append((_cells(record, worlds, brain, change_at), style))
            told = f"{title}: the change strikes at cycle {change_at}; {brain.relearner.alarms} alarms so far"
            screen.update(_table(told, worlds.columns, rows), refresh=True)

        yield show


def _table(title: str, columns: tuple[str, ...], rows: deque[tuple[list[str], str | None]]) -> Any:
    from rich.table import Table

    table = Table(title=title, caption="Ctrl-C stops the loop")
    for name in columns:
        table.add_column(name, justify="left" if name in ("configuration", "") else "right")
    for cells, style in rows:
        table.add_row(*cells, style=style)
    return table


def _cells(record: Record, worlds: ClosedLoop, brain: Controller, change_at: int) -> list[str]:
    notes = record.window.notes
    events = ["the change" * (record.cycle == change_at), "change detected" * record.alarm]
    events += ["explored" * record.explored, notes.get("fault", ""), notes.get("unusable", "")]
    return [*worlds.cells(record, brain), ", ".join(filter(None, events))]
