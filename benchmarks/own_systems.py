"""A system of one's own, synthetic: where the followed plan ends, beside the best setting that was measured.

A web server with threads and a cache (20 settings) under 3 loads: response times rise with the load until the threads
do not suffice; from there they rise to seconds.  Its constants are drawn anew for each trace.  Every setting is visited
2, 4, 8 or 16 times, 6 windows each, at a load drawn per visit.  Three kinds:

========  ==============================================================================================================
cliff     noise of 5 % per visit and 10 % per window
noise     30 % per visit and 30 % per window
missing   as cliff; 30 % of the pairs of setting and load are never visited, 10 % of the windows have no response time
========  ==============================================================================================================

The plan is followed from all 60 starts, the load staying, without a new window on the way.  Regret is the true expected
reward of the best setting at the load minus that of the setting where it ends; holding has a regret of 3.

Letters: G = 60 grid points, n rows.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from benchmarks.clock import Row
from netrollout.connect.grid import Grid, Rows, on_grid
from netrollout.connect.own import best_measured, expected_reward, learned, measured
from netrollout.connect.planning import advised, counted_on, end_of, plan_on
from netrollout.connect.spec import Spec, read_spec
from netrollout.dp import policy_iteration
from netrollout.models import make_surrogate
from netrollout.seeding import spawn
from netrollout.types import Floats, Ints

THREADS, CACHE, LOADS = (2, 4, 8, 16, 32), (64, 128, 256, 512), (150, 300, 600)
SPEC = f"""
name: web
controls:
  threads: {{levels: {list(THREADS)}}}
  cache: {{levels: {list(CACHE)}}}
loads:
  rps: {{levels: {list(LOADS)}}}
metrics: [d]
objective: -(d / 0.06 if d < 0.6 else 10) - threads / 40 - cache / 1000
"""
WINDOWS = 6  # per visit
VISITS = (2, 4, 8, 16)
TRACES = 70  # of every kind and number of visits
MOST, APART = 1.1, 0.005  # times the regret of the best measured setting, and by how much it may be more anyway
WORSE = 0.02  # of the starts may end worse than holding


class Kind(NamedTuple):
    """What disturbs the measurements."""

    visit: float  # standard deviation of the log between visits
    window: float  # and between the windows of one
    unvisited: float  # share of pairs of setting and load
    unmeasured: float  # share of windows


KINDS = {"cliff": Kind(0.05, 0.1, 0.0, 0.0), "noise": Kind(0.3, 0.3, 0.0, 0.0), "missing": Kind(0.05, 0.1, 0.3, 0.1)}


class Ends(NamedTuple):
    """Regret and share of starts that end worse than holding, of one way to act."""

    regret: float
    worse: float


def own_systems(repetitions: int | None) -> list[Row]:
    """Return two rows per kind and number of visits: the regret, and how often the plan ends worse than holding."""
    rows = []
    for kind in KINDS:
        for visits in VISITS:
            found = [ends(kind, visits, seed) for seed in range(repetitions or TRACES)]
            regret = {name: [trace[name].regret for trace in found] for name in found[0]}
            told = ", ".join(f"{name} {np.mean(values):.4f}" for name, values in regret.items())
            name, unit = f"{kind}, {visits} visits", {"unit": "reward", "section": "own"}
            rows += [
                Row(name=f"{name}: regret of the plan", peer="best measured", ours=regret["plan"],
                    theirs=regret["best measured"], most=MOST, apart=APART, checked=f"mean regret: {told}", **unit),
                Row(name=f"{name}: starts that end worse than holding", ours=[trace["plan"].worse for trace in found],
                    ceiling=WORSE, **(unit | {"unit": "of the starts"})),
            ]  # fmt: skip
    return rows


def ends(kind: str, visits: int, seed: int) -> dict[str, Ends]:
    """Return where each way to act ends on one trace, from all starts."""
    rng = spawn(seed, "own system", kind, visits)
    spec, logs = web(), system(rng)
    grid, rows, _ = on_grid(spec, trace(kind, visits, logs, rng), "trace")
    truth, told = worth(grid, kind, logs), measured(grid, rows)
    model = learned(grid, rows, seed)
    plan = plan_on(grid, rows, counted_on(model.rewards, told))
    tables = {
        "hold": plan.hold,
        "plan": advised(grid, plan, model.rewards),
        "plan, sure or not": plan.table,
        "best measured": grid.towards(best_measured(grid, told)),
        "measured, forest elsewhere": plan_on(grid, rows, patched(grid, rows, told, seed)).table,
        "truth": policy_iteration(grid.rewarded(truth)).policy,
    }
    best = truth.reshape(len(LOADS), -1).max(axis=1).repeat(len(grid.settings))
    after = {name: truth[end_of(grid, table, np.arange(len(truth)))] for name, table in tables.items()}
    return {name: Ends(float((best - r).mean()), float((r < truth - 1e-9).mean())) for name, r in after.items()}


def web() -> Spec:
    """Return the spec."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "web.yml"
        path.write_text(SPEC)
        return read_spec(path)


def system(rng: np.random.Generator) -> Floats:
    """Return the log of the typical response time at every grid point, (G,), of a server drawn at random."""
    load, threads, cache = np.meshgrid(LOADS, THREADS, CACHE, indexing="ij")
    miss = np.exp(-cache / rng.uniform(80, 250))
    contention = 1.0 + rng.uniform(0.01, 0.04) * threads
    service = rng.uniform(0.003, 0.006) + rng.uniform(0.015, 0.035) * miss
    busy = load * service * contention / threads
    calm = service * contention * (1.0 + busy**2 / np.maximum(1.0 - busy, 0.05) / np.sqrt(threads))
    return np.log(np.minimum(np.where(busy < 0.95, calm, 0.4 + 2.0 * (busy - 0.95)), 5.0)).ravel()


def trace(kind: str, visits: int, logs: Floats, rng: np.random.Generator) -> pd.DataFrame:
    """Return what was measured of a server."""
    of, settings = KINDS[kind], [(threads, cache) for threads in THREADS for cache in CACHE]
    allowed = rng.random((len(settings), len(LOADS))) >= of.unvisited
    allowed[np.arange(len(settings)), rng.integers(len(LOADS), size=len(settings))] = True
    lines = []
    for number, k in enumerate(rng.permutation(np.repeat(np.arange(len(settings)), visits))):
        load = int(rng.choice(np.flatnonzero(allowed[k])))
        around = logs[load * len(settings) + k] + of.visit * rng.standard_normal()
        d = np.exp(around + of.window * rng.standard_normal(WINDOWS))
        d[rng.random(WINDOWS) < of.unmeasured] = np.nan
        lines += [(number, *settings[k], LOADS[load], value) for value in d]
    return pd.DataFrame(lines, columns=["visit", "threads", "cache", "rps", "d"], dtype=float)


def worth(grid: Grid, kind: str, logs: Floats) -> Floats:
    """Return the true expected reward of a window at every grid point, (G,)."""
    of = KINDS[kind]
    z = norm.ppf((np.arange(400) + 0.5) / 400) * np.hypot(of.visit, of.window)
    threads, cache, load = grid.features.T
    columns = {"threads": threads[:, None], "cache": cache[:, None], "rps": load[:, None]}
    return np.asarray(grid.spec.objective(columns | {"d": np.exp(logs[:, None] + z)}).mean(axis=1))


def patched(grid: Grid, rows: Rows, told: Floats, seed: int) -> Floats:
    """Return the mean measured reward (G,), and that of a forest's windows where nothing was measured."""
    met: Ints = np.flatnonzero(np.isfinite(rows.metrics[:, 0]))
    forest = make_surrogate("forest", seed).fit(
        grid.features[grid.point(rows)[met]], rows.metrics[met], rows.visit[met]
    )
    return np.where(np.isnan(told), expected_reward(grid, forest.windows(grid.features, 25)), told)
