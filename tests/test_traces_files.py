"""Fetching files and the shipped traces, without network and without the published files."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from netrollout.traces import fetch, fetched, log_files, shipped, shipped_names, verify_shipped
from netrollout.traces.fetching import Fetchable, registry
from netrollout.types import InputError

CONTENT = b"some rows\n"


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetchable:
    """Return an entry of a registry with two files in one collection, and an empty data folder."""
    monkeypatch.setenv("NETROLLOUT_DATA", str(tmp_path / "data"))
    sums = {"one": hashlib.sha256(CONTENT).hexdigest(), "two": hashlib.sha256(CONTENT[::-1]).hexdigest()}
    entries = {
        name: Fetchable(name, "both", f"{name} .csv", "https://example.org/x", "c0", digest, len(CONTENT), "MIT", "")
        for name, digest in sums.items()
    }
    monkeypatch.setattr("netrollout.traces.fetching.registry", lambda: entries)
    return entries["one"]


def answer(monkeypatch: pytest.MonkeyPatch, content: bytes, status: int = 200) -> None:
    """Let every request be answered with `content`."""

    def get(url: str, **options: object) -> requests.Response:
        response = requests.Response()
        response.status_code = status
        response.url = url
        response.iter_content = lambda chunk_size=1: [content]  # type: ignore[method-assign, assignment]
        return response

    monkeypatch.setattr(requests, "get", get)


def test_the_registry_pins_what_it_names() -> None:
    for entry in registry().values():
        assert len(entry.sha256) == 64
        assert entry.licence
        assert entry.citation
        if entry.url is not None:
            assert entry.commit in entry.url
            assert entry.url.startswith("https://")
            assert " " not in entry.url
    assert {entry.collection for entry in registry().values()} == {"kth", "openfaas"}


def test_an_extract_has_no_address_and_is_taken_from_a_folder(
    entry: Fetchable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = replace(entry, url=None)
    monkeypatch.setattr("netrollout.traces.fetching.registry", lambda: {"one": extract})
    with pytest.raises(InputError, match="one has no address to be fetched from; if you have the file, name its"):
        fetch("one")
    (tmp_path / "mine").write_bytes(CONTENT)
    assert fetch("one", tmp_path) == fetch("one") == [extract.path]


def test_a_file_is_found_in_a_folder_whatever_it_is_called(entry: Fetchable, tmp_path: Path) -> None:
    source = tmp_path / "downloads" / "deep"
    source.mkdir(parents=True)
    (source / "renamed (1).bin").write_bytes(CONTENT)
    (source / "other").write_bytes(b"x" * len(CONTENT))
    assert not fetched("one")
    assert fetch("one", tmp_path / "downloads") == [tmp_path / "data" / "one" / "one .csv"]
    assert entry.path.read_bytes() == CONTENT
    assert fetched("one")
    assert not fetched("both")


def test_a_folder_without_the_file_is_refused(entry: Fetchable, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        fetch("one", tmp_path / "absent")
    (tmp_path / "wrong").write_bytes(b"x" * len(CONTENT))
    with pytest.raises(InputError, match=f"no file there has the sha256 of one \\({entry.sha256[:12]}"):
        fetch("one", tmp_path)


def test_a_download_is_kept_and_not_repeated(entry: Fetchable, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, CONTENT)
    assert fetch("one") == [entry.path]
    answer(monkeypatch, b"", status=500)
    assert fetch("one") == [entry.path]


def test_a_download_of_other_content_is_refused_and_not_kept(entry: Fetchable, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, b"something else")
    with pytest.raises(InputError, match="its sha256 is not the one in the registry; nothing was kept"):
        fetch("one")
    assert not fetched("one")


def test_no_network_is_told_in_one_sentence(entry: Fetchable, monkeypatch: pytest.MonkeyPatch) -> None:
    def get(url: str, **options: object) -> None:
        raise requests.ConnectionError("long\nstory")

    monkeypatch.setattr(requests, "get", get)
    with pytest.raises(InputError) as caught:
        fetch("one")
    advice = "if you have the file, name its folder"
    assert str(caught.value) == f"one could not be fetched: no answer from example.org; {advice}"
    answer(monkeypatch, b"", status=404)
    with pytest.raises(InputError, match="status 404 from"):
        fetch("one")


def test_an_unknown_name_is_told_with_the_near_one(entry: Fetchable) -> None:
    with pytest.raises(InputError, match="'twoo' is not in the registry; did you mean two"):
        fetch("twoo")


def test_every_shipped_trace_reads_and_has_its_checksum() -> None:
    assert verify_shipped() == []
    for name in shipped_names():
        assert len(shipped(name).frame) > 0


def test_an_unknown_shipped_trace_is_told() -> None:
    with pytest.raises(InputError, match="'mesh/s99' is not a shipped trace"):
        shipped("mesh/s99")


def test_differences_from_the_checksums_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mesh").mkdir()
    for name in ("a.csv", "b.csv", "c.csv", "run.jsonl"):
        (tmp_path / "mesh" / f"{name}.gz").write_bytes(CONTENT)
    good, wrong = hashlib.sha256(CONTENT).hexdigest(), "0" * 64
    sums = f"# comment\n{good}  mesh/a.csv.gz\n{wrong}  mesh/b.csv.gz\n{good}  mesh/d.csv.gz\n"
    (tmp_path / "SHA256SUMS").write_text(sums)
    monkeypatch.setattr("netrollout.traces.shipping._data", lambda: tmp_path)
    assert shipped_names() == ["mesh/a", "mesh/b", "mesh/c"] and list(log_files()) == ["mesh/run"]
    assert verify_shipped() == [
        "mesh/d.csv.gz: named in SHA256SUMS, but not there",
        "mesh/c.csv.gz: not named in SHA256SUMS",
        "mesh/run.jsonl.gz: not named in SHA256SUMS",
        "mesh/b.csv.gz: its sha256 is not the one in SHA256SUMS",
    ]
