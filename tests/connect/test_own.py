"""From a spec and a trace to an action: closed forms, bounds, standard errors, and bad traces."""

import json
import math

import numpy as np
import pytest

from netrollout.cli.own import run_own
from netrollout.connect import own
from netrollout.connect.own import recommend, report
from netrollout.types import InputError

SPEC = """\
name: shop
controls:
  c: {levels: [1, 2, 3, 4]}
metrics: [d]
objective: 1 - c/4 if d <= 0.1 else 0.1 - d
discount: 0.9
"""


@pytest.fixture
def files(tmp_path):
    def write(trace, spec=SPEC):
        (tmp_path / "s.yaml").write_text(spec)
        path = tmp_path / "t.csv"
        path.write_bytes(trace if isinstance(trace, bytes) else trace.encode())
        return tmp_path / "s.yaml", path

    return write


def trace(d=(0.4, 0.08, 0.06, 0.05), visits=3, windows=8, extra=None, seed=0):
    """Every c of 1..4 visited in turn; response times spread by 5 %. `extra` adds a column from c and d."""
    rng, lines, visit = np.random.default_rng(seed), ["visit,c,d" + (",x" if extra else "")], 0
    for _ in range(visits):
        for c in (1, 2, 3, 4):
            for _ in range(windows):
                value = d[c - 1] * (1 + 0.05 * rng.uniform(-1, 1))
                more = f",{extra(c, value)}" if extra else ""
                lines.append(f"{visit},{c},{value}{more}")
            visit += 1
    return "\n".join(lines) + "\n"


def test_it_walks_to_the_cheapest_setting_that_keeps_the_bound(files):
    paths = files(trace())
    found = {c: recommend(*paths, at=f"c={c}").action.move["c"] for c in (1, 2, 3, 4)}
    assert found == {1: 1, 2: 0, 3: -1, 4: -1}


def test_the_q_factors_are_the_closed_form(files):
    r = recommend(*files(trace()), at="c=2")
    by = {action.setting["c"]: action for action in r.actions}
    assert r.method == "exact dynamic programming" and r.rollout_agrees
    assert by[2].reward == 0.5 and by[3].reward == 0.25
    np.testing.assert_allclose(by[2].q, 0.5 / (1 - 0.9))
    np.testing.assert_allclose(by[3].q, 0.25 + 0.9 * 0.5 / (1 - 0.9))
    np.testing.assert_allclose(by[3].gain, -0.25)
    assert by[2].tried == 24 and by[2].gain_error == 0.0
    np.testing.assert_allclose(r.outlook["hold"], 0.5)


def test_the_present_is_the_last_row_unless_told(files):
    paths = files(trace())
    assert recommend(*paths).setting == {"c": 4.0}
    assert recommend(*paths, at={"c": 1}).setting == {"c": 1.0}


def test_the_objective_is_applied_to_windows_not_to_their_mean(files):
    lines = ["visit,c,d"] + [
        f"{v},{c},{d}" for v in range(6) for c, d in [(v % 2 + 1, 0.01)] * 15 + [(v % 2 + 1, 0.17)] * 15
    ]
    r = recommend(*files("\n".join(lines), SPEC.replace("[1, 2, 3, 4]", "[1, 2]")), at="c=1")
    [hold] = [action for action in r.actions if not any(action.move.values())]
    assert hold.metrics["d"][0] < 0.1  # r(E d) would be 0.75
    np.testing.assert_allclose(hold.reward, (13 * 0.75 - 12 * 0.07) / 25, atol=0.05)


def test_bounds_are_not_left_knowingly(files):
    spec = SPEC.replace("1 - c/4 if d <= 0.1 else 0.1 - d", "-c")
    assert recommend(*files(trace(), spec), at="c=2").action.move["c"] == -1
    r = recommend(*files(trace(), spec + "bounds: {d: 0.1}\n"), at="c=2")
    assert r.action.move["c"] == 0 and "expected to break a bound" in report(r)
    r = recommend(*files(trace(), spec + "bounds: {d: 0.01}\n"), at="c=2")
    assert r.action.move["c"] == -1 and "Holding is expected to break" in report(r)


def test_the_load_that_moves_is_part_of_the_state(files):
    lines = ["c,l,d"]
    for c in (1, 2) * 4:
        for load in (10, 10, 30, 30) * 5:
            lines.append(f"{c},{load},{0.05 if load == 10 or c == 2 else 0.5}")
    spec = SPEC.replace("[1, 2, 3, 4]", "[1, 2]").replace("metrics", "loads:\n  l: {bins: 2}\nmetrics")
    paths = files("\n".join(lines), spec)
    assert recommend(*paths, at="c=1,l=28").load == {"l": 30.0}
    assert recommend(*paths, at="c=1,l=28").action.setting == {"c": 2.0}
    grid, _, _ = own.on_grid(own.read_spec(paths[0]), own.read_log(own.read_spec(paths[0]), paths[1]), paths[1])
    np.testing.assert_allclose(grid.move, [[0.5, 0.5], [4 / 9, 5 / 9]])


def test_metrics_may_be_zero_negative_constant_or_missing(files):
    for extra in (lambda c, d: 0, lambda c, d: -c, lambda c, d: c - 2, lambda c, d: "" if c == 1 else 5):
        r = recommend(
            *files(trace(extra=extra), SPEC.replace("[d]", "[d, x]").replace("1 - c/4 if", "1 - c/4 + 0*x if"))
        )
        assert all(math.isfinite(value) for action in r.actions for value in action.metrics["x"])


def test_a_metric_that_falls_where_the_first_rises_is_paired_so(files):
    spec = SPEC.replace("[d]", "[d, x]").replace("1 - c/4 if d <= 0.1 else 0.1 - d", "(d + x - 1) ** 2")
    r = recommend(*files(trace(extra=lambda c, d: 1 - d), spec))
    assert all(abs(action.reward) < 1e-4 for action in r.actions)


@pytest.mark.parametrize("rows", [1, 12, 240])
def test_a_trace_in_which_the_controls_never_moved_advises_to_hold_and_what_to_measure(files, rows):
    r = recommend(*files("c,d\n" + "2,0.3\n" * rows, SPEC + "bounds: {d: 0.06}\n"))
    assert r.action.label == "hold" and not r.decided and "The controls never moved" in r.doubt
    assert r.place("measure next").tried == 0 and any(line.startswith("Measure next: c=") for line in r.why())
    assert r.record()["decided"] is False
    assert any("3 of 4 settings were never tried" in note for note in r.notes)


def test_where_nothing_distinguishes_an_action_from_holding_the_advice_is_to_hold(files):
    lines = ["visit,c,d"]
    for visit, (c, d, e) in enumerate([(1, 0.1, 0.4), (2, 0.11, 0.37), (1, 0.5, 0.09), (2, 0.38, 0.1)]):
        lines += [f"{visit},{c},{d}", f"{visit},{c},{e}"]
    spec = SPEC.replace("[1, 2, 3, 4]", "[1, 2]").replace("1 - c/4 if d <= 0.1 else 0.1 - d", "-d")
    found = [recommend(*files("\n".join(lines), spec), at=f"c={c}") for c in (1, 2)]
    [r] = [r for r in found if r.considered != r.hold]
    assert r.action.label == "hold" and not r.decided and "cannot tell it from holding" in r.why()[1]
    assert r.place("measure next") is not None
    assert all(other.decided for other in found if other is not r)


def test_a_clear_trace_is_decided_and_says_where_the_plan_walks_and_what_was_measured_best(files):
    r = recommend(*files(trace()), at="c=4")
    assert r.decided and r.action.label == "c -1" and r.action.gain_share == 1.0
    assert r.place("the plan walks to").setting == r.place("best measured setting").setting == {"c": 2.0}
    assert r.place("best measured setting").measured_reward == 0.5
    page = report(r)
    assert "The plan walks to c=2: reward 0.5 ± 0 predicted, 0.5 measured in 24 rows." in page
    assert "| best measured setting | c=2 | 0.5 ± 0 | 0.5 |" in page


def test_a_setting_that_was_measured_is_predicted_as_it_was_measured_beside_a_cliff(files):
    r = recommend(*files(trace(d=(5.0, 4.0, 0.06, 0.05), visits=1)), at="c=4")
    by = {action.setting["c"]: action for action in r.actions}
    assert by[3].metrics["d"][0] == pytest.approx(by[3].measured["d"], rel=0.1)
    assert by[3].reward == by[3].measured_reward == 0.25 and not any("and measured" in note for note in r.notes)


def test_where_prediction_and_measurement_disagree_it_says_so(files):
    rng, lines, visit = np.random.default_rng(0), ["visit,c,d"], 0
    for c, d in ((1, 0.1), (2, 0.1), (3, 0.1), (4, 0.1)) * 3:
        off = 3.0 if (c, visit) == (2, 1) else np.exp(rng.normal(0, 1))
        lines += [f"{visit},{c},{d * off}"]
        visit += 1
    r = recommend(*files("\n".join(lines)))
    assert any(note.startswith("Predicted and measured d differ by more than 50%") for note in r.notes)


def test_the_same_seed_gives_the_same_recommendation(files):
    paths = files(trace())
    assert recommend(*paths, seed=3) == recommend(*paths, seed=3)


def test_rows_with_a_fault_or_off_the_grid_are_left_out(files):
    text = "# schema: 1\nc,d,fault\n" + "2,0.05,\n" * 9 + "7,0.05,\n" + "2,9.0,node 1 died\n" + "3,0.05,\n" * 9
    r = recommend(*files(text))
    assert r.rows == 18 and any("left out: 1" in note for note in r.notes)
    assert max(action.metrics["d"][0] for action in r.actions) < 1


def test_where_it_stands_when_the_last_row_is_off_the_grid(files):
    text = "c,d\n" + "2,0.05\n3,0.05\n" * 9 + "7,0.05\n"
    assert recommend(*files(text, SPEC + "start: {c: 3}\n")).setting == {"c": 3.0}
    with pytest.raises(InputError, match=r"line 20, column c: 7 is not one of .* say where it stands"):
        recommend(*files(text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no line with column names"),
        ("# only\n", "no line with column names"),
        ("c,d\n", "at least one is needed"),
        ("c,x\n1,2\n", "s.yaml: line 4, key metrics: 'd' is no column of the trace"),
        ("c,d\n1,2\n1\n", "line 3: 1 fields, but 2 columns"),
        ("c,d\n1,2\n1,2,3\n", "line 3: 3 fields"),
        ("c,d\n1,2\n1,x\n", "line 3, column d: 'x' must be a finite number"),
        ("c,d\n1,2\n,2\n", "line 3, column c: '' must be a finite number"),
        ("c,d\n1,inf\n", "line 2, column d: 'inf'"),
        ("c,d\n1,1_000\n", "line 2, column d: '1_000' must be a finite number"),
        ("c,d\nNA,1\n", "line 2, column c: 'NA' must be a finite number"),
        ("c,d\n1," + "x" * 200 + "\n", r"column d: 'x+\.\.\.' must be a finite number"),
        ("c,d\n1," + "1" * 200_000 + "\n", "line 2: a field of more than 131072 characters"),
        ("c,d\nnan,1\n", "line 2, column c: 'nan'"),
        ("c,d\n1,\n2,\n", "column d is empty in every row"),
        ("c,c,d\n1,1,1\n", "line 1, column c: named twice"),
        ('c,d\n1,"2\n', "quotation mark"),
        ("c,d\n80,1\n", "line 2, column c: 80 is not one of the levels"),
        ("visit,c,d\n0,1,1\n0,2,1\n", "line 3, column visit: the controls change within a visit"),
        ("c,d,fault\n1,1,dead\n", "without a fault"),
        (b"c,d\n\xff\xfe", "not text"),
        (b"\x1f\x8bxx", "gzip"),
    ],
)
def test_bad_traces_are_named(files, text, says):
    with pytest.raises(InputError, match=says) as error:
        recommend(*files(text))
    assert "\n" not in str(error.value)


LOADED = SPEC.replace("[1, 2, 3, 4]", "[1, 2]").replace("metrics", "loads:\n  l: {levels: [10, 30, 50]}\nmetrics")


@pytest.mark.parametrize("load", ["1e9", "-1", "61", "50"])
def test_a_load_of_which_the_trace_tells_nothing_is_refused(files, load):
    paths = files("c,l,d\n" + "1,10,0.2\n1,30,0.3\n2,30,0.05\n2,10,0.04\n" * 3, LOADED)
    with pytest.raises(InputError, match=r"l=.*: the trace tells nothing of such a load; it has 10, 30"):
        recommend(*paths, at=f"c=1,l={load}")
    assert "l=33 counts as 30." in recommend(*paths, at="c=1,l=33").notes


def test_rows_with_a_far_load_or_none_are_said(files):
    text = "c,l,d\n" + "1,10,0.2\n2,30,0.05\n" * 4 + "2,99999,0.05\n1,,0.2\n1,NA,0.2\n1,10,null\n"
    r = recommend(*files(text, LOADED))
    assert "Rows of the trace without a load that were left out: 2." in r.notes
    assert any("far from every level, and counts as the nearest: 1; the farthest is 99999, in line 10" in note
               for note in r.notes)  # fmt: skip
    with pytest.raises(InputError, match="no row on the grid says what the load was"):
        recommend(*files("c,l,d\n1,,1\n", LOADED))


@pytest.mark.parametrize("at", ["c=9", "c=nan", "x=1", "c", "c=1,c=2", ""])
def test_a_bad_place_is_named(files, at):
    with pytest.raises(InputError, match=r"at[ :]"):
        recommend(*files(trace()), at=at)


def test_an_objective_that_is_not_finite_on_the_grid(files):
    with pytest.raises(InputError, match=r"line \d+, key objective: it is inf at c=1"):
        recommend(*files(trace(), SPEC.replace("1 - c/4 if", "1 / (c - 1) if c < 2 else 1 if")))


@pytest.mark.parametrize("controls", [2, 30])
def test_a_grid_too_large_is_refused_before_anything_is_learned(files, controls):
    more = "".join(f"  e{k}: {{levels: {list(range(1, 1000))}}}\n" for k in range(controls))
    names = "".join(f",e{k}" for k in range(controls))
    with pytest.raises(InputError, match="pairs of states and actions; at most"):
        recommend(*files(f"c,d{names}\n" + "1,2" + ",1" * controls + "\n", SPEC.replace("metrics", f"{more}metrics")))


def test_the_command_prints_and_writes(files, tmp_path, capsys):
    paths = files(trace())
    run_own(*paths, at="c=4", report=tmp_path / "r.md", json=tmp_path / "r.json")
    assert "Next action: c -1, from c=4 to c=3." in capsys.readouterr().out
    assert (tmp_path / "r.md").read_text().startswith("# shop: the next action")
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["actions"][record["chosen"]]["move"] == {"c": -1} and record["why"]
    run_own(*paths, report=tmp_path / "s.json")
    assert json.loads((tmp_path / "s.json").read_text())["setting"] == {"c": 4.0}
    with pytest.raises(InputError, match="--report"):
        run_own(*paths, report=tmp_path / "r.txt")
