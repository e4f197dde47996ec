"""The notebooks that people open: paired with their text form, without outputs, listed, in small cells."""

import re
from pathlib import Path

import jupytext
import nbformat
import pytest
import yaml

from netrollout.workflow import read_graph

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_params_and_table_of_contents_list_exactly_the_notebooks():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    stems = [path.stem for path in NOTEBOOKS]
    # The parts of the book have an order of their own: the closed loop stands before the published results.
    assert sorted(Path(file).name for file in listed if file.startswith("notebooks/")) == stems
    assert list(read_graph(ROOT)) == stems


@each_notebook
def test_it_has_no_outputs(path):
    assert all(not cell.outputs and cell.execution_count is None for cell in code(path)), "make sync removes them"


@each_notebook
def test_it_equals_its_text_form(path):
    source = jupytext.read(path.parent / "source" / f"{path.stem}.py")
    ours = [(cell.cell_type, cell.source, cell.metadata) for cell in nbformat.read(path, as_version=4).cells]
    assert [(cell.cell_type, cell.source, cell.metadata) for cell in source.cells] == ours, (
        "make sync brings them in line"
    )


@each_notebook
def test_its_first_code_cell_holds_the_parameters_of_the_full_profile(path):
    first = code(path)[0]
    assert "parameters" in first.metadata.get("tags", []) and re.search('^profile(: str)? = "full"', first.source, re.M)
    names = {line.split("=")[0].split(":")[0].strip() for line in first.source.splitlines() if "=" in line}
    assert set(read_graph(ROOT)[path.stem]["quick"]) <= names


@each_notebook
def test_cells_are_short(path):
    for cell in code(path):
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) <= 12 or "parameters" in cell.metadata.get("tags", []), cell.source


OUTPUTS = sorted((ROOT / "results" / "full" / "outputs").glob("*.json"))


@pytest.mark.parametrize("path", OUTPUTS, ids=lambda path: path.stem)
def test_published_outputs_name_no_folder_of_the_machine_that_made_them(path):
    pictures = re.compile(r'"image/png": "[^"]*"')
    text = pictures.sub("", path.read_text(encoding="utf-8"))
    assert not re.search(r"PosixPath|(?<![\w.:/])/(home|root|tmp|work|Users|build)/", text)
