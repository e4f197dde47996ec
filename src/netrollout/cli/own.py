"""`netrollout adapt --spec SPEC --trace TRACE`: the next action for one's own system."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from netrollout.cli.common import printer, working, write_json
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
    from netrollout.connect.own import recommend  # the forests load for seconds: only where they are needed
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
