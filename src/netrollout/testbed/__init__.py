"""The live testbed: a real service mesh (Envoy, processing nodes, load generator) on one Linux machine.

`Mesh` runs and controls it, `Plan` describes what to measure, `collect` measures it into a trace.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netrollout.testbed.campaign import CollectError, collect
    from netrollout.testbed.envoy import EnvoyMissing
    from netrollout.testbed.mesh import Mesh
    from netrollout.testbed.plan import Plan
    from netrollout.testbed.processes import MeshError

__all__ = ["CollectError", "EnvoyMissing", "Mesh", "MeshError", "Plan", "collect"]

_HOME = {
    "CollectError": "campaign",
    "EnvoyMissing": "envoy",
    "Mesh": "mesh",
    "MeshError": "processes",
    "Plan": "plan",
    "collect": "campaign",
}


def __getattr__(name: str) -> Any:
    # Lazy, because each worker process imports this package and must start in a fraction of a second.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
