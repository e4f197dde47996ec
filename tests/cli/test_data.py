"""`netrollout data`: answers on stdout; what is wrong in one line on stderr with exit code 2, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netrollout.cli.main import main

Run = Callable[..., tuple[int, str, str]]
NAMES = (
    "visit,window,t,duration,target_l_s,l_s,b_s,cl_s,p_s,d_s,d_s_std,d_s_p90,d_s_p99,n_s,timeout_s,d_s_1,n_s_1,"
    "c_1,busy_1,foreign_cpu,steal,fault"
)
ROW = "0,1,0.5,2,20,20,0,20,1,0.1,0.05,0.2,0.3,40,0,0.1,40,3,0.5,0.25,0,"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command; returns exit code, stdout and stderr without the name of the program."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["netrollout", "data", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err.removeprefix("netrollout: ")

    return run


def trace(folder: Path, *rows: str) -> Path:
    file = folder / "trace.csv"
    file.write_text("\n".join(["# schema: 1", NAMES, *rows]) + "\n")
    return file


def test_check_says_what_a_good_trace_holds(run: Run, tmp_path: Path) -> None:
    file = trace(tmp_path, ROW, ROW.replace("0,1,0.5", "0,2,2.5") + "node1 died")
    code, out, err = run("check", file)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"{file}: good",
        "rows 2, visits 1, configurations 1",
        "services s; nodes 1",
        "rows with a fault 1, windows measured again unknown",
        "foreign CPU: mean 0.250, largest 0.250 cores",
    ]


def test_check_reports_an_error_in_one_line(run: Run, tmp_path: Path) -> None:
    file = trace(tmp_path, ROW.replace(",1,0.1,0.05", ",1.2,0.1,0.05"))
    code, out, err = run("check", file)
    assert (code, out) == (2, "")
    assert err == f"{file}: line 3, column p_s: 1.2 must be a routing weight from 0 to 1\n"


def test_check_counts_further_errors(run: Run, tmp_path: Path) -> None:
    file = trace(tmp_path, ROW[:30], ROW[:30], ROW[:30])
    code, _, err = run("check", file)
    assert code == 2
    assert err.endswith("a truncated line? (and 2 more)\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08", b"\xff\xfe\x00", b"{}", b"a,b\n1,2\n"])
def test_check_never_shows_a_traceback(run: Run, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    code, out, err = run("check", file)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"{file}: ")
    assert run("check", tmp_path / "absent.csv")[2].startswith(f"{tmp_path / 'absent.csv'}: no such file; a trace is")


def test_list_shows_what_can_be_fetched(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETROLLOUT_DATA", str(tmp_path))
    code, out, err = run("list")
    assert (code, err) == (0, "")
    for name in ("noms2024_scenario2_before", "noms2024_scenario3", "kth_traces", "kth_evaluations"):
        assert name in out


def test_fetch_tells_an_unknown_name_and_an_unfit_folder(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETROLLOUT_DATA", str(tmp_path / "data"))
    code, out, err = run("fetch", "kth_trace")
    assert (code, out) == (2, "")
    assert err == "'kth_trace' is not in the registry; did you mean kth_traces?\n"
    code, out, err = run("fetch", "kth", "--from", tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith(f"{tmp_path}: no file there has the sha256 of noms2024_scenario2_before")
