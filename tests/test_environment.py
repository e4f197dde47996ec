"""pyproject.toml, the lock, environment.yml and the citation agree; a wheel carries the data."""

import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib import metadata

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import netrollout


def requirements(project):
    extras = project["optional-dependencies"].values()
    return [Requirement(text) for text in [*project["dependencies"], *(text for extra in extras for text in extra)]]


def locked(root):
    lines = (root / "requirements.lock").read_text().split()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines), "no URL, path or local label"
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def test_the_lock_satisfies_every_requirement(root, project):
    versions = locked(root)
    for requirement in requirements(project):
        if requirement.name != "setuptools":  # comes with the virtual environment
            assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


def test_the_oldest_python_can_install_what_is_locked(root, project):
    oldest = project["requires-python"].removeprefix(">=") + ".0"
    found = {canonicalize_name(d.name): d for d in metadata.distributions()}
    for name, version in locked(root).items():
        if name in found and found[name].version == version:
            needs = SpecifierSet(found[name].metadata.get("Requires-Python", ""))
            assert needs.contains(oldest), f"{name}=={version} needs Python {needs}; lock an older one"


def test_torch_is_locked_without_the_label_of_a_build(root):
    assert locked(root)["torch"] == "2.13.0"


def test_conda_installs_what_pyproject_says(root, project):
    dependencies = yaml.safe_load((root / "environment.yml").read_text())["dependencies"]
    python = next(Requirement(item.replace("=", "==")) for item in dependencies if str(item).startswith("python="))
    oldest = project["requires-python"].removeprefix(">=")
    assert python.specifier.contains(oldest)
    constraint, install = next(item["pip"] for item in dependencies if isinstance(item, dict))
    assert constraint == "-c requirements.lock"
    assert re.fullmatch(r"-e \.\[(.*)\]", install)[1].split(",") == ["train", "testbed", "book", "lab"]
    assert set(project["optional-dependencies"]) == {"train", "testbed", "connect", "bench", "book", "lab", "dev"}


def test_the_version_is_the_same_everywhere(root, project):
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert netrollout.__version__ == project["version"] == citation["version"]


def test_the_public_address_stands_in_one_place(root):
    address = yaml.safe_load((root / "_config.yml").read_text())["repository"]["url"].removeprefix("https://")
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True)
    files = [root / name for name in listed.stdout.splitlines() if (root / name).is_file()]
    assert [f.name for f in files if address.encode() in f.read_bytes()] == ["_config.yml"]


INSTALLED = """
import sys
sys.path[:0] = [sys.argv[1]]
sys.path.append(sys.argv[2])
from importlib.resources import files
from pathlib import Path
import netrollout
assert netrollout.__file__.startswith(sys.argv[1])
folder = Path(str(files("netrollout.data")))
assert folder.is_relative_to(sys.argv[1])
print(*(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"))
assert (files("netrollout") / "netrollout.mplstyle").is_file() and (files("netrollout") / "py.typed").is_file()
"""


def test_a_wheel_carries_the_data_and_reads_them(root, tmp_path):
    source, wheels, installed = tmp_path / "source", tmp_path / "wheels", tmp_path / "installed"
    source.mkdir()
    for name in ("src", "data"):
        shutil.copytree(root / name, source / name, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "LICENSE-data"):
        shutil.copy(root / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(wheels)]
    subprocess.run([*pip, str(source)], check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    # Checked without the editable install of this checkout, which would answer for what the wheel lacks.
    done = subprocess.run(
        [sys.executable, "-S", "-c", INSTALLED, str(installed), sysconfig.get_path("purelib")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    shipped = {path.relative_to(source / "data").as_posix() for path in (source / "data").rglob("*") if path.is_file()}
    assert set(done.stdout.split()) == shipped
