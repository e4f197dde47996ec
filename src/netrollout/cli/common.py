"""What the sub-commands share: options as key=value, seeds, estimates in print and in JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console

from netrollout.family import names
from netrollout.places import read_pairs
from netrollout.store import check_target, write_file
from netrollout.types import InputError

if TYPE_CHECKING:
    from netrollout.evaluate import Estimate

ASIDE = Console(stderr=True, highlight=False)  # for what is no result
PATIENCE = 2.0  # s


System = Annotated[
    str, typer.Argument(metavar="SYSTEM", help="A name that `netrollout systems` lists.", autocompletion=names)
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Option of the system; may be repeated.")
]
MOST = 1_000_000  # of whatever is counted: episodes, cycles, evaluations
Seeds = Annotated[int, typer.Option("--seeds", min=1, max=MOST, help="Number of paired episodes, seeds 0 .. N-1.")]


def _writable(option: typer.CallbackParam, path: Path | None) -> Path | None:
    """Refuse a file that cannot be written before the work begins."""
    try:
        if path is not None:
            check_target(path)
    except InputError as error:
        raise InputError(f"{option.opts[0]} {error}") from None
    return path


def target(option: str, help: str) -> Any:
    """Return the option of a file that is written at the end; ``-`` is the standard output."""
    return typer.Option(option, metavar="FILE", help=help, callback=_writable)


def _load(path: Path | None) -> Path | None:
    """Run a Python file as the module of its name."""
    if path is None:
        return None
    if not path.is_file() or path.suffix != ".py" or not path.stem.isidentifier():
        raise InputError(f"--load {path}: expected a Python file that is there, such as my_system.py")
    found = find_spec(path.stem)
    if found is not None and Path(str(found.origin)).resolve() != path.resolve():
        raise InputError(f"--load {path}: {path.stem} is the name of another module; rename the file")
    spec = cast(ModuleSpec, spec_from_file_location(path.stem, path))
    module = sys.modules[path.stem] = module_from_spec(spec)
    cast(Loader, spec.loader).exec_module(module)
    return path


Load = Annotated[
    Path | None,
    typer.Option("--load", metavar="FILE.py", help="Run this file before; it registers your systems.", callback=_load),
]
JsonFile = Annotated[Path | None, target("--json", "Also write the numbers here; - prints them alone.")]


def parse_settings(settings: Sequence[str] | None) -> dict[str, str]:
    """Return KEY=VALUE texts as a dictionary.

    Raises
    ------
    InputError
        If one has no ``=`` or a key comes twice.
    """
    return read_pairs(settings or (), "--set", "KEY=VALUE, such as --set phase=after")


def estimate_record(estimate: Estimate, unit: str, how: str) -> dict[str, Any]:
    """Return an estimate in the form of the results files."""
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "level": estimate.level,
        "n": estimate.n,
        "unit": unit,
        "how": how,
    }


def show(estimate: Estimate) -> str:
    """Print a number with its interval."""
    return f"{estimate.value:.4g} [{estimate.low:.4g}, {estimate.high:.4g}]"


def write_json(path: Path | None, record: dict[str, Any]) -> None:
    """Write a record, where a file is given."""
    if path is not None:
        write_file(path, json.dumps(record, indent=1, sort_keys=True) + "\n")


def printer(json: Path | None) -> Console:
    """Return where tables are printed: the standard output belongs to the numbers alone where they go there."""
    return Console(stderr=str(json) == "-")


def planned(names: Iterable[str]) -> str | None:
    """Return the caption that a table with the policy ``optimal`` needs."""
    if not any("optimal" in name for name in names):
        return None
    return "optimal is planned on the model; the optimum of the plant itself is oracle"


def notice(message: str) -> None:
    """Tell the reader something that is no result (standard error)."""
    ASIDE.print(message, markup=False)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show on a terminal that something goes on, once it has taken `PATIENCE`."""
    status = ASIDE.status(f"{what} ...")
    timer = Timer(PATIENCE, status.start)
    if ASIDE.is_terminal:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if timer.ident:
            timer.join()
        status.stop()
