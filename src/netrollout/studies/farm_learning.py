"""How learners on the task farm got where they are: learning curves over several trainings, and where they have been.

Training is on the model's log, as for the policies by name; judged are greedy policies, on farms of given laws of
arrivals, in between.  The workloads of these judgements choose nothing: no checkpoint is picked by them.

Batch letters: R trainings, N judgements, F families, E episodes of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from joblib import Parallel, delayed

from netrollout.learn import Bins, Curve, LearnedTable, learner, learning_curve, recipe
from netrollout.policies import PolicyName
from netrollout.studies.farm_play import disturbances, play
from netrollout.systems.serverless.realise import farm_model, farm_plant
from netrollout.types import Floats, InputError, Ints, Policy

KINDS = ("sarsa", "qlearning", "dqn", "ppo")


def sized(name: str, lengths: Mapping[str, int]) -> str:
    """Return a policy's name with the lengths of training of all learners in it written out.

    Examples
    --------
    >>> sized("rollout(sarsa)", {"sarsa": 300})
    'rollout(sarsa(episodes=300))'
    >>> sized("dqn(steps=9,published=true)", {"dqn": 4000})
    'dqn(steps=4000,published=true)'
    """
    return str(_lengthened(PolicyName.parse(name), lengths))


def _lengthened(name: PolicyName, lengths: Mapping[str, int]) -> PolicyName:
    inner = name.inner and _lengthened(name.inner, lengths)
    if name.head not in lengths:
        return replace(name, inner=inner)
    unit = recipe(name.head).unit
    kept = tuple(option for option in name.options if option[0] != unit)
    return replace(name, inner=inner, options=((unit, str(lengths[name.head])), *kept))


@dataclass(frozen=True, eq=False)
class Learned:
    """How a kind of learner did in the course of training.

    Attributes
    ----------
    unit : str
        Of `done`: ``episodes`` or ``steps``.
    done : (N,)
    qos, reward : (R, N, F, E)
        Final QoS and total reward of the greedy policy.
    visits : (S,) int64, or None
        How often the first training's exploring policy met each state of its table.
    """

    unit: str
    done: Ints
    qos: Floats
    reward: Floats
    visits: Ints | None


def learning_curves(
    lengths: Mapping[str, int], families: Sequence[str], judgements: int = 10, episodes: int = 20, trainings: int = 3,
    seed: int = 0, log: str = "mixed",
) -> dict[str, Learned]:  # fmt: skip
    """Train and judge in between.

    Parameters
    ----------
    lengths : mapping of str to int
        Kind of learner to its episodes or steps.
    families : sequence of str
        Laws of arrivals that are judged.
    judgements : int
        After the one before training.
    episodes, trainings : int
        E and R; training number r has the seed + r, and its own log.
    seed : int
    log : str
        What is trained on, as `farm_model` takes it.

    Raises
    ------
    InputError
        If a kind is unknown or a number is not positive.
    """
    for kind in lengths:
        if kind not in KINDS:
            raise InputError(f"learner {kind!r} is unknown; known are {', '.join(KINDS)}")
    if min(judgements, episodes, trainings, *lengths.values()) < 1:
        raise InputError(f"{judgements} judgements of {episodes} episodes, {trainings} trainings; expected 1 or more")
    jobs = [(kind, r) for kind in lengths for r in range(trainings)]
    found = Parallel(n_jobs=-1 if len(jobs) > 1 else 1)(
        delayed(_train)(kind, lengths[kind], families, judgements, episodes, seed, seed + r, log) for kind, r in jobs
    )
    parts: dict[str, list[tuple[Curve, Ints | None]]] = {kind: [] for kind in lengths}
    for (kind, _), part in zip(jobs, found, strict=True):
        parts[kind].append(part)
    return {kind: _together(rows, len(families)) for kind, rows in parts.items()}


def _train(
    kind: str, length: int, families: Sequence[str], judgements: int, episodes: int, seed: int, training: int, log: str
) -> tuple[Curve, Ints | None]:
    """Return the curve of one training, values (N, F x 2 x E), and its visits."""
    farms = [farm_plant(family, "before", "double", episodes) for family in families]
    given = [disturbances(farm, seed) for farm in farms]

    def judge(policy: Policy) -> Floats:
        judged = [play(farm, policy, w) for farm, w in zip(farms, given, strict=True)]
        return np.concatenate([one[measure] for one in judged for measure in ("qos", "reward")])

    made = learner(farm_model("before", "double", log, training).log, kind, training)
    curve = learning_curve(made, length, -(-length // judgements), judge)
    policy = made.policy()
    return curve, policy.visits.sum(axis=1) if isinstance(policy, LearnedTable) else None


def _together(rows: Sequence[tuple[Curve, Ints | None]], families: int) -> Learned:
    curves = [curve for curve, _ in rows]
    values = np.stack([curve.values for curve in curves])
    values = values.reshape(*values.shape[:2], families, 2, -1)
    return Learned(curves[0].unit, curves[0].done, values[:, :, :, 0], values[:, :, :, 1], rows[0][1])


def visit_map(visits: Ints, bins: Bins, rows: int, columns: int) -> Ints:
    """Return how often states were met by the bins of two observations, (row bins, column bins).

    Parameters
    ----------
    visits : (S,)
    bins : Bins
    rows, columns : int
        Columns of the observation.
    """
    axes = tuple(k for k in range(len(bins.shape)) if k not in (rows, columns))
    table: Ints = visits.reshape(bins.shape).sum(axis=axes)
    return table if rows < columns else table.T
