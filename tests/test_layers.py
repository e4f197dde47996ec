"""Modules import lower layers, or their own layer without a circle; heavy libraries stay where they belong."""

import ast
import collections
import graphlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from netrollout.workflow import imports

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "netrollout"


# From which layer on a library may be imported; where a set of modules is given, by those only.
LIBRARIES: dict[str, int | set[str]] = {
    "numpy": 0,
    "numba": {"systems"},
    "scipy": 1,
    "pandas": 2,
    "pandera": 2,
    "pooch": 2,
    "requests": 2,
    "yaml": 0,
    "sklearn": {"models"},
    "threadpoolctl": {"models"},
    "river": {"models"},
    "joblib": 4,
    "gymnasium": 5,
    "stable_baselines3": {"envs", "learn"},
    "torch": {"learn"},
    "aiohttp": {"testbed"},
    "psutil": {"testbed"},
    "envoy": {"testbed"},
    "kubernetes": {"connect"},
    "papermill": {"workflow"},
    "nbformat": {"workflow"},
    "traitlets": {"workflow"},
    "doit": {"workflow"},
    "pybtex": {"workflow"},
    "jupytext": {"workflow"},
    "matplotlib": {"plots", "workflow"},
    "typer": {"cli"},
    "click": {"cli"},
    "rich": {"cli"},
}


@cache
def modules() -> dict[str, Path]:
    """Dotted name below netrollout -> file; the top `__init__` is no layer, it reaches the catalog lazily."""
    known = {name.partition(".")[2]: file for name, file in imports.modules(PACKAGE).items()}
    return {name: file for name, file in known.items() if name}


def imported(file: Path) -> set[str]:
    """Absolute names of everything that the file imports, at any depth."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    relative = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    assert not relative, f"{file}:{relative[0]}: relative import; write the absolute one"
    return imports.imported(tree)


@cache
def graph() -> dict[str, set[str]]:
    """Module -> those that it imports."""
    return imports.inside(PACKAGE)


def top(module: str) -> str:
    return module.split(".")[0]


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_lower_layers_only(module):
    assert not {other for other in graph()[module] if imports.layer(other) > imports.layer(module)}


def test_there_is_no_circle():
    graphlib.TopologicalSorter(graph()).prepare()


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_the_libraries_of_its_layer(module):
    for name in imported(modules()[module]):
        library = top(name)
        if library in sys.stdlib_module_names or library in ("netrollout", "__future__"):
            continue
        assert library in LIBRARIES, f"{module} imports {library}, which no layer may"
        allowed = LIBRARIES[library]
        may = top(module) in allowed if isinstance(allowed, set) else imports.layer(module) >= allowed
        assert may, f"{module} may not import {library}"


def test_importing_the_package_loads_nothing_heavy():
    program = (
        "import sys, netrollout; print(*({'torch', 'sklearn', 'numba', 'matplotlib', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_public_names_are_reached_lazily():
    program = (
        "import sys, netrollout; assert 'mesh-s2' in netrollout.names() and 'make' in dir(netrollout)\n"
        "heavy = {'netrollout.catalog', 'torch', 'sklearn', 'numba', 'pandas', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


COMMAND_LINE = ("cli", "workflow")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def texts(file: Path) -> list[ast.Constant]:
    """Texts of a file but docstrings and the lists that are a program's arguments."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    lists = [node for node in ast.walk(tree) if isinstance(node, ast.List | ast.Tuple)]
    calls = [
        n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func).endswith(("add_argument", "_git"))
    ]
    bodies = [n for n in ast.walk(tree) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)]
    told = {id(inner) for node in [*lists, *calls] for inner in ast.walk(node)}
    told |= {id(node.body[0].value) for node in bodies if node.body and isinstance(node.body[0], ast.Expr)}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [node for node in found if id(node) not in told]


@pytest.mark.parametrize("module", [module for module in modules() if top(module) not in COMMAND_LINE])
def test_no_text_below_the_command_line_speaks_of_its_options(module):
    """Who works in a notebook has no `--log`."""
    file = modules()[module]
    assert [f"{file.name}:{node.lineno}: {node.value}" for node in texts(file) if OPTION.search(node.value)] == []


# Words of the command line, makers of policies' names and the parts of rooms say what users say, each in its own place.
SPOKEN = re.compile(
    r"cli\..*|makers|systems\.\w+\.(policies|realise|loops|plants)|systems\.(toy|fleet|spiders)|__init__|envs|family"
)
# Names that still stand in two modules; this list only gets shorter.
TWICE = {
    "Load", "Mesh", "Objective", "Pattern", "Plan", "QueueState", "Record", "Rule", "Run",
    "Table", "bootstrap", "calibrated", "collect", "erlang_c", "estimates",
    "held_out_error", "learned", "load", "main", "paired",
    "replay", "run", "tabulate",
}  # fmt: skip


@cache
def public() -> dict[str, set[str]]:
    """Public function or class -> the modules that define it, but for those that say what users say."""
    found = collections.defaultdict(set)
    for module, file in modules().items():
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            named = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if named and not SPOKEN.fullmatch(module):
                found[node.name].add(module)
    return found


def test_no_public_name_is_defined_in_two_modules():
    twice = {name: sorted(of) for name, of in public().items() if len(of) > 1}
    assert {name: of for name, of in twice.items() if name not in TWICE} == {}
    assert set(twice) >= TWICE, "take what is no longer defined twice off the list"


MOST_PUBLIC = 690  # functions and classes; the aim is 320, and this number only falls
MOST_LINES = 400  # of a file


def test_there_are_not_more_public_names_than_there_were():
    """A name that only its own module uses is private."""
    assert sum(map(len, public().values())) <= MOST_PUBLIC


@pytest.mark.parametrize("module", modules())
def test_a_file_can_be_read_in_one_go(module):
    assert modules()[module].read_text(encoding="utf-8").count("\n") <= MOST_LINES


def test_nobody_outside_a_room_asks_for_its_class():
    rooms = {
        node.name
        for module, file in modules().items()
        if module.startswith("systems.")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    }
    asking = {
        module
        for module, file in modules().items()
        if not module.startswith("systems.")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "isinstance"
        and rooms & {getattr(part, "id", "") for part in ast.walk(node.args[1])}
    }
    assert not asking, "a property of the system says what is asked"
