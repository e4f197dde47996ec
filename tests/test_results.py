"""A record is a function of its inputs, and reads back as it was written."""

import json
import os

import nbformat
import numpy as np
import pytest

from netrollout.findings import effectiveness, equivalence
from netrollout.results import ASIDE, Results, bibliography, check_claims, load, sha256
from netrollout.types import InputError


@pytest.fixture(autouse=True)
def checkout(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "params.yml").write_text("{}\n")
    monkeypatch.chdir(tmp_path / "notebooks")  # where a notebook runs
    monkeypatch.setenv(ASIDE, str(tmp_path / "results" / "quick" / "01_x.json"))  # as the workflow has it
    return tmp_path


def example(**data):
    results = Results("01_x", "quick", {"seed": np.int64(3), "levels": (0.5, 1.0)}, data)
    results.value("gain", np.float64(1 / 3), low=0.1, high=0.5, n=50, unit="s", how="bootstrap")
    results.table("scores", ["policy", "value"], [("random", np.nan), ("optimal", 59.0)])
    results.not_run("kth", "the published traces were not fetched")
    return results


def test_the_workflow_says_where_it_stands(checkout):
    assert example().write() == checkout / "results" / "quick" / "01_x.json"


def test_a_run_by_hand_stands_apart_and_says_so(checkout, monkeypatch, capsys):
    monkeypatch.delenv(ASIDE)
    assert example().write() == checkout / "results" / "mine" / "01_x.json"
    assert str(checkout / "results" / "mine" / "01_x.json") in capsys.readouterr().out
    assert load("mine", "01_x")["values"]["gain"]["n"] == 50


def test_a_copied_chapter_must_not_keep_its_name(checkout, monkeypatch):
    monkeypatch.setenv(ASIDE, str(checkout / "results" / "quick" / "02_copy.json"))
    with pytest.raises(InputError, match="02_copy calls its results '01_x'; it must call them by its own name"):
        example()


@pytest.fixture
def chapter(checkout):
    """The checkout with a notebook that has a quick budget."""
    cell = nbformat.v4.new_code_cell('profile: str = "full"\nseed: int = 0\nrefits: int = 20  # of the model')
    cell.metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), checkout / "notebooks" / "01_x.ipynb")
    (checkout / "notebooks" / "params.yml").write_text("01_x: {quick: {refits: 4}}\n")


def test_a_record_says_which_parameters_are_not_those_of_its_profile_and_is_then_not_published(chapter):
    assert "differs" not in Results("01_x", "full", {"seed": 0, "refits": 20}).record
    assert "differs" not in Results("01_x", "quick", {"seed": 0, "refits": 4}).record
    results = Results("01_x", "quick", {"seed": 3, "refits": 4})
    assert results.record["differs"] == {"seed": [3, 0]}
    path = results.write()
    with pytest.raises(InputError, match=f"{path}: made with seed = 3, but the quick profile has 0: not published"):
        load("quick", "01_x")


def test_the_quick_profile_without_its_budgets_is_refused(chapter):
    with pytest.raises(InputError, match="01_x: profile quick, but the budgets are the full ones; give -p refits 4"):
        Results("01_x", "quick", {"seed": 0, "refits": 20})


def test_two_runs_give_the_same_bytes():
    first = example().write().read_bytes()
    assert example().write().read_bytes() == first


def test_it_reads_back():
    example().write()
    record = load("quick", "01_x")
    assert record["values"]["gain"] == {
        "value": 0.333333333333, "low": 0.1, "high": 0.5, "level": 0.95, "n": 50, "unit": "s", "how": "bootstrap",
    }  # fmt: skip
    assert record["tables"]["scores"] == {"columns": ["policy", "value"], "rows": [["random", None], ["optimal", 59.0]]}
    assert record["parameters"] == {"seed": 3, "levels": [0.5, 1.0]}
    assert record["not_run"] == {"kth": "the published traces were not fetched"}


def test_provenance_names_data_packages_and_machine(checkout):
    trace = checkout / "trace.csv"
    trace.write_text("t\n0\n")
    example(**{"mesh/s2": trace}).write()
    provenance = load("quick", "01_x")["provenance"]
    assert provenance["data"] == {"mesh/s2": sha256(trace)}
    assert provenance["packages"]["numpy"] == np.__version__
    assert provenance["machine"]["cores"] == os.cpu_count()
    assert provenance["commit"] is None and provenance["created"] is None  # no git checkout here


def test_what_a_clock_measured_stands_in_the_other_file():
    results = example()
    results.value("training", 12.3, unit="s", live=True)
    results.table("clock", ["policy", "s"], [("ppo", 12.3)], live=True)
    path = results.write()
    assert "12.3" not in path.read_text()
    live = load("quick", "01_x")["live"]
    assert live["values"]["training"] == {"value": 12.3, "unit": "s"}
    assert live["tables"]["clock"]["rows"] == [["ppo", 12.3]]
    assert live["ran"] and live["seconds"] >= 0


def test_a_claim_points_at_a_recorded_value():
    results = example()
    claim = dict(id="c", source="samani2024online", statement="s", published="p", because="b")
    results.claim(**claim, verdict="refuted", measured="gain")
    results.claim(**claim, verdict="reproduced", measured="gain")  # a cell run again replaces
    results.write()
    assert [entry["verdict"] for entry in load("quick", "01_x")["claims"]] == ["reproduced"]
    with pytest.raises(InputError, match=r"results/quick/01_x.json: claim 'c': no value 'loss' is recorded"):
        results.claim(**claim, verdict="refuted", measured="loss")
    with pytest.raises(InputError, match="verdict 'maybe' is none of reproduced"):
        results.claim(**claim, verdict="maybe")


def test_a_claim_cites_the_bibliography(checkout):
    bib = checkout / "book" / "references.bib"
    bib.parent.mkdir()
    bib.write_text("@book{known,\n  title = {@misc{no}}\n}\n@article{ too , year = 1}\n")
    assert bibliography(bib) == {"known", "too"}
    assert bibliography(checkout / "none.bib") is None
    results = example()
    claim = dict(id="c", statement="s", published="p", because="b", verdict="refuted")
    with pytest.raises(InputError, match=r"01_x.json: claim 'c': source 'unknown' is no key of book/references.bib"):
        results.claim(**claim, source="unknown")
    results.claim(**claim, source="known")
    bib.write_text("@book{too, year = 1}\n")
    with pytest.raises(InputError, match="claim 'c': source 'known'"):
        results.write()
    assert not (checkout / "results").exists()


def test_a_written_record_is_checked_again():
    claim = dict(id="c", source="known", measured="gone", verdict="refuted")
    with pytest.raises(InputError, match=r"x\.json: claim 'c': no value 'gone'"):
        check_claims({"values": {}, "claims": [claim]}, "x.json", {"known"})
    check_claims({"values": {}, "claims": [claim | {"measured": None}]}, "x.json", {"known"})


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (-1.0, 1.0, "equivalent"),  # the margin itself is within
        (0.2, 0.9, "equivalent"),  # surely different, too little to matter
        (0.2, 1.1, "better"),
        (-3.0, -0.1, "worse"),
        (-0.1, 8.0, "undecided"),  # a point estimate near zero decides nothing
        (-8.0, 8.0, "undecided"),
    ],
)
def test_what_an_interval_shows(low, high, outcome):
    assert equivalence(low, high, margin=1.0) == outcome


@pytest.mark.parametrize("ends", [(1, 0, 1), (0, np.nan, 1), (0, 1, -1), (0, 1, np.nan)])
def test_no_interval_no_margin_no_outcome(ends):
    with pytest.raises(InputError, match="need low <= high and margin >= 0"):
        equivalence(*ends)


def test_as_effective_needs_every_comparison():
    assert effectiveness({"S2": "better", "S3": "equivalent"}) == ("replicated", "S2: better; S3: equivalent")
    assert effectiveness({"S2": "better", "S3": "undecided"}) == ("undecided", "S2: better; S3: undecided")
    assert effectiveness({"S2": "better", "S3": "worse", "S4": "undecided"})[0] == "not reproduced"
    with pytest.raises(InputError, match="no comparison"):
        effectiveness({})


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (lambda r: r.value("a b", 1), "'a b' must consist of letters"),
        (lambda r: r.value("a", 1, low=0), "both low and high"),
        (lambda r: r.table("t", ["x"], [(1,), (1, 2)]), "'t', row 1: 2 entries for 1 columns"),
    ],
)
def test_what_cannot_be_recorded_is_refused(record, message):
    with pytest.raises(InputError, match=message):
        record(example())


@pytest.mark.parametrize(("value", "message"), [(np.inf, "infinite"), (object(), "cannot record a object")])
def test_what_json_cannot_hold_is_refused(value, message):
    results = example()
    results.value("x", value)
    with pytest.raises(InputError, match=message):
        results.write()


def test_a_missing_or_foreign_record_says_so(checkout):
    with pytest.raises(InputError, match="no results of notebook 02_y in profile quick"):
        load("quick", "02_y")
    path = example().write()
    path.write_text(json.dumps({"schema": 7}))
    with pytest.raises(InputError, match="schema 7, this version reads schema 1"):
        load("quick", "01_x")


@pytest.mark.parametrize(
    ("value", "low", "high", "message"),
    [
        (1.0, 2.0, 0.5, "its interval goes from 2.0 to 0.5; low must not lie above high"),
        (1.0, 2.0, 3.0, "1.0 lies outside its interval from 2.0 to 3.0"),
        (4.0, 2.0, 3.0, "4.0 lies outside its interval"),
    ],
)
def test_a_value_lies_within_its_interval(value, low, high, message):
    with pytest.raises(InputError, match=f"value 'gain': {message}"):
        Results("01_x", "quick", {}).value("gain", value, low=low, high=high)
    Results("01_x", "quick", {}).value("gain", 0.1 + 0.2, low=0.3, high=0.3)


def test_a_name_is_taken_once_and_the_same_may_be_said_again():
    results = example()
    results.value("gain", 1 / 3, low=0.1, high=0.5, n=50, unit="s", how="bootstrap")
    with pytest.raises(InputError, match=r"value 'gain' is recorded already, as 0.333.*; give another name"):
        results.value("gain", 0.4)
    with pytest.raises(InputError, match="'gain' is recorded already"):
        results.value("gain", 12.3, live=True)


@pytest.mark.parametrize("ending", [".json", ".live.json"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no JSON"),
        (b"{", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "holds no record of results"),
        (b"null", "holds no record of results"),
        (b"\xff\xfe", "binary data, not text"),
    ],
)
def test_a_record_that_is_damaged_is_named(ending, content, message):
    path = example().write().with_suffix(ending)
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: {message}"):
        load("quick", "01_x")
