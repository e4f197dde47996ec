"""Figures of the book: one style, intervals drawn, and a line that says where each figure comes from."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

NAMED = 3  # data files that the line below a figure names; more would make the figure small


def use_style() -> None:
    """Use the project's style for every figure that follows."""
    plt.style.use("netrollout.netrollout")


def provenance_line(figure: Figure, record: Mapping[str, Any]) -> None:
    """Write below a figure which notebook, profile, seed, commit and data made it; of many files the first few.

    Parameters
    ----------
    figure : Figure
    record : mapping
        A results record (`Results.record`): its notebook, profile, parameters and provenance are named.
    """
    provenance = record["provenance"]
    parts = [record["notebook"], record["profile"]]
    if "seed" in record["parameters"]:
        parts.append(f"seed {record['parameters']['seed']}")
    parts.append(f"commit {provenance['commit'][:8]}" if provenance["commit"] else "no commit")
    data = [f"{name} {digest[:8]}" for name, digest in provenance["data"].items()]
    parts += data[:NAMED] + [f"{len(data) - NAMED} more files"] * (len(data) > NAMED)
    figure.supxlabel("  ·  ".join(parts), x=0.99, ha="right", fontsize=6, color="#595959")


def interval_bars(axes: Axes, names: Sequence[str], values: ArrayLike, low: ArrayLike, high: ArrayLike) -> None:
    """Draw one horizontal bar per name (first on top) with its interval.

    Parameters
    ----------
    values, low, high : (n,) array_like
        Estimates and the ends of their intervals.
    """
    values, low, high = (np.asarray(item, dtype=float) for item in (values, low, high))
    rows = np.arange(len(names))
    colours = [f"C{i % 7}" for i in rows]
    axes.barh(rows, values, xerr=[values - low, high - values], color=colours, height=0.6, capsize=3, ecolor="black")
    axes.set_yticks(rows, names)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.axvline(0, color="black", linewidth=0.8)


def grid_map(
    axes: Axes, values: ArrayLike, columns: Sequence[Any], rows: Sequence[Any], label: str, digits: int = 2
) -> None:
    """Draw values over a grid of two controls, e.g. workers c (rows) and routing weight p (columns), with numbers.

    Parameters
    ----------
    values : (len(rows), len(columns)) array_like
    label : str
        What the colour means, with its unit.
    digits : int
        Decimals of the numbers.
    """
    array = np.asarray(values, dtype=float)
    image = axes.imshow(array, origin="lower", aspect="auto")
    axes.set_xticks(range(len(columns)), [str(column) for column in columns])
    axes.set_yticks(range(len(rows)), [str(row) for row in rows])
    axes.grid(visible=False)
    axes.get_figure().colorbar(image, ax=axes, label=label)  # type: ignore[union-attr]
    for (i, j), value in np.ndenumerate(array):
        dark = float(image.norm(float(value))) < 0.6  # type: ignore[arg-type]
        axes.text(j, i, f"{value:.{digits}f}", ha="center", va="center", fontsize=8, color="white" if dark else "black")


def band(axes: Axes, x: ArrayLike, middle: ArrayLike, low: ArrayLike, high: ArrayLike, label: str) -> None:
    """Draw a line with its interval as a band of the same colour, e.g. reward over control cycles.

    Parameters
    ----------
    x, middle, low, high : (n,) array_like
    """
    (line,) = axes.plot(x, middle, label=label)
    axes.fill_between(np.asarray(x), np.asarray(low), np.asarray(high), color=line.get_color(), alpha=0.2, linewidth=0)


def episode_panels(
    panels: Sequence[Axes], seconds: ArrayLike, series: Sequence[ArrayLike], label: str, marker: bool = False
) -> None:
    """Draw one episode over time into panels one above the other.

    Parameters
    ----------
    panels : sequence of Axes
    seconds : (T,) array_like
    series : one (T,) array_like per panel
    label : str
    marker : bool
        Draw points, as for what was recorded, in place of a line.
    """
    style: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 3} if marker else {"linewidth": 1.4}
    for axes, values in zip(panels, series, strict=True):
        axes.plot(seconds, values, label=label, **style)


def trade_off(axes: Axes, hull: tuple[ArrayLike, ArrayLike], points: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> None:
    """Draw policies in the plane of what they cost and what they bring, over a frontier.

    Parameters
    ----------
    hull : two (K,) array_like
        Cost and benefit along the frontier.
    points : mapping of str to two (3,) array_like
        Policy to value, low and high of its cost and of its benefit.
    """
    axes.plot(*hull, color="#595959", marker=".", linewidth=1.2, label="a constant number", zorder=1)
    for i, (name, (cost, benefit)) in enumerate(points.items()):
        (x, *across), (y, *up) = np.asarray(cost, dtype=float), np.asarray(benefit, dtype=float)
        spread = [[[abs(end - middle)] for end in ends] for middle, ends in ((x, across), (y, up))]
        axes.errorbar(
            x, y, xerr=spread[0], yerr=spread[1], fmt="osD^v<>"[i // 7 % 7], color=f"C{i % 7}", markersize=5,
            linewidth=1, label=name, zorder=2,
        )  # fmt: skip


def count_map(axes: Axes, counts: ArrayLike, columns: Sequence[str], rows: Sequence[str], label: str) -> None:
    """Draw counts over a grid on a logarithmic scale; what was never counted stays white.

    Parameters
    ----------
    counts : (len(rows), len(columns)) array_like of int
    label : str
        What is counted.
    """
    array = np.asarray(counts, dtype=float)
    shown = np.ma.masked_less_equal(array, 0.0)
    image = axes.imshow(shown, origin="lower", aspect="auto", norm=LogNorm(1.0, max(float(array.max()), 10.0)))
    axes.set_xticks(range(len(columns)), columns, rotation=30)
    axes.set_yticks(range(len(rows)), rows)
    axes.grid(visible=False)
    axes.get_figure().colorbar(image, ax=axes, label=label)  # type: ignore[union-attr]


def bin_names(edges: Sequence[float]) -> list[str]:
    """Return how the bins between rising edges are called on an axis."""
    if not len(edges):
        return ["all"]
    inner = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return [f"below {edges[0]:g}", *inner, f"from {edges[-1]:g}"]
