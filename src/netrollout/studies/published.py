"""The published model of scenario S2, as its authors learned it: the labelled variant that we check our numbers on.

A forest of 120 trees on the response time itself, fit on all windows in which something completed (the published fit
reads the others as 0 s, which moves none of the values that we check), asked at the nominal load with carried load
equal to offered.  Planned and judged on itself.
Source: Samani, Hammar & Stadler, NOMS 2024, and its published code.
"""

from __future__ import annotations

import numpy as np

from netrollout.models import MeanForest
from netrollout.systems.mesh.dynamics import Mesh, ResponseTable
from netrollout.systems.mesh.scenario import load_scenario
from netrollout.traces import read_kth
from netrollout.types import Phase

LOAD = 5.0  # requests in a window of 5 s


def published_mesh(phase: Phase, seed: int = 0) -> Mesh:
    """Return scenario S2 with the published mean forest as its response; needs the fetched KTH traces."""
    scenario = load_scenario("mesh-s2", "kth")
    frame = read_kth(scenario.trace[phase].removeprefix("kth/"))
    columns = ["c_1", "p_compute", "window_l_compute", "window_cl_compute"]
    forest = MeanForest(seed=seed).fit(
        frame[columns].to_numpy(dtype=float),
        frame[["d_compute"]].to_numpy(),
        frame["visit"].to_numpy(),
    )
    p, c = scenario.mesh(phase).grid_features()[:, :2].T
    response = forest.mean(np.column_stack([c, p, np.full_like(p, LOAD), np.full_like(p, LOAD)]))
    return scenario.mesh(phase, ResponseTable(response[:, None, :]))
