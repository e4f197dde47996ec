"""What imports what, read from the code without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path


def modules(package: Path) -> dict[str, Path]:
    """Return the file of every module of a package by its dotted name, the package's own name first in it."""
    names = {file: (package.name, *file.relative_to(package).with_suffix("").parts) for file in package.rglob("*.py")}
    return {".".join(parts).removesuffix(".__init__"): file for file, parts in sorted(names.items())}


def imported(tree: ast.AST) -> set[str]:
    """Return the absolute names of everything that a piece of code imports, at any depth."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def closure(package: Path, code: str) -> set[Path]:
    """Return the files of a package that decide what a piece of code does: what it imports, and what that imports.

    A module stands with the packages above it, and a package with the files beside its modules that are no code.  What
    is imported by name when it is asked for counts too: a text that is the name of a module, or in a package's
    ``__init__`` that of one of its own.
    """
    known = modules(package)
    met: set[str] = set()
    todo = set(_modules(imported(ast.parse(code)), known))
    while todo:
        name = todo.pop()
        met.add(name)
        names, texts = _read(known[name].read_text(encoding="utf-8"))
        lazy = {text.partition(":")[0] for text in texts} & known.keys()
        if known[name].name == "__init__.py":
            lazy |= {f"{name}.{text}" for text in texts} & known.keys()
        todo |= set(_modules(names | lazy, known)) - met
    files = {known[name] for name in met}
    return files | {file for file in _others(package) if _home(file) in files}


@lru_cache(maxsize=1024)  # notebooks share most of what they import
def _read(code: str) -> tuple[set[str], set[str]]:
    """Return the names that a module imports, and its texts."""
    tree = ast.parse(code)
    nodes = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return imported(tree), {value for value in nodes if isinstance(value, str)}


def _modules(names: Iterable[str], known: dict[str, Path]) -> Iterator[str]:
    """Name the modules among imported names, each with the packages above it."""
    for name in names:
        parts = name.split(".")
        yield from (module for end in range(1, len(parts) + 1) if (module := ".".join(parts[:end])) in known)


def _others(package: Path) -> Iterator[Path]:
    made = {"__pycache__", ".ipynb_checkpoints"}
    return (f for f in package.rglob("*") if f.is_file() and f.suffix != ".py" and not made & set(f.parts))


def _home(file: Path) -> Path:
    """Return the ``__init__`` of the package that a file belongs to."""
    return next((home for folder in file.parents if (home := folder / "__init__.py").is_file()), file)


LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(row.split())
    for row in (
        "types batch seeding store places naming family provenance",
        "systems dp",
        "traces models",
        "policies",
        "rollout evaluate",
        "adapt envs",
        "learn testbed connect makers",
        "catalog loop",
        "experiment",
        "studies findings results plots workflow cli",
    )
)
"""Modules below `netrollout`, the lowest layer first: a module imports lower layers, or its own without a circle."""

_BY_LAYER = {
    1: "scenario",
    2: "model",
    3: "rules clairvoyant relaxation lattice physics",
    5: "plants autoscaler",
    6: "realise policies relearn explore",
    7: "loops",
}
PARTS = {part: number for number, row in _BY_LAYER.items() for part in row.split()}
"""Layers of the parts of a system's room, by what they are for; its dynamics stand where `systems` does."""


def layer(module: str) -> int:
    """Return the layer of a module, named without ``netrollout.``; a KeyError if it stands in none."""
    top, _, rest = module.partition(".")
    home = next((k for k, row in enumerate(LAYERS) if top in row), None)
    if home is None:
        raise KeyError(f"{module} stands in no layer of netrollout.workflow.imports.LAYERS")
    return PARTS.get(rest.rpartition(".")[2], home) if top == "systems" else home


def inside(package: Path) -> dict[str, set[str]]:
    """Return of every module of a package which others it imports, both named without the package."""
    known = modules(package)
    found = {}
    for name, file in known.items():
        others = set()
        for full in imported(ast.parse(file.read_text(encoding="utf-8"))):
            met = list(_modules([full], known))
            others |= {met[-1].partition(".")[2]} if met else set()
        found[name.partition(".")[2]] = others - {"", name.partition(".")[2]}
    return {name: others for name, others in found.items() if name}
