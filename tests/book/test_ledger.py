"""The ledger: every published claim with our value and verdict, from the committed full results; no claim unproven."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from netrollout.results import Results
from netrollout.workflow import WorkflowError, build_html

ROOT = Path(__file__).resolve().parents[2]
CLAIM = dict(
    id="noms-x", source="samani2024online", statement="A < B *surely*", published="as effective", because="So it is."
)


def lay_out(folder, monkeypatch, publish, claims):
    """Lay out a staged site that consists of the ledger, the references and a chapter with these claims."""
    site = folder / "build" / "site"
    shutil.copytree(ROOT / "book", site / "book", ignore=shutil.ignore_patterns("__pycache__"))
    (site / "notebooks").mkdir()
    (site / "notebooks" / "01_a.md").write_text("# Chapter one\n")
    monkeypatch.chdir(site)
    (site / "notebooks" / "params.yml").write_text("{}\n")
    results = Results("01_a", "full", {"seed": 1})
    results.value("mean", -12.3456, low=-13, high=-11, n=40, unit="s", how="bootstrap")
    for claim in claims:
        results.claim(**CLAIM | claim)
    publish(results)
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    config["sphinx"]["local_extensions"]["ledger"] = "book/_ext"
    (site / "_config.yml").write_text(yaml.safe_dump(config))
    chapters = [{"file": "book/ledger"}, {"file": "book/references"}]
    (folder / "_toc.yml").write_text(
        yaml.safe_dump({"format": "jb-book", "root": "notebooks/01_a", "chapters": chapters})
    )
    return folder


def page(folder):
    build_html(folder)
    return (folder / "build" / "html" / "book" / "ledger.html").read_text()


def test_it_shows_every_claim_in_words_with_our_value(tmp_path, monkeypatch, publish):
    claims = [
        dict(verdict="not reproduced", measured="mean"),
        dict(id="cnsm-y", source="samani2022dynamically", verdict="refuted"),
    ]
    text = page(lay_out(tmp_path, monkeypatch, publish, claims))
    assert "\u221212.3 (\u221213 to \u221211)\u00a0s (mean); 95% interval; n = 40; bootstrap" in text
    assert "not reproduced: we looked and found otherwise" in text and "not measured" in text
    assert text.count("A &lt; B *surely*") >= 4, "as written, in the list and as the title"
    assert "Of 2 claims 0 held here." in text
    assert 'href="../notebooks/01_a.html"' in text and "Chapter one" in text
    assert "full profile, no commit; data (sha256): none" in text
    assert 'href="references.html#' in text and 'href="#noms-x"' in text
    assert text.index('<section id="cnsm-y">') < text.index('<section id="noms-x">')


def test_without_claims_it_says_so(tmp_path, monkeypatch, publish):
    assert "No claims are recorded in the full results yet." in page(lay_out(tmp_path, monkeypatch, publish, []))


@pytest.mark.parametrize(
    ("field", "wrong", "message"),
    [
        ("verdict", "maybe", "verdict 'maybe' is none of"),
        ("measured", "gone", "no value 'gone' is recorded"),
        ("source", "nobody2024", "source 'nobody2024' is no key of book/references.bib"),
    ],
)
def test_a_wrong_claim_is_an_error_of_the_build(tmp_path, monkeypatch, publish, field, wrong, message):
    lay_out(tmp_path, monkeypatch, publish, [dict(verdict="refuted")])
    path = tmp_path / "build" / "site" / "results" / "full" / "01_a.json"
    record = json.loads(path.read_text())
    record["claims"][0][field] = wrong
    path.write_text(json.dumps(record))
    with pytest.raises(WorkflowError, match=f"full/01_a.json: claim 'noms-x': {message}"):
        page(tmp_path)
