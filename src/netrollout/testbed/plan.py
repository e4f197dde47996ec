"""What to measure: a plan in YAML, checked when it is read, and the order of visits that follows from it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from netrollout.testbed.settings import NODES, SERVICES

OPTIONAL: dict[str, Any] = {
    "nodes": {},
    "settle": 1.0,
    "quota": 0.2,
    "period": 0.02,
    "foreign_limit": 0.25,
}
REQUIRED = ("scenario", "phase", "seed", "services", "visits", "windows", "window")


class PlanError(ValueError):
    """A plan is wrong; the message names file and key."""


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
        """Read and check a YAML file."""
        try:
            content = yaml.safe_load(Path(file).read_text())
        except OSError as error:
            raise PlanError(f"{file}: {error.strerror or error}") from error
        except yaml.YAMLError as error:
            raise PlanError(f"{file}: not YAML: {' '.join(str(error).split())}") from error
        return cls.parse(content, str(file))

    @classmethod
    def parse(cls, content: Any, file: str = "plan") -> Plan:
        """Check the content of a plan; `file` is named in errors."""
        top = _Keys(file, "", content)
        top.only(*REQUIRED, *OPTIONAL, "grid", "design")
        for key in REQUIRED:
            top.require(key)
        services = top.inner("services")
        services.only(*SERVICES)
        loads, demand, bounds = {}, {}, {}
        for s in services.content:
            one = services.inner(s)
            one.only("load", "demand", "bound")
            loads[s] = one.levels("load", lambda v: v >= 0, "rates of at least 0 req/s")
            demand[s] = one.number("demand", lambda v: v >= 0, "at least 0 CPU s")
            if "bound" in one.content:
                bounds[s] = one.number("bound", lambda v: v > 0, "above 0 s")
        nodes = top.inner("nodes")
        nodes.only(*NODES)
        slowdown = dict.fromkeys(NODES, 1.0)
        for k in nodes.content:
            one = nodes.inner(k)
            one.only("slowdown")
            slowdown[k] = one.number("slowdown", lambda v: v > 0, "above 0")
        return cls(
            scenario=top.text("scenario"),
            phase=top.text("phase"),
            seed=top.whole("seed", 0),
            demand=demand,
            bounds=bounds,
            slowdown=slowdown,
            configurations=_configurations(top, loads),
            visits=top.whole("visits", 1),
            windows=top.whole("windows", 1),
            window=top.number("window", lambda v: v > 0, "above 0 s"),
            settle=top.number("settle", lambda v: v >= 0, "at least 0 s"),
            quota=top.number("quota", lambda v: 0 < v <= 1, "above 0 and at most 1 core"),
            period=top.number("period", lambda v: v > 0, "above 0 s"),
            foreign_limit=top.number("foreign_limit", lambda v: v >= 0, "at least 0 cores"),
            source=content,
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


def _configurations(top: _Keys, loads: dict[str, list[float]]) -> list[Configuration]:
    if ("grid" in top.content) == ("design" in top.content):
        raise top.error("grid", "give either `grid` or `design`")
    kind = "grid" if "grid" in top.content else "design"
    space = top.inner(kind)
    required = [f"p_{s}" for s in loads] + [f"c_{k}" for k in NODES]
    optional = [f"b_{s}" for s in loads]
    space.only(*required, *optional, *(["configurations", "seed"] if kind == "design" else []))
    levels: dict[str, list[Any]] = {f"load_{s}": values for s, values in loads.items()}
    for key in required + [key for key in optional if key in space.content]:
        if key.startswith("c_"):
            levels[key] = space.levels(key, lambda v: v >= 1 and v == int(v), "whole numbers of at least 1")
        else:
            levels[key] = space.levels(key, lambda v: 0 <= v <= 1, "shares between 0 and 1")
    if kind == "grid":
        points: list[tuple[Any, ...]] = list(itertools.product(*levels.values()))
    else:
        points = _space_filling(space, list(levels.values()))
    return [_configuration(dict(zip(levels, point, strict=True)), list(loads)) for point in points]


def _configuration(point: Mapping[str, Any], services: list[str]) -> Configuration:
    return Configuration(
        load={s: point[f"load_{s}"] for s in services},
        p={s: point[f"p_{s}"] for s in services},
        b={s: point.get(f"b_{s}", 0.0) for s in services},
        c={k: int(point[f"c_{k}"]) for k in NODES},
    )


def _space_filling(space: _Keys, levels: list[list[Any]]) -> list[tuple[Any, ...]]:
    """Return distinct points: a scrambled Sobol sequence, each coordinate snapped to one of its levels."""
    from scipy.stats import qmc

    count, possible = space.whole("configurations", 1), int(np.prod([len(values) for values in levels]))
    if count > possible:
        raise space.error("configurations", f"{count} asked for, but the levels allow {possible} only")
    sobol = qmc.Sobol(len(levels), rng=np.random.default_rng(space.whole("seed", 0)))
    chosen: dict[tuple[Any, ...], None] = {}  # a set that keeps the order
    while len(chosen) < count:
        for u in sobol.random(128):
            if len(chosen) < count:
                chosen.setdefault(tuple(v[int(x * len(v))] for v, x in zip(levels, u, strict=True)))
    return list(chosen)


class _Keys:
    """One mapping of the plan, with the path that errors name."""

    def __init__(self, file: str, path: str, content: Any) -> None:
        self.file, self.path, self.content = file, path, content
        if not isinstance(content, dict):
            raise PlanError(f"{file}: {path.rstrip('.') or 'the file'} must be a mapping")

    def error(self, key: object, message: str) -> PlanError:
        return PlanError(f"{self.file}: {self.path}{key}: {message}")

    def only(self, *known: object) -> None:
        for key in self.content:
            if key not in known:
                raise self.error(key, f"unknown key; known are {', '.join(map(str, known))}")

    def require(self, key: str) -> Any:
        if key not in self.content and (self.path or key not in OPTIONAL):
            raise self.error(key, "missing")
        return self.content.get(key, OPTIONAL.get(key))

    def inner(self, key: Any) -> _Keys:
        return _Keys(self.file, f"{self.path}{key}.", self.require(key))

    def text(self, key: str) -> str:
        value = self.require(key)
        if not isinstance(value, str) or not value.isprintable():
            raise self.error(key, f"{value!r} must be one line of text")
        return value

    def number(self, key: str, good: Callable[[float], bool], rule: str) -> float:
        value = self.require(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not good(value):
            raise self.error(key, f"{value!r} must be a number {rule}")
        return float(value)

    def whole(self, key: str, least: int) -> int:
        value = self.require(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.error(key, f"{value!r} must be a whole number of at least {least}")
        return value

    def levels(self, key: str, good: Callable[[float], bool], rule: str) -> list[float]:
        values = self.require(key)
        if not isinstance(values, list) or not values:
            raise self.error(key, f"{values!r} must be a list of {rule}")
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int | float) or not good(value):
                raise self.error(key, f"{value!r} in the list, which must hold {rule}")
        return values
