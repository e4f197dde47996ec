"""A sentence says what its numbers say, or another one is shown."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from netrollout.findings import cited, fill, holds, phrase
from netrollout.results import Results, load
from netrollout.types import InputError

ROOT = Path(__file__).resolve().parents[1]
VALUES = {
    "s2.gain": {"value": 3.0, "low": 1.0, "high": 5.0, "n": 12, "unit": "reward"},
    "s2.loss": {"value": -3.0, "low": -5.0, "high": -1.0, "n": 6},
    "s3.gain": {"value": 0.2, "low": -0.5, "high": 0.9, "n": 3},
    "margin": {"value": 1.0},
    "sign": {"value": "same"},
    "nothing": {"value": None},
}


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        ("s2.gain > 0", True),
        ("s2.gain > 1", False),  # the whole interval must lie above
        ("s2.gain >= 1", True),
        ("s2.loss < 0", True),
        ("s3.gain > 0", False),
        ("s3.gain < 0", False),
        ("s3.gain within margin", True),
        ("s2.gain within margin", False),
        ("s2.gain > s2.loss", True),
        ("s2.gain > 0 and s3.gain > 0", False),
        ("sign == same and s2.gain > 0", True),
        ("sign != same", False),
        ("nothing > 0", False),
        ("nothing < 0", False),
    ],
)
def test_a_condition_asks_the_whole_interval(condition, outcome):
    assert holds(condition, VALUES) is outcome


def test_a_sentence_shows_values_with_their_intervals_and_says_few():
    sentence = "Has {s2.gain:.1f:interval}, not {s2.loss:.0f:interval:bare} or {margin}."
    assert fill(sentence, VALUES) == (
        "Has 3.0 (1.0 to 5.0)\u00a0reward, not \u22123 (\u22125 to \u22121; few: 6) or 1."
    )
    assert cited(sentence) == ["s2.gain", "s2.loss", "margin"]
    assert phrase(VALUES["s3.gain"], ".1f") == "0.2"


@pytest.mark.parametrize(
    ("condition", "message"), [("gain", "expected NAME"), ("a ~ b", "expected NAME"), ("gone > 0", "no value 'gone'")]
)
def test_a_condition_that_is_none_is_refused(condition, message):
    with pytest.raises(InputError, match=message):
        holds(condition, VALUES)


@pytest.fixture
def results(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "params.yml").write_text("{}\n")
    monkeypatch.chdir(tmp_path)
    made = Results("01_x", "quick", {})
    made.value("gain", 3.0, low=1.0, high=5.0, n=12)
    made.value("fall", -1.0, low=-5.0, high=1.0, n=12)
    return made


def test_the_first_sentence_that_holds_is_part_of_the_record(results):
    cases = {"gain < 0": "It loses {gain}.", "gain > 0": "It gains {gain}."}
    assert results.finding("a", cases, otherwise="Undecided ({gain:interval}).") == "It gains 3."
    assert results.finding("b", {"fall < 0": "It falls."}, otherwise="Undecided ({fall:interval}).").startswith("Undec")
    results.write()
    found = load("mine", "01_x")["findings"]
    assert found["a"] == {"cases": list(cases), "holds": "gain > 0", "sentence": "It gains 3."}
    assert found["b"]["holds"] is None


def test_what_was_not_run_says_nothing_and_a_forgotten_value_is_an_error(results):
    results.not_run("kth", "no traces")
    assert results.finding("c", {"kth.gain > 0": "It gains."}, otherwise="It does not: {kth.gain}.") == ""
    with pytest.raises(InputError, match="no value 'gone'"):
        results.finding("d", {"gone > 0": "It gains."}, otherwise="It does not.")


RECORDS = sorted((ROOT / "results").glob("*/[0-9]*.json"))
RECORDS = [path for path in RECORDS if not path.name.endswith(".live.json")]
UP = re.compile(r"\b(gains?|ahead of|better than|above|more than|beats?)\b")
DOWN = re.compile(r"\b(loses?|behind|worse than|below|less than)\b")
NOT = re.compile(r"\b(not|no|neither|nor|nothing|undecided|cannot)\b")


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_no_sentence_contradicts_its_numbers(path):
    record = load(path.parent.name, path.stem, ROOT / "results")
    values = record["values"] | record["live"]["values"]
    for name, found in record["findings"].items():
        if not found["sentence"]:
            continue
        first = next((case for case in found["cases"] if holds(case, values)), None)
        assert first == found["holds"], f"{name}: the numbers fulfil {first!r}"
        for part in re.split(r"[.;:](?=\s|$)", found["sentence"]):
            shown = re.findall("(\u2212?)[\\d.]+ \\((\u2212?)[\\d.]+ to (\u2212?)[\\d.]+", part)
            if len(shown) == 1 and not NOT.search(part):  # one difference, and one word of direction
                low, high = shown[0][1] == "\u2212", shown[0][2] == "\u2212"
                if UP.search(part) and not DOWN.search(part):
                    assert not (low and high), f"{name}: {part}"
                if DOWN.search(part) and not UP.search(part):
                    assert (low and high) or not (low or high), f"{name}: {part}"


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_page_names_findings_that_its_chapter_makes(path):
    cells = json.loads(path.read_text())["cells"]
    text = {
        kind: "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == kind) for kind in ("markdown", "code")
    }
    made = [re.escape(name) for name in re.findall(r"\b(?:finding\(|tell\(\s*results,)\s*f?\"([^\"]+)\"", text["code"])]
    made = [re.sub(r"\\\{[^}]*\\\}", r"[\\w.-]+", name) for name in made]
    for chapter, name in re.findall(r"\{finding\}`([^/`]+)/([^`]+)`", text["markdown"]):
        if chapter == path.stem:
            assert any(re.fullmatch(pattern, name) for pattern in made), f"{name} is no finding of {chapter}"


@pytest.mark.parametrize("n", [10, 12, 20])
def test_the_interval_over_units_covers_what_it_says(n):
    from netrollout.evaluate import t_interval

    rng = np.random.default_rng(7)
    units = rng.normal(size=(2000, n, 1)) + 0.5 * rng.standard_t(5, size=(2000, n, 4))  # units of four, heavy tails
    inside = [one.low <= 0.0 <= one.high for one in map(t_interval, units)]
    assert np.mean(inside) >= 0.92
