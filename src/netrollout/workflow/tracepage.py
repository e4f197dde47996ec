"""The page of a shipped trace: its header, what it holds, its columns, one figure."""

import re
from pathlib import Path

import pandas as pd

from netrollout.plots import use_style
from netrollout.results import sha256
from netrollout.traces import Trace, read_trace

# What a column means; <s> is a service, <k> a node (schema versions 1 and 2).
COLUMNS = {
    r"visit": "one uninterrupted stay in a configuration (the unit of independence)",
    r"window": "number of the window within the visit",
    r"t": "start of the window, s since the start",
    r"duration": "length of the window, s",
    r"target_l_\w+": "offered load asked for, requests/s",
    r"l_\w+": "offered load, measured, requests/s",
    r"b_\w+": "blocking rate set, 0 to 1",
    r"cl_\w+": "admitted load, measured, requests/s",
    r"p_\w+": "routing weight to node 1, 0 to 1",
    r"d_[a-z]+": "mean response time, s; empty when nothing completed",
    r"d_[a-z]+_std": "standard deviation of the response time, s",
    r"d_[a-z]+_p\d+": "percentile of the response time, s",
    r"d_[a-z]+_\d": "mean response time over this node, s",
    r"n_[a-z]+": "completed requests",
    r"n_[a-z]+_\d": "completed requests over this node",
    r"timeout_\w+": "requests that timed out",
    r"late_\w+": "share over the bound of the requests that ended, 0 to 1",
    r"c_\d": "workers of the node",
    r"busy_\d": "share of the workers' time that was busy",
    r"busy_seconds_\d": "worker time in use, s",
    r"queue_\d": "requests that wait at the end of the window",
    r"foreign_cpu": "cores used by other programs of our priority or a higher one",
    r"steal": "share of time that the host took away",
    r"fault": "empty, or what happened",
}


def trace_page(name: str, path: Path, folder: Path) -> str:
    """Write the page's figure into `folder` and return its text; a trace that is not there gets a page that says so.

    Parameters
    ----------
    name : str
        E.g. ``mesh/s2_before``.
    path : Path
        Of the trace.
    """
    title = f"# Trace `{name}`\n\n"
    if not path.is_file():
        return f"{title}This trace is not shipped with this version: there is no `data/{name}.csv.gz`.\n"
    trace = read_trace(path)
    frame = trace.frame
    columns = [str(column) for column in frame]
    settings = [column for column in columns if re.fullmatch(r"(target_l|b|p)_\w+|c_\d", column)]
    facts = {
        "windows": len(frame),
        "visits": frame["visit"].nunique(),
        "configurations": len(frame[settings].drop_duplicates()),
        "size": f"{path.stat().st_size / 1000:.0f} kB",
        "sha256": f"`{sha256(path)}`",
    } | {key: words for key, words in trace.header.items() if key != "plan"}
    plan = trace.header.get("plan")
    figure = f"{name.replace('/', '-')}.png"
    alt = _draw(trace, folder / figure)
    return (
        f'{title}Read it with `netrollout.traces.shipped("{name}")`.\n\n'
        + _table(["Fact", "Value"], facts.items())
        + (f"\n````{{dropdown}} The plan\n```json\n{plan}\n```\n````\n" if plan else "")
        + f"\n```{{image}} {figure}\n:alt: {alt}\n```\n\n{alt}\n\n## Columns\n\n"
        + _table(["Column", "Meaning", "Least", "Greatest", "Missing"], [_column(frame, column) for column in columns])
    )


def _draw(trace: Trace, target: Path) -> str:
    """Draw the window means in the order of collection; return what the figure shows, in words."""
    import matplotlib.pyplot as plt

    with plt.style.context("default"):
        use_style()
        figure, axes = plt.subplots()
        words = []
        for service in trace.services:
            times = trace.frame[f"d_{service}"]
            axes.semilogy(trace.frame["t"] / 60, times, ".", markersize=3, label=service)
            words.append(f"{service}: median {times.median():.3g} s, from {times.min():.3g} s to {times.max():.3g} s")
        axes.set(xlabel="minutes since the start", ylabel="mean response time of a window (s)")
        axes.legend()
        figure.savefig(target, metadata={"Software": None})
        plt.close(figure)
    return f"Mean response time of every window in the order of collection ({'; '.join(words)})."


def _column(frame: pd.DataFrame, name: str) -> list[str]:
    meaning = next((words for pattern, words in COLUMNS.items() if re.fullmatch(pattern, name)), "")
    numeric = pd.api.types.is_numeric_dtype(frame[name])
    ends = [f"{frame[name].min():.4g}", f"{frame[name].max():.4g}"] if numeric else ["", ""]
    return [f"`{name}`", meaning, *ends, str(int(frame[name].isna().sum()))]


def _table(head: list[str], rows: object) -> str:
    lines = [" | ".join(str(item).replace("|", "\\|") for item in row) for row in [head, ["---"] * len(head), *rows]]  # type: ignore[misc]
    return "\n".join(f"| {line} |" for line in lines) + "\n"
