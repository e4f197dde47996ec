"""``{resbars}`` draws values of the published records as bars with their intervals, when the book is built.

Each line of the body is ``label | notebook/value``; ``:axis:`` says what is drawn, ``:alt:`` what a reader would see.
A label that begins with a star is drawn in the colour of rollout, the others in grey.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from docutils import nodes
from docutils.parsers.rst import directives
from results import published
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from netrollout import plots
from netrollout.types import InputError

logger = logging.getLogger(__name__)
ROLLOUT, OTHER = "#0072B2", "#9E9E9E"


class Bars(SphinxDirective):
    """A figure of recorded values."""

    required_arguments = 1  # the name of the figure's file
    has_content = True
    option_spec = {key: directives.unchanged_required for key in ("alt", "axis", "caption")}  # noqa: RUF012

    def run(self):
        """Draw the figure and place it."""
        lines = [[part.strip() for part in line.split("|")] for line in self.content if line.strip()]
        try:
            found = [published(self.env, place.split("/")[0], "values", place.split("/")[1]) for _, place in lines]
        except InputError as error:
            logger.error(str(error), location=self.get_location(), type="results")
            return []
        entries = [entry for entry, _, _ in found if entry]
        file = Path(self.env.srcdir) / "book" / "_bars" / f"{self.arguments[0]}.png"
        file.parent.mkdir(exist_ok=True)
        self.draw([label for label, _ in lines], entries, file)
        image = nodes.image(uri=f"/book/_bars/{file.name}", alt=self.options["alt"])
        return [nodes.figure("", image, nodes.caption("", self.options["caption"]))]

    def draw(self, labels, entries, file):
        """Write the bars with their intervals."""
        plots.use_style()
        ends = [[entry.get(key, entry["value"]) for entry in entries] for key in ("value", "low", "high")]
        figure, axes = plt.subplots(figsize=(6.4, 0.4 * len(labels) + 0.9))
        plots.interval_bars(axes, [label.removeprefix("*") for label in labels], *ends)
        for bar, label in zip(axes.patches, labels, strict=True):
            bar.set_color(ROLLOUT if label.startswith("*") else OTHER)
        axes.set_xlabel(self.options["axis"])
        figure.savefig(file, dpi=160, metadata={"Software": None})
        plt.close(figure)


def setup(app):
    """Register the directive."""
    app.add_directive("resbars", Bars)
    return {"parallel_read_safe": True}
