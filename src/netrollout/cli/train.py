"""`netrollout train`: train a policy on a system's model and keep it."""

from __future__ import annotations

import difflib
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from netrollout.catalog import make
from netrollout.cli.common import Settings, notice, parse_settings, target, write_json
from netrollout.cli.evaluate import System
from netrollout.seeding import SEEDS
from netrollout.store import check_target
from netrollout.types import Floats, InputError

TABLES = ("sarsa", "q-learning")
NETWORKS = ("dqn", "ppo")
LENGTHS = {"sarsa": 300, "q-learning": 300, "dqn": 60_000, "ppo": 50_000}  # episodes of tables, steps of networks
PARTS = 10  # segments of a training, where not said otherwise


def train(
    system: System,
    algorithm: Annotated[str | None, typer.Argument(metavar="[ALGO]", help="sarsa, q-learning, dqn or ppo.")] = None,
    algo: Annotated[str | None, typer.Option("--algo", metavar="ALGO", help="The same, as an option.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Environment steps (dqn, ppo).")] = None,
    episodes: Annotated[int | None, typer.Option("--episodes", min=1, help="Episodes (sarsa, q-learning).")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=SEEDS - 1)] = 0,
    out: Annotated[Path | None, target("--out", "Default: SYSTEM-ALGO.npz here.")] = None,
    every: Annotated[int | None, typer.Option("--every", min=1, help="Length of a segment; default: a tenth.")] = None,
    evaluations: Annotated[int, typer.Option("--evaluations", min=1, help="Greedy episodes after each.")] = 10,
    published: Annotated[bool, typer.Option("--published", help="Settings of the published farm (not ppo).")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from FILE.checkpoint.")] = False,
    settings: Settings = None,
) -> None:
    """Train on the system's model, or on the log that the model was learned from, where the system keeps one.

    `ppo(file=FILE)`, or another algorithm's name, then names the policy in evaluate and compare.  FILE.checkpoint is
    written after each segment and FILE.curve.json at the end.
    """
    name = _algorithm(algorithm, algo)
    total = _length(name, steps, episodes)
    file = out or Path(f"{system}-{name}.npz")
    check_target(file)
    if published and name == "ppo":
        raise InputError("--published: has no meaning for ppo, which the published farm did not try")
    checkpoint = file.with_name(file.name + ".checkpoint")
    if resume and not checkpoint.exists():
        raise InputError(f"--resume: there is no {checkpoint}; leave --resume out to begin")
    options = parse_settings(settings)
    world = _world(system, options)
    learner, begin = _learner(world, name, seed, published), time.perf_counter()
    record = {"evaluations": evaluations, "options": options}
    lengths = (total, every or max(total // PARTS, 1), evaluations)
    try:
        curve = _judged(learner, world, lengths, checkpoint, resume, record)
    except KeyboardInterrupt:
        kept = f"{checkpoint} keeps the last segment; go on with --resume" if checkpoint.exists() else "nothing is kept"
        notice(f"netrollout: interrupted; {kept}")
        raise typer.Exit(130) from None
    _save(learner, name, file)
    write_json(file.with_name(file.name + ".curve.json"), {"schema": 1, "algorithm": name, **curve.record()})
    spent = time.perf_counter() - begin
    notice(f"{name} on {system}: {learner.done} {learner.unit} in {spent:.0f} s, written to {file}")


def _world(system: str, options: dict[str, str]) -> Any:
    """Return what is trained on."""
    model = make(system, **{"side": "model", **options})
    return model if "side" in options else getattr(model, "log", model)


def _judged(
    learner: Any, world: Any, lengths: tuple[int, int, int], checkpoint: Path, resume: bool, record: dict[str, Any]
) -> Any:
    """Train in segments and return the curve."""
    from netrollout.stages import greedy_returns, run

    def tell(done: int, values: Floats) -> None:
        notice(f"{done} {learner.unit}: {values.mean():.4g} over {len(values)} greedy episodes")

    total, every, evaluations = lengths
    judge = greedy_returns(world, range(evaluations))
    return run(learner, total, every, judge, checkpoint, resume, tell, record)


def _save(learner: Any, name: str, target: Path) -> None:
    if name == "ppo":
        from netrollout.train import save

        save(learner.model, target)
    else:
        learner.policy().save(target)


def _learner(model: Any, name: str, seed: int, published: bool) -> Any:
    """Return a new learner; torch loads for seconds, so only where it is needed."""
    if name in TABLES:
        from netrollout.tabular import TabularRun

        return TabularRun(model, name, seed, published=published)
    if name == "dqn":
        from netrollout.dqn import DqnRun

        return DqnRun(model, seed, published=published)
    from netrollout.stages.ppo import PpoRun

    return PpoRun(model, seed)


def _algorithm(argument: str | None, option: str | None) -> str:
    """Return the algorithm, however it was named."""
    known = TABLES + NETWORKS
    if argument and option and argument != option:
        raise InputError(f"--algo {option}: the algorithm is already given as {argument}; give one")
    name = option or argument
    if name is None:
        raise InputError(f"--algo: which algorithm? known: {', '.join(known)}")
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        raise InputError(
            f"unknown algorithm {name!r}; {f'did you mean {near[0]}?' if near else 'known: ' + ', '.join(known)}"
        )
    return name


def _length(name: str, steps: int | None, episodes: int | None) -> int:
    """Return the episodes or steps of a training."""
    mine, other = ("--episodes", "--steps") if name in TABLES else ("--steps", "--episodes")
    given, wrong = (episodes, steps) if name in TABLES else (steps, episodes)
    if wrong is not None:
        raise InputError(f"{other}: {name} counts {mine.removeprefix('--')}; give {mine}")
    return given if given is not None else LENGTHS[name]
