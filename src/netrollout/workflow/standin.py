"""What stands in for a notebook whose data are not here: the committed results of its full run, and its text.

Some data are not ours to ship. Where a notebook's entry asks for such data (``data:`` names a collection of the
registry) and they have not been fetched, the notebook does not run: the record of the committed full run takes the
place of its results, whatever the profile, and the page shows text and code, and says at its top where the numbers come
from.
"""

import shutil
from pathlib import Path
from typing import Any

import nbformat

from netrollout.results import load, results_file
from netrollout.workflow.errors import WorkflowError
from netrollout.workflow.graph import not_here
from netrollout.workflow.paths import executed


def stand_in(root: Path, profile: str, name: str, entry: dict[str, Any]) -> None:
    """Put the committed full results, and a page made from the notebook's text, where a run would put its own.

    Raises
    ------
    WorkflowError
        No full run was committed, so there is nothing to show.
    """
    fetch = f"netrollout data fetch {' '.join(not_here(root, entry))}"
    committed = results_file("full", name, root / "results")
    if not committed.is_file():
        raise WorkflowError(f"{name} needs data that are not here ({fetch}), and has no {committed.relative_to(root)}")
    print(f"  {name}: not run, its data are not here ({fetch}); its page shows the committed full results", flush=True)
    if profile != "full":
        ours = results_file(profile, name, root / "results")
        ours.parent.mkdir(parents=True, exist_ok=True)
        for ending in (".json", ".live.json"):
            if committed.with_suffix(ending).is_file():
                shutil.copy2(committed.with_suffix(ending), ours.with_suffix(ending))
    target = executed(root, profile, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    record = load("full", name, root / "results")
    notebook = nbformat.read(root / "notebooks" / f"{name}.ipynb", as_version=4)
    nbformat.write(as_text(notebook, _note(record, fetch)), target)


def as_text(notebook: nbformat.NotebookNode, note: str) -> nbformat.NotebookNode:
    """Return a notebook without code cells: code is quoted, figures are described, the note stands below the title."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.update(nbformat.v4.new_markdown_cell(_quoted(cell), id=cell.id))
            del cell["outputs"], cell["execution_count"]
    title, _, rest = notebook.cells[0].source.partition("\n")
    notebook.cells[0].source = f"{title}\n\n{note}\n{rest}"
    notebook.metadata["stand_in"] = True
    return notebook


def _note(record: dict[str, Any], fetch: str) -> str:
    """Say where the numbers of the page come from."""
    made = record["provenance"]
    commit = f"commit {made['commit'][:8]} of {made['created']}" if made["commit"] else "no commit"
    data = ", ".join(f"{key} `{digest[:12]}`" for key, digest in made["data"].items()) or "none"
    return (
        ":::{admonition} Not run here\n:class: warning\n"
        f"This chapter needs data that are not ours to ship and that are not on the machine that built this page.\n"
        f"Its numbers and tables are the committed results of the full run: {commit}; data (sha256): {data}.\n"
        f"Its figures are described, not drawn. To run it, fetch the data first: `{fetch}`.\n:::"
    )


def _quoted(cell: nbformat.NotebookNode) -> str:
    """Quote a code cell, and describe the figure that it would draw."""
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
    figure = f"\n\n*Figure, drawn where the data are:* {alt}" if alt else ""
    return f"```python\n{cell.source}\n```{figure}"
