"""Stage the pages and build the book."""

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import nbformat
import yaml

from netrollout import __version__
from netrollout.provenance import provenance
from netrollout.workflow.cells import fit_page, hide_bookkeeping
from netrollout.workflow.errors import WorkflowError
from netrollout.workflow.graph import read_graph
from netrollout.workflow.outputs import outputs_file, show_published
from netrollout.workflow.paths import PROFILES, executed
from netrollout.workflow.published import check_published
from netrollout.workflow.reader import write_readers
from netrollout.workflow.tracepage import trace_page

# The built book is published on the branch gh-pages, and with it the notebooks that these buttons open.
LAUNCH = {
    "/blob/main/notebooks/": "/blob/gh-pages/_notebooks/",
    "/main?urlpath=lab/tree/notebooks/": "/gh-pages?urlpath=lab/tree/_notebooks/",
}
BINDER = """name: netrollout
channels: [conda-forge]
dependencies: [python=3.11, pip, {pip: ["netrollout[train,lab]"]}]
"""
RECORD = """# {title}

What the notebook recorded: the published run beside the run that made this book.

```{{record}} {name}
```
"""


def stage(root: Path, profile: str) -> None:
    """Lay out ``build/site``: prose pages, executed notebooks, results, a page per shipped trace, MathJax.

    Raises
    ------
    WorkflowError
        A code cell of an executed notebook has not run or shows an error, or a published record was changed.
    """
    check_published(root, list(read_graph(root)))
    site = root / "build" / "site"
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(root / "book", site / "book", ignore=shutil.ignore_patterns("__pycache__"))
    (site / "book" / "results").mkdir()
    for name in read_graph(root):
        target = site / "notebooks" / f"{name}.ipynb"
        stage_notebook(executed(root, profile, name), target, profile, outputs_file(root, name))
        page = RECORD.format(title=title(nbformat.read(target, as_version=4)), name=name)
        (site / "book" / "results" / f"{name}.md").write_text(page, encoding="utf-8")
    for each in PROFILES:
        if (root / "results" / each).is_dir():
            shutil.copytree(root / "results" / each, site / "results" / each)
    _stage_traces(root, site)
    _stage_mathjax(site / "book" / "_static" / "mathjax")
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    config["sphinx"]["config"]["netrollout_profile"] = profile
    made = provenance({})
    commit = f", commit {made['commit'][:8]} of {made['created']}" if made["commit"] else ""
    config["html"]["extra_footer"] = f"<p>Made by the {profile} profile of NetRollout {__version__}{commit}.</p>"
    (site / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def staged_profile(root: Path) -> str | None:
    """Name the profile whose pages stand in ``build/site``."""
    config = root / "build" / "site" / "_config.yml"
    if not config.is_file():
        return None
    profile: str = yaml.safe_load(config.read_text(encoding="utf-8"))["sphinx"]["config"]["netrollout_profile"]
    return profile


def stage_notebook(source: Path, target: Path, profile: str, outputs: Path) -> None:
    """Copy an executed notebook if every code cell ran without an error, with what was published in its place.

    Parameters
    ----------
    profile : str
        Of the run; a quick one shows the outputs of the full run where they are known.
    outputs : Path
        Those outputs, see `netrollout.workflow.outputs`.
    """
    notebook = nbformat.read(source, as_version=4)
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and cell.source.strip():
            if cell.execution_count is None:
                raise WorkflowError(f"cell {index} of {source.stem} has not run")
            if any(output.output_type == "error" for output in cell.outputs):
                raise WorkflowError(f"cell {index} of {source.stem} shows an error")
    hide_bookkeeping(notebook)
    _caption(notebook, source.stem)
    if "stand_in" not in notebook.metadata:
        whole = profile == "full" or show_published(notebook, outputs)
        _frame(notebook, source.stem, ":pictures: here" if not whole else "")
    fit_page(notebook)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)


def title(notebook: nbformat.NotebookNode) -> str:
    """Return the title of a chapter."""
    return str(notebook.cells[0].source.partition("\n")[0].removeprefix("# "))


def _frame(notebook: nbformat.NotebookNode, name: str, option: str) -> None:
    """Say below the title where the numbers come from, and at the end what this machine computed."""
    head, _, rest = notebook.cells[0].source.partition("\n")
    notebook.cells[0].source = f"{head}\n\n```{{made}} {name}\n{option}\n```\n{rest}"
    notebook.cells.append(nbformat.v4.new_markdown_cell(f"```{{computed}} {name}\n```", id="computed"))


def _caption(notebook: nbformat.NotebookNode, name: str) -> None:
    """Give every figure a number and a caption: by default the first sentence of what stands in its place."""
    count = 0
    for cell in notebook.cells:
        shown = cell.metadata.get("mystnb", {})
        if "image" in shown:
            count += 1
            caption = shown["image"]["alt"].split(". ")[0].rstrip(".") + "."
            shown["figure"] = {"name": f"fig-{name}-{count}", "caption": caption} | shown.get("figure", {})


def build_html(root: Path) -> None:
    """Build ``build/html`` from ``build/site``; a warning is an error.

    Raises
    ------
    WorkflowError
        Jupyter Book found something wrong; the message quotes it.
    """
    program = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", program, "build", "build/site", "--config", "build/site/_config.yml", "--toc"]
    command += [str(root / "_toc.yml"), "--path-output", "build", "-W", "-n", "--keep-going", "-q"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise WorkflowError(f"the book has errors:\n{done.stdout}{done.stderr}")
    html = root / "build" / "html"
    shutil.rmtree(html, ignore_errors=True)
    shutil.move(root / "build" / "_build" / "html", html)
    # The next build must not believe that pages which were moved away are still there.
    shutil.rmtree(root / "build" / "_build")


def add_readers(root: Path) -> None:
    """Put the notebooks for readers into the built book; the buttons for download, Binder and Colab lead to them."""
    html = root / "build" / "html"
    write_readers(root, html / "_notebooks")
    write_readers(root, html / "_notebooks" / "student", student=True)
    for notebook in (html / "_notebooks").glob("*.ipynb"):
        shutil.copy2(notebook, html / "_sources" / "notebooks" / notebook.name)
        page = html / "notebooks" / f"{notebook.stem}.html"
        text = page.read_text(encoding="utf-8")
        for button, there in LAUNCH.items():
            text = text.replace(f"{button}{notebook.name}", f"{there}{notebook.name}")
        page.write_text(text, encoding="utf-8")
    (html / "environment.yml").write_text(BINDER, encoding="utf-8")


def _stage_traces(root: Path, site: Path) -> None:
    """Write ``book/data/<folder>``, the datasheets, and ``book/data/<folder>-<trace>``, pages that _toc.yml lists."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    files = [section["file"] for chapter in chapters for section in chapter.get("sections", [])]
    pages = {
        Path(file).name.replace("-", "/", 1): file for file in files if file.startswith("book/data/") and "-" in file
    }
    for path in sorted((root / "data").glob("*/*.csv.gz")):
        name = f"{path.parent.name}/{path.name.removesuffix('.csv.gz')}"
        if name not in pages:
            raise WorkflowError(f"_toc.yml lists no page for the trace {name}: add book/data/{name.replace('/', '-')}")
    folder = site / "book" / "data"
    folder.mkdir(exist_ok=True)
    for datasheet in (root / "data").glob("*/README.md"):
        shutil.copy2(datasheet, folder / f"{datasheet.parent.name}.md")
    for name, file in pages.items():
        text = trace_page(name, root / "data" / f"{name}.csv.gz", folder)
        (site / f"{file}.md").write_text(text, encoding="utf-8")


def _stage_mathjax(folder: Path) -> None:
    """Copy the one file of MathJax that draws everything without the network, from the wheel that carries it."""
    wheel = metadata.distribution("sphinx-mathjax-offline")
    folder.mkdir(parents=True)
    shutil.copy2(str(wheel.locate_file("sphinx-mathjax-offline/static/mathjax/tex-svg-full.js")), folder)
