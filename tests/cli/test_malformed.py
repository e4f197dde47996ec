"""What people give the commands wrong: one line that names it, exit code 2, nothing written, no hang, no traceback."""

import gzip
import json
import os
import sys
from datetime import date
from types import SimpleNamespace

import pytest
import yaml

from netrollout.adapt import Journal
from netrollout.adapt.journal import read_journal
from netrollout.cli.main import main
from netrollout.systems.mesh.plants import KINDS
from netrollout.types import InputError

SPEC = "controls: {c: {levels: [1, 2, 3, 4]}}\nmetrics: [d]\nobjective: -d\n"
TRACE = "c,d\n1,0.4\n2,0.3\n"
PLAN = {
    "scenario": "T", "phase": "tiny", "seed": 1, "services": {"compute": {"load": [40], "demand": 0.002}},
    "grid": {"p_compute": [0, 1.0], "c_1": [1, 3], "c_2": [1]}, "visits": 2, "windows": 2, "window": 0.15,
}  # fmt: skip


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder, in this process."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["netrollout", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return SimpleNamespace(code=end.value.code, out=out, err=err)

    return run


def refused(done, says):
    assert done.code == 2 and done.out == ""
    assert says in done.err and len(done.err.splitlines()) == 1 and done.err.startswith("netrollout: ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("evaluate", "walk", "random", "--set", "horizon=99999999999"),
            "horizon=99999999999: expected a whole number",
        ),
        (("evaluate", "walk", "random", "--set", "horizon=0"), "horizon=0: expected a whole number from 1"),
        (("evaluate", "walk", "random", "--set", "horizon=2.5"), "horizon=2.5: expected a whole number"),
        (("evaluate", "walk", "random", "--set", "discount=nan"), "discount=nan: expected a number from 0 to 1"),
        (("evaluate", "walk", "random", "--set", "discount=inf"), "discount=inf: expected a number from 0 to 1"),
        (("evaluate", "walk", "random", "--set", "discount=-1"), "discount=-1: expected a number from 0 to 1"),
        (("evaluate", "walk", "random", "--set", "=3"), "--set '=3': expected KEY=VALUE"),
        (("evaluate", "walk", "random", "--set", "seed="), "--set 'seed=': expected KEY=VALUE"),
        (("evaluate", "walk", "ppo(file=)"), "file"),
        (("evaluate", "walk", "ppo(file=absent.npz)"), "absent.npz: no such file"),
        (("evaluate", "walk", ""), "policy ''"),
        (("evaluate", "walk", "static("), "policy 'static('"),
        (("evalute",), "No such command 'evalute'"),
        (("evaluate",), "Missing argument 'SYSTEM'; see netrollout evaluate --help"),
        (("evaluate", "walk", "random", "--bog", "3"), "No such option: --bog"),
        (("evaluate", "walk", "random", "--seeds", "0"), "Invalid value for '--seeds'"),
        (("adapt", "--cycles", "ten"), "Invalid value for '--cycles'"),
        (("train", "walk", "ppo", "--steps", "99999999999"), "Invalid value for '--steps'"),
        (("evaluate", "walk", "random", "--json", "no/r.json"), "--json no/r.json: its folder does not exist"),
        (("evaluate", "walk", "random", "--json", "."), "--json .: is a folder"),
        (("testbed", "up", "--window", "0"), "--window 0: expected more than 0 s"),
        (("testbed", "up", "--window", "-1"), "--window -1: expected more than 0 s"),
        (("testbed", "up", "--window", "nan"), "--window nan: expected more than 0 s"),
        (("testbed", "up", "--window", "inf"), "--window inf: expected more than 0 s"),
        (("testbed", "up", "--load", "compute=inf"), "--load compute=inf: expected name=number"),
        (("testbed", "up", "--load", "compute=1,info=2"), "--load compute=1,info=2: expected name=number"),
        (("testbed", "collect", "--plan", "absent.yml", "--out", "x.csv"), "absent.yml: no such file"),
        (("adapt", "--log", "no/a.jsonl"), "--log no/a.jsonl: its folder does not exist"),
        (("adapt", "--spec", "no.yaml", "--trace", "no.csv"), "no.yaml: no such file"),
        (("data", "check", "/dev/zero"), "/dev/zero: a device or a pipe, not a file"),
        (("data", "check", "absent.csv"), "absent.csv: no such file"),
        (("serverless", "replay", "absent.json"), "absent.json: No such file or directory"),
    ],
)
def test_options_and_names(run, tmp_path, arguments, says):
    refused(run(*arguments), says)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", "walk", "random", "--seeds", "99999999999"),
        ("evaluate", "walk", "random", "--seeds", "-1"),
        ("compare", "walk", "random", "optimal", "--seeds", "99999999999"),
        ("adapt", "--cycles", "99999999999"),
        ("adapt", "--change-at", "99999999999"),
    ],
)
def test_counts_that_no_machine_would_finish_are_refused_before_work_begins(run, tmp_path, arguments):
    done = run(*arguments)
    assert done.code == 2 and done.out == "" and "Traceback" not in done.err
    assert f"Invalid value for '{arguments[-2]}'" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_fifo_is_no_trace(run, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "s.yaml").write_text(SPEC)
    refused(run("data", "check", "fifo"), "fifo: a device or a pipe, not a file")
    refused(run("adapt", "--spec", "s.yaml", "--trace", "fifo"), "fifo: a device or a pipe, not a file")
    refused(run("adapt", "--spec", "fifo", "--trace", "t.csv"), "fifo: a device or a pipe, not a file")


OWN = {
    "a number with a line below": (b"c,d\n1_0,0.4\n", "line 2, column c: '1_0' must be a finite number"),
    "a number beyond a float": (b"c,d\n1,1e999\n", "line 2, column d: '1e999' must be a finite number"),
    "a number in hexadecimal": (b"c,d\n0x1,1\n", "line 2, column c: '0x1' must be a finite number"),
    "a number of other digits": ("c,d\n\u0661,1\n".encode(), "line 2, column c"),
    "a word for a number": (b"c,d\ntrue,1\n", "line 2, column c: 'true' must be a finite number"),
    "a very long field": (b"c,d\n1," + b"9" * 200_000 + b"\n", "line 2: a field of more than 131072 characters"),
    "a truncated line": (b"c,d\n1,0.4\n2", "line 3: 1 fields, but 2 columns are named"),
    "an open quotation mark": (b'c,d\n1,"0.4\n', "line 2: a quotation mark is not closed"),
    "UTF-16": ("c,d\n1,2\n".encode("utf-16"), "not text in UTF-8"),
    "zero bytes": (b"c,d\n1,\0\n", "not text in UTF-8"),
    "half of a gzip file": (gzip.compress(TRACE.encode())[:-9], "damaged or truncated gzip data"),
    "columns named twice": (b"c,c,d\n1,1,1\n", "line 1, column c: named twice"),
    "no rows": (b"c,d\n", "at least one is needed"),
}


@pytest.mark.parametrize("kind", OWN)
def test_traces_of_ones_own(run, tmp_path, kind):
    content, says = OWN[kind]
    (tmp_path / "s.yaml").write_text(SPEC)
    (tmp_path / "t.csv").write_bytes(content)
    refused(run("adapt", "--spec", "s.yaml", "--trace", "t.csv"), says)
    assert len(list(tmp_path.iterdir())) == 2


SPECS = {
    "increments beyond int64": ("increments: [0, 99999999999999999999]", "from -10000 to 10000"),
    "increments beyond reason": ("increments: [0, 10001]", "10001 must be a whole number"),
    "an increment that is no number": ("increments: [0, .nan]", "'.nan' is no finite number"),
    "an increment of text": ("increments: [0, '1']", "'1' is no finite number"),
    "an increment with a line below": ("increments: [0, 1_0]", "'1_0' is no finite number"),
    "a long text": ("increments: [0, " + "x" * 1000 + "]", "..."),
    "no list": ("increments: 3", "expected a list"),
    "a misspelt key": ("increment: [0, 1]", "did you mean increments?"),
}


@pytest.mark.parametrize("kind", SPECS)
def test_specs(run, tmp_path, kind):
    line, says = SPECS[kind]
    (tmp_path / "s.yaml").write_text(SPEC.replace("levels: [1, 2, 3, 4]", f"levels: [1, 2, 3, 4], {line}"))
    (tmp_path / "t.csv").write_text(TRACE)
    done = run("adapt", "--spec", "s.yaml", "--trace", "t.csv")
    refused(done, says)
    assert "s.yaml: line 1, key controls.c." in done.err and len(done.err) < 400


PLANS = {
    "an endless window": ({"window": float("inf")}, "key window: '.inf' is no finite number"),
    "a window that is no number": ({"window": float("nan")}, "key window: '.nan' is no finite number"),
    "a window of a day": ({"window": 86400}, "key window: 86400 must be a number above 0 s and of at most 3600 s"),
    "an endless settling": ({"settle": float("inf")}, "key settle: '.inf' is no finite number"),
    "visits without end": ({"visits": 10**12}, "key visits: 1e+12 must be a whole number from 1 to 100000"),
    "windows without end": ({"windows": 10**12}, "key windows: 1e+12 must be a whole number"),
    "a negative seed": ({"seed": -1}, "key seed: -1 must be a whole number from 0"),
    "a seed of text": ({"seed": "x"}, "key seed: 'x' is no finite number"),
    "a folder that is not there": ({"phase": "2024-01-01"}, "--out no/x.csv: its folder does not exist"),
    "a date for a name": ({"phase": date(2024, 1, 1)}, "key phase: '2024-01-01' must be one line of text"),
    "a service that there is not": ({"services": {"storage": {"load": [1], "demand": 1}}}, "services.storage: unknown"),
    "an empty list of loads": ({"services": {"compute": {"load": [], "demand": 1}}}, "the list is empty"),
    "a grid without end": (
        {"grid": {"p_compute": [k / 1000 for k in range(1000)], "c_1": list(range(1, 1000)), "c_2": [1]}},
        "999000 configurations; at most 100000 can be measured",
    ),
    "a misspelt key": ({"windws": 3}, "key windws: unknown; did you mean windows or window?"),
    "neither grid nor design": ({"grid": None}, "give either grid or design"),
}


@pytest.mark.parametrize("kind", PLANS)
def test_plans(run, tmp_path, kind):
    change, says = PLANS[kind]
    plan = {key: value for key, value in {**PLAN, **change}.items() if value is not None}
    (tmp_path / "plan.yml").write_text(yaml.safe_dump(plan))
    out = "no/x.csv" if says.startswith("--out") else "x.csv"
    refused(run("testbed", "collect", "--plan", "plan.yml", "--out", out), says)
    assert [path.name for path in tmp_path.iterdir()] == ["plan.yml"]


HEADER = {"plant": "simulator", "seed": 3}
CYCLE = {"cycle": 0, "setting": {"p": 1, "c": 0}, "load": 0, "next_load": 0, "d": [0.1], "busy": None, "usable": True,
         "expected": 0.1, "notes": {}, "action": [1, 1]}  # fmt: skip
LOGS = {
    "a text for a time": ({"d": "0.1"}, "line 2: d is 0.1"),
    "no times": ({"d": []}, r"line 2: d is \[\]"),
    "texts for times": ({"d": ["x"]}, "line 2: d is"),
    "a negative time": ({"d": [-0.1]}, r"line 2: d is \[-0.1\]"),
    "a time of zero": ({"d": [0]}, r"line 2: d is \[0\]"),
    "a time of a thousand digits": ({"d": [10**1000]}, "line 2: d is"),
    "a truth for a time": ({"d": [True]}, "line 2: d is"),
    "a truth for a load": ({"load": True}, "line 2: load is True"),
    "a fraction for a load": ({"next_load": 0.5}, "line 2: next_load is 0.5"),
    "a list for a share": ({"busy": [1]}, "line 2: busy is"),
    "a number for a truth": ({"usable": 1}, "line 2: usable is 1"),
    "a list for notes": ({"notes": []}, "line 2: notes is"),
    "a missing key": ({"d": ...}, "line 2: d is missing"),
    "another cycle": ({"cycle": 1}, "line 2 should be cycle 0"),
}


@pytest.mark.parametrize("kind", LOGS)
def test_logs_that_somebody_edited(tmp_path, kind):
    change, says = LOGS[kind]
    cycle = {key: value for key, value in {**CYCLE, **change}.items() if value is not ...}
    content = "".join(json.dumps(line) + "\n" for line in ({"schema": 1, **HEADER}, cycle))
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(InputError, match=says) as error:
        Journal(tmp_path / "a.jsonl", HEADER, True, KINDS)
    assert len(str(error.value).splitlines()) == 1 and len(str(error.value)) < 400
    assert (tmp_path / "a.jsonl").read_text() == content


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "line 1 is not the header"),
        (b"\xff\xfe\n", "line 1 is not JSON"),
        (b"[" * 100_000 + b"\n", "line 1 is not JSON"),
        (b'{"schema": 2}\n', "line 1 is not the header"),
        (b"[]\n", "line 1 is not the header"),
        (b'{"schema": 1}\n[]\n', "line 2 should be cycle 0"),
        (b'{"schema": 1}\n{"cycle": NaN}\n', "line 2 is not JSON"),
    ],
)
def test_files_that_are_no_log(tmp_path, content, says):
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_journal(tmp_path / "a.jsonl")


def test_a_log_is_written_by_one_program_at_a_time(tmp_path):
    with Journal(tmp_path / "a.jsonl", HEADER, False, KINDS) as first:
        with pytest.raises(InputError, match=r"a.jsonl: another program is writing it; wait until it ends"):
            Journal(tmp_path / "a.jsonl", HEADER, True, KINDS)
        first.write(CYCLE)
    with Journal(tmp_path / "a.jsonl", HEADER, True, KINDS) as again:
        assert [line["cycle"] for line in again.cycles] == [0]


def test_a_log_that_is_packed_is_not_gone_on_with(tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(packed := gzip.compress(b'{"schema": 1, "plant": "simulator", "seed": 3}\n'))
    with pytest.raises(InputError, match=r"a.jsonl.gz: a log is written plain; unpack it"):
        Journal(tmp_path / "a.jsonl.gz", HEADER, True, KINDS)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == packed


@pytest.mark.parametrize("cycles", [0, 1])
def test_a_full_disk_is_one_line_and_keeps_what_was_written(tmp_path, monkeypatch, cycles):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    if cycles:
        journal = Journal(tmp_path / "a.jsonl", HEADER, False, KINDS)
        journal.write(CYCLE)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"a.jsonl: cannot be written: No space left on device"):
        if cycles:
            journal.write({**CYCLE, "cycle": 1})
        else:
            Journal(tmp_path / "a.jsonl", HEADER, False, KINDS)
    if cycles:
        journal.__exit__(None, None, None)
        assert len(read_journal(tmp_path / "a.jsonl")[1]) >= 1
    else:
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "extra"), [("torch", "train"), ("sb3_contrib.ppo", "train"), ("aiohttp", "testbed")]
)
def test_a_library_that_is_not_installed_is_named_with_what_installs_it(run, monkeypatch, module, extra):
    def missing(**options):
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr("netrollout.cli.main.app", missing)
    refused(run(), f"{module} is not installed; pip install 'netrollout[{extra}]'")
