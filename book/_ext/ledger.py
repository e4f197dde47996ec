"""``{ledger}`` lists the published claims of the committed full results, and what became of each.

A claim that names an unknown value, verdict or BibTeX key is an error of the build.
"""

from collections import Counter
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from results import commit, phrase, read, table_node
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from netrollout.results import VERDICTS, bibliography, check_claims, results_file
from netrollout.types import InputError

PROFILE = "full"
logger = logging.getLogger(__name__)


def claims(records, root, keys):
    """Check the claims of all records and return (claim, record) by chapter, then by the claim's id."""
    for record in records:
        check_claims(record, results_file(PROFILE, record["notebook"], root), keys)
    found = [(claim, record) for record in records for claim in record["claims"]]
    return sorted(found, key=lambda pair: (pair[1]["notebook"], pair[0]["id"]))


def ours(claim, record):
    """Write the measured value with interval, level, sample size and method."""
    if claim["measured"] is None:
        return "not measured"
    entry = record["values"][claim["measured"]]
    words = [f"{phrase(entry, interval=True)} ({claim['measured']})"]
    if "level" in entry:
        words.append(f"{entry['level']:.0%} interval")
    words += [f"n = {entry['n']}"] if "n" in entry else []
    words += [entry["how"]] if "how" in entry else []
    return "; ".join(words)


def run(record):
    """Say which run found it: profile, commit, date and data."""
    made = record["provenance"]
    data = ", ".join(f"{name} {digest[:12]}" for name, digest in made["data"].items()) or "none"
    return f"{record['profile']} profile, {commit(record)}; data (sha256): {data}"


class Ledger(SphinxDirective):
    """The summary, then one section per claim."""

    def run(self):
        """Build the page; nothing but the error where a claim is wrong."""
        root, bib = Path(self.env.srcdir) / "results", Path(self.env.srcdir) / "book" / "references.bib"
        self.env.note_reread()  # a new record must appear on the page
        self.env.note_dependency(str(bib))
        files = sorted((root / PROFILE).glob("*.json"))
        try:
            records = [read(self.env, path.stem, PROFILE) for path in files if not path.stem.endswith(".live")]
            found = claims(records, root, bibliography(bib))
        except InputError as error:
            logger.error(str(error), location=self.get_location(), type="results")
            return []
        if not found:
            return [nodes.paragraph("", "No claims are recorded in the full results yet.")]
        return [*self.summary(found), *[self.entry(claim, record) for claim, record in found]]

    def summary(self, found):
        """Say in a sentence what became of the claims; then the counts per verdict and the list of all claims."""
        counts = Counter(claim["verdict"] for claim, _ in found)
        held = counts["reproduced"] + counts["replicated"]
        lead = (
            f"Of {len(found)} claims {held} held here. Where one did not, the chapter says what we would ask for first."
        )
        verdicts = table_node(
            ["verdict", "it means", "claims"], [[*item, counts[item[0]]] for item in VERDICTS.items()]
        )
        overview = table_node(["claim", "verdict"], [[claim["statement"], claim["verdict"]] for claim, _ in found])
        for row, (claim, _) in zip(overview.findall(nodes.row), [(None, None), *found], strict=True):
            if claim:
                link = nodes.reference("", claim["statement"], internal=True, refid=nodes.make_id(claim["id"]))
                row[0][0].children[:] = []
                row[0][0] += link
        return [nodes.paragraph("", lead), verdicts, overview]

    def entry(self, claim, record):
        """Build the section of one claim."""
        section = nodes.section("", nodes.title("", claim["statement"].rstrip(".")), ids=[nodes.make_id(claim["id"])])
        chapter = f"/notebooks/{record['notebook']}"
        section += nodes.field_list(
            "",
            self.field("Source", self.markdown(f"{{cite:t}}`{claim['source']}`")),
            self.field("Name", claim["id"]),
            self.field("Published", claim["published"]),
            self.field("Here", ours(claim, record)),
            self.field("Verdict", f"{claim['verdict']}: {VERDICTS[claim['verdict']]}"),
            self.field("Because", claim["because"]),
            self.field("Chapter", self.markdown(f"{{doc}}`{chapter}`")),
            self.field("Run", run(record)),
        )
        return section

    def field(self, name, body):
        """Build one line of an entry."""
        content = [nodes.paragraph("", body)] if isinstance(body, str) else body
        return nodes.field("", nodes.field_name("", name), nodes.field_body("", *content))

    def markdown(self, text):
        """Parse a line in the page's own language, for the roles in it."""
        holder = nodes.Element()
        self.state.nested_parse(StringList([text], source=self.env.docname), self.content_offset, holder)
        return holder.children


def setup(app):
    """Register the directive."""
    app.add_directive("ledger", Ledger)
    return {"parallel_read_safe": True}
