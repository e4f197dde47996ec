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

import numpy as np

from netrollout.adapt.cycle import Controller, Record
from netrollout.adapt.plants import Window
from netrollout.places import short
from netrollout.store import check_target, lock, read_file
from netrollout.systems.mesh.dynamics import MeshState
from netrollout.types import InputError

SCHEMA = 1
LARGEST = 1e9  # of a number in a log


def _number(value: Any) -> bool:
    """Whether it is a number that a log may hold, or null in place of one that was not finite."""
    return value is None or (type(value) in (int, float) and abs(value) <= LARGEST)


def _time(value: Any) -> bool:
    return value is None or (_number(value) and value > 0.0)


KINDS: dict[str, Any] = {  # what a resumed controller reads
    "setting": dict,
    "load": lambda value: type(value) is int,
    "next_load": lambda value: type(value) is int,
    "d": lambda value: isinstance(value, list) and len(value) > 0 and all(map(_time, value)),
    "busy": _number,
    "usable": bool,
    "expected": _number,
    "notes": dict,
}


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

    def __init__(
        self, file: str | Path, header: Mapping[str, Any], resume: bool, kinds: Mapping[str, Any] = KINDS
    ) -> None:
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

    def add(self, record: Record, after: MeshState, names: tuple[str, ...]) -> None:
        """Append a cycle; `after` is the plant's state after it, `names` those of the controls and their order."""
        self.write(as_line(record, after, names))

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


def as_line(record: Record, after: MeshState, names: tuple[str, ...]) -> dict[str, Any]:
    """Return a record as JSON can hold it; what is not finite is null."""
    window = record.window
    line = {
        "cycle": record.cycle,
        "time": datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3],
        "setting": dict(zip(names, window.setting.tolist(), strict=True)),
        "load": window.load,
        "next_load": int(after.load[0]),
        "d": window.d.tolist(),
        "busy": window.busy,
        "usable": window.usable,
        "expected": window.expected,
        "reward": record.reward,
        "violation": record.violation,
        "predicted": record.predicted.tolist(),
        "residual": record.residual,
        "alarm": record.alarm,
        "explored": record.explored,
        "action": np.asarray(record.action).tolist(),
        "seconds": dict(record.seconds),
        "notes": dict(window.notes),
    }
    plain: dict[str, Any] = _finite(line)
    return plain


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


def replay(controller: Controller, cycles: list[dict[str, Any]], start: MeshState) -> MeshState:
    """Let a fresh controller live through logged cycles again; return the state to go on in.

    Raises
    ------
    InputError
        If a cycle names a load or a level of a control that the controller's system does not have.
    """
    x, names = start, [control.name for control in controller.mesh.controls]
    for line in cycles:
        for load in ("load", "next_load"):
            place = [line[load], *line["setting"].values()]
            if not _within(place, controller.mesh.shape):
                raise InputError(
                    f"cycle {line['cycle']} of the log: {load} {place[0]} and setting {line['setting']} are no levels "
                    f"of {controller.mesh.name}"
                )
        if len(line["d"]) != len(controller.mesh.services) or list(line["setting"]) != names:
            found = f"{len(line['d'])} response times and a setting of {', '.join(line['setting'])}"
            known = f"{controller.mesh.name} has {len(controller.mesh.services)} and {', '.join(names)}"
            raise InputError(f"cycle {line['cycle']} of the log: {found}; {known}")
        controller.decide(x)
        controller.learn(window_of(line))
        x = MeshState(np.array([list(line["setting"].values())]), np.array([line["next_load"]]))
    return x


def _within(place: list[Any], shape: tuple[int, ...]) -> bool:
    return len(place) == len(shape) and all(type(k) is int and 0 <= k < n for k, n in zip(place, shape, strict=True))


def window_of(line: Mapping[str, Any]) -> Window:
    """Return the window of a logged cycle."""

    def number(value: float | None) -> float:
        return float("nan") if value is None else float(value)

    return Window(
        np.array(list(line["setting"].values())),
        int(line["load"]),
        np.array([number(d) for d in line["d"]]),
        busy=number(line["busy"]),
        usable=bool(line["usable"]),
        expected=number(line["expected"]),
        notes=line["notes"],
    )
