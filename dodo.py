"""The task graph: notebooks -> results -> staged site -> book.  `make book` and `make notebooks` call it.

doit compares the content of files, so that only what changed is redone.  The logic is in `netrollout.workflow`.
"""

import os
from pathlib import Path

from doit import get_var
from doit.tools import config_changed

from netrollout import workflow

ROOT = Path(__file__).parent
PROFILE = get_var("profile", "quick")
with workflow.one_line():
    workflow.check_profile(PROFILE)
DOIT_CONFIG = {
    "default_tasks": ["book"],
    "dep_file": f"build/doit-{PROFILE}.db",
    "num_process": 2,
    "continue": True,  # a failed notebook does not keep the others from their results
    "verbosity": 2,
}
(ROOT / "build").mkdir(exist_ok=True)
os.register_at_fork(after_in_child=workflow.die_with_parent)


def task_notebook():
    """Execute a notebook."""
    with workflow.one_line():
        for name, entry in workflow.read_graph(ROOT).items():
            yield {
                "name": name,
                "actions": [workflow.step(workflow.execute, ROOT, PROFILE, name, entry)],
                "file_dep": workflow.notebook_sources(ROOT, PROFILE, name, entry),
                "targets": [f"results/{PROFILE}/{name}.json", f"build/{PROFILE}/notebooks/{name}.ipynb"],
                "uptodate": [config_changed(workflow.parameters(entry, PROFILE))],
            }


def task_book():
    """Stage the pages and build them."""
    with workflow.one_line():
        sources = workflow.book_sources(ROOT, PROFILE)
    return {
        "actions": [
            workflow.step(workflow.stage, ROOT, PROFILE),
            workflow.step(workflow.build_html, ROOT),
            workflow.step(workflow.add_readers, ROOT),
        ],
        "file_dep": sources,
        "targets": ["build/html/index.html"],
        "uptodate": [workflow.staged_profile(ROOT) == PROFILE],  # both profiles build the same pages
    }
