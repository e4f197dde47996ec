"""The columns of a trace and what may stand in them.

Schema version 2 adds the share of late requests, queue lengths and busy seconds to version 1.

The columns follow from the services (such as `compute`) and the nodes (1, 2) that the row of names mentions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import pandera.pandas as pa

from netrollout.places import PlaceError

SCHEMA = 2  # what the testbed writes
READABLE = (1, 2)
FIXED = ("visit", "window", "t", "duration", "foreign_cpu", "steal", "fault")
_TOLERANCE = 1e-4  # relative; traces are written with six digits

Place = tuple[int, str, str]  # line, column, what is wrong


class TraceError(PlaceError):
    """A file is not a good trace."""

    word = "column"


@dataclass(frozen=True)
class Rule:
    """What may stand in a column: numbers from `low` to `high`, or text where `low` is None."""

    says: str
    low: float | None = 0.0
    high: float | None = None
    whole: bool = False
    optional: bool = False  # may be empty

    def column(self) -> pa.Column:
        """Return the column of the pandera schema."""
        if self.low is None:
            return pa.Column(str)
        checks = [pa.Check.ge(self.low)]
        if self.high is not None:
            checks.append(pa.Check.le(self.high))
        if self.whole:
            checks.append(pa.Check(lambda values: values % 1 == 0))
        return pa.Column(float, checks, nullable=self.optional)


_COUNT = Rule("a count, a whole number of at least 0", whole=True)
_RATE = Rule("a rate in req/s of at least 0")
_DELAY = Rule("a time in s of at least 0", optional=True)
_FIXED_RULES = {
    "visit": Rule("a visit number, a whole number of at least 0", whole=True),
    "window": Rule("a window number, a whole number of at least 0", whole=True),
    "t": Rule("a time in s of at least 0"),
    "duration": Rule("a duration in s above 0", low=1e-9),
    "foreign_cpu": Rule("a number of cores of at least 0"),
    "steal": Rule("a share from 0 to 1", high=1),
    "fault": Rule("text", low=None),
}


def rules(services: Sequence[str], nodes: Sequence[int], version: int) -> dict[str, Rule]:
    """Return column name -> rule of a trace of this schema version, in the order the testbed writes."""
    late = {"late": Rule("a share from 0 to 1", high=1, optional=True)} if version >= 2 else {}
    columns = {name: _FIXED_RULES[name] for name in ("visit", "window", "t", "duration")}
    for s in services:
        columns |= {f"target_l_{s}": _RATE, f"l_{s}": _RATE}
        columns[f"b_{s}"] = Rule("a blocking rate from 0 to 1", high=1)
        columns[f"cl_{s}"] = _RATE
        columns[f"p_{s}"] = Rule("a routing weight from 0 to 1", high=1)
        columns |= {f"d_{s}{suffix}": _DELAY for suffix in ("", "_std", "_p90", "_p99")}
        columns |= {f"n_{s}": _COUNT, f"timeout_{s}": _COUNT} | {f"{name}_{s}": rule for name, rule in late.items()}
        for k in nodes:
            columns |= {f"d_{s}_{k}": _DELAY, f"n_{s}_{k}": _COUNT}
    for k in nodes:
        columns[f"c_{k}"] = Rule("a number of workers, a whole number of at least 0", whole=True)
        columns[f"busy_{k}"] = Rule("a share from 0 to 1", high=1)
        if version >= 2:
            columns |= {f"busy_seconds_{k}": Rule("a time in s of at least 0"), f"queue_{k}": _COUNT}
    return columns | {name: _FIXED_RULES[name] for name in ("foreign_cpu", "steal", "fault")}


def trace_schema(columns_rules: Mapping[str, Rule]) -> pa.DataFrameSchema:
    """Return the pandera schema of a trace with these rules."""
    columns = {name: rule.column() for name, rule in columns_rules.items()}
    return pa.DataFrameSchema(columns, strict=True, unique_column_names=True)


def services_and_nodes(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the services and the nodes that column names mention.

    A service s is named by `l_s` or `d_s`, a node k by `c_k` or `busy_k`; two chances, so that one missing column is
    reported as that and not as a service that does not exist.
    """
    services = dict.fromkeys(m[1] for m in (re.fullmatch(r"[ld]_([a-z][a-z0-9]*)", name) for name in names) if m)
    nodes = {int(m[1]) for m in (re.fullmatch(r"(?:c|busy)_(\d+)", name) for name in names) if m}
    return tuple(services), tuple(sorted(nodes))


def settings(names: Sequence[str]) -> list[str]:
    """Return the columns that make a configuration: loads asked for, blocking, limits, weights and workers."""
    return [name for name in names if re.fullmatch(r"(target_l|b|limit|p)_[a-z][a-z0-9]*|c_\d+", name)]


def contradictions(frame: pd.DataFrame, services: Sequence[str], nodes: Sequence[int]) -> Iterator[Place]:
    """Yield places, by the index of the frame, where columns of a frame contradict each other."""

    def where(bad: pd.Series[bool], column: str, what: str) -> Iterator[Place]:
        for line in frame.index[bad.to_numpy()]:
            yield int(line), column, what

    for s in services:
        too_much = frame[f"cl_{s}"] > frame[f"l_{s}"] * (1 + _TOLERANCE)
        yield from where(too_much, f"cl_{s}", f"more is admitted than offered; cl_{s} must be at most l_{s}")
        crossed = frame[f"d_{s}_p90"] > frame[f"d_{s}_p99"] * (1 + _TOLERANCE)
        yield from where(crossed, f"d_{s}_p90", f"above d_{s}_p99; the 90th percentile must be at most the 99th")
        split = sum((frame[f"n_{s}_{k}"] for k in nodes), start=0 * frame[f"n_{s}"]) > frame[f"n_{s}"]
        yield from where(split, f"n_{s}", f"the nodes completed more than n_{s}, which must be at least their sum")
        delays = {f"d_{s}{suffix}": f"n_{s}" for suffix in ("", "_p90", "_p99")}
        delays |= {f"d_{s}_{k}": f"n_{s}_{k}" for k in nodes}
        for delay, count in delays.items():
            lost, invented = frame[delay].isna() & (frame[count] > 0), frame[delay].notna() & (frame[count] == 0)
            yield from where(lost, delay, f"empty, but {count} is above 0; it must hold a time in s")
            yield from where(invented, delay, f"a response time, but {count} is 0; it must be empty")
        lost = frame[f"d_{s}_std"].isna() & (frame[f"n_{s}"] > 1)
        yield from where(lost, f"d_{s}_std", f"empty, but n_{s} is above 1; it must hold a time in s")
    yield from _order(frame)


def _order(frame: pd.DataFrame) -> Iterator[Place]:
    """Yield what is wrong with the order of visits and windows."""
    columns = settings(list(frame.columns))
    seen: set[float] = set()
    last = None
    for row in frame[["visit", "window", *columns]].itertuples(name=None):
        line, visit, window, *setting = row
        if last is None or visit != last[0]:
            if visit in seen:
                yield line, "visit", f"visit {visit:.0f} goes on after another visit; a visit must be contiguous"
            elif window not in (0, 1):
                yield line, "window", f"a visit begins with window {window:.0f}; it must begin with 0 or 1"
            seen.add(visit)
        else:
            if window != last[1] + 1:
                yield line, "window", f"window {window:.0f} follows window {last[1]:.0f}; windows must count up by 1"
            for name, now, before in zip(columns, setting, last[2], strict=True):
                if now != before:
                    yield line, name, f"changes from {before:g} to {now:g} within a visit; it must stay the same"
        last = (visit, window, setting)
