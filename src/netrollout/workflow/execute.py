"""Run one notebook, and say how it goes."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat

from netrollout.results import ASIDE, results_file
from netrollout.store import write_file
from netrollout.workflow.errors import WorkflowError
from netrollout.workflow.graph import not_here, parameters
from netrollout.workflow.outputs import keep_outputs, outputs_file
from netrollout.workflow.paths import executed
from netrollout.workflow.standin import stand_in

HEARTBEAT = 15.0  # s between two lines about a running notebook


def execute(root: Path, profile: str, name: str, entry: dict[str, Any]) -> None:
    """Run a notebook with the profile's parameters, in the folder ``notebooks``, by the interpreter that runs this.

    Where data that it cannot do without have not been fetched, the committed full results stand in for a run.

    Raises
    ------
    WorkflowError
        A cell raised, or the notebook wrote no results.
    """
    if not_here(root, entry):
        stand_in(root, profile, name, entry)
        return
    import papermill
    from traitlets.config import Config

    target = executed(root, profile, name)
    aside = results_file(profile, name, target.parent.parent / "results")
    target.parent.mkdir(parents=True, exist_ok=True)
    for file in (aside, aside.with_suffix(".live.json")):
        file.unlink(missing_ok=True)
    os.environ[ASIDE] = str(aside)  # what is committed stays until the run has ended well
    os.environ["OMP_NUM_THREADS"] = "1"  # two notebooks share the machine, and sums must not depend on the thread count
    # pooch asks for tqdm's notebook bar, which warns of a missing widget library into the first page that imports it.
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"
    with _progress(name, target):
        try:
            papermill.execute_notebook(
                str(root / "notebooks" / f"{name}.ipynb"),
                str(target),
                parameters=parameters(entry, profile),
                kernel_name="python3",
                language="python",
                progress_bar=False,
                cwd=str(root / "notebooks"),
                # The kernel listens on TCP ports, which other users of the machine can reach.
                config=Config(KernelManager={"transport_encryption": "required"}),
            )
        except papermill.PapermillExecutionError as error:
            where = f"cell {error.cell_index} of {name} failed: {error.ename}: {error.evalue}"
            raise WorkflowError(f"{where}\n{_indented(error.source)}") from None
        _keep(aside, results_file(profile, name, root / "results"), name)
        if profile == "full":
            keep_outputs(target, outputs_file(root, name))


def _keep(aside: Path, result: Path, name: str) -> None:
    """Put the results of a run that ended well in the place of those before."""
    if not aside.is_file():
        place = "/".join(result.parts[-3:])
        raise WorkflowError(f"{name} wrote no {place}: its last cell must call results.write()")
    result.parent.mkdir(parents=True, exist_ok=True)
    for ending in (".live.json", ".json"):
        write_file(result.with_suffix(ending), aside.with_suffix(ending).read_bytes())
        aside.with_suffix(ending).unlink()


def _indented(source: str) -> str:
    return "\n".join(f"    {line}" for line in source.splitlines())


@contextmanager
def _progress(name: str, target: Path) -> Iterator[None]:
    """Print when the notebook starts, every `HEARTBEAT` seconds, and when it is done: elapsed, and what is left.

    The time left is known once the notebook has run before; until then the number of finished cells is shown.
    """
    began, last = time.monotonic(), _duration(target)
    target.unlink(missing_ok=True)
    over = threading.Event()

    def report() -> None:
        while not over.wait(HEARTBEAT):
            elapsed = time.monotonic() - began
            left = f"about {max(last - elapsed, 0):.0f} s left" if last else _cells(target)
            _say(f"{name}: {elapsed:.0f} s, {left}")

    thread = threading.Thread(target=report, daemon=True)
    _say(f"{name}: started" + (f", took {last:.0f} s last time" if last else ""))
    thread.start()
    try:
        yield
        _say(f"{name}: done in {time.monotonic() - began:.0f} s")
    finally:
        over.set()
        thread.join()


def _say(line: str) -> None:
    """Print a line in one write: with two notebooks at a time, text and line end would mix with the other's."""
    sys.stdout.write(f"  {line}\n")
    sys.stdout.flush()


def _duration(path: Path) -> float:
    """Tell how long the stored run took (s); 0 where there is none that ended well."""
    if not path.is_file():
        return 0.0
    run = nbformat.read(path, as_version=4).metadata.get("papermill", {})
    return 0.0 if run.get("exception", True) else float(run.get("duration") or 0)


def _cells(path: Path) -> str:
    """Say how many code cells of the notebook being executed have finished."""
    try:
        cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    except (OSError, ValueError):  # not written yet, or being written
        return "starting"
    return f"{sum(cell.execution_count is not None for cell in cells)} of {len(cells)} cells done"
