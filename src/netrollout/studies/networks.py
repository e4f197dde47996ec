"""Networks that several rows and cells of a comparison share: trained once, kept as files, and read by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from joblib import Parallel, delayed

from netrollout.learn import save, train
from netrollout.policies import PolicyName
from netrollout.types import System


def networks(systems: Sequence[System], steps: int, seeds: Sequence[int], folder: str | Path) -> list[str]:
    """Train PPO on each system with its seed, in parallel; return policies' names, ``ppo(file=...)``.

    Parameters
    ----------
    systems : sequence of System
    steps : int
        Environment steps of each training.
    seeds : sequence of int, as many as systems
    folder : path
        Where the files go.
    """
    files = [Path(folder, f"{k}.npz") for k in range(len(systems))]
    Parallel(n_jobs=-1)(
        delayed(_train)(system, steps, seed, file) for system, seed, file in zip(systems, seeds, files, strict=True)
    )
    return [str(PolicyName("ppo", None, (("file", str(file)),))) for file in files]


def _train(system: System, steps: int, seed: int, file: Path) -> None:
    save(train(system, "ppo", steps, seed), file)
