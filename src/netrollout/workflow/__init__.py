"""From notebooks to a book: what depends on what, how a notebook is executed, how the pages are staged and built.

`dodo.py` at the top of the checkout arranges these steps as a graph for doit, which redoes only what changed.
``notebooks/<name>.ipynb`` is executed into ``build/<profile>/notebooks/``, writes ``results/<profile>/<name>.json``,
and is staged with ``book/`` and the results below ``build/site``, from which Jupyter Book makes ``build/html``.
"""

from netrollout.workflow.errors import WorkflowError
from netrollout.workflow.execute import execute
from netrollout.workflow.graph import (
    book_sources,
    check_profile,
    die_with_parent,
    notebook_sources,
    one_line,
    parameters,
    read_graph,
    step,
)
from netrollout.workflow.paths import executed
from netrollout.workflow.site import add_readers, build_html, stage, staged_profile

__all__ = [
    "WorkflowError",
    "add_readers",
    "book_sources",
    "build_html",
    "check_profile",
    "die_with_parent",
    "execute",
    "executed",
    "notebook_sources",
    "one_line",
    "parameters",
    "read_graph",
    "stage",
    "staged_profile",
    "step",
]
