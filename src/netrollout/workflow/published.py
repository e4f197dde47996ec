"""What is published stays as the run wrote it: a record that was changed by hand stops the book."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netrollout.results import load, results_file, seal
from netrollout.workflow.errors import WorkflowError


def check_published(root: Path, names: list[str]) -> None:
    """Check the committed full records of the given notebooks.

    A record carries a seal that its run has set.  Where the seal is missing or broken, the record must be what git has.

    Raises
    ------
    WorkflowError
        A record was changed; the message names file, key and both values.
    InputError
        A record is damaged, or its parameters are not those of the full profile.
    """
    for name in names:
        path = results_file("full", name, root / "results")
        if path.is_file():
            load("full", name, root / "results")
            _check(root, path)


def _check(root: Path, path: Path) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    place = path.relative_to(root)
    if record["profile"] != "full":
        raise WorkflowError(f"{place}: key profile is {record['profile']!r}, not 'full'; only a full run is published")
    sealed = record["provenance"].get("seal")
    if sealed == seal(record):
        return
    committed = _committed(root, place)
    for key, ours, theirs in differences(committed, record) if committed else ():
        raise WorkflowError(f"{place}: key {key} is {ours!r}, but the run recorded {theirs!r}; git restore {place}")
    if sealed and not committed:
        raise WorkflowError(f"{place}: was changed after its run had written it; make notebooks PROFILE=full")


def differences(before: Any, after: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """List where two records differ: the dotted key, the value after, the value before; None where there is none."""
    if isinstance(before, dict) and isinstance(after, dict):
        for part in sorted(before.keys() | after.keys()):
            yield from differences(before.get(part), after.get(part), f"{key}.{part}" if key else part)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after, strict=True)):
            yield from differences(*pair, f"{key}.{number}")
    elif before != after:
        yield key, after, before


def _committed(root: Path, place: Path) -> dict[str, Any] | None:
    """Read a record as git has it; None without git, or where it is not committed."""
    command = ["git", "show", f"HEAD:./{place.as_posix()}"]
    try:
        answer = subprocess.run(command, cwd=root, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    found: dict[str, Any] = json.loads(answer.stdout)
    return found
