"""What to measure: a plan in YAML, checked when it is read, and the order of visits that follows from it."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from netrollout.places import Entry, read_nodes, short
from netrollout.seeding import SEEDS
from netrollout.testbed.settings import LONGEST, NODES, SERVICES

OPTIONAL: dict[str, Any] = {
    "settle": 1.0,
    "quota": 0.2,
    "period": 0.02,
    "foreign_limit": 0.25,
}
RULES: dict[str, tuple[Callable[[float], bool], str]] = {
    "window": (lambda v: 0 < v <= LONGEST, f"above 0 s and of at most {LONGEST:g} s"),
    "settle": (lambda v: 0 <= v <= LONGEST, f"from 0 to {LONGEST:g} s"),
    "quota": (lambda v: 0 < v <= 1, "above 0 and at most 1 core"),
    "period": (lambda v: 0 < v <= 1, "above 0 s and at most 1 s"),
    "foreign_limit": (lambda v: v >= 0, "of at least 0 cores"),
}
MOST = 100_000  # configurations, visits of each, windows of a visit
WANTED = "a plan is a mapping with scenario, services, grid and more"
REQUIRED = ("scenario", "phase", "seed", "services", "visits", "windows", "window")


@dataclass(frozen=True)
class Configuration:
    """One setting of load and controls."""

    load: dict[str, float]  # service -> req/s
    p: dict[str, float]  # service -> routing weight to node 1
    b: dict[str, float]  # service -> blocking rate
    c: dict[int, int]  # node -> workers


@dataclass(frozen=True)
class Plan:
    """A measuring campaign; read one with `Plan.read`.

    A visit is one uninterrupted stay in a configuration: drain, set, settle, then `windows` windows of `window` s.
    """

    scenario: str
    phase: str
    seed: int
    demand: dict[str, float]  # service -> mean CPU s of a request
    bounds: dict[str, float]  # service -> bound on the response time of a request, s, where there is one
    slowdown: dict[int, float]  # node -> factor
    configurations: list[Configuration]
    visits: int  # of each configuration
    windows: int  # per visit
    window: float  # s
    settle: float  # s under load between the change and the first window
    quota: float  # cores per worker
    period: float  # s
    foreign_limit: float  # cores; a window above is measured again
    source: dict[str, Any]  # as read

    @classmethod
    def read(cls, file: str | Path) -> Plan:
        """Read and check a YAML file.

        Raises
        ------
        InputError
            It names file, line and key.
        """
        return cls._of(read_nodes(file, WANTED))

    @classmethod
    def parse(cls, content: Any, file: str = "plan") -> Plan:
        """Check the content of a plan; `file` is named in errors."""
        text = yaml.safe_dump(content, sort_keys=False)
        return cls._of(read_nodes(file, WANTED, text))

    @classmethod
    def _of(cls, top: Entry) -> Plan:
        parts = top.entries((*REQUIRED, *OPTIONAL, "nodes", "grid", "design"), REQUIRED)
        loads, demand, bounds = {}, {}, {}
        for s, entry in parts["services"].entries(SERVICES).items():
            one = entry.entries(("load", "demand", "bound"), ("load", "demand"))
            loads[s] = one["load"].numbers(lambda v: v >= 0, "of at least 0 req/s")
            demand[s] = one["demand"].number(lambda v: v >= 0, "of at least 0 CPU s")
            if "bound" in one:
                bounds[s] = one["bound"].number(lambda v: v > 0, "above 0 s")
        number = {key: default if key not in parts else _number(key, parts[key]) for key, default in OPTIONAL.items()}
        return cls(
            scenario=_one_line(parts["scenario"]),
            phase=_one_line(parts["phase"]),
            seed=parts["seed"].whole(0, SEEDS - 1),
            demand=demand,
            bounds=bounds,
            slowdown=_slowdown(parts),
            configurations=_configurations(top, parts, loads),
            visits=parts["visits"].whole(1, MOST),
            windows=parts["windows"].whole(1, MOST),
            window=_number("window", parts["window"]),
            source=top.content(),
            **number,
        )

    @property
    def line(self) -> str:
        """The plan on one line, as it stands in the header of a trace."""
        return json.dumps(self.source, separators=(",", ":"))

    @property
    def max_workers(self) -> int:
        """The largest number of workers any configuration needs."""
        return max(max(configuration.c.values()) for configuration in self.configurations)

    @property
    def seconds(self) -> float:
        """Time that measuring takes at least, s."""
        return self.visits * len(self.configurations) * (self.settle + self.windows * self.window)

    def schedule(self) -> list[Configuration]:
        """Return the configuration of each visit, in an order shuffled by the seed."""
        repeated = self.configurations * self.visits
        return [repeated[i] for i in np.random.default_rng(self.seed).permutation(len(repeated))]


def _number(key: str, entry: Entry) -> float:
    good, rule = RULES[key]
    return entry.number(good, rule)


def _one_line(entry: Entry) -> str:
    text = entry.text()
    if not text.isprintable() or not entry.is_text:
        entry.wrong(f"{short(text)!r} must be one line of text")
    return text


def _slowdown(parts: dict[str, Entry]) -> dict[int, float]:
    found = dict.fromkeys(NODES, 1.0)
    nodes = parts["nodes"].entries([str(k) for k in NODES]) if "nodes" in parts else {}
    for k, entry in nodes.items():
        found[int(k)] = entry.entries(("slowdown",), ("slowdown",))["slowdown"].number(lambda v: v > 0, "above 0")
    return found


def _configurations(top: Entry, parts: dict[str, Entry], loads: dict[str, list[float]]) -> list[Configuration]:
    if ("grid" in parts) == ("design" in parts):
        top.wrong("give either grid or design")
    kind = "grid" if "grid" in parts else "design"
    required = [f"p_{s}" for s in loads] + [f"c_{k}" for k in NODES]
    optional, counts = [f"b_{s}" for s in loads], ["configurations", "seed"] if kind == "design" else []
    space = parts[kind].entries([*required, *optional, *counts], [*required, *counts])
    levels: dict[str, list[Any]] = {f"load_{s}": values for s, values in loads.items()}
    for key in required + [key for key in optional if key in space]:
        if key.startswith("c_"):
            levels[key] = space[key].numbers(lambda v: v >= 1 and v == int(v), "that is whole and at least 1")
        else:
            levels[key] = space[key].numbers(lambda v: 0 <= v <= 1, "from 0 to 1, a share")
    possible = math.prod(map(len, levels.values()))
    if kind == "design":
        points = _space_filling(space, list(levels.values()), possible)
    elif possible > MOST:
        parts[kind].wrong(f"{possible} configurations; at most {MOST} can be measured")
    else:
        points = list(itertools.product(*levels.values()))
    return [_configuration(dict(zip(levels, point, strict=True)), list(loads)) for point in points]


def _configuration(point: Mapping[str, Any], services: list[str]) -> Configuration:
    return Configuration(
        load={s: point[f"load_{s}"] for s in services},
        p={s: point[f"p_{s}"] for s in services},
        b={s: point.get(f"b_{s}", 0.0) for s in services},
        c={k: int(point[f"c_{k}"]) for k in NODES},
    )


def _space_filling(space: dict[str, Entry], levels: list[list[Any]], possible: int) -> list[tuple[Any, ...]]:
    """Return distinct points: a scrambled Sobol sequence, each coordinate snapped to one of its levels."""
    from scipy.stats import qmc

    count = space["configurations"].whole(1, MOST)
    if count > possible:
        space["configurations"].wrong(f"{count} asked for, but the levels allow {possible} only")
    sobol = qmc.Sobol(len(levels), rng=np.random.default_rng(space["seed"].whole(0, SEEDS - 1)))
    chosen: dict[tuple[Any, ...], None] = {}  # a set that keeps the order
    while len(chosen) < count:
        for u in sobol.random(128):
            if len(chosen) < count:
                chosen.setdefault(tuple(v[int(x * len(v))] for v, x in zip(levels, u, strict=True)))
    return list(chosen)
