"""The traces and recorded runs that come with the package, folder `data` of the checkout, and their checksums."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from netrollout.places import near
from netrollout.provenance import sha256
from netrollout.traces.reading import read_trace
from netrollout.traces.trace import Trace
from netrollout.types import InputError

_ENDING = ".csv.gz"
_LOG_ENDING = ".jsonl.gz"


def _data() -> Traversable:
    return resources.files("netrollout.data")


def present() -> dict[str, int]:
    """Return name -> size in bytes of the shipped traces, by name."""
    return {name.removesuffix(_ENDING): len((_data() / name).read_bytes()) for name in _ending_in(_ENDING)}


def _ending_in(ending: str) -> list[str]:
    """Return the shipped files of a kind, relative to the data folder."""
    folders = [folder for folder in _data().iterdir() if folder.is_dir()]
    files = [f"{folder.name}/{file.name}" for folder in folders for file in folder.iterdir()]
    return sorted(file for file in files if file.endswith(ending))


def shipped_names() -> list[str]:
    """Return the names of the shipped traces, such as `mesh/s2_before`."""
    return list(present())


def shipped(name: str) -> Trace:
    """Read a shipped trace.

    Raises
    ------
    InputError
        there is none of that name
    """
    return read_trace(trace_files(name)[name])


def trace_files(*names: str) -> dict[str, Path]:
    """Return name -> file of shipped traces, for a record of what was read.

    Raises
    ------
    InputError
        there is none of a name
    """
    known = shipped_names()
    for name in names:
        if name not in known:
            raise InputError(f"{name!r} is not a shipped trace; {near(name, known, 'shipped are')}")
    return {name: Path(str(_data() / (name + _ENDING))) for name in names}


def log_files() -> dict[str, Path]:
    """Return name -> file of the recorded live runs of the closed loop, such as `live/S2-rollout-1`."""
    return {name.removesuffix(_LOG_ENDING): Path(str(_data() / name)) for name in _ending_in(_LOG_ENDING)}


def _checksums() -> dict[str, str]:
    """Return file (relative to the data folder) -> sha256, as `SHA256SUMS` has them."""
    lines = (_data() / "SHA256SUMS").read_text("utf-8").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#"))
    return {file: digest for digest, file in pairs}


def verify_shipped() -> list[str]:
    """Compare the shipped files with their checksums; return one sentence per difference, none where all is well."""
    expected, present = _checksums(), [*_ending_in(_ENDING), *_ending_in(_LOG_ENDING)]
    wrong = [f"{file}: named in SHA256SUMS, but not there" for file in expected if not (_data() / file).is_file()]
    wrong += [f"{file}: not named in SHA256SUMS" for file in present if file not in expected]
    for file in present:
        with resources.as_file(_data() / file) as path:
            if file in expected and sha256(path) != expected[file]:
                wrong.append(f"{file}: its sha256 is not the one in SHA256SUMS")
    return wrong
