"""Training in segments, with a judgement and a checkpoint after each.

A learner draws what it needs in a segment from streams named after the segment, and carries over only what its `state`
returns.  So a training that was stopped and taken up again ends with the same policy and the same curve.

Batch letters: N judgements, E evaluation episodes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from netrollout.evaluate import simulate
from netrollout.places import short
from netrollout.store import read_arrays, write_arrays
from netrollout.types import Floats, InputError, Ints, Policy, System

KIND, VERSION = "a checkpoint of a training", 2
OWN = "run_"  # prefix of what is not the learner's in a checkpoint
_Judge = Callable[[Policy], Floats]
_Stop = Callable[[int, Floats], bool]


class Learner(Protocol):
    """A training that can stop and go on: `TableRun`, `NetworkRun`.

    Attributes
    ----------
    unit : str
        ``episodes`` or ``steps``.
    at_once : int
        What it takes at once: a segment is rounded up to a multiple.
    """

    unit: str

    @property
    def at_once(self) -> int:
        """Episodes or steps."""

    @property
    def done(self) -> int:
        """Episodes or environment steps so far, in `unit`."""

    def advance(self, until: int) -> None:
        """Train at least until `done` is a number, as one segment."""

    def policy(self) -> Policy:
        """Return the greedy policy as it is now."""

    def about(self) -> dict[str, Any]:
        """Return what makes this training, as JSON knows it."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that goes on into the next segment, as arrays."""

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Take over what `state` returned."""


@dataclass(frozen=True)
class Curve:
    """How the greedy policy did in the course of training.

    Attributes
    ----------
    unit : str
        Of `done`.
    done : (N,)
        Episodes or steps of training before each judgement; the first is 0.
    values : (N, E)
        What each evaluation episode brought.
    seconds : float
        Of training alone, without judging, since it began or was taken up again.
    """

    unit: str
    done: Ints
    values: Floats
    seconds: float

    def record(self) -> dict[str, Any]:
        """Return the curve as JSON knows it."""
        rows = zip(self.done.tolist(), self.values.tolist(), strict=True)
        judged = [{"done": done, "mean": float(np.mean(values)), "episodes": values} for done, values in rows]
        return {"unit": self.unit, "evaluations": judged}


def greedy_returns(system: System, seeds: Sequence[int]) -> _Judge:
    """Return a judge: the sum of rewards of one episode per seed, (E,)."""

    def judge(policy: Policy) -> Floats:
        total: Floats = simulate(system, policy, seeds).rewards.sum(axis=1)
        return total

    return judge


def learning_curve(
    learner: Learner,
    total: int,
    every: int,
    judge: _Judge,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    tell: Callable[[int, Floats], None] | None = None,
    options: Mapping[str, Any] | None = None,
    stop: _Stop | None = None,
) -> Curve:
    """Train in segments, judge the greedy policy after each, and write a checkpoint.

    Whatever stops the program, the checkpoint is that of the last whole segment.

    Parameters
    ----------
    learner : Learner
        New; with `resume` it takes over the checkpoint's state.
    total : int
        Episodes or steps; a learner rounds up to what it takes at once.
    every : int
        Episodes or steps per segment.
    judge : callable
        From a policy to the values (E,) of its evaluation episodes.
    checkpoint : path, optional
        A file that is overwritten after each segment.
    resume : bool
        Whether to go on where the checkpoint stands.
    tell : callable, optional
        Called with `done` and the values (E,) after each judgement.
    options : mapping, optional
        What else makes this training, as JSON knows it: to be resumed with the same only.
    stop : callable, optional
        From `done` and the values (E,) of the last judgement to whether that is enough, such as
        ``lambda done, values: values.mean() >= 9.5``.

    Raises
    ------
    InputError
        If a number is not positive, or the checkpoint to resume from is missing, damaged or of another training.
    """
    if total < 1 or every < 1:
        raise InputError(f"{total} {learner.unit} in segments of {every}; expected 1 or more of each")
    if resume and checkpoint is None:
        raise InputError("resume: expected the checkpoint to go on from")
    about = {"kind": "checkpoint", "version": VERSION, **learner.about(), "every": every, **(options or {})}
    done, values = _resumed(learner, about, Path(checkpoint)) if resume and checkpoint else ([], [])
    seconds = 0.0
    if not done:
        _judged(learner, judge, done, values, tell)
    while learner.done < total and not (stop and stop(done[-1], values[-1])):
        begin = time.perf_counter()
        learner.advance(min((learner.done // every + 1) * every, total))
        seconds += time.perf_counter() - begin
        _judged(learner, judge, done, values, tell)
        if checkpoint is not None:
            own = {OWN + "done": np.array(done), OWN + "values": np.stack(values)}
            write_arrays(checkpoint, about, {**learner.state(), **own})
    return Curve(learner.unit, np.array(done), np.stack(values), seconds)


def _judged(
    learner: Learner,
    judge: _Judge,
    done: list[int],
    values: list[Floats],
    tell: Callable[[int, Floats], None] | None,
) -> None:
    found = np.asarray(judge(learner.policy()), dtype=np.float64)
    if values and len(found) != len(values[0]):
        raise InputError(f"{len(found)} evaluation episodes after {len(values[0])} before; resume with as many")
    done.append(learner.done)
    values.append(found)
    if tell is not None:
        tell(done[-1], values[-1])


def _resumed(learner: Learner, about: dict[str, Any], path: Path) -> tuple[list[int], list[Floats]]:
    """Bring the learner to where the checkpoint stands, and return the curve up to there."""
    known, found = read_arrays(path, KIND)
    for name, mine in about.items():
        if known.get(name) != mine:
            raise InputError(
                f"{path}: the checkpoint has {name} {short(known.get(name))}, this training {short(mine)}; "
                "resume with the same options, or begin anew"
            )
    try:
        done, values = found.pop(OWN + "done"), found.pop(OWN + "values")
        learner.restore(found)
        _refuse_what_cannot_be(done, values, learner, about["every"])
    except (AttributeError, KeyError, IndexError, OverflowError, TypeError, ValueError, RuntimeError) as error:
        reason = f": {error}" if isinstance(error, InputError) else ""
        raise InputError(f"{path} is not {KIND}{reason}") from None
    return done.tolist(), list(values)


def _refuse_what_cannot_be(done: Ints, values: Floats, learner: Learner, every: int) -> None:
    """Refuse a curve that no training could have written."""
    steps = np.diff(done)
    if done.dtype.kind != "i" or values.dtype.kind != "f" or values.shape[:1] != done.shape or values.ndim != 2:
        raise InputError(f"{len(done)} judgements with values of shape {values.shape}")
    if done[0] != 0 or done[-1] != learner.done or (steps < 1).any() or (steps >= every + learner.at_once).any():
        raise InputError(f"{learner.done} {learner.unit} in {len(steps)} segments of {every}")
