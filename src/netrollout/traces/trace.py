"""A trace in memory, and what models take from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from netrollout.traces.schema import SCHEMA, TraceError, services_and_nodes, settings


@dataclass(frozen=True)
class Trace:
    """A checked trace.

    Attributes
    ----------
    frame : one row per window, columns of its schema version (rates in req/s, times in s)
    header : the header lines, key -> value
    path : the file
    services, nodes : what the columns mention
    """

    frame: pd.DataFrame
    header: dict[str, str]
    path: Path
    services: tuple[str, ...]
    nodes: tuple[int, ...]

    def late(self, service: str) -> pd.Series[float]:
        """Return the share of late requests of each window; NaN where none ended.

        Raises
        ------
        TraceError
            Where the trace is of schema 1 or was measured without a bound for the service.
        """
        if f"late_{service}" not in self.frame:
            what = f"schema 1 holds no late_{service}; measure again, this version writes schema {SCHEMA}"
            raise TraceError(self.path, what, 1)
        if f"bound_{service}" not in self.header:
            raise TraceError(
                self.path, f"the header has no bound_{service}; give the plan a bound and measure again", 1
            )
        return self.frame[f"late_{service}"]


def response_times(trace: Trace | pd.DataFrame, route_timeout: float = 5.0) -> pd.DataFrame:
    """Return the windows that may be learned from, with a response time where there is one to learn.

    Rows with a fault are left out. Where nothing completed although requests were admitted, `d_<service>` is the route
    timeout; where nothing was routed it stays missing. The same holds per node: `d_<service>_<k>` is the timeout where
    requests were routed to the node, that is where its weight (`p` for node 1, 1 - p for node 2) is above 0 and the
    service as a whole completed nothing; a node that merely drew no request of a small share stays missing.

    Parameters
    ----------
    trace : ours, or a frame of `read_kth`
    route_timeout : s; 5 in our Envoy, 20 in the published traces

    Returns
    -------
    DataFrame
        The rows without fault, all columns, index 0..
    """
    frame = trace.frame if isinstance(trace, Trace) else trace
    if "fault" in frame:
        frame = frame[frame["fault"] == ""]
    frame = frame.reset_index(drop=True)
    services, _ = services_and_nodes(list(frame.columns))
    for s in services:
        if f"d_{s}" not in frame:
            continue
        # Published files call "carried" what completed; admitted there is what was offered and not dropped.
        admitted = frame[f"l_{s}"] - frame[f"drop_{s}"] if f"drop_{s}" in frame else frame[f"cl_{s}"]
        stuck = frame[f"d_{s}"].isna() & (admitted > 0)
        frame[f"d_{s}"] = frame[f"d_{s}"].mask(stuck, route_timeout)
        for k, weight in ((1, frame[f"p_{s}"]), (2, 1 - frame[f"p_{s}"])):
            if f"d_{s}_{k}" in frame:
                frame[f"d_{s}_{k}"] = frame[f"d_{s}_{k}"].mask(stuck & (weight > 0), route_timeout)
    return frame


def configurations(trace: Trace | pd.DataFrame, route_timeout: float = 5.0) -> pd.DataFrame:
    """Return one row per visit and configuration: the means over its windows, by the rule of `response_times`.

    Returns
    -------
    DataFrame
        `visit`; the settings (`target_l_s`, `b_s`, `p_s`, `c_k`); `windows`, how many the means are over; then the
        means of all measured columns (missing only where all windows are).
    """
    frame = response_times(trace, route_timeout)
    keys = ["visit", *settings(list(frame.columns))]
    measured = [name for name in frame.columns if name not in {*keys, "window", "t", "duration", "fault"}]
    groups = frame.groupby(keys, sort=False, dropna=False)
    means = groups[measured].mean()
    means.insert(0, "windows", groups.size())
    return means.reset_index()
