"""Spec files: an engineer's own system in a page of YAML.

=============  =====================================================================================================
key            what it says
=============  =====================================================================================================
name           how the system is called (else the file's name)
controls       name: {levels: [rising values], increments: [whole levels that one action may move]}; the name is the
               trace's column; increments are [-1, 0, 1] where none are given
loads          name: {levels: [..]} (an observed load counts as the nearest) or {bins: n} (n parts with as many rows)
metrics        columns that are measured and learned
objective      reward of a cycle, an expression over controls, loads and metrics: `netrollout.connect.objective`
bounds         metric: largest acceptable mean; where holding is expected to keep them all, no action is recommended
               that is expected to break one
discount       per control cycle, 0.95 where not given
horizon        control cycles over which the outlook is given, 20 where not given
start          control: value; where the system stands if the trace's last row is off the grid
connect        how the running system is set and measured: `netrollout.connect.plant`
=============  =====================================================================================================

controls, metrics and objective must be given.  Every error names file, line and key.
"""

from __future__ import annotations

import keyword
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from netrollout.connect.objective import Objective, ObjectiveError, parse_objective
from netrollout.places import Entry, PlaceError, near, read_nodes
from netrollout.systems.mesh.dynamics import Control, level_of
from netrollout.types import InputError

KEYS = ("name", "controls", "loads", "metrics", "objective", "bounds", "discount", "horizon", "start", "connect")
REQUIRED = ("controls", "metrics", "objective")
RESERVED = ("visit", "fault")  # columns that mean something in every trace
MOST_BINS = 20
MOST_LEVELS = 10_000  # that an action may move


@dataclass(frozen=True)
class Load:
    """An observed load: its levels, or into how many bins the trace's values are put (then no levels)."""

    name: str
    levels: tuple[float, ...]
    bins: int


@dataclass(frozen=True, eq=False)
class Spec:
    """What a spec file says.

    Attributes
    ----------
    path : Path
    name : str
    controls : tuple of Control
    increments : tuple of tuple of int
        Levels that one action may move each control.
    loads : tuple of Load
    metrics : tuple of str
    objective : Objective
    bounds : dict of str to float
    discount : float
    horizon : int
    start : dict of str to float, or None
    connect : Entry or None
        Read where a running system is needed.
    places : dict of str to (line, key)
        Where each column is declared.
    line : int
        Of the objective.
    """

    path: Path
    name: str
    controls: tuple[Control, ...]
    increments: tuple[tuple[int, ...], ...]
    loads: tuple[Load, ...]
    metrics: tuple[str, ...]
    objective: Objective
    bounds: dict[str, float]
    discount: float
    horizon: int
    start: dict[str, float] | None
    connect: Entry | None
    places: dict[str, tuple[int, str]]
    line: int


def read_spec(path: str | Path) -> Spec:
    """Read and check a spec file.

    Raises
    ------
    PlaceError
        It names file, line and key.
    InputError
        If the file cannot be read.
    """
    path = Path(path)
    top = read_nodes(path, "a spec is a mapping with controls, metrics, objective and more")
    parts = {k: e for k, e in top.entries(KEYS, REQUIRED).items() if k in REQUIRED or not e.is_null}
    places: dict[str, tuple[int, str]] = {}
    controls, increments = _controls(parts["controls"], places)
    loads = _loads(parts["loads"], places) if "loads" in parts else ()
    metrics = _metrics(parts["metrics"], places)
    return Spec(
        path=path,
        name=parts["name"].text() if "name" in parts else path.stem,
        controls=controls,
        increments=increments,
        loads=loads,
        metrics=metrics,
        objective=_objective(parts["objective"], tuple(places)),
        bounds=_bounds(parts["bounds"], metrics) if "bounds" in parts else {},
        discount=_discount(parts["discount"]) if "discount" in parts else 0.95,
        horizon=_horizon(parts["horizon"]) if "horizon" in parts else 20,
        start=_start(parts["start"], controls) if "start" in parts else None,
        connect=parts.get("connect"),
        places=places,
        line=parts["objective"].line,
    )


def check_against(spec: Spec, trace: pd.DataFrame, path: str | Path) -> None:
    """Refuse a spec whose columns a trace does not have.

    Parameters
    ----------
    spec : Spec
    trace : DataFrame
        Only its column names are looked at.
    path : str or Path
        Of the trace, for the error.

    Raises
    ------
    PlaceError
        It names the spec's file, line and key, and the trace.
    """
    for name, (line, key) in spec.places.items():
        if name not in trace.columns:
            columns = [str(column) for column in trace.columns]
            advice = near(name, columns[:20], "its columns are")
            raise PlaceError(spec.path, f"{name!r} is no column of the trace {path}; {advice}", line, key)


def _declare(name: str, entry: Entry, places: dict[str, tuple[int, str]]) -> None:
    if not name.isidentifier() or keyword.iskeyword(name):
        entry.wrong(f"{name!r} is no name of a column; letters, digits and _ make one, a letter first")
    if name in RESERVED:
        entry.wrong(f"{name!r} is a column with a meaning of its own in every trace; use another name")
    if name in places:
        entry.wrong(f"{name!r} is declared already, in line {places[name][0]}, key {places[name][1]}")
    places[name] = (entry.line, entry.key)


def _controls(
    entry: Entry, places: dict[str, tuple[int, str]]
) -> tuple[tuple[Control, ...], tuple[tuple[int, ...], ...]]:
    controls, increments = [], []
    for name, part in entry.entries().items():
        _declare(name, part, places)
        keys = part.entries(("levels", "increments"))
        if "levels" not in keys:
            part.wrong("a control needs levels, such as {levels: [1, 2, 3]}")
        levels = keys["levels"].rising()
        if len(levels) < 2:
            keys["levels"].wrong("at least two levels are needed; what has one is no control")
        controls.append(Control(name, levels))
        increments.append(_increments(keys["increments"]) if "increments" in keys else (-1, 0, 1))
    if not controls:
        entry.wrong("at least one control is needed")
    return tuple(controls), tuple(increments)


def _increments(entry: Entry) -> tuple[int, ...]:
    entry.rising()
    moves = tuple(item.whole(-MOST_LEVELS, MOST_LEVELS) for item in entry.items())
    if 0 not in moves or len(moves) < 2:
        entry.wrong("expected whole numbers of levels, 0 (hold) and at least one other among them, as in [-1, 0, 1]")
    return moves


def _loads(entry: Entry, places: dict[str, tuple[int, str]]) -> tuple[Load, ...]:
    loads = []
    for name, part in entry.entries().items():
        _declare(name, part, places)
        keys = part.entries(("levels", "bins"))
        if len(keys) != 1:
            part.wrong("a load needs either levels, such as {levels: [10, 20]}, or bins, such as {bins: 3}")
        levels = keys["levels"].rising() if "levels" in keys else ()
        bins = len(levels) if "levels" in keys else keys["bins"].whole()
        if not 1 <= bins <= MOST_BINS:
            part.wrong(f"{bins} levels or bins; expected 1 to {MOST_BINS}")
        loads.append(Load(name, levels, bins))
    return tuple(loads)


def _metrics(entry: Entry, places: dict[str, tuple[int, str]]) -> tuple[str, ...]:
    items = entry.items()
    if not items:
        entry.wrong("at least one metric is needed")
    for item in items:
        _declare(item.text(), item, places)
    return tuple(item.text() for item in items)


def _objective(entry: Entry, columns: tuple[str, ...]) -> Objective:
    try:
        return parse_objective(entry.text(), columns)
    except ObjectiveError as error:
        entry.wrong(str(error))


def _bounds(entry: Entry, metrics: tuple[str, ...]) -> dict[str, float]:
    found = entry.entries()
    for name, part in found.items():
        if name not in metrics:
            part.wrong(f"{name!r} is no metric; the metrics are {', '.join(metrics)}")
    return {name: part.number() for name, part in found.items()}


def _discount(entry: Entry) -> float:
    discount = entry.number()
    if not 0.0 <= discount < 1.0:
        entry.wrong(f"{discount:g} must be at least 0 and below 1")
    return discount


def _horizon(entry: Entry) -> int:
    horizon = entry.whole()
    if not 1 <= horizon <= 10_000:
        entry.wrong(f"{horizon} cycles; expected 1 to 10000")
    return horizon


def _start(entry: Entry, controls: tuple[Control, ...]) -> dict[str, float]:
    values = {name: part.number() for name, part in entry.entries().items()}
    try:
        levels = level_of("start", controls, values)
    except InputError as error:
        entry.wrong(str(error).removeprefix("start: "))
    return {control.name: control.levels[level] for control, level in zip(controls, levels, strict=True)}
