"""What every test may use."""

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from netrollout.results import ASIDE, Results, results_file
from netrollout.traces import fetch

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks lose by more; torch reads it when it loads

settings.register_profile("nightly", max_examples=2000, deadline=None)  # pytest --hypothesis-profile=nightly
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def publish() -> Callable[[Results], Path]:
    """Write a record to where the workflow has it written."""

    def write(results: Results) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(ASIDE, str(results_file(results.profile, results.notebook)))
            return results.write()

    return write


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def project() -> dict[str, Any]:
    """The table [project] of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


@pytest.fixture(scope="session")
def kth_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder filled with the published files."""
    source = ROOT.parent / "shared" / "data" / "kth"
    if not source.is_dir():
        pytest.skip("the published traces are not in ../shared/data/kth")
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETROLLOUT_DATA", str(folder))
        fetch("kth", source)
    return folder


@pytest.fixture
def kth(kth_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the data folder with the published files."""
    monkeypatch.setenv("NETROLLOUT_DATA", str(kth_folder))


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How often a command is killed."""
    return 20 if request.config.getoption("--hypothesis-profile") == "nightly" else 2
