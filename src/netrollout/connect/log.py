"""Any trace as a table: a CSV of numbers, of which a spec says what the columns are.

Lines that begin with ``#`` before the column names are passed over.  Fields are counted before anything is parsed, so
that a truncated line is an error and never a missing value.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from netrollout.connect.spec import Spec, check_against
from netrollout.types import Floats, InputError


def read_log(spec: Spec, path: str | Path) -> pd.DataFrame:
    """Read the columns that a spec declares, and `visit` where the trace has it.

    Rows with a text in a column `fault` are left out.  A metric that is not there is NaN.

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
    columns = {name: _numbers(path, rows, names.index(name), name, name in spec.metrics) for name in wanted}
    frame = pd.DataFrame(columns, index=list(rows))
    for metric in spec.metrics:
        if frame[metric].isna().all():
            raise InputError(f"{path}: column {metric} is empty in every row; a metric must be measured")
    return frame


def _table(path: Path) -> tuple[list[str], dict[int, list[str]]]:
    """Return the column names, and the fields of each line below them."""
    lines = [(n, line) for n, line in enumerate(_text(path).splitlines(), 1) if line.strip()]
    while lines and lines[0][1].startswith("#"):
        lines.pop(0)
    if not lines:
        raise InputError(f"{path}: holds no line with column names; expected CSV")
    try:
        fields = {n: next(csv.reader([line], strict=True)) for n, line in lines}
    except csv.Error:
        raise InputError(f"{path}: a quotation mark is not closed; a truncated line?") from None
    head = lines[0][0]
    names = [name.strip() for name in fields.pop(head)]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{path}: line {head}, column {repeated[0]}: named twice")
    for n, row in fields.items():
        if len(row) != len(names):
            raise InputError(f"{path}: line {n}: {len(row)} fields, but {len(names)} columns are named")
    return names, fields


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise InputError(f"{path}: damaged or truncated gzip data; copy the file again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no text; expected CSV, or .gz of it") from None
    if "\0" in text:
        raise InputError(f"{path}: is no text; expected CSV, or .gz of it")
    return text


def _numbers(path: Path, rows: dict[int, list[str]], at: int, name: str, may_miss: bool) -> Floats:
    values = np.empty(len(rows))
    for i, (line, row) in enumerate(rows.items()):
        text = row[at].strip()
        missing = may_miss and text.lower() in ("", "nan")
        try:
            values[i] = float(text) if not missing else np.nan
        except ValueError:
            values[i] = np.inf
        if np.isinf(values[i]) or (np.isnan(values[i]) and not missing):
            raise InputError(f"{path}: line {line}, column {name}: {text!r} must be a finite number")
    return values
