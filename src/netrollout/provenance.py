"""Where a record comes from: code, data, packages and machine; and what the profiles of its notebook stand for."""

import ast
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from netrollout.store import read_text
from netrollout.types import InputError

PACKAGES = (
    "netrollout", "numpy", "scipy", "pandas", "scikit-learn", "gymnasium", "torch", "stable-baselines3", "sb3-contrib",
)  # fmt: skip


def repository() -> Path:
    """Find the checkout that contains the working directory, or the working directory itself where there is none."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "notebooks" / "params.yml").is_file()), here)


def sha256(path: Path | str) -> str:
    """Hash a file's bytes."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def parameters_cell(notebook: Path) -> dict[str, Any]:
    """Read what the parameters cell of a notebook sets: the values of the full profile, None where it is no literal."""
    cells = json.loads(read_text(notebook))["cells"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    found: dict[str, Any] = {}
    for node in ast.parse("\n".join("".join(cell["source"]) for cell in tagged)).body:
        if isinstance(node, ast.AnnAssign | ast.Assign) and node.value is not None:
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            found |= {target.id: _literal(node.value) for target in targets if isinstance(target, ast.Name)}
    return found


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def deviations(notebook: str, profile: str, parameters: Mapping[str, Any]) -> dict[str, list[Any]]:
    """List the parameters of a run that are not those of its profile.

    Parameters
    ----------
    notebook : str
        Its name; where the checkout has no such notebook, nothing deviates.
    profile : str
        ``quick`` or ``full``.
    parameters : mapping
        Those of the run.

    Returns
    -------
    dict of str to list
        By parameter: the value of the run, the value of the profile.

    Raises
    ------
    InputError
        The run calls itself quick and has the full budgets.
    """
    file = repository() / "notebooks" / f"{notebook}.ipynb"
    if not file.is_file():
        return {}
    full = parameters_cell(file)
    quick = (yaml.safe_load(read_text(file.with_name("params.yml"))).get(notebook) or {}).get("quick", {})
    if profile == "quick" and quick and all(parameters.get(key) == full.get(key) for key in quick):
        wanted = " ".join(f"-p {key} {value}" for key, value in quick.items())
        raise InputError(f"{notebook}: profile quick, but the budgets are the full ones; give {wanted}, too")
    asked = full | quick if profile == "quick" else full
    return {key: [value, asked[key]] for key, value in parameters.items() if asked.get(key, value) != value}


def provenance(data: Mapping[str, str]) -> dict[str, Any]:
    """Say which code, data, packages and machine made a record."""
    commit = _git("rev-parse", "HEAD")
    return {
        "commit": commit,
        "created": _git("show", "-s", "--format=%cs", "HEAD"),
        # The committed results are what a run rewrites; they do not count as a changed tree.
        "dirty": None if commit is None else bool(_git("status", "--porcelain", "--", ".", ":!results")),
        "data": dict(data),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "system": platform.system(),
            "python": platform.python_version(),
        },
    }


def _git(*arguments: str) -> str | None:
    """Ask git about the checkout; None without git, a checkout or a commit."""
    try:
        answer = subprocess.run(["git", *arguments], cwd=repository(), capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    """Name the processor's model, on Linux from /proc/cpuinfo."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
