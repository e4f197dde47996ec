"""The graph of the book: notebooks, what each needs, and the files that decide what each finds."""

import ctypes
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from doit.exceptions import TaskFailed

from netrollout.places import Entry, near, read_nodes
from netrollout.provenance import parameters_cell
from netrollout.results import results_file
from netrollout.store import read_text
from netrollout.testbed.guard import PR_SET_PDEATHSIG
from netrollout.traces import data_folder, fetched
from netrollout.types import InputError
from netrollout.workflow.errors import WorkflowError
from netrollout.workflow.imports import closure
from netrollout.workflow.paths import PROFILES, executed

BLANK: dict[str, Any] = {"needs": [], "data": [], "optional": [], "quick": {}}


def read_graph(root: Path) -> dict[str, dict[str, Any]]:
    """Read ``notebooks/params.yml``: what each notebook needs, and its quick parameters.

    Returns
    -------
    dict of str to dict
        By notebook name, with the keys ``needs``, ``data``, ``optional`` (lists of str) and ``quick`` (dict).

    Raises
    ------
    InputError
        A notebook without entry, an entry without notebook, an unknown key, a need that is no notebook.
    """
    path = root / "notebooks" / "params.yml"
    wanted = "a mapping of notebook to needs, data, optional and quick"
    places = read_nodes(path, wanted).entries() if read_text(path, wanted).strip() else {}
    files = {file.stem: file for file in (root / "notebooks").glob("*.ipynb")}
    for name in sorted(set(files) ^ set(places)):
        raise InputError(f"{path}: {name} has " + ("no entry" if name in files else "an entry but no notebook"))
    for place in places.values():
        if not place.is_null:
            _check_entry(place, files)
    return {name: BLANK | (place.content() or {}) for name, place in places.items()}


def _check_entry(place: Entry, files: dict[str, Path]) -> None:
    """Refuse keys, needs and quick parameters that there are not."""
    parts = place.entries(BLANK)
    for key in ("needs", "data", "optional"):
        for item in parts[key].items() if key in parts else []:
            if key == "needs" and item.text() not in files:
                item.wrong(f"{item.text()} is no notebook; {near(item.text(), files)}")
    quick = parts["quick"].entries() if "quick" in parts else {}
    known = list(parameters_cell(files[place.key])) if quick else []
    for key, part in quick.items():
        if key not in known:
            part.wrong(f"unknown; {near(key, known, 'its parameters are')}")


@contextmanager
def one_line() -> Iterator[None]:
    """End the program with one line where what a person wrote is wrong: while the graph is made, not a step of it."""
    try:
        yield
    except (InputError, WorkflowError) as error:
        raise SystemExit(f"netrollout: {error}") from None


def die_with_parent() -> None:
    """Have this process end with the one that forked it (Linux): a worker would wait for its next task for ever."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def check_profile(profile: str) -> None:
    """Refuse a profile that there is not."""
    if profile not in PROFILES:
        raise InputError(f"profile {profile!r} is none of {', '.join(PROFILES)}")


def parameters(entry: dict[str, Any], profile: str) -> dict[str, Any]:
    """Choose what replaces values of the parameters cell, which holds those of the full profile."""
    check_profile(profile)
    return {"profile": profile} | (entry["quick"] if profile == "quick" else {})


def not_here(root: Path, entry: dict[str, Any]) -> list[str]:
    """List what a notebook cannot run without and nobody has fetched.

    A name under ``data`` is a folder of ``data/``, which is shipped, or else a name or collection of the registry.

    Raises
    ------
    InputError
        A name that is neither.
    """
    return [name for name in entry["data"] if not (root / "data" / name).is_dir() and not fetched(name)]


def notebook_sources(root: Path, profile: str, name: str, entry: dict[str, Any]) -> list[str]:
    """List the files whose content decides what a notebook finds: of the package, those that it imports."""
    shipped = [path for folder in entry["data"] for path in _files(root / "data" / folder)]
    asked = entry["optional"] or [name for name in entry["data"] if not (root / "data" / name).is_dir()]
    brought = data_folder().glob("*/*") if asked else []
    needs = [results_file(profile, need, root / "results") for need in entry["needs"]]
    committed = results_file("full", name, root / "results")
    if profile != "full" and not_here(root, entry) and committed.is_file():
        needs.append(committed)  # stands in for a run, see `netrollout.workflow.standin`
    notebook = root / "notebooks" / f"{name}.ipynb"
    code = closure(root / "src" / "netrollout", _code(notebook))
    return _sorted(root, [notebook, *code, *shipped, *brought, *needs])


def _code(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def book_sources(root: Path, profile: str) -> list[str]:
    """List the files whose content decides what the pages show."""
    graph = read_graph(root)
    notebooks = [executed(root, profile, name) for name in graph]
    results = [results_file(profile, name, root / "results") for name in graph]
    published = (root / "results" / "full").rglob("*.json") if profile != "full" else []
    folders = [path for folder in ("book", "data", "src") for path in _files(root / folder)]
    return _sorted(root, [root / "_config.yml", root / "_toc.yml", *notebooks, *results, *published, *folders])


def step(function: Callable[..., None], *arguments: Any) -> tuple[Callable[[], TaskFailed | None], list[Any]]:
    """Wrap a function as a doit action that reports our errors by their message, without a traceback."""

    def action() -> TaskFailed | None:
        try:
            function(*arguments)
        except (WorkflowError, InputError) as error:
            return TaskFailed(str(error))
        return None

    return action, []


def _files(folder: Path) -> Iterator[Path]:
    """List the files of a folder that a person wrote."""
    made = {"__pycache__", "netrollout.egg-info", ".ipynb_checkpoints"}
    return (path for path in folder.rglob("*") if path.is_file() and not made & set(path.parts))


def _sorted(root: Path, paths: list[Path]) -> list[str]:
    """Name files relative to the checkout where they are in it: doit's state then survives moving the checkout."""
    return sorted({str(path.relative_to(root) if path.is_relative_to(root) else path) for path in paths})
