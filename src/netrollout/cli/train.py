"""`netrollout train`: train a policy on a system's model and keep it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from netrollout.cli.common import MOST, Load, Settings, System, notice, parse_settings, target, working, write_json
from netrollout.learn import (
    Curve,
    Learner,
    Recipe,
    algorithms,
    greedy_returns,
    learner,
    learning_curve,
    practice,
    recipe,
    save,
)
from netrollout.seeding import SEEDS
from netrollout.store import check_target
from netrollout.types import Floats, InputError

KNOWN = ", ".join(algorithms())
LONGEST = 1_000_000_000  # steps or episodes of a training
PARTS = 10  # segments of a training, where not said otherwise


def train(
    system: System,
    algorithm: Annotated[str | None, typer.Argument(metavar="[ALGO]", help=f"{KNOWN}.")] = None,
    algo: Annotated[str | None, typer.Option("--algo", metavar="ALGO", help="The same, as an option.")] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, max=LONGEST, help="Environment steps (networks).")
    ] = None,
    episodes: Annotated[
        int | None, typer.Option("--episodes", min=1, max=LONGEST, help="Episodes (sarsa, qlearning).")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=SEEDS - 1)] = 0,
    out: Annotated[Path | None, target("--out", "Default: SYSTEM-ALGO.npz here.")] = None,
    every: Annotated[
        int | None, typer.Option("--every", min=1, max=LONGEST, help="Length of a segment; default: a tenth.")
    ] = None,
    evaluations: Annotated[
        int, typer.Option("--evaluations", min=1, max=MOST, help="Greedy episodes after each.")
    ] = 10,
    variant: Annotated[str | None, typer.Option("--variant", help="Named settings, such as published.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from FILE.checkpoint.")] = False,
    settings: Settings = None,
    load: Load = None,
) -> None:
    """Train on the system's model, or on the log that the model was learned from, where the system keeps one.

    `ALGO(file=FILE)` then names the policy in evaluate and compare.  FILE.checkpoint is written after each segment and
    FILE.curve.json at the end.
    """
    chosen = recipe(_algorithm(algorithm, algo), variant=variant)
    total = _length(chosen, steps, episodes)
    file = out or Path(f"{system}-{chosen.name}.npz")
    check_target(file)
    checkpoint = file.with_name(file.name + ".checkpoint")
    if resume and not checkpoint.exists():
        raise InputError(f"--resume: there is no {checkpoint}; leave --resume out to begin")
    options = parse_settings(settings)
    with working(f"{system}: the model"):
        world, where = _world(system, options)
    made, begin = learner(world, chosen.name, seed, variant), time.perf_counter()
    record = {"evaluations": evaluations, "options": options}
    lengths = (total, every or max(total // PARTS, 1), evaluations)
    try:
        with working(f"{chosen.name} on {system}"):
            curve = _judged(made, world, where, lengths, checkpoint, resume, record)
    except KeyboardInterrupt:
        kept = f"{checkpoint} keeps the last segment; go on with --resume" if checkpoint.exists() else "nothing is kept"
        notice(f"netrollout: interrupted; {kept}")
        raise typer.Exit(130) from None
    save(made.policy(), file)
    write_json(file.with_name(file.name + ".curve.json"), {"schema": 1, "algorithm": chosen.name, **curve.record()})
    spent = time.perf_counter() - begin
    notice(f"{chosen.name} on {system}: {made.done} {made.unit} in {spent:.0f} s, written to {file}")


def _world(system: str, options: dict[str, str]) -> tuple[Any, str]:
    """Return what is trained on, and how to call it."""
    from netrollout.catalog import make

    model = make(system, **{"side": "model", **options})
    world = model if "side" in options else practice(model)
    return world, options.get("side", "model" if world is model else "log")


def _judged(
    made: Learner,
    world: Any,
    where: str,
    lengths: tuple[int, int, int],
    checkpoint: Path,
    resume: bool,
    record: dict[str, Any],
) -> Curve:
    """Train in segments and return the curve."""
    total, every, evaluations = lengths
    what = f"mean undiscounted return of {evaluations} greedy episodes on the {where}"

    def tell(done: int, values: Floats) -> None:
        notice(f"{done} {made.unit}: {values.mean():.4g}, {what}")

    return learning_curve(
        made, total, every, greedy_returns(world, range(evaluations)), checkpoint, resume, tell, record
    )


def _algorithm(argument: str | None, option: str | None) -> str:
    """Return the algorithm, however it was named."""
    if argument and option and argument != option:
        raise InputError(f"--algo {option}: the algorithm is already given as {argument}; give one")
    name = option or argument
    if name is None:
        raise InputError(f"--algo: which algorithm? known: {KNOWN}")
    return name


def _length(chosen: Recipe, steps: int | None, episodes: int | None) -> int:
    """Return the episodes or steps of a training."""
    given = {"steps": steps, "episodes": episodes}
    mine = given.pop(chosen.unit)
    for other, value in given.items():
        if value is not None:
            raise InputError(f"--{other}: {chosen.name} counts {chosen.unit}; give --{chosen.unit}")
    return chosen.length if mine is None else mine
