"""`netrollout train`: train a policy on a system's model and keep it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from netrollout.catalog import make
from netrollout.cli.common import Settings, notice, parse_settings
from netrollout.cli.evaluate import System
from netrollout.seeding import SEEDS
from netrollout.types import InputError


def train(
    system: System,
    algo: Annotated[str, typer.Argument(metavar="ALGO", help="ppo (MaskablePPO with the published settings).")],
    steps: Annotated[int, typer.Option("--steps", min=1, help="Environment steps.")] = 50_000,
    seed: Annotated[int, typer.Option("--seed", min=0, max=SEEDS - 1)] = 0,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Default: SYSTEM-ALGO.npz here.")] = None,
    settings: Settings = None,
) -> None:
    """Train on the system's learned model; `ppo(file=FILE)` then names the policy in evaluate and compare."""
    from netrollout.train import save  # torch loads for seconds: only where it is needed
    from netrollout.train import train as fit

    target = out or Path(f"{system}-{algo}.npz")
    if not target.parent.is_dir():
        raise InputError(f"--out {target}: there is no folder {target.parent}")
    if target.is_dir():
        raise InputError(f"--out {target}: is a folder; give a file")
    model = make(system, **{"side": "model", **parse_settings(settings)})
    begin = time.perf_counter()
    trained = fit(model, algo, steps=steps, seed=seed)
    save(trained, target)
    notice(f"{algo} on {system}: {steps} steps in {time.perf_counter() - begin:.0f} s, written to {target}")
