"""Rows know their ratios and floors, the table shows them, nothing that was not run passes in silence."""

import json

import pytest
from benchmarks import report
from benchmarks.clock import Row, alone, paired
from rich.console import Console

FAST = Row(
    "solvers", "policy iteration", "a peer", [1.0, 2.0, 4.0], [10.0, 30.0, 20.0], "solve", floor=5.0, checked="x"
)
SLOW = Row("multiagent", "decision", ours=[0.03], item="decision", ceiling=0.02)
ABSENT = Row("lookahead", "all rows", "a peer", not_run="no network")


def test_ratios_are_of_pairs_and_the_floor_is_for_their_median():
    assert FAST.ratios == [10.0, 15.0, 5.0]
    assert FAST.met is True
    assert SLOW.met is False
    assert ABSENT.met is None


def test_both_sides_take_turns_and_preparation_is_left_out(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr("time.process_time", lambda: float(next(clock)))
    calls = []

    def side(name):
        return lambda: lambda: calls.append(name)

    seconds = paired(side("ours"), side("theirs"), (1, 2), 2)
    assert calls == ["ours", "theirs", "ours", "theirs", "theirs", "ours"]
    assert seconds == {"ours": [1.0, 1.0], "theirs": [0.5, 0.5]}
    assert alone(side("ours"), 4, 1) == [0.25]


def test_the_table_names_peers_floors_and_what_was_not_run(capsys):
    report.show([FAST, SLOW, ABSENT], Console(width=200))
    text = capsys.readouterr().out
    assert "10x [5x, 15x]" in text
    assert "at least 5x" in text
    assert "ours at most 20 ms" in text
    assert "NO" in text
    assert "lookahead, all rows: not run: no network" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.0, "12 s"), (0.0123, "12.3 ms"), (4.5e-6, "4.5 us"), (2e-9, "0.002 us")]
)
def test_a_time_is_shown_in_a_unit_that_suits_it(seconds, text):
    assert report.duration(seconds) == text


def test_the_json_holds_every_repetition_and_flags_what_was_not_run(tmp_path):
    path = tmp_path / "folder" / "benchmarks.json"
    report.write([FAST, ABSENT], path, {"only": ["solvers"]})
    record = json.loads(path.read_text())
    assert record["rows"][0]["theirs"] == FAST.theirs
    assert record["rows"][0]["summary"]["ratios"] == {"min": 5.0, "median": 10.0, "max": 15.0}
    assert record["not_run"] == {"lookahead: all rows (a peer)": "no network"}
    assert [file.name for file in path.parent.iterdir()] == ["benchmarks.json"]
