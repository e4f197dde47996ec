"""The graph of the book: notebooks, what each needs, and the files that decide what each finds."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from doit.exceptions import TaskFailed

from netrollout.results import results_file
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
    entries = {name: entry or {} for name, entry in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).items()}
    files = {file.stem for file in (root / "notebooks").glob("*.ipynb")}
    for name in sorted(files ^ set(entries)):
        raise InputError(f"{path}: {name} has " + ("no entry" if name in files else "an entry but no notebook"))
    for name, entry in entries.items():
        if unknown := set(entry) - set(BLANK):
            raise InputError(f"{path}: {name}: unknown key {min(unknown)}; known are {', '.join(BLANK)}")
        if missing := set(entry.get("needs", [])) - files:
            raise InputError(f"{path}: {name}: needs {min(missing)}, which is no notebook")
    return {name: BLANK | entry for name, entry in entries.items()}


def parameters(entry: dict[str, Any], profile: str) -> dict[str, Any]:
    """Choose what replaces values of the parameters cell, which holds those of the full profile."""
    if profile not in PROFILES:
        raise InputError(f"profile {profile!r} is none of {', '.join(PROFILES)}")
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
    published = (root / "results" / "full").glob("*.json") if profile != "full" else []
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
