"""Numbers reach prose from results records only.

``{res}`05_the_service_changes/gain``` shows a value with its unit; after colons stand a number format (``:.2f``,
``:.0%``), ``interval`` (adds the interval) and ``bare`` (leaves out the unit).  ``{finding}`` shows a sentence that the
run's numbers chose (`netrollout.findings`).  ``{restable}
05_the_service_changes/policies`` shows a table, ``{record} full`` everything that a profile found.  An unknown name is
an error of the build.  Reasons why something was not run name commands, so their dashes stay as they are typed.
"""

from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from netrollout.findings import phrase, show
from netrollout.results import load, results_file
from netrollout.types import InputError

logger = logging.getLogger(__name__)


def read(env, notebook, profile=None):
    """Read a record of the staged site; pages that show it are built again when it changes."""
    profile, root = profile or env.config.netrollout_profile, Path(env.srcdir) / "results"
    env.note_dependency(str(results_file(profile, notebook, root)))
    return load(profile, notebook, root)


def look_up(record, kind, name):
    """Find a value or table; returns (entry, why it was not run, day on which it was measured live)."""
    if name in record[kind]:
        return record[kind][name], None, None
    if name in record["live"][kind]:
        return record["live"][kind][name], None, record["live"]["ran"][:10]
    for reason in (name, name.split(".")[0]):
        if reason in record["not_run"]:
            return None, f"not run here, because {record['not_run'][reason]}", None
    known = sorted([*record[kind], *record["live"][kind], *record["not_run"]])
    raise InputError(f"no {kind[:-1]} {name!r} in the results of {record['notebook']}; known are {', '.join(known)}")


class Res(SphinxRole):
    """A value in a sentence."""

    def run(self):
        """Replace the role by the value, the interval's meaning in a tooltip."""
        notebook, _, rest = self.text.partition("/")
        name, *options = rest.split(":")
        forms = [option for option in options if option not in ("interval", "bare")]
        try:
            entry, absent, day = look_up(read(self.env, notebook), "values", name)
            words = absent or phrase(entry, *forms[:1], interval="interval" in options, bare="bare" in options)
        except (InputError, ValueError) as error:
            logger.error(str(error), location=self.get_location(), type="results")
            return [], []
        if day:
            words += f" (measured live on {day})"
        return [nodes.inline(words, words, classes=["result"], support_smartquotes=False)], []


class Finding(SphinxRole):
    """A sentence that holds in the profile that made the page; nothing where what it is about was not run."""

    def run(self):
        """Replace the role by the sentence of the record."""
        notebook, _, name = self.text.partition("/")
        try:
            known = read(self.env, notebook)["findings"]
            if name not in known:
                raise InputError(f"no finding {name!r} in the results of {notebook}; known are {', '.join(known)}")
        except InputError as error:
            logger.error(str(error), location=self.get_location(), type="results")
            return [], []
        words = known[name]["sentence"]
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
            entry, absent, day = look_up(read(self.env, notebook), "tables", name)
        except InputError as error:
            logger.error(str(error), location=self.get_location(), type="results")
            return []
        if absent:
            words = absent[0].upper() + absent[1:] + "."
            why = nodes.paragraph("", words, support_smartquotes=False)
            return [nodes.admonition("", nodes.title("", "Not run"), why, classes=["note"])]
        table = table_node(entry["columns"], entry["rows"], self.options.get("format"))
        caption = " ".join([self.options.get("caption", ""), f"(Measured live on {day}.)" if day else ""]).strip()
        if caption:
            table.insert(0, nodes.title(caption, caption))
        return [table]


class Record(SphinxDirective):
    """Everything that a profile found: ``{record} full``, or without an argument the profile that made the book."""

    optional_arguments = 1

    def run(self):
        """Build one section per notebook."""
        profile = self.arguments[0] if self.arguments else self.config.netrollout_profile
        folder = Path(self.env.srcdir) / "results" / profile
        self.env.note_reread()  # a new record must appear on the page
        names = [path.stem for path in sorted(folder.glob("*.json")) if not path.stem.endswith(".live")]
        records = [read(self.env, name, profile) for name in names]
        own = [record for record in records if record["profile"] == profile]  # others stand in for what was not run
        if not own:
            return [nodes.paragraph("", f"No results of the {profile} profile are there.")]
        return [self.section(profile, record) for record in own]

    def section(self, profile, record):
        """Build the section of one notebook."""
        name, made, live = record["notebook"], record["provenance"], record["live"]
        section = nodes.section("", nodes.title("", name), ids=[nodes.make_id(f"{profile}-{name}")])
        commit = f"commit {made['commit'][:8]} of {made['created']}" if made["commit"] else "no commit"
        changed = " with uncommitted changes" if made["dirty"] else ""
        data = ", ".join(f"{key} {digest[:12]}" for key, digest in made["data"].items()) or "none"
        machine = f"{made['machine']['cpu']}, {made['machine']['cores']} cores"
        section += nodes.paragraph("", f"Made by {commit}{changed}. Data (sha256): {data}. Machine: {machine}.")
        section += self.values(record["values"])
        section += self.tables(record["tables"])
        if said := [[key, of["sentence"]] for key, of in record["findings"].items() if of["sentence"]]:
            section += table_node(["finding", "in this run"], said)
        if record["claims"]:
            keys = ["statement", "source", "published", "verdict", "because"]
            section += table_node(keys, [[claim[key] for key in keys] for claim in record["claims"]])
        if live["values"] or live["tables"]:
            section += nodes.rubric("", f"Measured live on {live['ran'][:10]}")
            section += self.values(live["values"])
            section += self.tables(live["tables"])
        section += [
            nodes.paragraph("", f"{key}: not run here, because {why}.", support_smartquotes=False)
            for key, why in record["not_run"].items()
        ]
        return section

    def values(self, values):
        """Build the table of all values."""
        rows = []
        for name, entry in values.items():
            level = f"{entry['level']:.0%}" if "level" in entry else ""
            rows.append([name, phrase(entry, interval=True), level, entry.get("n", ""), entry.get("how", "")])
        return [table_node(["value", "", "level", "n", "how"], rows)] if rows else []

    def tables(self, tables):
        """Build every table under its name."""
        pairs = [
            (nodes.rubric("", name), table_node(entry["columns"], entry["rows"])) for name, entry in tables.items()
        ]
        return [node for pair in pairs for node in pair]


def setup(app):
    """Register the role and the directives."""
    app.add_config_value("netrollout_profile", "quick", "env", str)
    app.add_role("res", Res())
    app.add_role("finding", Finding())
    app.add_directive("restable", ResTable)
    app.add_directive("record", Record)
    return {"parallel_read_safe": True}
