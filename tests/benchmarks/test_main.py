"""The command line: which sections run, and one clear sentence for what is unknown."""

import pytest
from benchmarks import __main__ as main


def test_all_sections_run_where_nothing_is_said():
    options = main.parse([])
    assert options.only == list(main.SECTIONS)
    assert options.repetitions is None


def test_a_subset_keeps_the_order_of_the_table():
    assert main.parse(["--only", "solvers, lookahead"]).only == ["lookahead", "solvers"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "lookahed"], "--only: unknown section 'lookahed'; did you mean lookahead?"),
        (["--only", "zzz"], "--only: unknown section 'zzz'; known: lookahead, evaluation, "),
        (["--repetitions", "0"], "--repetitions 0: expected 1 or more"),
        (["--json", "no/such/folder/b.json"], "--json no/such/folder/b.json: give a file in a folder that exists"),
        (["--fast"], "unrecognized arguments: --fast"),
    ],
)
def test_what_is_unknown_is_refused_before_anything_runs(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_one_section_is_measured_shown_and_written(tmp_path, monkeypatch, capsys):
    row = main.Row("solvers", "policy iteration", "a peer", [1.0], [2.0])
    monkeypatch.setitem(main.SECTIONS, "solvers", lambda repetitions: [row] * repetitions)
    main.main(["--only", "solvers", "--repetitions", "1", "--json", str(tmp_path / "b.json")])
    assert "policy iteration" in capsys.readouterr().out
    assert (tmp_path / "b.json").is_file()
