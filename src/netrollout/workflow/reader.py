"""Notebooks for readers: plain Markdown with the published numbers, closed solutions, and a cell that installs.

A chapter's Markdown is written for the book: roles bring numbers and citations, directives boxes and tables, of which
JupyterLab, Binder and Colab know nothing.  Here every role becomes words and every directive plain Markdown, so that
the file can be read and run anywhere.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import yaml

from netrollout.findings import phrase, show
from netrollout.results import load, results_file
from netrollout.types import InputError
from netrollout.workflow.cells import CLOSED, hide_bookkeeping
from netrollout.workflow.graph import read_graph

ROLE = re.compile(r"\{(res|finding|doc|cite(?::\w+)?|eq|term|numref|ref)\}`([^`]+)`")
DIRECTIVE = re.compile(r"^(`{3,}|:{3,})\{([\w:-]+)\}([^\n]*)\n(.*?)^\1[ \t]*$", flags=re.DOTALL | re.MULTILINE)
LEFT = re.compile(r"\{[a-z][\w:-]*\}`|^[`:]{3,}\{[\w:-]+\}|^\([\w-]+\)=", flags=re.MULTILINE)  # what must not remain
INSTALL = """# On Colab, Binder or a machine without the package: install what this chapter needs.
import importlib.util
if importlib.util.find_spec("netrollout") is None:
    %pip install -q "netrollout[train]\""""


def write_readers(root: Path, folder: Path, student: bool = False, keep: bool = False) -> None:
    """Write the reader's notebook of every chapter.

    Parameters
    ----------
    student : bool
        Without solutions.
    keep : bool
        Leave alone what is there: a reader has worked in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    readers = Readers(root)
    for name in read_graph(root):
        if keep and (folder / f"{name}.ipynb").is_file():
            continue
        notebook = nbformat.read(root / "notebooks" / f"{name}.ipynb", as_version=4)
        nbformat.write(readers.plain(notebook, student), folder / f"{name}.ipynb")


class Readers:
    """Turns chapters into notebooks for readers.

    Parameters
    ----------
    root : Path
        The checkout: its results, its references and the titles of its chapters are read.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
        owner, name = config["repository"]["url"].rstrip("/").split("/")[-2:]
        self._book = f"https://{owner}.github.io/{name}"
        self._titles = {path.stem: _title(path) for path in (root / "notebooks").glob("*.ipynb")}
        self._works = _works(root / "book" / "references.bib")
        self._records: dict[str, Any] = {}

    def plain(self, notebook: nbformat.NotebookNode, student: bool = False) -> nbformat.NotebookNode:
        """Return a chapter for readers: no roles, no directives, no outputs, closed bookkeeping and solutions."""
        hide_bookkeeping(notebook)
        cells, solving = [], False
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                begins, ends = "{solution-start}" in cell.source, "{solution-end}" in cell.source
                cell.source = self.words(_without_solutions(cell.source) if student else cell.source)
                solving = (solving or begins) and not (ends and not begins)
            elif "solution" in cell.metadata.get("tags", []) and student:
                continue
            elif CLOSED & set(cell.metadata.get("tags", [])) or "solution" in cell.metadata.get("tags", []):
                cell.metadata["jupyter"] = {"source_hidden": True}
            if cell.source.strip():
                cells.append(cell)
        cells.insert(1, nbformat.v4.new_code_cell(INSTALL, id="install"))
        notebook.cells = cells
        return notebook

    def words(self, source: str) -> str:
        """Replace the book's markup in a Markdown cell."""
        source = re.sub(r"^\([\w-]+\)=\n", "", source, flags=re.MULTILINE)
        while DIRECTIVE.search(source):
            source = DIRECTIVE.sub(self._directive, source)
        source = ROLE.sub(self._role, source)
        return re.sub(r"^(\$\$) \(([\w-]+)\)", r"\1", source, flags=re.MULTILINE)

    def _directive(self, match: re.Match[str]) -> str:
        kind, argument, body = match[2], match[3].strip(), match[4]
        options = dict(re.findall(r"^:([\w-]+): *(.*)$", body, flags=re.MULTILINE))
        body = re.sub(r"^:[\w-]+:.*\n?", "", body, flags=re.MULTILINE).strip()
        if kind == "restable":
            return self._table(argument, options.get("format"))
        if kind == "exercise":
            return f"**Exercise.** {body}"
        if kind == "solution-start":
            return _closed("Solution", f"{body}\n\nThe code is in the closed cells below.")
        if kind == "solution-end":
            return ""
        if kind == "solution" or "dropdown" in options.get("class", ""):
            return _closed("Solution" if kind == "solution" else argument, body)
        return f"> **{argument or kind.title()}.** " + body.replace("\n", "\n> ")

    def _role(self, match: re.Match[str]) -> str:
        kind, text = match[1], match[2]
        label, _, target = text.rstrip(">").rpartition("<")
        if kind == "res":
            return self._value(text)
        if kind == "finding":
            name, _, key = text.partition("/")
            return str((self._entry(name, "findings", key) or {}).get("sentence") or "")
        if kind == "doc":
            stem = (target or text).split("/")[-1]
            place = f"notebooks/{stem}" if stem in self._titles else f"book/{stem}"
            return f"[{label.strip() or self._titles.get(stem, stem)}]({self._book}/{place}.html)"
        if kind.startswith("cite"):
            return ", ".join(self._cited(key.strip()) for key in text.split(","))
        if kind == "term":
            return f"*{label.strip() or text}*"
        return "the equation above" if kind == "eq" else "the figure or table above"

    def _cited(self, key: str) -> str:
        who = self._works.get(key)
        if who is None:
            raise InputError(f"{key!r} is no key of book/references.bib")
        return f"[{who}]({self._book}/book/references.html)"

    def _entry(self, notebook: str, kind: str, name: str) -> Any:
        """Find what was published, else what this machine's quick run found; None where nobody ran it."""
        records = [self._record(profile, notebook) for profile in ("full", "quick")]
        for record in filter(None, records):
            found = (record[kind] | record["live"].get(kind, {})).get(name)
            if found is not None:
                return found
        return None

    def _record(self, profile: str, notebook: str) -> Mapping[str, Any] | None:
        key = f"{profile}/{notebook}"
        if key not in self._records:
            there = results_file(profile, notebook, self._root / "results").is_file()
            self._records[key] = load(profile, notebook, self._root / "results") if there else None
        found: Mapping[str, Any] | None = self._records[key]
        return found

    def _value(self, text: str) -> str:
        notebook, _, rest = text.partition("/")
        name, *options = rest.split(":")
        entry = self._entry(notebook, "values", name)
        if entry is None:
            return "(run the cells to see)"
        forms = [option for option in options if option not in ("interval", "bare")]
        return phrase(entry, forms[0] if forms else None, interval="interval" in options, bare="bare" in options)

    def _table(self, argument: str, form: str | None) -> str:
        notebook, _, name = argument.partition("/")
        entry = self._entry(notebook, "tables", name)
        if entry is None:
            return "*(Run the cells to see the table.)*"
        lines = [entry["columns"], ["---"] * len(entry["columns"]), *entry["rows"]]
        shown = [[str(show(item, form if isinstance(item, float) else None)) for item in line] for line in lines]
        return "\n".join("| " + " | ".join(item.replace("|", "\\|") for item in line) + " |" for line in shown)


def _closed(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def _without_solutions(source: str) -> str:
    def keep(match: re.Match[str]) -> str:
        return "" if match[2].startswith("solution") or match[3].strip() == "Solution" else match[0]

    return DIRECTIVE.sub(keep, source)


def _title(path: Path) -> str:
    cell = nbformat.read(path, as_version=4).cells[0]
    return str(cell.source.partition("\n")[0].removeprefix("# "))


def _works(path: Path) -> dict[str, str]:
    """Read who wrote what and when from a BibTeX file: key to authors and year."""
    from pybtex.database import parse_file

    found = {}
    for key, entry in parse_file(str(path)).entries.items():
        names = [str(person.last_names[-1]) for person in entry.persons.get("author", [])] or [key]
        who = names[0] + (" et al." if len(names) > 2 else f" and {names[1]}" if len(names) == 2 else "")
        found[key] = f"{who}, {entry.fields.get('year', '')}".rstrip(", ")
    return found
