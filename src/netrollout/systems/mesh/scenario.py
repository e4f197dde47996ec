"""Scenario files: one YAML per scenario and source, read into a checked record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Literal, cast

import numpy as np
import yaml

from netrollout.systems.mesh.dynamics import Control, Mesh, MeshState, Objective, ResponseTable
from netrollout.types import Floats, InputError, Phase

Source = Literal["testbed", "kth"]  # the shipped traces, or the published ones where fetched
KEYS = {"name", "system", "services", "controls", "load", "objective", "change", "start", "horizon", "discount",
        "trace", "plant"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Scenario:
    """What a scenario file says.

    Attributes
    ----------
    name : str
    services : tuple of str
    controls : tuple of Control
    loads : dict of phase to (L, V) float64
        Load levels, requests/s.
    load_move : float
        Probability per cycle that the load moves after the change.
    objective : Objective
    start : dict of str to float, or None
        Control values at the start.
    horizon, discount
        Of the system.
    trace : dict of phase to str
        ``mesh/<shipped trace>`` or ``kth/<published trace>``.
    plant : str
        ``windows`` (held-out windows of each configuration) or ``surrogate`` (fit on held-out visits).
    """

    name: str
    services: tuple[str, ...]
    controls: tuple[Control, ...]
    loads: dict[str, Floats]
    load_move: float
    objective: Objective
    start: dict[str, float] | None
    horizon: int
    discount: float
    trace: dict[str, str]
    plant: str

    def mesh(self, phase: Phase, response: ResponseTable | None = None) -> Mesh:
        """Return the system of a phase; without a response its table is empty (NaN), for asking the grid only."""
        loads = self.loads[phase]
        grid = len(loads) * int(np.prod([len(control.levels) for control in self.controls]))
        table = response or ResponseTable(np.full((grid, 1, len(self.services)), np.nan))
        move = self.load_move if phase == "after" else 0.0
        mesh = Mesh(self.name, self.controls, self.services, loads, move, self.objective, table,
                    discount=self.discount, horizon=self.horizon)  # fmt: skip
        if self.start is None:
            return mesh
        start = MeshState(mesh.setting(self.start)[None], np.zeros(1, dtype=np.int64))
        return replace(mesh, start=start)


@cache
def load_scenario(name: str, source: str = "testbed") -> Scenario:
    """Read the scenario `name` for the traces of `source`.

    Raises
    ------
    InputError
        If there is no such scenario for this source, or the file has a key that is unknown or missing.
    """
    stem = name if source == "testbed" else f"{name}-{source}"
    file = resources.files("netrollout.systems.mesh") / "scenarios" / f"{stem}.yml"
    if not file.is_file():
        raise InputError(f"{name} has no scenario for source {source!r}: no published trace belongs to it")
    return parse_scenario(cast(dict[str, Any], yaml.safe_load(file.read_text(encoding="utf-8"))), f"{stem}.yml")


def parse_scenario(text: dict[str, Any], file: str) -> Scenario:
    """Turn the content of a scenario file into a record; `file` names it in errors."""
    wrong = sorted(KEYS ^ set(text))
    if wrong:
        known = "unknown" if wrong[0] in text else "missing"
        raise InputError(f"{file}: key {wrong[0]!r} is {known}; a scenario has {', '.join(sorted(KEYS))}")
    services = tuple(text["services"])
    objective = text["objective"]
    try:
        bounds = tuple(float(objective["bounds"][f"d_{service}"]) for service in services)
        loads = {
            phase: np.stack([np.asarray(text["load"][phase][service], dtype=float) for service in services], axis=1)
            for phase in ("before", "after")
        }
    except KeyError as missing:
        raise InputError(f"{file}: {missing} is missing from objective.bounds or load") from None
    return Scenario(
        name=text["name"],
        services=services,
        controls=tuple(Control(k, tuple(map(float, v["levels"]))) for k, v in text["controls"].items()),
        loads=loads,
        load_move=float(text["load"]["move"]),
        objective=Objective(bounds, tuple(map(tuple, objective["economy"])), objective.get("digits")),
        start=text["start"],
        horizon=int(text["horizon"]),
        discount=float(text["discount"]),
        trace=text["trace"],
        plant=text["plant"],
    )
