"""Looking where one has not been: a controller that only exploits never sees the new system.

=============  ====================================================================================================
name           what it does
=============  ====================================================================================================
`none`         plans on the expected model and follows the plan
`epsilon`      with a small probability takes any action that is safe, all equally likely
`optimism`     plans on the model whose log response times lie some standard deviations below the expected ones
`thompson`     plans on a model drawn from the posterior, and draws anew every few cycles
=============  ====================================================================================================

Whatever a rule proposes is bounded by `safe_actions`: never knowingly leave the operating region.  Where the plan's
action is not safe, the safe action with the best Q-factor is taken.

Letters: G grid points, V services, A joint actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from netrollout.adapt.relearn import Relearned
from netrollout.seeding import spawn
from netrollout.types import Bools, Floats, InputError, Ints

Exploration = Literal["none", "epsilon", "optimism", "thompson"]
EXPLORATIONS: tuple[Exploration, ...] = ("none", "epsilon", "optimism", "thompson")


@dataclass(frozen=True)
class Explorer:
    """A rule of exploration.

    Every draw depends on seed and cycle alone, so a loop that is resumed explores as if it had not been interrupted.

    Parameters
    ----------
    name : str
        One of `EXPLORATIONS`.
    seed : int
    epsilon : float
        Probability of `epsilon`.
    width : float
        Standard deviations of `optimism`.
    period : int
        Cycles between two draws of `thompson`.

    Raises
    ------
    InputError
        If the name is unknown.
    """

    name: str = "none"
    seed: int = 0
    epsilon: float = 0.05
    width: float = 0.5
    period: int = 5

    def __post_init__(self) -> None:
        """Refuse what is not known."""
        if self.name not in EXPLORATIONS:
            raise InputError(f"unknown exploration {self.name!r}; known: {', '.join(EXPLORATIONS)}")

    def shift(self, relearned: Relearned, cycle: int) -> Floats | None:
        """Return the shift (G, V) of the model to plan on in this cycle; None is the expected one."""
        if self.name == "optimism":
            return np.asarray(relearned.mean - self.width * np.sqrt(relearned.variance))
        if self.name == "thompson":
            return relearned.sample(spawn(self.seed, "thompson", cycle // self.period, relearned.alarms))
        return None

    def choose(self, preferred: int, q: Floats, safe: Bools, cycle: int) -> tuple[int, bool]:
        """Return the joint action to take and whether it was taken only to explore.

        Parameters
        ----------
        preferred : int
            The plan's joint action.
        q : (A,) Q-factors of the state
        safe : (A,) bool
        cycle : int
        """
        rng = spawn(self.seed, "explore", cycle)
        if self.name == "epsilon" and rng.random() < self.epsilon:
            return int(rng.choice(np.flatnonzero(safe))), True
        if safe[preferred]:
            return preferred, False
        return int(np.where(safe, q, -np.inf).argmax()), False


def safe_actions(landing: Ints, feasible: Bools, predicted: Floats, limit: Floats) -> Bools:
    """Return which joint actions (A,) stay in the operating region, as far as is known.

    Parameters
    ----------
    landing : (A,) grid point that each action leads to
    feasible : (A,) bool
    predicted : (G, V) expected response time at every grid point, s
    limit : (V,) largest response time of the operating region, s

    Returns
    -------
    (A,) bool
        Where no feasible action stays inside, those that lead out least far.
    """
    excess = np.where(feasible, (predicted[landing] / limit).max(axis=1), np.inf)
    inside: Bools = excess <= 1.0
    return inside if inside.any() else np.asarray(excess <= excess.min() + 1e-12)
