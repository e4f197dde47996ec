"""The log of a closed loop: JSON lines, a header and one line per cycle, on the disk before the next cycle begins.

A loop that was killed in the middle of a line has a truncated last line; it is dropped when the loop is resumed, and
that cycle is run again.  So a log has neither a gap nor a cycle twice.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import FunctionType, TracebackType
from typing import Any, Self

from netrollout.adapt.cycle import Record
from netrollout.places import short
from netrollout.store import check_target, lock, read_file
from netrollout.types import InputError

SCHEMA = 1
LARGEST = 1e9  # of a number in a log


def is_number(value: Any) -> bool:
    """Whether it is a number that a log may hold, or null in place of one that was not finite."""
    return value is None or (type(value) in (int, float) and abs(value) <= LARGEST)


def is_time(value: Any) -> bool:
    """Whether it is a response time that a log may hold."""
    return value is None or (is_number(value) and value > 0.0)


class Journal:
    """Writes the cycles of a loop; use it as a context manager.

    Parameters
    ----------
    file : path
    header : dict
        What the run is: everything that a resumed run must agree with.
    resume : bool
        Whether to go on with a log that exists.
    kinds : dict
        What a resumed controller reads of a cycle: its type, or a function that tells what is good.

    Attributes
    ----------
    cycles : list of dict
        The cycles that the log held already, in order.

    Raises
    ------
    InputError
        If the log exists and is not to be resumed, is missing and is to be, belongs to another run, is not a log, or
        is being written by another program.
    """

    def __init__(self, file: str | Path, header: Mapping[str, Any], resume: bool, kinds: Mapping[str, Any]) -> None:
        self._file = Path(file)
        self.cycles: list[dict[str, Any]] = []
        check_target(file)
        if resume != self._file.exists():
            told = "does not exist: there is nothing to go on with" if resume else "exists: resume it"
            raise InputError(f"{file} {told}, or give another name")
        if self._file.suffix == ".gz":
            raise InputError(f"{file}: a log is written plain; unpack it, or give a name without .gz")
        wanted = json.loads(json.dumps({"schema": SCHEMA, **header}))
        with contextlib.ExitStack() as stack:
            # unbuffered: what could not be written is not tried again when the file is closed
            self._stream = stack.enter_context(_opened(self._file))
            lock(self._stream, file)
            if resume:
                self._take_up(wanted, kinds)
            else:
                self._begin(wanted)
            stack.pop_all()

    def _begin(self, header: Mapping[str, Any]) -> None:
        try:
            self.write({**header, "begun": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")})
        except InputError:
            self._file.unlink()
            raise

    def _take_up(self, wanted: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
        found, self.cycles, kept = read_journal(self._file)
        _check_cycles(self._file, self.cycles, kinds)
        for key, value in wanted.items():
            if found.get(key) != value:
                raise InputError(f"{self._file}: was made with {key}={short(found.get(key))}, not {value}")
        os.truncate(self._file, kept)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._stream.close()

    def add(self, record: Record, line: Mapping[str, Any]) -> None:
        """Append a cycle and what `line` tells of it."""
        now = datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]
        self.write({"cycle": record.cycle, "time": now, **line})

    def write(self, line: Mapping[str, Any]) -> None:
        """Append a line, and have it on the disk before returning; what is not finite is null."""
        text = json.dumps(_finite(line), allow_nan=False).encode() + b"\n"
        try:
            while text:
                text = text[self._stream.write(text) :]
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise InputError(f"{self._file}: cannot be written: {error.strerror}; the log ends before it") from None


def _opened(file: Path) -> io.FileIO:
    """Open a log to be gone on with.

    Raises
    ------
    InputError
        If it may not be written.
    """
    try:
        return io.FileIO(file, "a")
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}") from None


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def read_journal(file: str | Path) -> tuple[dict[str, Any], list[dict[str, Any]], int]:
    """Return header, cycles, and the length in bytes of the complete lines of a log, plain or compressed (``.gz``).

    Raises
    ------
    InputError
        If a complete line is no JSON, the header is missing, or a cycle is missing or comes twice.
    """
    content = read_file(file, "expected a log of adapt")
    whole = content[: content.rfind(b"\n") + 1]
    lines = []
    for number, text in enumerate(whole.splitlines(), 1):
        try:
            lines.append(json.loads(text, parse_constant=_refuse_constant))
        except (ValueError, RecursionError):
            raise InputError(f"{file}: line {number} is not JSON; the file is not a log of adapt") from None
    if not lines or not isinstance(lines[0], dict) or lines[0].get("schema") != SCHEMA:
        raise InputError(f"{file}: line 1 is not the header of a log of adapt (schema {SCHEMA})")
    for number, line in enumerate(lines[1:]):
        if not isinstance(line, dict) or line.get("cycle") != number:
            raise InputError(f"{file}: line {number + 2} should be cycle {number}")
    return lines[0], lines[1:], len(whole)


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type, or what a function says is good."""
    return bool(kind(value)) if isinstance(kind, FunctionType) else isinstance(value, kind)


def _check_cycles(file: str | Path, cycles: list[dict[str, Any]], kinds: Mapping[str, Any]) -> None:
    """Refuse a log that lacks what a controller needs to live through it again."""
    for line in cycles:
        for key, kind in kinds.items():
            if not _fits(line.get(key, ...), kind):
                found = short(line[key]) if key in line else "missing"
                raise InputError(f"{file}: line {line['cycle'] + 2}: {key} is {found}; the file is not a log of adapt")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
