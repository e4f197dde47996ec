"""A trace has every visit once, whatever happened on the way."""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from netrollout.testbed import CollectError, Plan, collect
from netrollout.testbed.campaign import measure_visit

Helper = Callable[..., Any]  # see conftest.py


def read(trace: Path) -> pd.DataFrame:
    return pd.read_csv(trace, comment="#", keep_default_na=False, na_values=[""])


def test_a_killed_collection_goes_on_without_duplicate_or_missing_visit(
    envoy: None, tmp_path: Path, start_python: Helper, tiny_plan: Helper
) -> None:
    content, out = tiny_plan(), tmp_path / "trace.csv.gz"
    part = tmp_path / "trace.csv.gz.part"
    code = f"from netrollout.testbed import Plan, collect; collect(Plan.parse({content!r}), {str(out)!r})"
    process = start_python(code)
    deadline = time.monotonic() + 20
    while (not part.exists() or part.read_text().count("# end of visit") < 3) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    finished = part.read_text().count("# end of visit")
    with part.open("a") as stream:
        stream.write("99,1,12.5,0.15,40,3")  # killed while writing
    steps: list[tuple[int, int]] = []
    plan = Plan.parse(content)
    assert collect(plan, out, lambda done, total: steps.append((done, total))) == out

    trace = read(out)
    assert list(zip(trace["visit"], trace["window"], strict=True)) == [(v, w) for v in range(8) for w in (1, 2)]
    assert steps == [(done, 8) for done in range(finished, 9)]
    measured = trace[trace["window"] == 1][["p_compute", "c_1", "c_2"]].itertuples(index=False, name=None)
    assert list(measured) == [(c.p["compute"], c.c[1], c.c[2]) for c in plan.schedule()]
    assert trace["t"].is_monotonic_increasing
    assert (trace["duration"] > 0.14).all()
    assert set(Counter(trace["visit"]).values()) == {2}
    assert not part.exists()
    lines = gzip.decompress(out.read_bytes()).decode().splitlines()
    header = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# "))
    wanted = ["schema", "scenario", "phase", "machine", "envoy", "seed", "collected", "window", "quota", "remeasured"]
    assert set(wanted) < set(header)
    assert header["demand_compute"] == "0.002 CPU s"
    assert json.loads(header["plan"]) == content
    assert lines[len(header)].startswith("visit,window,t,duration,target_l_compute,l_compute,")
    with pytest.raises(CollectError, match="exists already"):
        collect(plan, out)


def test_a_part_of_another_plan_is_refused(tmp_path: Path, tiny_plan: Helper) -> None:
    part = tmp_path / "trace.csv.part"
    part.write_text(f"# schema: 2\n# plan: {Plan.parse(tiny_plan(windows=3)).line}\n")
    with pytest.raises(CollectError, match="another plan"):
        collect(Plan.parse(tiny_plan()), tmp_path / "trace.csv")
    assert "# plan" in part.read_text()


def test_a_collection_keeps_the_priority_under_which_it_was_begun(tmp_path: Path, tiny_plan: Helper) -> None:
    part, plan = tmp_path / "trace.csv.part", Plan.parse(tiny_plan())
    part.write_text(f"# schema: 2\n# priority: realtime (SCHED_FIFO 10)\n# plan: {plan.line}\n")
    with pytest.raises(CollectError, match="begun under another priority"):
        collect(plan, tmp_path / "trace.csv", priority="normal")


def test_the_name_of_the_trace_tells_its_format(tmp_path: Path, tiny_plan: Helper) -> None:
    with pytest.raises(CollectError, match=r"\.csv"):
        collect(Plan.parse(tiny_plan()), tmp_path / "trace.parquet")


class DisturbedMesh:
    """A mesh whose first windows are disturbed by others."""

    def __init__(self, foreign: list[float]) -> None:
        self.foreign = foreign
        self.calls: list[str] = []

    def window(self, _: float) -> dict[str, Any]:
        self.calls.append("window")
        return {"foreign_cpu": self.foreign.pop(0), "fault": "envoy died" if len(self.calls) == 5 else ""}

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self.calls.append(name)


def test_a_visit_drains_sets_settles_and_then_measures(tiny_plan: Helper) -> None:
    mesh, plan = DisturbedMesh([0.0, 0.0]), Plan.parse(tiny_plan(foreign_limit=0.25))
    rows, again = measure_visit(mesh, plan, plan.configurations[0])  # type: ignore[arg-type]
    assert mesh.calls == ["drain", "set", "load", "wait", "window", "window"]
    assert ([row["window"] for row in rows], again) == ([1, 2], 0)


def test_a_disturbed_window_is_measured_again_three_times_at_most_and_no_fault_is_lost(tiny_plan: Helper) -> None:
    plan = Plan.parse(tiny_plan(foreign_limit=0.25))
    mesh = DisturbedMesh([0.9, 0.1, 0.9, 0.8, 0.7, 0.6])
    rows, again = measure_visit(mesh, plan, plan.configurations[0])  # type: ignore[arg-type]
    assert [row["foreign_cpu"] for row in rows] == [0.1, 0.6]
    assert again == 2
    mesh = DisturbedMesh([0.9, 0.1, 0.1])
    mesh.calls = []
    rows, again = measure_visit(mesh, plan, plan.configurations[0])  # type: ignore[arg-type]
    assert [row["fault"] for row in rows] == ["envoy died", ""]
