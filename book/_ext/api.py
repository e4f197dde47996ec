"""``{api}`` lists the package's public names by module, and with ``:first:`` those that are reached from the package.

Signature and first paragraph are read from the source; each name has an anchor, ``netrollout.<module>.<name>``, and an
entry of the index.  ``:except: cli testbed`` leaves modules out; ``:first:`` shows the example of each name too.
"""

import ast
import importlib.util
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

EXAMPLE = re.compile(r"\nExamples\n-+\n(.*?)(?=\n\n[A-Z]\w+\n-+\n|\Z)", re.DOTALL)


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


def public(tree):
    """Return the public functions and classes of a module."""
    return [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_")]


def first_names(package):
    """Return the names that the package itself offers, in order, with the files in which they may be defined."""
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    homes = next(n for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets) == "HOMES")
    known = {"__init__": ("register",), "family": ("names",), **ast.literal_eval(homes.value)}
    return [(name, module) for module, names in known.items() for name in names]


class Api(SphinxDirective):
    """The public names of the package: a section per module that has any, or the first ones with their examples."""

    option_spec = {"except": directives.unchanged, "first": directives.flag}  # noqa: RUF012 - docutils' way

    def run(self):
        """Build the sections; nothing is imported, so that torch or aiohttp need not be there."""
        package = Path(importlib.util.find_spec("netrollout").submodule_search_locations[0])
        if "first" in self.options:
            self.read(package, Path("__init__.py"))
            items = [self.first(package, name, module) for name, module in first_names(package)]
            return [nodes.definition_list("", *items)]
        left_out = self.options.get("except", "").split()
        files = [file.relative_to(package) for file in sorted(package.rglob("*.py"))]
        chosen = [file for file in files if file.with_suffix("").parts[0] not in left_out]
        sections = [self.section(package, file) for file in chosen]
        return [section for section in sections if section]

    def read(self, package, file):
        """Read a module; a change of it makes the page out of date."""
        self.env.note_dependency(str(package / file))
        return ast.parse((package / file).read_text(encoding="utf-8"))

    def first(self, package, name, module):
        """Build the entry of a name that is reached from the package: with its example."""
        place = package / module.replace(".", "/")
        files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
        files += [package / "makers.py"]  # the catalogue offers what is defined there
        found = [n for f in files for n in public(self.read(package, f.relative_to(package))) if n.name == name]
        if not found:
            raise self.error(f"netrollout.{name}: not defined in {module}")
        example = EXAMPLE.search(ast.get_docstring(found[0]) or "")
        code = [nodes.literal_block(example[1], example[1], language="pycon")] if example else []
        return self.item(found[0], "netrollout", *code)

    def section(self, package, file):
        """Build the section of one module; None where it defines no public name."""
        tree = self.read(package, file)
        if not public(tree):
            return None
        module = ".".join(["netrollout", *file.with_suffix("").parts]).removesuffix(".__init__")
        section = nodes.section("", nodes.title("", "", nodes.literal(module, module)), ids=[nodes.make_id(module)])
        section += nodes.paragraph("", first_paragraph(tree))
        section += nodes.definition_list("", *[self.item(node, module) for node in public(tree)])
        return section

    def item(self, node, module, *more):
        """Build the entry of one name."""
        anchor = f"{module}.{node.name}"
        entry = addnodes.index(entries=[("single", f"{node.name} ({module})", anchor, "", None)])
        term = nodes.term("", "", nodes.literal("", signature(node)), entry, ids=[anchor])
        told = nodes.paragraph("", first_paragraph(node))
        return nodes.definition_list_item("", term, nodes.definition("", told, *more))


def setup(app):
    """Register the directive."""
    app.add_directive("api", Api)
    return {"parallel_read_safe": True}
