"""The notebooks that readers download: plain Markdown with the published numbers; they run anywhere."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from netrollout.workflow.cells import CLOSED, WIDTH, bookkeeping, fit_page, hide_bookkeeping, teaching
from netrollout.workflow.reader import LEFT, Readers, write_readers

ROOT = Path(__file__).resolve().parents[2]
LIGHT = ["00_ten_minutes", "11_your_own_system"]


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    """Both editions of all chapters that have results."""
    folder = tmp_path_factory.mktemp("readers")
    write_readers(ROOT, folder)
    write_readers(ROOT, folder / "student", student=True)
    return folder


def cells(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def test_no_role_and_no_directive_is_left(readers):
    for path in readers.rglob("*.ipynb"):
        for cell in cells(path, "markdown"):
            assert not LEFT.findall(cell.source), (path.name, cell.source)


def test_solutions_are_closed_and_absent_from_the_students_edition(readers):
    for path in readers.glob("*.ipynb"):
        words = "\n".join(cell.source for cell in cells(path, "markdown"))
        assert words.count("<summary>Solution") == words.count("**Exercise.**") or path.stem not in LIGHT, path.name
        solutions = [cell for cell in cells(path, "code") if "solution" in cell.metadata.get("tags", [])]
        assert all(cell.metadata["jupyter"]["source_hidden"] for cell in solutions)
        student = readers / "student" / path.name
        assert "<summary>Solution" not in student.read_text(encoding="utf-8")
        assert not [cell for cell in cells(student, "code") if "solution" in cell.metadata.get("tags", [])]


def test_what_a_reader_has_worked_in_is_left_alone(tmp_path):
    write_readers(ROOT, tmp_path)
    first = next(tmp_path.glob("*.ipynb"))
    first.write_text("worked in")
    write_readers(ROOT, tmp_path, keep=True)
    assert first.read_text() == "worked in"


def test_the_first_cell_of_code_installs_the_package_where_it_is_missing(readers):
    assert all("%pip install" in cells(path, "code")[0].source for path in readers.rglob("*.ipynb"))


@pytest.mark.parametrize("name", LIGHT)
def test_it_runs_in_an_empty_folder(readers, tmp_path, name):
    shutil.copy(readers / f"{name}.ipynb", tmp_path)
    command = [sys.executable, "-m", "papermill", f"{name}.ipynb", "out.ipynb", "--no-progress-bar"]
    command += ["-p", "refits", "2"] if name.startswith("11") else []
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def words(source):
    return Readers(ROOT).words(source)


def test_markup_becomes_plain():
    assert words("On {doc}`02_system_models` and {term}`mask`.").startswith("On [System models: from a trace")
    assert "[Bertsekas, 2021](https://" in words("By {cite}`bertsekas2021rollout`.")
    assert words("$$\nx\n$$ (name)\n\nSee {eq}`name`.") == "$$\nx\n$$\n\nSee the equation above."
    assert words(":::{admonition} Mind\n:class: tip\nTwo\nlines\n:::") == "> **Mind.** Two\n> lines"
    assert words("````{solution} x\n:class: dropdown\nSo.\n````").startswith("<details><summary>Solution</summary>")


def test_what_keeps_books_is_told_from_what_teaches():
    assert bookkeeping("import numpy as np\nx = 1\nresults.value('x',\n    x)\n# a comment") == (3, 4)
    mixed = "x = 1\nresults.value('x',\n    x)\nprint(x)\nhow = 'so'\nfor y in x:\n    results.value('y', y)"
    assert teaching(mixed) == "x = 1\nprint(x)\nfor y in x:\n    results.value('y', y)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import numpy as np\nresults.write();")])
    hide_bookkeeping(notebook)
    assert notebook.cells[0].metadata["tags"] == ["hide-input"]


def seen(path):
    """Return the code that the page of a chapter shows."""
    notebook = nbformat.read(path, as_version=4)
    hide_bookkeeping(notebook)
    fit_page(notebook)
    shown = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell.source for cell in shown if not CLOSED & set(cell.metadata.get("tags", []))]


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_page_shows_what_teaches_in_lines_that_fit(path):
    kept, lines = (sum(part) for part in zip(*map(bookkeeping, seen(path)), strict=True))
    assert kept <= 0.05 * lines, f"{kept} of {lines} visible lines keep books"
    wide = [line for source in seen(path) for line in source.splitlines() if len(line) > WIDTH]
    assert all(re.search("[\"'#]", line) for line in wide), wide  # a text cannot be broken for its author


def test_a_page_shows_the_same_program():
    for source in seen(ROOT / "notebooks" / "00_ten_minutes.ipynb"):
        ast.parse(source)
