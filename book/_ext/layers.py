"""``{layers}`` draws the package: its parts in their layers, and who imports whom, read from the source.

A line that follows from others (a imports b, b imports c) is left out, and so are those to the lowest layer, which
nearly all import.
"""

import importlib.util
from html import escape
from itertools import groupby
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from netrollout.workflow import imports

WIDTH, ROW, HEIGHT = 760, 62, 26
ROLES = {1: "dynamics", 2: "models", 3: "rules, bounds", 5: "plants, relearners", 6: "realise, policies", 7: "loops"}


def part(module):
    """Name the part of the picture to which a module belongs."""
    top = module.partition(".")[0]
    return f"systems: {ROLES[imports.layer(module)]}" if top == "systems" else top


def parts(package):
    """Return the layer of each part, and the parts that each one imports, without what follows from others."""
    graph, layers = {}, {}
    for module, others in imports.inside(package).items():
        layers[part(module)] = imports.layer(module)
        graph.setdefault(part(module), set()).update(part(other) for other in others)
    graph = {name: {o for o in others if 0 < layers[o] < layers[name]} for name, others in graph.items()}
    return layers, {name: others - beyond(graph, others) for name, others in graph.items()}


def beyond(graph, names):
    """Return what is imported by names, by what they import, and so on."""
    todo, met = list(names), set()
    while todo:
        new = graph[todo.pop()] - met
        met |= new
        todo += new
    return met


def places(layers):
    """Return the middle of each part, lower layers below."""
    spots, top = {}, max(layers.values())
    for number, row in groupby(sorted(layers, key=lambda name: (layers[name], name)), key=layers.get):
        names = list(row)
        widths = [7.2 * len(name) + 18 for name in names]
        gap = (WIDTH - sum(widths)) / (len(names) + 1)
        x = gap
        for name, width in zip(names, widths, strict=True):
            spots[name] = (x + width / 2, (top - number) * ROW + 30, width)
            x += width + gap
    return spots


def drawn(package):
    """Draw the parts as SVG that takes its colours from the page."""
    layers, graph = parts(package)
    spots = places(layers)
    shapes = []
    for name, others in sorted(graph.items()):
        for other in sorted(others):
            (x, y, _), (u, v, _) = spots[name], spots[other]
            y, v = y + HEIGHT / 2, v - HEIGHT / 2
            path = f"M{x:.0f},{y:.0f} C{x:.0f},{y + 26:.0f} {u:.0f},{v - 26:.0f} {u:.0f},{v:.0f}"
            shapes.append(f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity="0.35"/>')
    for name, (x, y, width) in spots.items():
        box = f'x="{x - width / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{width:.0f}" height="{HEIGHT}" rx="5"'
        shapes.append(f'<rect {box} fill="var(--pst-color-background, white)" stroke="currentColor"/>')
        text = f'x="{x:.0f}" y="{y + 4:.0f}" text-anchor="middle" font-size="12" fill="currentColor"'
        shapes.append(f'<text {text} font-family="monospace">{escape(name)}</text>')
    high = (max(layers.values()) + 1) * ROW
    told = "The parts of the package in ten layers; lines lead from each part to those below that it imports."
    label = f'role="img" aria-label="{told}"'
    return f'<svg viewBox="0 0 {WIDTH} {high}" width="100%" {label}>{"".join(shapes)}</svg>'


class Layers(SphinxDirective):
    """The picture of the layers; the directive's text is its caption."""

    has_content = True

    def run(self):
        """Draw it; a change of any module makes the page out of date."""
        package = Path(importlib.util.find_spec("netrollout").submodule_search_locations[0])
        for file in package.rglob("*.py"):
            self.env.note_dependency(str(file))
        caption = nodes.caption("", *self.state.inline_text(" ".join(self.content), self.lineno)[0])
        return [nodes.figure("", nodes.raw("", drawn(package), format="html"), caption, ids=["layers"])]


def setup(app):
    """Register the directive."""
    app.add_directive("layers", Layers)
    return {"parallel_read_safe": True}
