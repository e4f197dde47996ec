"""Whatever a file or a text holds, a reader returns or says in one line what is wrong.

200 examples each here; ``pytest --hypothesis-profile=nightly tests/test_fuzz.py`` takes 2,000.
"""

import io
import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netrollout.adapt import Journal
from netrollout.connect.log import read_log
from netrollout.connect.objective import parse_objective
from netrollout.connect.spec import read_spec
from netrollout.places import read_numbers
from netrollout.policies import PolicyName
from netrollout.store import read_arrays
from netrollout.systems.mesh.plants import KINDS
from netrollout.testbed import Plan
from netrollout.traces import read_trace
from netrollout.types import InputError

fuzzed = settings(max_examples=max(200, settings().max_examples), deadline=None)

NAMES = (
    "visit,window,t,duration,target_l_s,l_s,b_s,cl_s,p_s,d_s,d_s_std,d_s_p90,d_s_p99,n_s,timeout_s,d_s_1,n_s_1,"
    "c_1,busy_1,foreign_cpu,steal,fault"
)
ROW = "0,1,0.5,2,20,20,0,20,1,0.1,0.05,0.2,0.3,40,0,0.1,40,3,0.5,0.25,0,"
TRACE = "\n".join(["# schema: 1", "# window: 2 s", NAMES, ROW, ROW.replace("0,1,0.5", "0,2,2.5")]) + "\n"
SPEC = (
    "name: shop\ncontrols:\n  p: {levels: [0, 0.5, 1]}\n  c: {levels: [1, 2], increments: [-1, 0, 1]}\n"
    "loads:\n  l: {bins: 3}\nmetrics: [d, u]\nobjective: 1 - c/3 if d <= 5e-2 else 0.05 - d\nbounds: {d: 5e-2}\n"
    "discount: 0.9\nhorizon: 30\nstart: {p: 1, c: 2}\n"
)
PLAN = (
    "scenario: T\nphase: tiny\nseed: 1\nservices: {compute: {load: [40], demand: 0.002}}\n"
    "grid: {p_compute: [0, 1.0], c_1: [1, 3], c_2: [1]}\nvisits: 2\nwindows: 2\nwindow: 0.15\nsettle: 0.05\n"
)
OWN = "visit,p,c,l,d,u\n0,0,1,3,0.1,1\n0,0,1,3,0.2,\n1,0.5,2,4,0.3,2\n"
HEADER = {"plant": "simulator", "seed": 3}
CYCLE = {"cycle": 0, "setting": {"p": 1, "c": 0}, "load": 0, "next_load": 0, "d": [0.1], "busy": None, "usable": True,
         "expected": 0.1, "notes": {}}  # fmt: skip
LOG = "".join(json.dumps(line) + "\n" for line in ({"schema": 1, **HEADER}, CYCLE, {**CYCLE, "cycle": 1}))

TOKENS = [
    "", "\n", "\r\n", ",", ":", "#", '"', "'", "{", "}", "[", "]", "(", ")", "-", "1e999", "nan", "inf", "-1", "0",
    "1_000", "9" * 400, "null", "~", "yes", "*a", "&a ", "!!python/name:os.system ", "---\n", "<<: ", "? ", "\t",
    "\0", "\ufeff", "é", "\u2028", "x" * 200_000, "[" * 3000, "(" * 300, "not ", "**", "=", "p=", "true", "2024-01-01",
]  # fmt: skip


@st.composite
def damaged(draw, good):
    """A good file with a few places cut out, doubled, or overwritten, or bytes that are no such file at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    content = good
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        end = min(at + draw(st.sampled_from([0, 0, 1, 2, 5, 30])), len(content))
        piece = draw(st.one_of(st.sampled_from(TOKENS).map(str.encode), st.binary(max_size=3), st.just(content[:at])))
        content = content[:at] + piece + content[end:]
    return content


def judge(read, *arguments):
    """A reader may refuse what it is given, in one line."""
    try:
        return read(*arguments)
    except InputError as error:
        assert str(error) and len(str(error).splitlines()) == 1, error
        return None


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Write content into a new file."""
    folder, numbers = tmp_path_factory.mktemp("fuzz"), itertools.count()

    def write(content, ending=""):
        path = folder / f"{next(numbers) % 10}{ending}"
        path.write_bytes(content)
        return path

    return write


@fuzzed
@given(content=damaged(TRACE.encode()))
def test_the_trace_reader(file, content):
    judge(read_trace, file(content, ".csv"))


@fuzzed
@given(content=damaged(SPEC.encode()))
def test_the_spec_reader(file, content):
    judge(read_spec, file(content, ".yaml"))


@fuzzed
@given(content=damaged(PLAN.encode()))
def test_the_plan_reader(file, content):
    judge(Plan.read, file(content, ".yml"))


@fuzzed
@given(content=damaged(OWN.encode()))
def test_the_reader_of_ones_own_trace(file, content):
    spec = read_spec(file(SPEC.encode(), "spec.yaml"))
    frame = judge(read_log, spec, file(content, "own.csv"))
    if frame is not None:
        assert np.isfinite(frame[["p", "c", "l"]].to_numpy()).all()


@fuzzed
@given(content=damaged(LOG.encode()))
def test_the_log_reader(file, content):
    journal = judge(Journal, file(content, ".jsonl"), HEADER, True, KINDS)
    if journal is not None:
        journal.__exit__(None, None, None)
        assert all(d is None or 0 < d <= 1e9 for line in journal.cycles for d in line["d"])


def npz():
    buffer = io.BytesIO()
    np.savez(buffer, about=np.array('{"kind": "x"}'), q=np.arange(20.0))
    return buffer.getvalue()


@fuzzed
@given(content=damaged(npz()))
def test_the_checkpoint_reader(file, content):
    found = judge(read_arrays, file(content, ".npz"), "a checkpoint")
    assert found is None or all(np.isfinite(array).all() for array in found[1].values() if array.dtype.kind == "f")


def text(good):
    return st.one_of(
        damaged(good.encode()).map(lambda content: content.decode(errors="replace")),
        st.text(st.sampled_from("abcd01.e+-*/%()<>=!, \nifelsandotr"), max_size=40),
    )


@fuzzed
@given(line=text("1 - c / 4 if d <= 0.05 and not c > 3 else 0.05 - d ** 2"))
def test_the_objective_parser(line):
    objective = judge(parse_objective, line, ["c", "d"])
    if objective is not None:
        assert objective({"c": np.array([1.0, 2.0]), "d": np.array([0.04, np.nan])}).dtype == np.float64


@fuzzed
@given(line=text("rollout(multiagent(static(p=0.6,c=2), horizon=2), lookahead=2, terminal=zero)"))
def test_the_name_parser(line):
    name = judge(PolicyName.parse, line)
    if name is not None:
        assert PolicyName.parse(str(name)) == name


@fuzzed
@given(line=text("p=0.8,c=3"))
def test_the_reader_of_pairs(line):
    found = judge(read_numbers, line, "setting")
    assert found is None or all(np.isfinite(value) for value in found.values())
