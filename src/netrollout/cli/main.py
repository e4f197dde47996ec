"""The command `netrollout`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from netrollout import __version__
from netrollout.cli import adapt, data, evaluate, export, names, serverless, testbed, train
from netrollout.types import InputError

app = typer.Typer(name="netrollout", no_args_is_help=True, pretty_exceptions_enable=False)


def _version(asked: bool) -> None:
    if asked:
        print(f"netrollout {__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and end.")
    ] = False,
) -> None:
    """Adapt control policies of networked systems by rollout."""


app.command("systems")(names.systems)
app.command("policies")(names.policies)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(evaluate.compare)
app.command("adapt")(adapt.adapt)
app.command("train")(train.train)
app.add_typer(data.app, name="data")
app.add_typer(testbed.app, name="testbed")
app.add_typer(export.app, name="export")
app.add_typer(serverless.app, name="serverless")


EXTRAS = {"torch": "train", "stable_baselines3": "train", "sb3_contrib": "train", "aiohttp": "testbed",
          "psutil": "testbed", "envoy": "testbed", "kubernetes": "connect"}  # fmt: skip


def main() -> None:
    """Run the command line; what may be expected to go wrong is one line on stderr and exit code 2."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks lose by more threads; torch reads it when it loads
    try:
        sys.exit(app(prog_name="netrollout", standalone_mode=False) or 0)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # `netrollout` alone: help is the answer
            print(error)
            sys.exit(2)
        if type(error).__name__ == "Abort":
            print("netrollout: interrupted", file=sys.stderr)
            sys.exit(130)
        told = _expected(error)
        if told is None:
            raise
        print("netrollout:", *told.split(), file=sys.stderr)
        sys.exit(2)


def _expected(error: Exception) -> str | None:
    """Say in one line what a user gave wrong, or what the machine lacks; None for an error of ours."""
    from netrollout.testbed import EnvoyMissing, MeshError

    if usage := getattr(error, "format_message", None):  # of typer, whose versions raise classes of several modules
        asked = getattr(getattr(error, "ctx", None), "command_path", "netrollout")
        return f"{usage().rstrip('.')}; see {asked} --help"
    if isinstance(error, InputError):
        more = getattr(error, "more", 0)
        return f"{error} (and {more} more)" if more else str(error)
    if isinstance(error, MemoryError):
        return "the memory of this machine does not suffice; ask for less"
    if isinstance(error, ModuleNotFoundError) and (extra := EXTRAS.get(str(error.name).split(".")[0])):
        return f"{error.name} is not installed; pip install 'netrollout[{extra}]'"
    return str(error) if isinstance(error, OSError | EnvoyMissing | MeshError) else None


if __name__ == "__main__":
    main()
