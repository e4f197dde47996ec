"""`netrollout adapt --spec SPEC --trace TRACE`: the next action for one's own system."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from netrollout.cli.common import notice, printer, working, write_json
from netrollout.store import write_file
from netrollout.types import InputError

SHOWN = 10  # actions in the terminal; the report has all


def run_own(
    spec: Path, trace: Path, at: str | None = None, report: Path | None = None, json: Path | None = None, seed: int = 0
) -> None:
    """Learn, plan, print the recommended action and why, and write the report.

    Parameters
    ----------
    spec, trace : Path
    at : str, optional
        Where the system stands, such as ``p=0.8,c=3``; else the trace's last row.
    report : Path, optional
        .md or .json file.
    json : Path, optional
        The record as JSON, see `netrollout.connect.recommendation.Recommendation`: above all ``decided`` (false where
        the trace cannot tell any action from holding; then ``doubt`` says why, and the action is to hold), ``chosen``
        (position in ``actions``; each has ``move``, ``setting``, ``gain``, ``gain_error``, ``gain_share``, what is
        predicted and what was ``measured``), ``places`` (here, the plan walks to, best measured setting, measure
        next) and ``why``.
    seed : int

    Raises
    ------
    InputError
        If anything given is wrong.
    """
    if report is not None and report.suffix not in (".md", ".json"):
        raise InputError(f"--report {report}: expected a file that ends in .md or .json")
    from netrollout.connect.own import recommend  # scipy loads for a while: only where it is needed
    from netrollout.connect.recommendation import Recommendation, action_head, cells, place_table, ranked
    from netrollout.connect.recommendation import report as page

    with working(f"{trace}: models and plan"):
        found: Recommendation = recommend(spec, trace, at, seed)
    title = f"{escape(found.name)}: the best {min(SHOWN, len(found.actions))} of {len(found.actions)} actions"
    label, _, *head = action_head(found)
    table = Table(label, *head, title=title)
    for action in ranked(found)[:SHOWN]:
        label, _, *numbers = cells(action)
        table.add_row(label, *numbers, style="bold" if action is found.action else None)
    head, rows = place_table(found)
    places = Table(*head, title="settings at this load")
    for row in rows:
        places.add_row(*map(escape, row))
    console = printer(json)
    console.print(table, places)
    for line in (*found.why(), *found.notes):
        console.print(line, markup=False, highlight=False)
    write_json(json, found.record())
    if report is not None and report.suffix == ".json":
        write_json(report, found.record())
    elif report is not None:
        write_file(report, page(found))


def run_own_loop(
    spec: Path, trace: Path, at: str | None, seed: int, plant: str, every: str, cycles: int, log: Path | None,
    resume: bool, dry: bool,
) -> None:  # fmt: skip
    """Run the loop around one's own system, a line per cycle.

    Parameters
    ----------
    spec, trace, at, seed : as `run_own`
    plant : str
        One of `netrollout.connect.plant.KINDS`; the spec's key ``connect`` says how it is reached.
    every : str
        Length of a window, such as ``30s``.
    cycles : int
        Cycles in all.
    log : Path, optional
        JSON lines, one per cycle.
    resume : bool
        Go on with the log.
    dry : bool
        Advise, but set nothing.

    Raises
    ------
    InputError
        If anything given is wrong.
    """
    from netrollout.adapt import Journal
    from netrollout.connect.own import begin
    from netrollout.connect.plant import OwnLoop, RealPlant, connected
    from netrollout.results import sha256

    seconds = duration(every)
    grid, rows, here, load, notes = begin(spec, trace, at)
    loop = OwnLoop(grid, rows, here, load, RealPlant(grid.spec, *connected(grid.spec, plant), seconds), seed, dry)
    with ExitStack() as stack:
        journal = None
        if log is not None:
            header = {"plant": plant, "every": seconds, "seed": seed, "dry_run": loop.dry, "at": at,
                      "spec": sha256(spec), "trace": sha256(trace)}  # fmt: skip
            journal = stack.enter_context(Journal(log, header, resume, LOGGED))
            loop.live_again(journal.cycles)
        for note in notes:
            print(note, flush=True)
        try:
            for _ in range(loop.cycle, cycles):
                done = asdict(loop.step())
                if journal is not None:
                    journal.write(done)
                print(cycle_line(done), flush=True)
        except KeyboardInterrupt:
            again = "; the same command with --resume goes on" if log is not None else ""
            notice(f"stopped before cycle {loop.cycle}{again}")
            raise typer.Exit(130) from None
    notice(f"{loop.cycle} cycles" + (f", written to {log}" if log is not None else ""))


LOGGED = {"setting": dict, "window": dict, "next": dict, "learned": bool, "applied": bool}  # what a resumed loop reads


def cycle_line(done: dict[str, Any]) -> str:
    """Return what is said of a cycle: where it stood, what was measured, what follows."""
    from netrollout.connect.recommendation import pairs

    held = done["next"] == done["setting"]
    after = "hold" if held else f"{'set' if done['applied'] else 'would set'} {pairs(done['next'])}"
    reward = f"reward {done['reward']:.4g}" if done["learned"] else "nothing learned"
    told = "" if done["learned"] and (held or done["applied"]) else f": {done['note']}"
    return f"{done['cycle']}  {pairs(done['setting'])}  {pairs(done['window'])}  {reward}  {after}{told}"


def duration(text: str) -> float:
    """Return the seconds of a text such as 30s, 2m or 500ms.

    Raises
    ------
    InputError
        If it is none, or not 1 ms to an hour.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m)?", text.strip())
    seconds = float(found[1]) * {"ms": 0.001, "m": 60.0}.get(found[2], 1.0) if found else 0.0
    if not 0.001 <= seconds <= 3600.0:
        raise InputError(f"--every {text}: expected a time from 1ms to 60m, such as 30s")
    return seconds
