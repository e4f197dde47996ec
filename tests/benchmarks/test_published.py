"""What keeps the published package from running is named in the row, not raised."""

import sys

import pytest
from benchmarks import published


@pytest.mark.parametrize("section", ["lookahead", "evaluation"])
def test_a_package_that_cannot_be_had_is_a_row_that_says_why(section, monkeypatch):
    def refuse():
        raise RuntimeError("pip install failed: no matching distribution")

    monkeypatch.setattr(published, "install", refuse)
    (row,) = published.compare(section, 1)
    assert (row.section, row.not_run) == (section, "pip install failed: no matching distribution")


def test_a_process_that_fails_is_a_row_with_its_last_message(monkeypatch, tmp_path):
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!{sys.executable}\nraise SystemExit('rewards in state 3 differ')\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(published, "install", lambda: stand_in)
    monkeypatch.setattr(published, "HOME", tmp_path)
    (row,) = published.compare("lookahead", 1)
    assert row.not_run.endswith("failed: rewards in state 3 differ")
