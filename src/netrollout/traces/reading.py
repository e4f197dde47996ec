"""Read and check a trace; every error names file, line and column where they exist.

Fields are counted on the raw lines before anything is parsed: a truncated line is an error, never a missing value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pandera.errors

from netrollout.places import csv_fields, near, number_of
from netrollout.store import read_text
from netrollout.traces.schema import (
    READABLE,
    SCHEMA,
    Rule,
    TraceError,
    contradictions,
    rules,
    services_and_nodes,
    settings,
    trace_schema,
)
from netrollout.traces.trace import Trace

_WANTED = f"a trace is CSV text (or .gz of it) that begins with `# schema: {SCHEMA}`"


@dataclass(frozen=True)
class Report:
    """What a good trace holds.

    Attributes
    ----------
    rows, visits, configurations : numbers of
    services, nodes : their names
    faults : rows with a fault
    remeasured : windows that were measured again because of foreign CPU time, None where the header does not say
    foreign_cpu : (mean, largest) over the rows, cores
    """

    rows: int
    visits: int
    configurations: int
    services: tuple[str, ...]
    nodes: tuple[int, ...]
    faults: int
    remeasured: int | None
    foreign_cpu: tuple[float, float]


def read_trace(path: str | Path) -> Trace:
    """Read and check a trace of schema version 1 or 2, .csv or .csv.gz.

    Raises
    ------
    InputError
        If the file cannot be read.
    TraceError
        with one line: file, line (counted from 1, header lines included), column, what is wrong, what would be right.
        Its `more` counts the further errors.
    """
    path = Path(path)
    lines = _lines(path)
    header, names_at = _header(lines)
    names = _names(path, lines, names_at)
    services, nodes = services_and_nodes(names)
    expected = rules(services, nodes, _version(path, header))
    _check_names(path, names, names_at + 1, header, expected)
    rows = _rows(path, lines, names_at, len(names))
    frame = _numbers(path, rows, names, expected)
    _check_values(path, frame, services, nodes, expected)
    whole = {name: "int64" for name, rule in expected.items() if rule.whole}
    return Trace(frame.astype(whole).reset_index(drop=True), header, path, services, nodes)


def check_trace(path: str | Path) -> Report:
    """Read a trace and say what it holds; raises `TraceError` like `read_trace`."""
    trace = read_trace(path)
    frame = trace.frame
    remeasured = re.match(r"\d+", trace.header.get("remeasured", ""))
    return Report(
        rows=len(frame),
        visits=frame["visit"].nunique(),
        configurations=len(frame[settings(list(frame.columns))].drop_duplicates()),
        services=trace.services,
        nodes=trace.nodes,
        faults=int((frame["fault"] != "").sum()),
        remeasured=int(remeasured[0]) if remeasured else None,
        foreign_cpu=(float(frame["foreign_cpu"].mean()), float(frame["foreign_cpu"].max())),
    )


def _raise_first(errors: Sequence[TraceError]) -> None:
    if errors:
        errors[0].more = len(errors) - 1
        raise errors[0]


def _lines(path: Path) -> list[str]:
    """Return the lines of a text file, plain or compressed."""
    text = read_text(path, _WANTED)
    if not text.strip():
        raise TraceError(path, f"the file is empty; {_WANTED}")
    for start, kind in (("{", "JSON"), ("[", "JSON"), ("<", "HTML or XML")):
        if text.lstrip().startswith(start):
            raise TraceError(path, f"looks like {kind}; {_WANTED}", 1)
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def _header(lines: Sequence[str]) -> tuple[dict[str, str], int]:
    """Return the header and the index of the line with the names."""
    header: dict[str, str] = {}
    for i, line in enumerate(lines):
        if not line.startswith("#"):
            return header, i
        key, _, value = line.removeprefix("#").partition(":")
        header[key.strip()] = value.strip()
    return header, len(lines)


def _fields(path: Path, line: str, number: int) -> list[str]:
    found = csv_fields(line)
    if isinstance(found, str):
        raise TraceError(path, found, number)
    return found


def _names(path: Path, lines: Sequence[str], names_at: int) -> list[str]:
    if names_at == len(lines):
        raise TraceError(path, "ends after its header; a line with the column names must follow", names_at)
    return _fields(path, lines[names_at], names_at + 1)


def _version(path: Path, header: dict[str, str]) -> int:
    """Return the schema version that the header names; the newest where it names none, which is refused later."""
    version = header.get("schema", str(SCHEMA))
    if version not in map(str, READABLE):
        at, known = 1 + list(header).index("schema"), " and ".join(map(str, READABLE))
        raise TraceError(path, f"schema {version!r} is unknown; this version reads schema {known}", at)
    return int(version)


def _check_names(
    path: Path, names: Sequence[str], line: int, header: dict[str, str], expected: dict[str, Rule]
) -> None:
    if not set(names) & set(expected):
        raise TraceError(path, f"none of the columns of a trace is named here; {_WANTED}", line)
    if "schema" not in header:
        raise TraceError(path, f"the header does not say `# schema: {SCHEMA}`", 1)
    missing = [name for name in expected if name not in names]
    errors = []
    for i, name in enumerate(names):
        if name in names[:i]:
            errors.append(TraceError(path, f"named twice (fields {names.index(name) + 1} and {i + 1})", line, name))
        elif name not in expected:
            advice = near(name, missing, "missing are") if missing else near(name, expected, "a trace has")
            errors.append(TraceError(path, f"unknown; {advice}", line, repr(name)))
    errors += [TraceError(path, f"missing; it holds {expected[name].says}", line, name) for name in missing]
    if not any(name.startswith(("l_", "d_")) for name in expected):
        errors.append(TraceError(path, "no service; l_<service> and d_<service> and so on must be named", line))
    _raise_first(errors)


def _rows(path: Path, lines: Sequence[str], names_at: int, width: int) -> dict[int, list[str]]:
    """Return line number -> fields."""
    rows, errors = {}, []
    for number, line in enumerate(lines[names_at + 1 :], names_at + 2):
        if line.startswith("#"):
            what = "a comment among the rows; header lines stand before the names (an unfinished .part file?)"
            errors.append(TraceError(path, what, number))
            continue
        rows[number] = _fields(path, line, number)
        if len(rows[number]) != width:
            what = f"{len(rows[number])} fields, but {width} columns are named"
            errors.append(TraceError(path, what + ("; a truncated line?" * (len(rows[number]) < width)), number))
    _raise_first(errors)
    if not rows:
        raise TraceError(path, "ends after the column names; at least one row must follow", names_at + 1)
    return rows


def _numbers(path: Path, rows: dict[int, list[str]], names: Sequence[str], expected: dict[str, Rule]) -> pd.DataFrame:
    """Return the rows as a frame of numbers, empty fields as NaN, with the line numbers as index."""
    errors = []

    def number(text: str, line: int, name: str) -> float:
        value = number_of(text)
        if math.isnan(value):
            errors.append(TraceError(path, f"{text!r} must be {expected[name].says}", line, name))
        return value

    columns: dict[str, list[str] | list[float]] = {}
    for i, name in enumerate(names):
        if expected[name].low is None:
            columns[name] = [fields[i] for fields in rows.values()]
        else:
            columns[name] = [number(fields[i], line, name) if fields[i] else math.nan for line, fields in rows.items()]
    _raise_first(sorted(errors, key=lambda error: error.line))
    return pd.DataFrame(columns, index=list(rows))


def _check_values(
    path: Path, frame: pd.DataFrame, services: Sequence[str], nodes: Sequence[int], expected: dict[str, Rule]
) -> None:
    try:
        trace_schema(expected).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as failure:
        cases = failure.failure_cases
        places = {(int(line), str(name)) for line, name in zip(cases["index"], cases["column"], strict=True)}
        in_order = sorted(places, key=lambda place: (place[0], list(expected).index(place[1])))
        _raise_first([_refused(path, frame, line, name, expected[name]) for line, name in in_order])
    found = sorted(contradictions(frame, services, nodes), key=lambda item: item[0])
    _raise_first([TraceError(path, what, line, column) for line, column, what in found])


def _refused(path: Path, frame: pd.DataFrame, line: int, name: str, rule: Rule) -> TraceError:
    value = float(frame[name].loc[line])
    shown = "empty, but" if math.isnan(value) else f"{value:g}"
    return TraceError(path, f"{shown} must be {rule.says}", line, name)
