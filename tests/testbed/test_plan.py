"""A plan is checked when it is read; its schedule is what was asked for, in random order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from netrollout.testbed.plan import Plan
from netrollout.types import InputError

Helper = Callable[..., Any]  # see conftest.py

SHIPPED = sorted((Path(__file__).parents[2] / "data" / "mesh" / "plans").glob("*.yml"))
DESIGN = {"configurations": 12, "seed": 3, "p_compute": [0, 0.5, 1.0], "c_1": [1, 2, 3], "c_2": [1, 2]}


def test_a_grid_is_the_full_factorial_with_the_load_levels(tiny_plan: Helper) -> None:
    services = {"compute": {"load": [15, 25], "demand": 0.008}}
    plan = Plan.parse(tiny_plan(services=services, grid={"p_compute": [0, 0.5, 1], "c_1": [1, 2], "c_2": [1]}))
    points = {(c.load["compute"], c.p["compute"], c.c[1]) for c in plan.configurations}
    assert len(plan.configurations) == len(points) == 2 * 3 * 2
    assert all(c.b == {"compute": 0.0} for c in plan.configurations)


def test_a_design_gives_distinct_configurations_that_use_every_level(tiny_plan: Helper) -> None:
    plan = Plan.parse(tiny_plan(grid=None, design=DESIGN))
    points = {(c.p["compute"], c.c[1], c.c[2]) for c in plan.configurations}
    assert len(plan.configurations) == len(points) == 12
    assert [sorted({point[i] for point in points}) for i in range(3)] == [[0, 0.5, 1.0], [1, 2, 3], [1, 2]]


def test_a_design_can_exhaust_its_levels(tiny_plan: Helper) -> None:
    plan = Plan.parse(tiny_plan(grid=None, design={**DESIGN, "configurations": 18}))
    assert len({str(c) for c in plan.configurations}) == 18


def test_the_schedule_visits_each_configuration_equally_often_and_depends_on_the_seed_only(tiny_plan: Helper) -> None:
    plan = Plan.parse(tiny_plan(visits=3))
    order = [str(c) for c in plan.schedule()]
    assert set(Counter(order).values()) == {3}
    assert order == [str(c) for c in Plan.parse(tiny_plan(visits=3)).schedule()]
    assert order != [str(c) for c in Plan.parse(tiny_plan(visits=3, seed=2)).schedule()]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"windos": 3}, "windos"),
        ({"windows": None}, "windows"),
        ({"windows": 0}, "windows"),
        ({"windows": 2.5}, "windows"),
        ({"window": "long"}, "window"),
        ({"quota": 1.5}, "quota"),
        ({"scenario": 5}, "scenario"),
        ({"services": ["compute"]}, "services"),
        ({"services": {"storage": {"load": [1], "demand": 0.1}}}, "services.storage"),
        ({"services": {"compute": {"load": 25, "demand": 0.1}}}, "services.compute.load"),
        ({"services": {"compute": {"load": [-1], "demand": 0.1}}}, "services.compute.load"),
        ({"services": {"compute": {"load": [1]}}}, "services.compute.demand"),
        ({"services": {"compute": {"load": [1], "demand": 0.1, "bound": 0}}}, "services.compute.bound"),
        ({"grid": {"p_compute": [1.5], "c_1": [1], "c_2": [1]}}, "grid.p_compute"),
        ({"grid": {"p_compute": [1], "c_1": [0], "c_2": [1]}}, "grid.c_1"),
        ({"grid": {"p_compute": [1], "c_1": [1]}}, "grid.c_2"),
        ({"grid": None}, "grid"),
        ({"grid": None, "design": {**DESIGN, "configurations": 19}}, "design.configurations"),
    ],
)
def test_an_error_names_file_and_key(change: dict[str, Any], key: str, tmp_path: Path, tiny_plan: Helper) -> None:
    file = tmp_path / "plan.yml"
    file.write_text(yaml.safe_dump(tiny_plan(**change)))
    with pytest.raises(InputError) as error:
        Plan.read(file)
    place, _, last = key.rpartition(".")
    places = (f"key {key}: ", f"key {place}: {last} is missing", f": {key} is missing", ": give either grid or design")
    assert str(error.value).startswith(f"{file}: line ") and any(each in str(error.value) for each in places)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["a: [", "just text", ""])
def test_a_file_that_is_no_plan_is_one_clear_error(content: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.yml"
    file.write_text(content)
    with pytest.raises(InputError, match=r"plan\.yml"):
        Plan.read(file)
    with pytest.raises(InputError, match="no such file"):
        Plan.read(tmp_path / "absent.yml")


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_each_shipped_plan_is_good(file: Path) -> None:
    plan = Plan.read(file)
    assert len(plan.configurations) in (24, 30, 80, 90)
    assert plan.max_workers == (4 if file.stem == "search" else 5)


def test_there_are_shipped_plans() -> None:
    assert [file.stem for file in SHIPPED] == [
        "pilot",
        "release_after",
        "release_before",
        "s1",
        "s2_after",
        "s2_before",
        "s3",
        "search",
    ]
