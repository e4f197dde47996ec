"""From notebooks to pages: what is rerun, what a failure says, what is staged."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
import yaml

from netrollout.results import Results
from netrollout.seeding import spawn
from netrollout.types import InputError
from netrollout.workflow import WorkflowError, executed, notebook_sources, parameters, read_graph
from netrollout.workflow.graph import not_here
from netrollout.workflow.published import check_published
from netrollout.workflow.site import stage, stage_notebook
from netrollout.workflow.standin import as_text
from netrollout.workflow.tracepage import trace_page

ROOT = Path(__file__).resolve().parents[1]
WRITES = """from netrollout.results import Results
results = Results("{name}", profile, dict(n=n))
results.value("n", n)
results.write();"""


def notebook(path, *cells):
    """Write a notebook: a title, the parameters cell, then the given code cells."""
    code = nbformat.v4.new_code_cell
    first = code('profile = "full"\nn = 100  # samples', metadata={"tags": ["parameters"]})
    cells = [nbformat.v4.new_markdown_cell(f"# {path.stem}"), first, *(code(cell) for cell in cells)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


@pytest.fixture
def checkout(root, tmp_path):
    """A checkout with two notebooks; the second needs the first."""
    shutil.copy(root / "dodo.py", tmp_path)
    (tmp_path / "src" / "netrollout").mkdir(parents=True)
    for folder in ("data/mesh", "book"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(root / name, tmp_path)
    for name in ("01_a", "02_b"):
        notebook(tmp_path / "notebooks" / f"{name}.ipynb", WRITES.format(name=name))
    write_params(tmp_path, {"01_a": {"quick": {"n": 10}}, "02_b": {"needs": ["01_a"]}})
    return tmp_path


def write_params(checkout, entries):
    (checkout / "notebooks" / "params.yml").write_text(yaml.safe_dump(entries))


def doit(checkout, *arguments):
    """Run the notebooks of a profile; returns (return code, names of those that were started, output)."""
    command = [sys.executable, "-m", "doit", *(arguments or ["profile=quick"]), "notebook"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    return (
        done.returncode,
        sorted(line.split(":")[0].strip() for line in lines if ": started" in line),
        done.stdout + done.stderr,
    )


def n_recorded(checkout, profile, name):
    return yaml.safe_load((checkout / "results" / profile / f"{name}.json").read_text())["values"]["n"]["value"]


def test_only_what_changed_is_redone(checkout):
    code, ran, output = doit(checkout)
    assert (code, ran) == (0, ["01_a", "02_b"]), output
    assert n_recorded(checkout, "quick", "01_a") == 10
    first = (checkout / "results" / "quick" / "01_a.json").read_bytes()

    assert doit(checkout)[1] == []
    os.utime(checkout / "notebooks" / "01_a.ipynb")
    assert doit(checkout)[1] == [], "a touched file has the same content"

    write_params(checkout, {"01_a": {}, "02_b": {"needs": ["01_a"], "quick": {"n": 7}}})
    assert doit(checkout)[1] == ["01_a", "02_b"], "a changed parameter, and what needs it"
    write_params(checkout, {"01_a": {"quick": {"n": 10}}, "02_b": {"needs": ["01_a"], "quick": {"n": 7}}})
    doit(checkout)
    assert (checkout / "results" / "quick" / "01_a.json").read_bytes() == first, "same inputs, same bytes"
    write_params(checkout, {"01_a": {"quick": {"n": 10}}, "02_b": {"needs": ["01_a"], "quick": {"n": 8}}})
    assert doit(checkout)[1] == ["02_b"]


def test_profiles_do_not_disturb_each_other(checkout):
    doit(checkout)
    assert doit(checkout, "profile=full")[1] == ["01_a", "02_b"]
    assert n_recorded(checkout, "full", "01_a") == 100
    assert doit(checkout)[1] == []


def test_a_failed_notebook_names_its_cell_and_the_others_go_on(checkout):
    write_params(checkout, {"01_a": {}, "02_b": {}})
    notebook(checkout / "notebooks" / "01_a.ipynb", "m = 1", "m / 0")
    code, ran, output = doit(checkout)
    assert code != 0 and ran == ["01_a", "02_b"]
    assert "cell 4 of 01_a failed: ZeroDivisionError: division by zero\n    m / 0" in output
    assert "Traceback" not in output and "Warning" not in output
    assert not (checkout / "results" / "quick" / "01_a.json").exists()
    assert n_recorded(checkout, "quick", "02_b") == 100
    notebook(checkout / "notebooks" / "01_a.ipynb", WRITES.format(name="01_a"))
    assert doit(checkout)[1] == ["01_a"], "what failed is run again, what succeeded is not"


def test_a_notebook_that_fails_or_is_stopped_leaves_the_results_before_as_they_were(checkout):
    write_params(checkout, {"01_a": {}, "02_b": {}})
    doit(checkout, "profile=full")
    folder = checkout / "results" / "full"
    before = {path.name: path.read_bytes() for path in folder.glob("*.json")}
    late = WRITES.format(name="01_a").replace("n=n", "n=2")
    notebook(checkout / "notebooks" / "01_a.ipynb", late, "1 / 0")
    assert doit(checkout, "profile=full")[0] != 0
    assert {path.name: path.read_bytes() for path in folder.glob("*.json")} == before
    notebook(checkout / "notebooks" / "01_a.ipynb", late, "import time; print(end='', flush=True); time.sleep(100)")
    command = [sys.executable, "-m", "doit", "profile=full", "notebook"]
    aside = checkout / "build" / "full" / "results" / "full" / "01_a.json"
    aside.unlink()
    process = subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    while not aside.exists():
        time.sleep(0.05)
        assert process.poll() is None
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) >= 2, "a worker of doit and the kernel of its notebook"
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive, "nothing waits for ever"
    assert {path.name: path.read_bytes() for path in folder.glob("*.json")} == before


def held(folder):
    """Return each file's content; of one with times only its keys."""
    texts = {path.name: path.read_text() for path in folder.glob("*")}
    return {name: str(sorted(json.loads(text))) if ".live." in name else text for name, text in texts.items()}


def test_make_notebooks_killed_at_random_ends_in_the_same_records_and_leaves_nothing(checkout, kills):
    kept, rng = checkout / "results" / "quick", spawn(1, "kills", "notebooks")
    doit(checkout)
    whole = held(kept)
    shutil.rmtree(kept)
    shutil.rmtree(checkout / "build")
    command = [sys.executable, "-m", "doit", "profile=quick", "notebook"]
    for _ in range(kills):
        process = subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.5, 10.0))
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.kill()
        process.communicate()
        assert not psutil.wait_procs(family, timeout=20)[1], "nothing waits for ever"
        assert held(kept).items() <= whole.items(), "a record is there whole or not at all"
    code, _, output = doit(checkout)
    assert code == 0, output
    assert held(kept) == whole


@pytest.mark.parametrize(
    ("arguments", "params", "message"),
    [
        (("profile=foo",), "{}", "netrollout: profile 'foo' is none of quick, full"),
        (("profile=quick",), "01_a: {quick: {refit: 3}}\n02_b: {}", "line 1, key 01_a.quick.refit: unknown"),
        (("profile=quick",), "01_a: {", "params.yml: line 1: is no YAML|params.yml: line 2: is no YAML"),
        (("profile=quick",), "01_a: {data: [kht]}\n02_b: {}", "'kht' is not in the registry; did you mean kth"),
    ],
)
def test_what_is_wrong_with_the_graph_is_one_line(checkout, arguments, params, message):
    (checkout / "notebooks" / "params.yml").write_text(params)
    code, ran, output = doit(checkout, *arguments)
    assert code != 0 and ran == []
    assert re.search(message, output) and len(output.strip().splitlines()) == 1, output


def test_a_notebook_that_writes_nothing_is_told_so(checkout):
    notebook(checkout / "notebooks" / "01_a.ipynb", "m = 1")
    assert "01_a wrote no results/quick/01_a.json: its last cell must call results.write()" in doit(checkout)[2]


def test_the_kernel_is_that_of_the_environment_in_the_notebooks_folder_with_one_thread(checkout):
    program = (
        "import os, sys, pathlib\n"
        f"assert sys.prefix == {sys.prefix!r}\n"
        "assert pathlib.Path.cwd().name == 'notebooks' and os.environ['OMP_NUM_THREADS'] == '1'"
    )
    write_params(checkout, {"01_a": {}, "02_b": {}})
    notebook(checkout / "notebooks" / "01_a.ipynb", program, WRITES.format(name="01_a"))
    code, _, output = doit(checkout)
    assert code == 0, output


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"01_a": {}}, "02_b has no entry"),
        ({"01_a": {}, "02_b": {}, "03_c": {}}, "03_c has an entry but no notebook"),
        ({"01_a": {}, "02_b": {"need": []}}, r"params.yml: line 3, key 02_b.need: unknown; did you mean needs\?"),
        ({"01_a": {}, "02_b": {"quick": {"nn": 3}}}, r"line 4, key 02_b.quick.nn: unknown; did you mean n\?"),
        (
            {"01_a": {}, "02_b": {"quick": {"refits": 3}}},
            "02_b.quick.refits: unknown; its parameters are profile, n",
        ),
        ({"01_a": {}, "02_b": {"quick": [3]}}, "key 02_b.quick: expected a mapping"),
        ({"01_a": {}, "02_b": {"needs": "01_a"}}, "key 02_b.needs: expected a list"),
        (["01_a"], "a mapping of notebook to needs, data, optional and quick"),
        ({"01_a": {}, "02_b": {"needs": ["x"]}}, "line 4, key 02_b.needs: x is no notebook"),
    ],
)
def test_params_and_notebooks_agree(checkout, entries, message):
    write_params(checkout, entries)
    with pytest.raises(InputError, match=message):
        read_graph(checkout)


def test_an_unknown_profile_is_refused():
    with pytest.raises(InputError, match="profile 'fast' is none of quick, full"):
        parameters({"quick": {}}, "fast")


def test_a_notebook_depends_on_its_data_its_needs_and_what_it_imports(checkout, monkeypatch):
    for name in ("data/mesh/s2.csv.gz", "fetched/a/b.csv", "src/netrollout/style.txt", "src/netrollout/part/of.yml"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).touch()
    modules = {"__init__": "", "results": "def f():\n    import netrollout.part.deep", "other": "", "cli/__init__": "",
               "part/__init__": "HOME = {'x': 'lazy'}", "part/deep": "", "part/lazy": "", "part/idle": ""}  # fmt: skip
    for name, code in modules.items():
        file = checkout / "src" / "netrollout" / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(code)
    monkeypatch.setenv("NETROLLOUT_DATA", str(checkout / "fetched"))
    entry = {"needs": ["01_a"], "data": ["mesh"], "optional": ["kth"], "quick": {}}
    assert notebook_sources(checkout, "quick", "02_b", entry) == [
        "data/mesh/s2.csv.gz",
        "fetched/a/b.csv",
        "notebooks/02_b.ipynb",
        "results/quick/01_a.json",
        "src/netrollout/__init__.py",
        "src/netrollout/part/__init__.py",
        "src/netrollout/part/deep.py",
        "src/netrollout/part/lazy.py",
        "src/netrollout/part/of.yml",
        "src/netrollout/results.py",
        "src/netrollout/style.txt",
    ]


@pytest.fixture
def without_kth(checkout, monkeypatch, publish):
    """The checkout with one notebook, which asks for published traces that nobody has fetched, and its full results."""
    monkeypatch.setenv("NETROLLOUT_DATA", str(checkout / "fetched"))
    (checkout / "notebooks" / "01_a.ipynb").unlink()
    write_params(checkout, {"02_b": {"data": ["kth"], "quick": {"n": 7}}})
    monkeypatch.chdir(checkout)
    results = Results("02_b", "full", {"n": 100})
    results.value("n", 100)
    publish(results)
    return checkout


def test_without_its_data_a_notebook_is_not_run_and_its_full_results_stand_in(without_kth):
    full = (without_kth / "results" / "full" / "02_b.json").read_bytes()
    code, ran, output = doit(without_kth)
    assert (code, ran) == (0, []), output
    assert "02_b: not run, its data are not here (netrollout data fetch kth)" in output
    assert (without_kth / "results" / "quick" / "02_b.json").read_bytes() == full
    assert "02_b: not run" not in doit(without_kth)[2], "nothing changed"

    page = nbformat.read(executed(without_kth, "quick", "02_b"), as_version=4)
    assert {cell.cell_type for cell in page.cells} == {"markdown"}
    assert page.cells[0].source.startswith("# 02_b\n\n:::{admonition} Not run here")
    assert "committed results of the full run" in page.cells[0].source
    assert 'results.value("n", n)' in page.cells[2].source

    assert doit(without_kth, "profile=full")[0] == 0
    assert (without_kth / "results" / "full" / "02_b.json").read_bytes() == full, "the full results are left alone"


def test_changed_full_results_reach_the_page_of_what_was_not_run(without_kth):
    doit(without_kth)
    committed = without_kth / "results" / "full" / "02_b.json"
    committed.write_text(committed.read_text().replace("100", "101"))
    assert doit(without_kth)[0] == 0
    assert n_recorded(without_kth, "quick", "02_b") == 101


def test_without_data_and_without_full_results_the_notebook_fails_and_says_why(without_kth):
    (without_kth / "results" / "full" / "02_b.json").unlink()
    code, _, output = doit(without_kth)
    assert code != 0
    assert "02_b needs data that are not here (netrollout data fetch kth), and has no results/full/02_b.json" in output


def test_once_the_data_are_fetched_nothing_is_missing(checkout, monkeypatch):
    entry = {"data": ["mesh", "kth"]}
    monkeypatch.setattr("netrollout.workflow.graph.fetched", lambda name: False)
    assert not_here(checkout, entry) == ["kth"]
    monkeypatch.setattr("netrollout.workflow.graph.fetched", lambda name: True)
    assert not_here(checkout, entry) == []


def test_data_that_are_neither_shipped_nor_registered_are_refused(checkout):
    with pytest.raises(InputError, match="'kht' is not in the registry; did you mean kth"):
        not_here(checkout, {"data": ["kht"]})


def test_what_stands_in_describes_its_figures_and_quotes_its_code():
    cell = nbformat.v4.new_code_cell("plot()", metadata={"mystnb": {"image": {"alt": "A line."}}})
    page = as_text(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# T\n\nText."), cell]), "NOTE")
    assert [item.source for item in page.cells] == [
        "# T\n\nNOTE\n\nText.",
        "```python\nplot()\n```\n\n*Figure, drawn where the data are:* A line.",
    ]
    nbformat.validate(page)


def executed_cell(**fields):
    return nbformat.v4.new_code_cell("1 / x", execution_count=1, **fields)


def stage_cells(tmp_path, *cells, profile="full"):
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# T"), *cells]), tmp_path / "a.ipynb")
    stage_notebook(tmp_path / "a.ipynb", tmp_path / "site" / "a.ipynb", profile, tmp_path / "none.json")
    return nbformat.read(tmp_path / "site" / "a.ipynb", as_version=4)


def test_a_cell_that_has_not_run_stops_the_book(tmp_path):
    with pytest.raises(WorkflowError, match="cell 1 of a has not run"):
        stage_cells(tmp_path, nbformat.v4.new_code_cell("x = 1"))


def test_a_cell_with_an_error_stops_the_book(tmp_path):
    error = nbformat.v4.new_output("error", ename="ZeroDivisionError", evalue="", traceback=[])
    with pytest.raises(WorkflowError, match="cell 1 of a shows an error"):
        stage_cells(tmp_path, executed_cell(outputs=[error]))


def test_a_page_whose_pictures_are_those_of_the_quick_run_says_so(tmp_path):
    shown = executed_cell(outputs=[nbformat.v4.new_output("stream", text="1")])
    assert ":pictures: here" in stage_cells(tmp_path, shown, profile="quick").cells[0].source
    assert ":pictures: here" not in stage_cells(tmp_path, shown, profile="full").cells[0].source


def test_a_page_that_stands_in_is_not_called_quick(tmp_path):
    page = as_text(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# T"), executed_cell()]), "NOTE")
    nbformat.write(page, tmp_path / "a.ipynb")
    stage_notebook(tmp_path / "a.ipynb", tmp_path / "site" / "a.ipynb", "quick", tmp_path / "none.json")
    assert "{made}" not in nbformat.read(tmp_path / "site" / "a.ipynb", as_version=4).cells[0].source


def git(folder, *arguments):
    who = ["-c", "user.name=n", "-c", "user.email=e"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_a_run_by_hand_leaves_the_published_results_alone(checkout):
    write_params(checkout, {"01_a": {}, "02_b": {}})
    assert doit(checkout, "profile=full")[0] == 0
    shutil.copy(ROOT / ".gitignore", checkout)
    git(checkout, "init", "-q")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "Publish")
    command = ["-m", "papermill", "notebooks/01_a.ipynb", "build/out.ipynb", "-p", "n", "3"]
    subprocess.run([sys.executable, *command], cwd=checkout, check=True, capture_output=True)
    assert git(checkout, "status", "--porcelain", "results") == ""
    assert n_recorded(checkout, "mine", "01_a") == 3


def edit(path, change):
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_a_published_value_that_was_changed_stops_the_book(checkout):
    write_params(checkout, {"01_a": {}, "02_b": {}})
    doit(checkout, "profile=full")
    names, path = ["01_a", "02_b"], checkout / "results" / "full" / "01_a.json"
    edit(path, lambda record: None)
    check_published(checkout, names)  # the same content
    edit(path, lambda record: record["values"]["n"].update(value=101))
    with pytest.raises(WorkflowError, match=r"results/full/01_a.json: was changed after its run had written it"):
        check_published(checkout, names)
    edit(path, lambda record: record["values"]["n"].update(value=100))
    git(checkout, "init", "-q")
    git(checkout, "add", "results")
    git(checkout, "commit", "-qm", "Publish")
    edit(path, lambda record: record["parameters"].update(n=7))
    with pytest.raises(WorkflowError, match=r"results/full/01_a.json: key parameters.n is 7, but the run recorded 100"):
        stage(checkout, "quick")


def test_a_quick_record_is_not_published_under_the_name_of_full(checkout):
    doit(checkout)
    shutil.copytree(checkout / "results" / "quick", checkout / "results" / "full")
    with pytest.raises(WorkflowError, match=r"results/full/01_a.json: key profile is 'quick', not 'full'"):
        check_published(checkout, ["01_a"])


def test_a_copied_chapter_that_keeps_its_name_fails_and_leaves_the_other_record(checkout):
    write_params(checkout, {"01_a": {}, "02_b": {}})
    doit(checkout)
    record = checkout / "results" / "quick" / "01_a.json"
    before = record.read_bytes()
    shutil.copy(checkout / "notebooks" / "01_a.ipynb", checkout / "notebooks" / "03_mine.ipynb")
    write_params(checkout, {"01_a": {}, "02_b": {}, "03_mine": {}})
    code, _, output = doit(checkout)
    assert code != 0 and "03_mine calls its results '01_a'" in output
    assert record.read_bytes() == before


def test_a_trace_that_is_not_there_has_a_page_that_says_so(tmp_path):
    assert "not shipped" in trace_page("mesh/s9", tmp_path / "s9.csv.gz", tmp_path)


def test_a_shipped_trace_without_a_page_is_named(checkout):
    for path in (checkout / "notebooks").glob("*.ipynb"):
        path.unlink()
    write_params(checkout, {})
    (checkout / "data" / "mesh" / "s9.csv.gz").touch()
    with pytest.raises(WorkflowError, match="no page for the trace mesh/s9: add book/data/mesh-s9"):
        stage(checkout, "quick")
