"""What a full run showed, kept beside its record: a quick build shows its pictures and prints in place of its own."""

import hashlib
import json
from pathlib import Path
from typing import Any

import nbformat

from netrollout.results import encode
from netrollout.store import write_file

THERE = "The same, as this machine computed it (quick profile)"


def outputs_file(root: Path, name: str) -> Path:
    """Name the file with the outputs of a chapter's full run."""
    return root / "results" / "full" / "outputs" / f"{name}.json"


def keep_outputs(notebook: Path, target: Path) -> None:
    """Write the outputs of an executed notebook, by the content of the cell that made them."""
    cells = nbformat.read(notebook, as_version=4).cells
    shown = {_key(cell): cell.outputs for cell in cells if cell.cell_type == "code" and cell.outputs}
    target.parent.mkdir(parents=True, exist_ok=True)
    write_file(target, encode(shown))


def show_published(notebook: nbformat.NotebookNode, file: Path) -> bool:
    """Put the published outputs in place of those of the machine, which follow, closed, where they differ.

    A cell that was changed since the full run keeps its own.

    Returns
    -------
    bool
        Every cell that shows something shows what was published.
    """
    kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    whole, cells = True, []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type != "code" or not cell.outputs:
            continue
        published = kept.get(_key(cell))
        whole &= published is not None
        if published is not None and encode(published) != encode(cell.outputs):
            cells.append(_aside(cell))
            cell.outputs = [nbformat.from_dict(output) for output in published]
    notebook.cells = cells
    return whole


def _aside(cell: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a cell that shows the outputs of another, closed."""
    metadata: dict[str, Any] = {"tags": ["remove-input", "hide-output"], "mystnb": {"code_prompt_show": THERE}}
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
    if alt:
        metadata["mystnb"]["image"] = {"alt": f"{THERE}. {alt}"}
    aside = nbformat.v4.new_code_cell(cell.source, metadata=metadata, outputs=cell.outputs, id=f"{cell.id}-here")
    aside.execution_count = cell.execution_count
    return aside


def _key(cell: nbformat.NotebookNode) -> str:
    return hashlib.sha256(cell.source.encode()).hexdigest()[:16]
