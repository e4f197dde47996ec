"""Spec files: what one says, and the file, line and key of what is wrong."""

import textwrap

import pandas as pd
import pytest

from netrollout.connect.spec import check_against, read_spec
from netrollout.places import PlaceError
from netrollout.types import InputError

GOOD = """\
name: shop
controls:
  p: {levels: [0, 0.5, 1]}
  c: {levels: [1, 2, 3], increments: [-2, -1, 0, 1]}
loads:
  l: {bins: 3}
metrics: [d, u]
objective: 1 - c/3 if d <= 5e-2 else 0.05 - d
bounds: {d: 5e-2}
discount: 0.9
horizon: 30
start: {p: 1, c: 3}
"""
LESS = "controls: {c: {levels: [1, 2]}}\nmetrics: [d]\nobjective: -d\n"


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "spec.yaml"
        path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
        return read_spec(path)

    return read


def test_a_whole_spec(read):
    spec = read(GOOD)
    assert [(c.name, c.levels) for c in spec.controls] == [("p", (0.0, 0.5, 1.0)), ("c", (1.0, 2.0, 3.0))]
    assert spec.increments == ((-1, 0, 1), (-2, -1, 0, 1)) and spec.loads[0].bins == 3
    assert (spec.name, spec.metrics, spec.bounds, spec.horizon) == ("shop", ("d", "u"), {"d": 0.05}, 30)
    assert spec.objective.names == {"c", "d"} and spec.discount == 0.9 and spec.start == {"p": 1.0, "c": 3.0}


def test_three_keys_are_enough(read):
    spec = read(LESS)
    assert (spec.name, spec.loads, spec.bounds, spec.start) == ("spec", (), {}, None)
    assert read(LESS + "bounds: null\nstart: ~\n").start is None


def test_an_objective_may_fill_several_lines(read):
    assert read(LESS.replace("-d", "|\n  1 if d < 1\n  else -d")).objective.text == "1 if d < 1 else -d"


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "says"),
    [
        ("horizon:", "horizn:", 11, "horizn", "unknown; did you mean horizon"),
        ("levels: [0, 0.5, 1]", "increments: [0, 1]", 3, "controls.p", "needs levels"),
        ("p: {levels: [0, 0.5, 1]}", "p:", 3, "controls.p", "mapping"),
        ("p: {levels: [0, 0.5, 1]}", "p: [0, 1]", 3, "controls.p", "mapping"),
        ("[0, 0.5, 1]", "[0, 1, 0.5]", 3, "controls.p.levels", "0.5 follows 1"),
        ("[0, 0.5, 1]", "[0, 0.5, 0.5]", 3, "controls.p.levels", "must rise"),
        ("[0, 0.5, 1]", "[0, x, 1]", 3, "controls.p.levels", "'x' is no finite number"),
        ("[0, 0.5, 1]", "[0, .inf]", 3, "controls.p.levels", "no finite number"),
        ("[0, 0.5, 1]", "['0', 1]", 3, "controls.p.levels", "no finite number"),
        ("[0, 0.5, 1]", "[yes, no]", 3, "controls.p.levels", "no finite number"),
        ("[0, 0.5, 1]", "[1]", 3, "controls.p.levels", "at least two"),
        ("[0, 0.5, 1]", "[]", 3, "controls.p.levels", "at least two"),
        ("[0, 0.5, 1]", "0.5", 3, "controls.p.levels", "expected a list"),
        ("levels: [0, 0.5, 1]", "level: [0, 1]", 3, "controls.p.level", "did you mean levels"),
        ("[-2, -1, 0, 1]", "[-1, 1]", 4, "controls.c.increments", "0 \\(hold\\)"),
        ("[-2, -1, 0, 1]", "[0, 0.5]", 4, "controls.c.increments", "no whole number"),
        ("[-2, -1, 0, 1]", "[1, 0, -1]", 4, "controls.c.increments", "must rise"),
        ("  c:", "  p:", 4, "controls.p", "given twice; the first stands in line 3"),
        ("l: {bins: 3}", "l: {}", 6, "loads.l", "either levels"),
        ("l: {bins: 3}", "l: {bins: 3, levels: [1]}", 6, "loads.l", "either levels"),
        ("l: {bins: 3}", "l: {bins: 0}", 6, "loads.l", "expected 1 to"),
        ("l: {bins: 3}", "c: {bins: 3}", 6, "loads.c", "declared already, in line 4"),
        ("[d, u]", "[d, d]", 7, "metrics", "declared already"),
        ("[d, u]", "[d, c]", 7, "metrics", "declared already, in line 4, key controls.c"),
        ("[d, u]", "[d, {a: 1}]", 7, "metrics", "expected a text"),
        ("[d, u]", "[]", 7, "metrics", "at least one metric"),
        ("[d, u]", "d", 7, "metrics", "expected a list"),
        ("[d, u]", "[d, u-v]", 7, "metrics", "'u-v' is no name"),
        ("[d, u]", "[d, if]", 7, "metrics", "'if' is no name"),
        ("[d, u]", "[d, visit]", 7, "metrics", "a meaning of its own"),
        ("1 - c/3 if", "min(c, 3) if", 8, "objective", "'min\\(c, 3\\)' is a function call"),
        ("1 - c/3 if", "c.real if", 8, "objective", "an attribute"),
        ("1 - c/3 if", "w if", 8, "objective", "'w' is no declared column"),
        ("1 - c/3 if", "1 - if", 8, "objective", "is no expression"),
        ("objective: 1 - c/3 if d <= 5e-2 else 0.05 - d", "objective: [d]", 8, "objective", "expected a text"),
        ("objective: 1 - c/3 if d <= 5e-2 else 0.05 - d", "objective:", 8, "objective", "expected a text"),
        ("bounds: {d: 5e-2}", "bounds: {c: 5e-2}", 9, "bounds.c", "is no metric; the metrics are d, u"),
        ("bounds: {d: 5e-2}", "bounds: {d: none}", 9, "bounds.d", "no finite number"),
        ("bounds: {d: 5e-2}", "bounds: {d: 1, d: 2}", 9, "bounds.d", "given twice"),
        ("discount: 0.9", "discount: 1", 10, "discount", "below 1"),
        ("discount: 0.9", "discount: -0.1", 10, "discount", "at least 0"),
        ("horizon: 30", "horizon: 2.5", 11, "horizon", "no whole number"),
        ("horizon: 30", "horizon: 0", 11, "horizon", "expected 1 to"),
        ("{p: 1, c: 3}", "{p: 1}", 12, "start", "needs a value for c"),
        ("{p: 1, c: 3}", "{p: 0.7, c: 3}", 12, "start", "not on the grid"),
        ("{p: 1, c: 3}", "{p: 1, c: 3, q: 1}", 12, "start", "'q'"),
        ("name: shop\n", "name: shop\nname: shop\n", 2, "name", "given twice; the first stands in line 1"),
        ("name: shop", "? [a, b]\n: 1\nname: x", 1, "", "a key must be a name"),
        ("name: shop", "name: {a: b}", 1, "name", "expected a text"),
    ],
)
def test_what_is_wrong_is_named_by_file_line_and_key(read, old, new, line, key, says):
    assert old in GOOD
    with pytest.raises(PlaceError, match=says) as error:
        read(GOOD.replace(old, new))
    assert (error.value.line, error.value.key) == (line, key)
    assert f"spec.yaml: line {line}" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["controls", "metrics", "objective"])
def test_what_must_be_given(read, key):
    with pytest.raises(PlaceError, match=f"line 1: {key} is missing"):
        read("".join(line + "\n" for line in LESS.splitlines() if not line.startswith(key)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a spec is a mapping"),
        ("- a\n", "a spec is a mapping"),
        ("controls: {", "line 1: is no YAML|line 2: is no YAML"),
        ("a: b: c", "line 1: is no YAML"),
        ("controls: *x\n", "line 1: is no YAML"),
        (LESS + "---\n" + LESS, "line 4: is no YAML|line 5: is no YAML"),
        (b"\xff\xfe\x00", "not text in UTF-8"),
        (b"a: \x00", "not text in UTF-8"),
        ("controls: !!python/object/apply:os.system [x]\nmetrics: [d]\nobjective: d", "controls: expected a mapping"),
        ("controls: {}\nmetrics: [d]\nobjective: d", "at least one control"),
        ("controls: &a {c: *a}\nmetrics: [d]\nobjective: d", "line 1"),
    ],
)
def test_files_that_are_no_spec(read, text, says):
    with pytest.raises(InputError, match=says) as error:
        read(text)
    assert "\n" not in str(error.value)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_spec(tmp_path / "no.yaml")
    with pytest.raises(InputError, match="a folder, not a file"):
        read_spec(tmp_path)


@pytest.mark.parametrize(("missing", "line", "key"), [("d", 7, "metrics"), ("l", 6, "loads.l"), ("c", 4, "controls.c")])
def test_a_column_absent_from_the_trace(read, missing, line, key):
    columns = [name for name in ("p", "c", "l", "d", "u", "dd") if name != missing]
    with pytest.raises(PlaceError, match=f"line {line}, key {key}: '{missing}' is no column of the trace t.csv"):
        check_against(read(GOOD), pd.DataFrame(columns=columns), "t.csv")
    check_against(read(GOOD), pd.DataFrame(columns=["p", "c", "l", "d", "u"]), "t.csv")
