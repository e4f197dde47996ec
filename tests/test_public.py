"""The names on the first page of the API: each is reached from the package, and shows an example that runs."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import netrollout
from netrollout.workflow import imports

NAMES = [name for name in netrollout.__all__ if name not in ("__version__", "systems")]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_on_the_first_page_has_an_example_that_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (found,) = doctest.DocTestFinder(recurse=False).find(getattr(netrollout, name), name, globs={})
    assert found.examples, f"netrollout.{name} shows no example"
    said = []
    assert doctest.DocTestRunner().run(found, out=said.append).failed == 0, "".join(said)


def test_the_old_name_of_worlds_still_works_and_says_the_new_one():
    from netrollout import catalog

    with pytest.deprecated_call(match=r"netrollout\.world"):
        assert catalog.context is netrollout.world


SOURCE = Path(netrollout.__file__).parent
TOLD = [name for name, file in imports.modules(SOURCE).items() if ">>> " in file.read_text(encoding="utf-8")]


@pytest.mark.parametrize("module", [name for name in TOLD if not name.startswith("netrollout.testbed")])
def test_every_other_example_of_the_package_runs_too(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(import_module(module)).failed == 0
