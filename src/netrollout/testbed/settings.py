"""What can be set on the mesh, and the checks of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netrollout.types import InputError

SERVICES = ("compute", "info", "search")  # what a worker can do
NODES = (1, 2)
LONGEST = 3600.0  # s, of a window


@dataclass
class Settings:
    """The present settings; a change that breaks a rule raises `InputError` and changes nothing."""

    p: dict[str, float]  # service -> routing weight to node 1, share
    b: dict[str, float]  # service -> blocking rate, share
    c: dict[int, int]  # node -> workers
    load: dict[str, float]  # service -> req/s
    demand: dict[str, float]  # service -> mean CPU s per request
    slow: dict[int, float]  # node -> factor on each demand there
    max_workers: int

    @classmethod
    def initial(cls, demand: Mapping[str, float], max_workers: int) -> Settings:
        """Return even routing, no blocking, one worker per node and no load."""
        if unknown := [s for s in demand if s not in SERVICES]:
            raise InputError(f"services: {unknown[0]!r} is not one of {', '.join(SERVICES)}")
        start = cls(
            p=dict.fromkeys(demand, 0.5),
            b=dict.fromkeys(demand, 0.0),
            c=dict.fromkeys(NODES, 1),
            load=dict.fromkeys(demand, 0.0),
            demand=dict.fromkeys(demand, 0.0),
            slow=dict.fromkeys(NODES, 1.0),
            max_workers=max_workers,
        )
        start.change(demand=demand)
        return start

    def change(self, **changes: Mapping[Any, float]) -> None:
        """Change any of the settings by name; keys that are not named stay. p and b are rounded to percents."""
        for name, values in changes.items():
            for key, value in values.items():
                self._check(name, key, value)
        for name, values in changes.items():
            present = getattr(self, name)
            for key, value in values.items():
                if name in ("p", "b"):  # Envoy's runtime takes whole percents
                    value = round(100 * value) / 100
                present[key] = int(value) if name == "c" else float(value)

    def _check(self, name: str, key: Any, value: Any) -> None:
        known = getattr(self, name)
        if key not in known:
            raise InputError(f"{name}: {key!r} is not one of {', '.join(map(str, known))}")
        if name in ("p", "b"):
            good, rule = 0 <= value <= 1, "between 0 and 1"
        elif name == "c":
            good, rule = value == int(value) and 1 <= value <= self.max_workers, f"whole, 1 to {self.max_workers}"
        elif name == "slow":
            good, rule = value > 0, "above 0"
        else:
            good, rule = value >= 0, "at least 0"
        if not good:
            raise InputError(f"{name}[{key!r}] = {value!r} must be {rule}")
