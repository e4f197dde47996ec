"""The published package, installed without its pins into an environment of its own, and run there.

Its pins cannot be met, so pip takes the wheel alone (``--no-deps``); what it imports comes from our environment, which
is made visible there.  The comparison runs in one process of that environment, which imports both packages.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

from benchmarks.clock import Row

PACKAGE = "online-policy-adaptation-using-rollout"
VERSION = "1.0.0"
PEER = f"published package {VERSION}"
ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "build" / "bench" / "published"


def install() -> Path:
    """Return the interpreter of an environment with the published package, made where it is missing.

    Raises
    ------
    RuntimeError
        If the environment cannot be made or the package cannot be had; says why in one line.
    """
    python = HOME / "bin" / "python"
    if not (HOME / ".ready").is_file():
        _run(sys.executable, "-m", "venv", "--clear", "--without-pip", str(HOME))
        _run(
            *(sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"),
            *("install", "--quiet", "--no-deps", f"{PACKAGE}=={VERSION}"),
        )
        _make_visible(python)
        (HOME / ".ready").touch()
    return python


def _make_visible(python: Path) -> None:
    """Let the environment import what ours has installed, the editable netrollout included."""
    where = _run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    ours = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    lines = [f"import site; site.addsitedir({folder!r})" for folder in sorted(ours)]
    (Path(where) / "ours.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:] or ["no message"]
        raise RuntimeError(f"{' '.join(command[1:4])} failed: {last[0].strip()}")
    return done.stdout


def compare(section: str, repetitions: int | None) -> list[Row]:
    """Return the rows of a section that compares with the published package.

    Parameters
    ----------
    section : str
        ``lookahead`` or ``evaluation``.
    repetitions : int or None
        Pairs per row; where None, as many as the section thinks right.
    """
    try:
        python = install()
    except RuntimeError as error:
        return [Row(section, "all rows", PEER, not_run=str(error))]
    answer = HOME / f"{section}.json"
    answer.unlink(missing_ok=True)
    command = [str(python), "-m", "benchmarks.published_worker", section, str(repetitions or 0), str(answer)]
    try:
        _run(*command)
    except RuntimeError as error:
        return [Row(section, "all rows", PEER, not_run=str(error))]
    return [Row(**row) for row in json.loads(answer.read_text(encoding="utf-8"))]
