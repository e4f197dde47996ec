"""`python -m benchmarks [--only lookahead,solvers] [--repetitions 3]`: measure, print one table, write JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks import cycle, environments, manyagents, own_systems, published, report, serverless, solvers
from benchmarks.clock import Row
from netrollout.places import near
from netrollout.types import InputError

OUTPUT = published.ROOT / "build" / "bench" / "benchmarks.json"
SECTIONS: dict[str, Callable[[int | None], list[Row]]] = {
    "lookahead": partial(published.compare, "lookahead"),
    "evaluation": partial(published.compare, "evaluation"),
    "solvers": solvers.solvers,
    "environments": environments.environments,
    "training": environments.training,
    "multiagent": manyagents.multiagent,
    "cycle": cycle.cycle,
    "serverless": serverless.serverless,
    "own": own_systems.own_systems,
}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options, ``only`` as a list of sections in the order of the table.

    Raises
    ------
    InputError
        If a section is unknown, there are no repetitions, or the JSON cannot be written where it should.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Compare netrollout with public peers.")
    parser.add_argument("--only", default=",".join(SECTIONS), metavar="A,B", help="sections to measure (%(default)s)")
    parser.add_argument("--repetitions", type=int, metavar="N", help="pairs per row (as many as suit each section)")
    parser.add_argument("--json", type=Path, default=OUTPUT, metavar="FILE", help="for every repetition (%(default)s)")
    options = parser.parse_args(arguments)
    options.only = chosen(options.only)
    if options.repetitions is not None and options.repetitions < 1:
        raise InputError(f"--repetitions {options.repetitions}: expected 1 or more")
    if options.json != OUTPUT and (options.json.is_dir() or not options.json.parent.is_dir()):
        raise InputError(f"--json {options.json}: give a file in a folder that exists")
    return options


def chosen(text: str) -> list[str]:
    """Return the named sections.

    Raises
    ------
    InputError
        If one is unknown; near ones are suggested.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in SECTIONS:
            raise InputError(f"--only: unknown section {name!r}; {near(name, SECTIONS, 'known:')}")
    return [name for name in SECTIONS if name in names]


def measure(options: argparse.Namespace) -> None:
    """Measure the sections, print the table and write the JSON."""
    progress = Console(stderr=True)
    rows: list[Row] = []
    for section in options.only:
        progress.print(f"measuring: {section}", markup=False)
        rows += SECTIONS[section](options.repetitions)
    report.show(rows, Console(width=None if sys.stdout.isatty() else 190))
    report.write(rows, options.json, {"only": options.only, "repetitions": options.repetitions})
    progress.print(f"written: {options.json}", markup=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says; what is wrong with it is said in one line, before anything is measured."""
    try:
        measure(parse(arguments))
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
