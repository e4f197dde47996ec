"""Any trace as a table: a CSV of numbers, of which a spec says what the columns are.

Lines that begin with ``#`` before the column names are passed over.  Fields are counted before anything is parsed, so
that a truncated line is an error and never a missing value.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from netrollout.connect.spec import Spec, check_against
from netrollout.places import csv_fields, number_of, short
from netrollout.store import read_text
from netrollout.types import Floats, InputError

MISSING = ("", "nan", "na", "n/a", "null", "none")  # in any case


def read_log(spec: Spec, path: str | Path) -> pd.DataFrame:
    """Read the columns that a spec declares, and `visit` where the trace has it.

    Rows with a text in a column `fault` are left out.  A metric or a load that is not there is NaN; that is an empty
    field or one of `MISSING`.

    Parameters
    ----------
    spec : Spec
    path : str or Path
        CSV, or .gz of it.

    Returns
    -------
    DataFrame
        Numbers; the index is the line in the file, from 1.

    Raises
    ------
    InputError
        It names file, line and column where they exist.
    """
    path = Path(path)
    names, rows = _table(path)
    check_against(spec, pd.DataFrame(columns=names), path)
    wanted = [*spec.places, *(["visit"] if "visit" in names else [])]
    if "fault" in names:
        rows = {line: row for line, row in rows.items() if not row[names.index("fault")].strip()}
    if not rows:
        raise InputError(f"{path}: no row without a fault follows the column names; at least one is needed")
    may_miss = {*spec.metrics, *(load.name for load in spec.loads)}
    columns = {name: _numbers(path, rows, names.index(name), name, name in may_miss) for name in wanted}
    frame = pd.DataFrame(columns, index=list(rows))
    for metric in spec.metrics:
        if frame[metric].isna().all():
            raise InputError(f"{path}: column {metric} is empty in every row; a metric must be measured")
    return frame


def _table(path: Path) -> tuple[list[str], dict[int, list[str]]]:
    """Return the column names, and the fields of each line below them."""
    lines = [
        (n, line)
        for n, line in enumerate(read_text(path, "expected CSV, or .gz of it").splitlines(), 1)
        if line.strip()
    ]
    while lines and lines[0][1].startswith("#"):
        lines.pop(0)
    if not lines:
        raise InputError(f"{path}: holds no line with column names; expected CSV")
    fields = {}
    for n, line in lines:
        found = csv_fields(line)
        if isinstance(found, str):
            raise InputError(f"{path}: line {n}: {found}")
        fields[n] = found
    head = lines[0][0]
    names = [name.strip() for name in fields.pop(head)]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{path}: line {head}, column {repeated[0]}: named twice")
    for n, row in fields.items():
        if len(row) != len(names):
            raise InputError(f"{path}: line {n}: {len(row)} fields, but {len(names)} columns are named")
    return names, fields


def _numbers(path: Path, rows: dict[int, list[str]], at: int, name: str, may_miss: bool) -> Floats:
    values = np.empty(len(rows))
    for i, (line, row) in enumerate(rows.items()):
        text = row[at].strip()
        missing = may_miss and text.lower() in MISSING
        values[i] = number_of(text)
        if np.isnan(values[i]) and not missing:
            raise InputError(f"{path}: line {line}, column {name}: {short(text)!r} must be a finite number")
    return values
