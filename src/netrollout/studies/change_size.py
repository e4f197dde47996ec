"""Performance against the size of a change: doing nothing, a step of rollout, several, a static, planning anew.

Both systems are the testbed's simulator, since a change of any size can be measured there: S2 is the mesh of the
release (a table of windows, whose optimum can be computed), S5 the working day (queues that carry over).  A size is the
factor on every request's CPU demand.

Letters: K measurements, each with a model of its own, N runs, Q windows of a grid point.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from joblib import Parallel, delayed

from netrollout.adapt import run
from netrollout.catalog import Worlds, policy_table
from netrollout.experiment import Cell
from netrollout.loop import make_loop
from netrollout.models import make_surrogate, tabulate
from netrollout.studies.rotation import known_static
from netrollout.studies.working_day import judged
from netrollout.systems.mesh.dynamics import Mesh, ResponseTable
from netrollout.systems.mesh.realise import MODEL_WINDOWS, ROUTE_TIMEOUT
from netrollout.systems.mesh.scenario import load_scenario
from netrollout.systems.queues.plants import SimulatedQueues
from netrollout.systems.queues.throttle import window_means
from netrollout.types import Floats

DEMAND = 0.008  # CPU s of a request before the release
TRUTH = 400  # windows of each setting that the plant is made of
VISITS, WINDOWS = 9, 6  # that a model is learned from, as on the testbed
WINDOW, SETTLE = 2.0, 3.0  # s of a window; windows that come before a visit's first
STATIC = {
    "no replanning": "optimal", "one step of rollout": "rollout(optimal)",
    "three steps of lookahead": "rollout(optimal, lookahead=3)", "best static of the model": "walk(static)",
    "full replanning": "retrain(optimal)", "best static, known": known_static, "oracle": "oracle",
}  # fmt: skip
"""What is compared on S2: label to a policy's name or a function of the worlds."""
DAY = {
    "no replanning": "unadapted", "one step of rollout": "rollout", "staffing rule, relearned": "predictive",
    "best static of the model": "walk",
}  # fmt: skip
"""The same on S5, where full replanning is out of reach: the states cannot be listed."""


@cache
def window_table(size: float, number: int, count: int) -> Floats:
    """Return simulated window means of every setting, (30, count, 1) s."""
    mesh = load_scenario("mesh-release").mesh("after")
    load = float(mesh.loads[0, 0])
    weights, workers = (control.levels for control in mesh.controls)
    drawn = [
        window_means(load, DEMAND * size, p, int(c), count, 1000 * number + k, WINDOW)
        for k, (p, c) in enumerate(itertools.product(weights, workers))
    ]
    windows = np.stack(drawn)[:, :, None]
    return np.where(windows > 0.0, windows, ROUTE_TIMEOUT["mesh"])  # nothing completed: as the traces are read


def release(size: float, number: int | None = None) -> Mesh:
    """Return the mesh after a change of so many times the demand: the plant, or what measurement `number` teaches."""
    mesh = load_scenario("mesh-release").mesh("after")
    if number is None:
        return mesh.with_response(ResponseTable(window_table(size, 0, TRUTH)))
    windows = window_table(size, 1 + number, VISITS * WINDOWS)
    features = np.repeat(mesh.grid_features(), VISITS * WINDOWS, axis=0)
    visit = np.repeat(np.arange(len(windows) * VISITS), WINDOWS)
    forest = make_surrogate("forest", 0, controls=[c.name for c in mesh.controls], services=("compute",))
    forest.fit(features, windows.reshape(-1, 1), visit)
    return mesh.with_response(tabulate(forest, mesh, MODEL_WINDOWS))


def released(sizes: Sequence[float], measurements: int) -> dict[tuple[float, int], Cell]:
    """Return the cells of the comparison on S2, by size and measurement."""
    return {(size, k): partial(_worlds, size, k) for size in sizes for k in range(measurements)}


def _worlds(size: float, number: int) -> Worlds:
    return Worlds(release(1.0, number), release(size, number), release(size), number)


@dataclass(frozen=True)
class Cost:
    """What a method takes once the change has happened.

    Attributes
    ----------
    measuring, computing : s
    """

    measuring: float
    computing: float


def costs(size: float) -> dict[str, Cost]:
    """Time each method of S2 on one measurement; whoever needs the new model needs its windows."""
    begin = time.perf_counter()
    worlds = _worlds(size, 0)
    learning = time.perf_counter() - begin
    settings = worlds.model.n_states
    measuring = settings * VISITS * (WINDOWS + SETTLE) * WINDOW
    found = {}
    for label, name in STATIC.items():
        if isinstance(name, str) and name != "oracle":
            begin, fresh = time.perf_counter(), name != "optimal"
            policy_table(name, worlds)
            found[label] = Cost(measuring * fresh, learning * fresh + time.perf_counter() - begin)
    return found


def day_rewards(sizes: Sequence[float], seeds: Sequence[int], jobs: int = -1) -> dict[str, Floats]:
    """Return each policy's reward per cycle on the two days after the change of S5, (sizes, N), and seconds a cycle."""
    keys = list(itertools.product(DAY.values(), sizes, seeds))
    found = Parallel(n_jobs=jobs)(delayed(_day)(*key) for key in keys)
    table = np.array(found).reshape(len(DAY), len(sizes), len(seeds), 2)
    return {label: table[k] for k, label in enumerate(DAY)}


def _day(policy: str, size: float, seed: int) -> tuple[float, float]:
    day = make_loop("S5")
    heavier = replace(day.before, demand=(day.before.demand[0] * size, day.before.demand[1] * size))
    brain, begin = day.controller(policy, seed=seed), time.perf_counter()
    plant = SimulatedQueues(day.before, heavier, day.change_at, seed)
    windows = [record.window for record in run(plant, brain, day.cycles)]
    seconds = (time.perf_counter() - begin) / day.cycles
    return judged(policy, seed, windows[day.change_at :]).reward, seconds
