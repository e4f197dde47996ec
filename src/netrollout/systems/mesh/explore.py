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

Letters: S states, G grid points, V services, A joint actions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import BatchPolicy, joint_actions
from netrollout.dp import evaluate_policy, q_factors
from netrollout.policies import TablePolicy
from netrollout.seeding import spawn
from netrollout.systems.mesh.dynamics import Mesh
from netrollout.systems.mesh.policies import moves, process
from netrollout.systems.mesh.relearn import Relearned
from netrollout.types import Bools, Floats, InputError, Ints, Policy

LIMIT = 4.0  # operating region: response times up to this multiple of the bound
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


class Cautious:
    """A plan of the control cycle that explores by a rule, and never knowingly leaves the operating region.

    A policy without a table is followed as it is.

    Parameters
    ----------
    relearned : Relearned
    make : callable
        From a model to a policy and the model that it was made on; `Retraining` or `fresh`.
    explorer : Explorer
    limit : float
        Largest response time of the region, a multiple of each bound.
    """

    def __init__(
        self,
        relearned: Relearned,
        make: Callable[[Mesh, int], tuple[Policy, Mesh]],
        explorer: Explorer | None = None,
        limit: float = LIMIT,
    ) -> None:
        self.relearned, self.explorer, self.limit, self._make = relearned, explorer or Explorer(), limit, make

    def __call__(self, model: Mesh, cycle: int) -> Policy:
        """Return the policy of a cycle; `model` is the expected one."""
        shift = self.explorer.shift(self.relearned, cycle)
        policy, believed = self._make(model if shift is None else self.relearned.model(shift), cycle)
        if not isinstance(policy, TablePolicy):
            return policy
        q = policy.q
        if q is None:
            mdp = process(believed)
            q = q_factors(mdp, evaluate_policy(mdp, policy.table).value)
        return _Safe(model, policy.table, q, self.limit, partial(self.explorer.choose, cycle=cycle))


class _Safe(BatchPolicy):
    """Follows a table (S,) as far as it is safe; Q-factors (S, A) say what to do elsewhere.  One lane."""

    def __init__(
        self, mesh: Mesh, table: Ints, q: Floats, limit: float, choose: Callable[..., tuple[int, bool]]
    ) -> None:
        self._mesh, self._table, self._q, self._choose, self.explored = mesh, table, q, choose, False
        self._limit = limit * np.asarray(mesh.objective.bounds)

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return an action (1, M)."""
        mesh, q = self._mesh, self._q
        index = int(mesh.index(mesh.state_of(observation))[0])
        landing = moves(mesh.shape, mesh.load_move, mesh.discount)[1][index]
        safe = safe_actions(landing, np.isfinite(q[index]), mesh.response.windows.mean(axis=1), self._limit)
        joint, self.explored = self._choose(int(self._table[index]), q[index], safe)
        return joint_actions(mesh.levels)[[joint]], state


def fresh(make: Callable[[Mesh], Policy]) -> Callable[[Mesh, int], tuple[Policy, Mesh]]:
    """Return a way to make a policy anew on every model."""
    return lambda model, cycle: (make(model), model)


class Retraining:
    """Makes a policy anew after an alarm: in force only when its training time is over, then trained again.

    Parameters
    ----------
    relearned : Relearned
    make : callable
        From a model to the policy that is trained on it.
    meanwhile : callable
        From a model to the policy until then.
    training : int
        Cycles that a training takes.
    """

    def __init__(
        self,
        relearned: Relearned,
        make: Callable[[Mesh], Policy],
        meanwhile: Callable[[Mesh], Policy],
        training: int,
    ) -> None:
        self._relearned, self._make, self._meanwhile, self._training = relearned, make, meanwhile, training
        self._begun: tuple[int, Mesh] | None = None
        self._ready: Mesh | None = None

    def __call__(self, model: Mesh, cycle: int) -> tuple[Policy, Mesh]:
        """Return the policy that is in force in a cycle and the model that it was made on."""
        if self._relearned.alarms and self._begun is None:
            self._begun = (cycle, model)
        if self._begun is not None and cycle - self._begun[0] >= self._training:
            self._ready, self._begun = self._begun[1], (cycle, model)
        return (self._meanwhile(model), model) if self._ready is None else (self._make(self._ready), self._ready)
