"""Which cells of a chapter a reader needs to see: what teaches, and not the bookkeeping of the record."""

import ast
import re
import subprocess
import sys

import nbformat

KEPT = {"results", "record", "how", "asked"}  # names that only the record needs
CLOSED = {"hide-input", "hide-cell", "remove-cell", "remove-input"}
WIDTH = 76  # columns of code that a page shows without scrolling
BETWEEN = "# %% next cell"
CALLS = {"plots.use_style", "plots.provenance_line", "plt.show"}


def bookkeeping(source: str) -> tuple[int, int]:
    """Count the lines of a cell that record, import or name what was run, and all of its lines."""
    lines = [line for line in source.splitlines() if line.strip() and not line.strip().startswith("#")]
    code = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))
    kept = sum((node.end_lineno or 0) - node.lineno + 1 for node in ast.parse(code).body if _keeps_books(node))
    return kept, len(lines)


def _keeps_books(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Name) and target.id in KEPT for target in node.targets)
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return False
    called = ast.unparse(node.value.func)
    return called in CALLS or called.startswith("results.")


def teaching(source: str) -> str:
    """Return a cell without its statements that record: what a page shows of a cell that teaches and records."""
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        if _keeps_books(node) and not isinstance(node, ast.Import | ast.ImportFrom):
            del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join(lines).strip("\n")


def hide_bookkeeping(notebook: nbformat.NotebookNode) -> None:
    """Close the cells that keep books, and the parameters; leave out the values that a run has injected."""
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type != "code" or tags & CLOSED:
            continue
        kept, lines = bookkeeping(cell.source)
        if "injected-parameters" in tags:
            tags |= {"remove-cell"}
        elif "parameters" in tags or (lines and kept == lines):
            tags |= {"hide-input"}
        cell.metadata["tags"] = sorted(tags)


def fit_page(notebook: nbformat.NotebookNode) -> None:
    """Show code as a page can: without statements that record, in lines that fit; what was run is another matter."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [re.sub(r"  # (fmt: skip|noqa.*)$", "", teaching(cell.source), flags=re.MULTILINE) for cell in cells]
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", str(WIDTH), "-"]
    done = subprocess.run(command, input=f"\n{BETWEEN}\n".join(shown), capture_output=True, text=True, check=True)
    for cell, source in zip(cells, done.stdout.split(BETWEEN), strict=bool(cells)):
        cell.source = source.strip("\n") or cell.source
