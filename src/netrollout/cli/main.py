"""The command `netrollout`."""

from __future__ import annotations

import sys

import typer

from netrollout.cli import adapt, compare, data, evaluate, export, serverless, systems, testbed, train
from netrollout.types import InputError

app = typer.Typer(
    name="netrollout",
    help="Adapt control policies of networked systems by rollout.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("systems")(systems.systems)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("adapt")(adapt.adapt)
app.command("train")(train.train)
app.add_typer(data.app, name="data")
app.add_typer(testbed.app, name="testbed")
app.add_typer(export.app, name="export")
app.add_typer(serverless.app, name="serverless")


def main() -> None:
    """Run the command line; what a user gave wrong is one line and exit code 2."""
    try:
        app()
    except InputError as error:
        print(f"netrollout: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
