"""``{api}`` lists the package's public names by module: signature and first paragraph, read from the source.

``:except: cli testbed`` leaves modules out.
"""

import ast
import importlib.util
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective


def first_paragraph(node):
    """Return the first paragraph of a docstring, in one line."""
    return " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())


def signature(node):
    """Return the name with its arguments; for a class those of its fields or of ``__init__``."""
    if isinstance(node, ast.FunctionDef):
        return f"{node.name}({ast.unparse(node.args)})"
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return f"{node.name}({ast.unparse(item.args).removeprefix('self').removeprefix(', ')})"
    fields = [ast.unparse(item) for item in node.body if isinstance(item, ast.AnnAssign)]
    return f"{node.name}({', '.join(fields)})"


class Api(SphinxDirective):
    """The public names of the package, a section per module that has any."""

    option_spec = {"except": directives.unchanged}  # noqa: RUF012 - docutils' way

    def run(self):
        """Build the sections; nothing is imported, so that torch or aiohttp need not be there."""
        package = Path(importlib.util.find_spec("netrollout").submodule_search_locations[0])
        left_out = self.options.get("except", "").split()
        files = [file.relative_to(package) for file in sorted(package.rglob("*.py"))]
        chosen = [file for file in files if file.with_suffix("").parts[0] not in left_out]
        sections = [self.section(package, file) for file in chosen]
        return [section for section in sections if section]

    def section(self, package, file):
        """Build the section of one module; None where it defines no public name."""
        self.env.note_dependency(str(package / file))
        tree = ast.parse((package / file).read_text(encoding="utf-8"))
        public = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_")]
        if not public:
            return None
        module = ".".join(["netrollout", *file.with_suffix("").parts]).removesuffix(".__init__")
        section = nodes.section("", nodes.title("", "", nodes.literal(module, module)), ids=[nodes.make_id(module)])
        section += nodes.paragraph("", first_paragraph(tree))
        section += nodes.definition_list("", *[self.item(node) for node in public])
        return section

    def item(self, node):
        """Build the entry of one name."""
        term = nodes.term("", "", nodes.literal("", signature(node)))
        return nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", first_paragraph(node))))


def setup(app):
    """Register the directive."""
    app.add_directive("api", Api)
    return {"parallel_read_safe": True}
