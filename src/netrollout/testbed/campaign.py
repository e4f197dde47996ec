"""Measure a plan into a trace, one visit after the other; a collection that was killed goes on where it was."""

from __future__ import annotations

import csv
import gzip
import io
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from netrollout.store import check_target, write_file
from netrollout.testbed.envoy import envoy_version
from netrollout.testbed.mesh import Mesh
from netrollout.testbed.plan import Configuration, Plan
from netrollout.testbed.priority import Priority, described, obtained
from netrollout.types import InputError

SCHEMA = 2
REPEATS = 3  # times a disturbed window is measured again before it is kept as it is
_END_OF_VISIT = "# end of visit"  # in the .part file only


class CollectError(InputError):
    """The trace cannot be written or gone on with."""


class _Part:
    """The unfinished trace: header, column names, and per completed visit its rows and an end mark."""

    def __init__(self, file: Path, plan: Plan, priority: Priority) -> None:
        self.file = file
        self.priority = priority
        self.visits = 0
        self.remeasured = 0
        self.last_t = 0.0  # s, end of the last window so far
        if file.exists():
            self._resume(plan)
        else:
            self._lines = [f"# {key}: {value}\n" for key, value in header(plan, priority).items()]
            self._rewrite()

    def _resume(self, plan: Plan) -> None:
        kept: list[str] = []
        fresh: list[str] = []  # since the last end mark
        for line in self.file.read_text().splitlines(keepends=True):
            fresh.append(line)
            if line.startswith(_END_OF_VISIT) and line.endswith("\n"):
                self.visits += 1
                self.remeasured += int(line.rsplit(maxsplit=1)[1])
                kept, fresh = kept + fresh, []
        if not kept:  # not one visit was completed
            kept = [line for line in fresh if line.startswith("# ") and line.endswith("\n")]
        if f"# plan: {plan.line}\n" not in kept:
            raise CollectError(f"{self.file}: made by another plan; delete it, or finish it with that plan")
        if f"# priority: {described(self.priority)}\n" not in kept:
            raise CollectError(f"{self.file}: begun under another priority; delete it, or go on with that priority")
        self._lines = kept
        rows = [line for line in kept if not line.startswith("#")]
        if rows:
            names, last = next(csv.reader(rows[:1])), next(csv.reader(rows[-1:]))
            values = dict(zip(names, last, strict=True))
            self.last_t = float(values["t"]) + float(values["duration"])
        self._rewrite()

    def _rewrite(self) -> None:
        write_file(self.file, "".join(self._lines).encode())

    def add(self, rows: list[dict[str, Any]], remeasured: int) -> None:
        """Append one completed visit and push it to the disk."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        if self.visits == 0:
            writer.writeheader()
        writer.writerows({key: _short(value) for key, value in row.items()} for row in rows)
        text.write(f"{_END_OF_VISIT}, windows measured again: {remeasured}\n")
        with self.file.open("a") as stream:
            stream.write(text.getvalue())
            stream.flush()
            os.fsync(stream.fileno())
        self.visits += 1
        self.remeasured += remeasured

    def finish(self, out: Path) -> None:
        """Turn the part into the trace `out`, compressed where its name ends in .gz."""
        lines = self.file.read_text().splitlines(keepends=True)
        comments = [line for line in lines if line.startswith("#") and not line.startswith(_END_OF_VISIT)]
        comments.append(f"# remeasured: {self.remeasured} windows\n")
        text = "".join(comments + [line for line in lines if not line.startswith("#")]).encode()
        # mtime=0: the same rows give the same bytes
        write_file(out, gzip.compress(text, mtime=0) if out.suffix == ".gz" else text)
        self.file.unlink()


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value  # a microsecond, far below what is measured


def machine() -> str:
    """Describe this machine in one line, without its name."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    return f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def header(plan: Plan, priority: Priority) -> dict[str, Any]:
    """Return the header of a trace that is begun now."""
    demand = {f"demand_{s}": f"{mean:g} CPU s" for s, mean in plan.demand.items()}
    bounds = {f"bound_{s}": f"{bound:g} s" for s, bound in plan.bounds.items()}
    slowdown = {f"slowdown_{k}": f"{factor:g}" for k, factor in plan.slowdown.items()}
    return {
        "schema": SCHEMA,
        "scenario": plan.scenario,
        "phase": plan.phase,
        "machine": machine(),
        "envoy": envoy_version(),
        "seed": plan.seed,
        "collected": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "window": f"{plan.window:g} s",
        "settle": f"{plan.settle:g} s",
        "quota": f"{plan.quota:g} cores per worker",
        "period": f"{plan.period:g} s",
        **demand,
        **bounds,
        **slowdown,
        "priority": described(priority),
        "foreign_limit": f"{plan.foreign_limit:g} cores",
        "plan": plan.line,
    }


def measure_visit(mesh: Mesh, plan: Plan, configuration: Configuration) -> tuple[list[dict[str, Any]], int]:
    """Drain, set, settle and measure; return the windows' rows and how many windows were measured again."""
    mesh.drain()
    mesh.set(p=configuration.p, b=configuration.b, c=configuration.c)
    mesh.load(configuration.load)
    mesh.wait(plan.settle)
    rows, remeasured = [], 0
    for number in range(1, plan.windows + 1):
        row = mesh.window(plan.window)
        repeats = 0
        while row["foreign_cpu"] > plan.foreign_limit and repeats < REPEATS:
            again = mesh.window(plan.window)
            again["fault"] = "; ".join(filter(None, [row["fault"], again["fault"]]))  # a fault is never lost
            row, repeats = again, repeats + 1
        remeasured += repeats > 0
        rows.append({"window": number, **row})
    return rows, remeasured


def collect(
    plan: Plan | str | Path,
    out: str | Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    priority: str = "realtime",
) -> Path:
    """Measure a plan into the trace `out` (.csv or .csv.gz) and return its path.

    Completed visits are kept in `<out>.part`; called again after a kill, the collection goes on with the next visit,
    and refuses to where the plan has changed. Arrivals and demands of a resumed collection have new seeds.

    Parameters
    ----------
    plan : a plan or the path of its YAML file
    out : the trace
    progress : called with (visits done, visits in all) at the start and after each visit
    priority : of the testbed, see `Mesh`
    """
    plan = plan if isinstance(plan, Plan) else Plan.read(plan)
    out = Path(out)
    if not out.name.endswith((".csv", ".csv.gz")):
        raise CollectError(f"{out}: the name must end in .csv or .csv.gz")
    if out.exists():
        raise CollectError(f"{out}: exists already; delete it to measure again")
    check_target(out)
    part = _Part(out.with_name(out.name + ".part"), plan, obtained(priority))
    schedule = plan.schedule()
    progress(part.visits, len(schedule))
    if part.visits < len(schedule):
        seed = plan.seed + 1000 * part.visits
        limits = {"quota": plan.quota, "period": plan.period}
        with Mesh(
            plan.demand, max_workers=plan.max_workers, seed=seed, bounds=plan.bounds, priority=part.priority, **limits
        ) as mesh:
            mesh.slow(plan.slowdown)
            offset = part.last_t
            for visit in range(part.visits, len(schedule)):
                rows, remeasured = measure_visit(mesh, plan, schedule[visit])
                part.add([{"visit": visit, **row, "t": offset + row["t"]} for row in rows], remeasured)
                progress(part.visits, len(schedule))
    part.finish(out)
    return out
