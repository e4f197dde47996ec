"""Numbers reach prose from results records only.

``{res}`05_the_service_changes/gain``` shows a value with its unit; after colons stand a number format (``:.2f``,
``:.0%``), ``interval`` (adds the interval) and ``bare`` (leaves out the unit).  ``{finding}`` shows a sentence that the
run's numbers chose (`netrollout.findings`).  ``{restable} 05_the_service_changes/policies`` shows a table; one of more
than eight rows is closed.  All three show what was published, the full run, and where that has no such name what the
quick run of this machine found.  ``{made} NAME`` says where the
numbers of a chapter come from, ``{computed} NAME`` what this machine computed, ``{record} NAME`` shows everything of
both.  An unknown name is an error of the build.  Reasons why something was not run name commands, so their dashes stay
as they are typed.
"""

import base64
import json
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from netrollout.findings import phrase, show
from netrollout.results import load, results_file
from netrollout.types import InputError

logger = logging.getLogger(__name__)


ROWS = 8  # of a table that is shown open


def read(env, notebook, profile):
    """Read a record of the staged site; pages that show it are built again when it changes."""
    root = Path(env.srcdir) / "results"
    env.note_dependency(str(results_file(profile, notebook, root)))
    return load(profile, notebook, root)


def runs(env, notebook):
    """Return the record of the published run and that of this machine's run; None where there is none.

    A published run of an earlier version of the chapter, which had other parameters, counts as none.
    """
    full, here = recorded(env, notebook)
    if full is None and here is None:
        raise InputError(f"no results of notebook {notebook} are there; run it first")
    return (None if earlier(full, here) else full), here


def recorded(env, notebook):
    """Return both records as they are."""
    root = Path(env.srcdir) / "results"
    profiles = ("full", env.config.netrollout_profile)
    return [read(env, notebook, each) if results_file(each, notebook, root).is_file() else None for each in profiles]


def earlier(full, here):
    """Say whether the published run is of an earlier version of the chapter."""
    return bool(full and here) and full["parameters"].keys() != here["parameters"].keys()


def published(env, notebook, kind, name):
    """Find a value, table or finding as `look_up` does, in the published run; what is not there yet, in this machine's.

    Returns
    -------
    entry, absent, note
        The entry; why there is none; and what the reader must know about where it comes from.
    """
    full, here = runs(env, notebook)
    try:
        return look_up(full or here, kind, name)
    except InputError:
        if full is None or here is None:
            raise
        entry, absent, note = look_up(here, kind, name)
        return entry, absent, note or f"{here['profile']} run"


def look_up(record, kind, name):
    """Find a value, table or finding; returns (entry, why it was not run, that it was measured live and when)."""
    if name in record[kind]:
        return record[kind][name], None, None
    if name in record["live"].get(kind, ()):
        return record["live"][kind][name], None, f"measured live on {record['live']['ran'][:10]}"
    for reason in (name, name.split(".")[0]):
        if reason in record["not_run"]:
            return None, f"not run here, because {record['not_run'][reason]}", None
    known = sorted([*record[kind], *record["live"].get(kind, ()), *record["not_run"]])
    raise InputError(f"no {kind[:-1]} {name!r} in the results of {record['notebook']}; known are {', '.join(known)}")


class Res(SphinxRole):
    """A value in a sentence."""

    def run(self):
        """Replace the role by the value, the interval's meaning in a tooltip."""
        notebook, _, rest = self.text.partition("/")
        name, *options = rest.split(":")
        forms = [option for option in options if option not in ("interval", "bare")]
        try:
            entry, absent, note = published(self.env, notebook, "values", name)
            words = absent or phrase(entry, *forms[:1], interval="interval" in options, bare="bare" in options)
        except (InputError, ValueError) as error:
            logger.error(str(error), location=self.get_location(), type="results")
            return [], []
        if note:
            words += f" ({note})"
        return [nodes.inline(words, words, classes=["result"], support_smartquotes=False)], []


class Finding(SphinxRole):
    """A sentence that holds in the profile that made the page; nothing where what it is about was not run."""

    def run(self):
        """Replace the role by the sentence of the record."""
        notebook, _, name = self.text.partition("/")
        try:
            entry, _, note = published(self.env, notebook, "findings", name)
        except InputError as error:
            logger.error(str(error), location=self.get_location(), type="results")
            return [], []
        words = (
            f"{entry['sentence']} ({note})" if entry and entry["sentence"] and note else (entry or {}).get("sentence")
        )
        return [nodes.inline(words, words, classes=["finding"], support_smartquotes=False)] if words else [], []


def table_node(columns, rows, form=None):
    """Build a table; numbers are aligned to the right."""
    group = nodes.tgroup("", *[nodes.colspec(colwidth=1) for _ in columns], cols=len(columns))
    table = nodes.table("", group, classes=["results"])
    for container, lines in ((nodes.thead(), [columns]), (nodes.tbody(), rows)):
        for line in lines:
            row = nodes.row()
            for item in line:
                words = show(item, form if isinstance(item, float) else None)
                side = "text-left" if isinstance(item, str) else "text-right"
                row += nodes.entry("", nodes.paragraph(words, words), classes=[side])
            container += row
        group += container
    return table


class ResTable(SphinxDirective):
    """A table of a record."""

    required_arguments = 1
    option_spec = {"format": directives.unchanged, "caption": directives.unchanged}  # noqa: RUF012 - docutils' way

    def run(self):
        """Build the table, or the sentence that says why it is not there."""
        notebook, _, name = self.arguments[0].partition("/")
        try:
            entry, absent, note = published(self.env, notebook, "tables", name)
        except InputError as error:
            logger.error(str(error), location=self.get_location(), type="results")
            return []
        if absent:
            words = absent[0].upper() + absent[1:] + "."
            why = nodes.paragraph("", words, support_smartquotes=False)
            return [nodes.admonition("", nodes.title("", "Not run"), why, classes=["note"])]
        table = table_node(entry["columns"], entry["rows"], self.options.get("format"))
        caption = self.options.get("caption") or name.replace("-", " ").replace(".", ", ").capitalize()
        caption += f" ({note})" if note else ""
        table.insert(0, nodes.title(caption, caption))
        return [table] if len(entry["rows"]) <= ROWS else [closed(f"{caption} ({len(entry['rows'])} rows)", table)]


def closed(title, *content):
    """Put content behind a click."""
    return nodes.admonition("", nodes.title(title, title), *content, classes=["dropdown", "note"])


def commit(record):
    """Say which commit made a record."""
    made = record["provenance"]
    if not made["commit"]:
        return "no commit"
    return f"commit {made['commit'][:8]} of {made['created']}" + (" with uncommitted changes" if made["dirty"] else "")


class OfChapter(SphinxDirective):
    """What is built from both runs of the chapter that the argument names."""

    required_arguments = 1

    def run(self):
        """Build it; nothing but the error where there is no run."""
        try:
            return self.build(*runs(self.env, self.arguments[0]))
        except InputError as error:
            logger.error(str(error), location=self.get_location(), type="results")
            return []


class Made(OfChapter):
    """One line below the title: profile, commit and date of what the page shows."""

    option_spec = {"pictures": directives.unchanged}  # noqa: RUF012 - docutils' way

    def build(self, full, here):
        """Build the line."""
        if full is None:
            known = (
                "the published one is of an earlier version" if recorded(self.env, self.arguments[0])[0] else "none yet"
            )
            words = f"Numbers and figures: {here['profile']} profile, {commit(here)}; of full runs, {known}."
        elif here is None or here["profile"] == "full":
            words = f"Numbers and figures: full profile, {commit(full)}."
        elif "pictures" in self.options:
            words = (
                f"Numbers and tables: full profile, {commit(full)}. Figures and printed output: quick profile, here."
            )
        else:
            words = f"Numbers and figures: full profile, {commit(full)}; what this machine computed stands closed."
        return [nodes.paragraph("", words, classes=["made"])]


class Computed(OfChapter):
    """What this machine computed, beside what was published; closed."""

    def build(self, full, here):
        """Build the closed box; nothing where the published run was made here."""
        if full is None or here is None or here["profile"] == "full":
            return []
        return [closed("What this machine computed (quick profile)", *values(full, here))]


def _typed(words):
    """Return a paragraph whose dashes stay as they are."""
    return nodes.paragraph(words, words, support_smartquotes=False)


def values(full, here):
    """Build the table of all values of both runs."""
    records = [record for record in (full, here) if record]
    names = list(dict.fromkeys(name for record in records for name in [*record["values"], *record["live"]["values"]]))
    known = [record["values"] | record["live"]["values"] for record in records]
    rows = [[name, *(phrase(k[name], interval=True) if name in k else "\u2013" for k in known)] for name in names]
    return [table_node(["value", *(f"{record['profile']} run" for record in records)], rows)] if rows else []


class Record(OfChapter):
    """Everything that the runs of a notebook found, each table behind a click."""

    def build(self, full, here):
        """Build the page of one notebook."""
        both = [record for record in (full, here) if record]
        if len(both) == 2 and here["profile"] == "full":  # it is the published one, or stands in for a run
            both = [full]
        found = [node for record in both for node in self.head(record)]
        found += [closed("Values", *values(*both, *[None] * (2 - len(both))))]
        return found + [node for record in both for node in [*self.findings(record), *self.tables(record)]]

    def findings(self, record):
        """Build the table of the sentences that hold in a run."""
        said = [[key, of["sentence"]] for key, of in record["findings"].items() if of["sentence"]]
        return (
            [closed(f"Findings ({record['profile']} run)", table_node(["finding", "sentence"], said))] if said else []
        )

    def head(self, record):
        """Say what made a record, and with which parameters."""
        made = record["provenance"]
        data = ", ".join(f"{key} {digest[:12]}" for key, digest in made["data"].items()) or "none"
        machine = f"{made['machine']['cpu']}, {made['machine']['cores']} cores"
        asked = ", ".join(f"{key} = {value}" for key, value in record["parameters"].items())
        lines = {"Parameters": asked or "none", "Made by": commit(record), "Data (sha256)": data, "Machine": machine}
        if record["live"]["ran"]:
            lines["Live values"] = f"measured on {record['live']['ran'][:10]}"
        lines |= {key: f"not run here, because {why}" for key, why in record["not_run"].items()}
        fields = [
            nodes.field("", nodes.field_name("", key), nodes.field_body("", _typed(words)))
            for key, words in lines.items()
        ]
        return [nodes.rubric("", f"The {record['profile']} run"), nodes.field_list("", *fields)]

    def tables(self, record):
        """Build every table behind a click."""
        known = record["tables"] | record["live"]["tables"]
        return [
            closed(f"{name} ({record['profile']} run)", table_node(entry["columns"], entry["rows"]))
            for name, entry in known.items()
        ]


class ChapterFigure(SphinxDirective):
    """A chapter's first figure on another page: ``{chapterfigure} NAME``."""

    required_arguments = 1

    def run(self):
        """Copy the picture beside the page."""
        chapter = Path(self.env.srcdir) / "notebooks" / f"{self.arguments[0]}.ipynb"
        self.env.note_dependency(str(chapter))
        for cell in json.loads(chapter.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", ()):
                if picture := output.get("data", {}).get("image/png"):
                    file = Path(self.env.doc2path(self.env.docname)).parent / f"{chapter.stem}.png"
                    file.write_bytes(base64.b64decode(picture))
                    alt = cell["metadata"]["mystnb"]["image"]["alt"]
                    return [nodes.image(uri=file.name, alt=alt)]
        return [nodes.paragraph("", f"The figure of {chapter.stem} has not been drawn.")]


def setup(app):
    """Register the role and the directives."""
    app.add_config_value("netrollout_profile", "quick", "env", str)
    app.add_role("res", Res())
    app.add_role("finding", Finding())
    app.add_directive("restable", ResTable)
    app.add_directive("record", Record)
    app.add_directive("chapterfigure", ChapterFigure)
    app.add_directive("made", Made)
    app.add_directive("computed", Computed)
    return {"parallel_read_safe": True}
