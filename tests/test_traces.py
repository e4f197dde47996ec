"""Reading our traces: what is good is read as it stands, what is bad is refused in one line that names the place."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from netrollout.traces import TraceError, check_trace, configurations, read_trace, response_times
from netrollout.traces.schema import rules, trace_schema
from netrollout.types import InputError

HEADER = ["# schema: 1", "# scenario: S2", "# machine: 2 x CPU: fast", "# remeasured: 3 windows"]
NAMES = list(rules(("compute",), (1, 2), 1))
NAMES_LINE = len(HEADER) + 1
GOOD = {
    "visit": 0, "window": 1, "t": 0.5, "duration": 2.0, "target_l_compute": 20, "l_compute": 19.5, "b_compute": 0,
    "cl_compute": 19.5, "p_compute": 0.2, "d_compute": 0.06, "d_compute_std": 0.05, "d_compute_p90": 0.14,
    "d_compute_p99": 0.17, "n_compute": 38, "timeout_compute": 0, "d_compute_1": 0.04, "n_compute_1": 6,
    "d_compute_2": 0.07, "n_compute_2": 32, "c_1": 5, "busy_1": 0.02, "c_2": 1, "busy_2": 0.5, "foreign_cpu": 0.1,
    "steal": 0, "fault": "",
}  # fmt: skip
NOTHING = {
    **dict.fromkeys([name for name in NAMES if name.startswith("d_")], ""),
    **dict.fromkeys([name for name in NAMES if name.startswith("n_")], 0),
}
Rows = list[dict[str, object]]


def good_rows() -> Rows:
    """Return two visits of two windows: lines 6 to 9 of the file."""
    first = [GOOD | {"window": w} for w in (1, 2)]
    second = [GOOD | {"visit": 1, "window": w, "p_compute": 1, "foreign_cpu": 0.3} for w in (1, 2)]
    return [*first, *second]


def text(rows: Rows, names: list[str] = NAMES, header: list[str] = HEADER) -> str:
    lines = [",".join(str(row[name]) for name in names) for row in rows]
    return "\n".join([*header, ",".join(names), *lines]) + "\n"


@pytest.fixture(params=["trace.csv", "trace.csv.gz"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Write a trace, plain and compressed."""

    def write_(content: str | bytes) -> Path:
        content = content.encode() if isinstance(content, str) else content
        file = tmp_path / request.param
        file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
        return file

    return write_


Write = Callable[[str | bytes], Path]


def refused(file: Path) -> str:
    """Return the message without the file, checking its form."""
    with pytest.raises(InputError) as caught:
        read_trace(file)
    message = str(caught.value)
    assert isinstance(caught.value, InputError)
    assert message.startswith(f"{file}: ")
    assert "\n" not in message
    return message.removeprefix(f"{file}: ")


def test_a_good_trace_is_read_as_it_stands(write: Write) -> None:
    trace = read_trace(write(text(good_rows())))
    assert (trace.services, trace.nodes) == (("compute",), (1, 2))
    assert trace.header["machine"] == "2 x CPU: fast"
    assert list(trace.frame.columns) == NAMES
    assert trace.frame.iloc[0].to_dict() == GOOD
    assert trace.frame["c_1"].dtype == np.int64


SECOND = ["# schema: 2", "# bound_compute: 0.125 s", *HEADER[1:]]
NEW = {"late_compute": 0.25, "busy_seconds_1": 0.2, "queue_1": 0, "busy_seconds_2": 1.0, "queue_2": 3}


def test_a_trace_of_schema_2_tells_late_requests_queues_and_busy_seconds(write: Write) -> None:
    names = list(rules(("compute",), (1, 2), 2))
    assert set(names) == {*NAMES, *NEW}
    trace = read_trace(write(text([row | NEW for row in good_rows()], names, SECOND)))
    assert trace.frame.iloc[0].to_dict() == GOOD | NEW
    assert trace.late("compute").tolist() == [0.25] * 4
    assert (check_trace(trace.path).nodes, trace.frame["queue_2"].dtype) == ((1, 2), np.int64)


def test_late_requests_are_asked_of_a_trace_that_has_them(write: Write) -> None:
    with pytest.raises(TraceError, match=r"line 1: schema 1 holds no late_compute; measure again"):
        read_trace(write(text(good_rows()))).late("compute")
    unbound = [line for line in SECOND if "bound" not in line]
    names = list(rules(("compute",), (1, 2), 2))
    trace = read_trace(write(text([row | NEW | {"late_compute": ""} for row in good_rows()], names, unbound)))
    with pytest.raises(TraceError, match=r"the header has no bound_compute; give the plan a bound"):
        trace.late("compute")


@pytest.mark.parametrize(
    ("row", "header", "message"),
    [
        (NEW | {"late_compute": 1.5}, SECOND, "line 7, column late_compute: 1.5 must be a share from 0 to 1"),
        (NEW | {"queue_2": 0.5}, SECOND, "line 7, column queue_2: 0.5 must be a count, a whole number of at least 0"),
        (NEW | {"busy_seconds_1": -1}, SECOND, "line 7, column busy_seconds_1: -1 must be a time in s of at least 0"),
        (NEW, HEADER, "line 5, column 'late_compute': unknown; "),
    ],
)
def test_the_columns_of_schema_2_are_checked_and_none_of_schema_1(
    write: Write, row: dict[str, object], header: list[str], message: str
) -> None:
    names = list(rules(("compute",), (1, 2), 2))
    assert refused(write(text([GOOD | row], names, header))).startswith(message)


def test_a_report_counts(write: Write) -> None:
    rows = good_rows()
    rows[3]["fault"] = "node1.worker2 died"
    report = check_trace(write(text(rows)))
    assert (report.rows, report.visits, report.configurations) == (4, 2, 2)
    assert (report.faults, report.remeasured) == (1, 3)
    assert report.foreign_cpu == pytest.approx((0.2, 0.3))


def test_windows_end_lines_and_a_byte_order_mark_do_no_harm(write: Write) -> None:
    file = write(b"\xef\xbb\xbf" + text(good_rows()).replace("\n", "\r\n").encode())
    assert len(read_trace(file).frame) == 4


def test_quoted_text_may_hold_commas(write: Write) -> None:
    rows = good_rows()
    rows[0]["fault"] = '"node 1 died, and ""restarted"""'
    assert read_trace(write(text(rows))).frame["fault"][0] == 'node 1 died, and "restarted"'


def test_columns_may_stand_in_another_order_and_traces_may_have_two_services(write: Write) -> None:
    names = list(rules(("info", "compute"), (1, 2), 1))
    rows = [row | {name: row[name.replace("info", "compute")] for name in names} for row in good_rows()]
    trace = read_trace(write(text(rows, names[::-1])))
    assert set(trace.services) == {"info", "compute"}
    assert len(trace.frame.columns) == len(names)


def test_the_schema_accepts_a_good_frame() -> None:
    frame = pd.DataFrame([GOOD]).astype({name: float for name in NAMES if name != "fault"})
    trace_schema(rules(("compute",), (1, 2), 1)).validate(frame)


VALUES = [
    ("d_compute", -0.06, "-0.06 must be a time in s of at least 0"),
    ("p_compute", 1.2, "1.2 must be a routing weight from 0 to 1"),
    ("p_compute", -0.1, "-0.1 must be a routing weight from 0 to 1"),
    ("b_compute", 1.5, "1.5 must be a blocking rate from 0 to 1"),
    ("steal", 2, "2 must be a share from 0 to 1"),
    ("busy_2", 1.01, "1.01 must be a share from 0 to 1"),
    ("duration", 0, "0 must be a duration in s above 0"),
    ("n_compute_1", -6, "-6 must be a count, a whole number of at least 0"),
    ("n_compute_1", 6.5, "6.5 must be a count, a whole number of at least 0"),
    ("c_1", 2.5, "2.5 must be a number of workers, a whole number of at least 0"),
    ("l_compute", "", "empty, but must be a rate in req/s of at least 0"),
    ("l_compute", "fast", "'fast' must be a rate in req/s of at least 0"),
    ("l_compute", "nan", "'nan' must be a rate in req/s of at least 0"),
    ("l_compute", "1e999", "'1e999' must be a rate in req/s of at least 0"),
    ("d_compute_1", "n/a", "'n/a' must be a time in s of at least 0"),
]


@pytest.mark.parametrize(("column", "value", "says"), VALUES)
def test_a_bad_value_is_refused_with_its_line_and_column(write: Write, column: str, value: object, says: str) -> None:
    rows = good_rows()
    rows[1][column] = value
    assert refused(write(text(rows))) == f"line 7, column {column}: {says}"


CONTRADICTIONS = [
    ({"cl_compute": 19.6}, "cl_compute: more is admitted than offered; cl_compute must be at most l_compute"),
    ({"d_compute_p90": 0.2}, "d_compute_p90: above d_compute_p99; the 90th percentile must be at most the 99th"),
    ({"n_compute": 37}, "n_compute: the nodes completed more than n_compute, which must be at least their sum"),
    ({"d_compute": ""}, "d_compute: empty, but n_compute is above 0; it must hold a time in s"),
    ({"d_compute_2": ""}, "d_compute_2: empty, but n_compute_2 is above 0; it must hold a time in s"),
    ({"d_compute_std": ""}, "d_compute_std: empty, but n_compute is above 1; it must hold a time in s"),
    (NOTHING | {"d_compute": 0.06}, "d_compute: a response time, but n_compute is 0; it must be empty"),
    (NOTHING | {"d_compute_1": 0.0}, "d_compute_1: a response time, but n_compute_1 is 0; it must be empty"),
    ({"window": 3}, "window: window 3 follows window 1; windows must count up by 1"),
    ({"visit": 2, "window": 2}, "window: a visit begins with window 2; it must begin with 0 or 1"),
    ({"c_1": 4}, "c_1: changes from 5 to 4 within a visit; it must stay the same"),
]


@pytest.mark.parametrize(("changes", "says"), CONTRADICTIONS)
def test_columns_that_contradict_each_other_are_refused(write: Write, changes: dict[str, object], says: str) -> None:
    rows = good_rows()
    rows[1] |= changes
    assert refused(write(text(rows))) == f"line 7, column {says}"


def test_a_visit_that_goes_on_after_another_is_refused(write: Write) -> None:
    rows = good_rows()
    message = refused(write(text([*rows, rows[1] | {"window": 3}])))
    assert message == "line 10, column visit: visit 0 goes on after another visit; a visit must be contiguous"


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_truncated_line_is_an_error_and_never_missing_values(write: Write, cut: int) -> None:
    message = refused(write(text(good_rows()).rstrip("\n")[:-cut]))
    assert message.startswith("line 9: ")
    assert message.endswith(f"fields, but {len(NAMES)} columns are named; a truncated line?")


def test_a_line_truncated_inside_quotes_is_an_error(write: Write) -> None:
    rows = good_rows()
    rows[3]["fault"] = '"node1'
    assert refused(write(text(rows))) == "line 9: a quotation mark is not closed; a truncated line?"


def test_a_field_too_many_and_an_empty_line_are_errors(write: Write) -> None:
    lines = text(good_rows()).splitlines()
    lines[6] += ",1"
    assert refused(write("\n".join(lines))) == f"line 7: {len(NAMES) + 1} fields, but {len(NAMES)} columns are named"
    lines[6] = ""
    assert refused(write("\n".join(lines))).startswith(f"line 7: 0 fields, but {len(NAMES)} columns are named")


def test_a_missing_column_is_named(write: Write) -> None:
    names = [name for name in NAMES if name != "cl_compute"]
    message = refused(write(text(good_rows(), names)))
    assert message == f"line {NAMES_LINE}, column cl_compute: missing; it holds a rate in req/s of at least 0"


@pytest.mark.parametrize("missing", ["l_compute", "d_compute", "c_1", "busy_2"])
def test_columns_that_name_services_and_nodes_may_be_the_missing_ones(write: Write, missing: str) -> None:
    message = refused(write(text(good_rows(), [name for name in NAMES if name != missing])))
    assert message.startswith(f"line {NAMES_LINE}, column {missing}: missing")


def test_a_duplicated_column_is_named(write: Write) -> None:
    message = refused(write(text(good_rows(), [*NAMES, "p_compute"])))
    assert message == f"line {NAMES_LINE}, column p_compute: named twice (fields 9 and {len(NAMES) + 1})"


def test_an_unknown_column_is_named_with_the_near_one(write: Write) -> None:
    rows = [row | {"d_compute_p9": 1, "colour": "red"} for row in good_rows()]
    names = ["d_compute_p9" if name == "d_compute_p90" else name for name in NAMES]
    message = refused(write(text(rows, names)))
    assert message == f"line {NAMES_LINE}, column 'd_compute_p9': unknown; did you mean d_compute_p90?"
    assert "column 'colour': unknown; a trace has visit," in refused(write(text(rows, [*NAMES, "colour"])))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "the file is empty"),
        (" \n\n", "the file is empty"),
        ('{"schema": 1}\n', "line 1: looks like JSON"),
        ("<!DOCTYPE html>\n<html>", "line 1: looks like HTML or XML"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "binary data, not text"),
        ("a\0b\n", "binary data, not text"),
        ("expected_l1,l1\n1,5\n", "line 1: none of the columns of a trace is named here"),
        ("one word\n", "line 1: none of the columns of a trace is named here"),
        ("# schema: 1\n", "line 1: ends after its header; a line with the column names must follow"),
        (text([]), f"line {NAMES_LINE}: ends after the column names; at least one row must follow"),
        (text(good_rows(), header=[]), "line 1: the header does not say `# schema: 2`"),
        (text(good_rows(), header=["# a: b", "# schema: 3"]), "line 2: schema '3' is unknown; this version reads"),
        (text(good_rows()) + "# end of visit\n", "line 10: a comment among the rows"),
    ],
)
def test_other_formats_are_refused(write: Write, content: str | bytes, says: str) -> None:
    assert refused(write(content)).startswith(says)


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "absent.csv").startswith("no such file; a trace is CSV text")
    assert refused(tmp_path).startswith("a folder, not a file")


def test_gzip_that_is_damaged_or_none_at_all_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv.gz"
    file.write_text(text(good_rows()))
    assert refused(file).startswith("named .gz, but its content is not gzip")
    whole = gzip.compress(text(good_rows()).encode())
    file.write_bytes(whole[:-20])
    assert refused(file).startswith("damaged or truncated gzip data")
    file.write_bytes(whole[:20] + bytes(20) + whole[40:])
    assert refused(file).startswith("damaged or truncated gzip data")


def test_the_first_of_several_errors_is_reported_and_the_others_are_counted(write: Write) -> None:
    rows = good_rows()
    rows[0]["p_compute"], rows[2]["p_compute"], rows[3]["steal"] = 2, 3, 4
    with pytest.raises(TraceError, match="line 6, column p_compute") as caught:
        read_trace(write(text(rows)))
    assert caught.value.more == 2


def test_response_times_follow_the_rule_for_windows_without_completions(write: Write) -> None:
    stuck, idle = NOTHING | {"window": 2, "p_compute": 1}, NOTHING | {"l_compute": 0, "cl_compute": 0}
    rows = good_rows()
    rows[3] |= stuck
    rows += [GOOD | {"visit": 2} | idle, GOOD | {"visit": 3, "fault": "envoy died"}]
    frame = response_times(read_trace(write(text(rows))))
    assert frame["visit"].tolist() == [0, 0, 1, 1, 2]  # the row with a fault is left out
    assert frame["d_compute"].tolist()[:4] == [0.06, 0.06, 0.06, 5.0]
    assert np.isnan(frame["d_compute"][4])
    assert frame["d_compute_1"][3] == 5.0
    assert np.isnan(frame["d_compute_2"][3])  # nothing was routed there
    assert response_times(read_trace(write(text(rows))), route_timeout=20)["d_compute"][3] == 20


def test_response_times_leave_the_trace_as_it_is(write: Write) -> None:
    trace = read_trace(write(text([GOOD | NOTHING])))
    response_times(trace)
    assert trace.frame["d_compute"].isna().all()


def test_configurations_are_means_over_the_windows_of_a_visit(write: Write) -> None:
    rows = good_rows()
    rows[1]["d_compute"] = 0.08
    means = configurations(read_trace(write(text(rows))))
    assert means["visit"].tolist() == [0, 1]
    assert means["windows"].tolist() == [2, 2]
    assert means["p_compute"].tolist() == [0.2, 1]
    assert means["d_compute"].tolist() == pytest.approx([0.07, 0.06])
