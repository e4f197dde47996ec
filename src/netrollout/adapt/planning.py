"""Planning on the newest model: the process is tabulated once, then only its rewards change.

A plan is a policy table with the value that its Q-factors end in:

===========  ==========================================================================================================
name         plan
===========  ==========================================================================================================
`base`       the policy from before the change as it is
`walk`       walk to the best static setting of the newest model and hold it
`dp`         the exact optimum of the newest model
`rollout-1`  one-step rollout on the base policy, re-evaluated on the newest model
`rollout`    parallel rollout: one step, ended in the larger of the values of the base policy and of `walk`
===========  ==========================================================================================================

`rollout` is the default by a rule written before anything was judged: one-step rollout on the base alone may stop at a
local optimum, because a base that walks to where it used to rest gives every step the same end; a second base that
knows of the new model's best setting mends that, and parallel rollout is on the model at least as good as each of its
bases (Chang, Givan & Chong, "Parallel rollout for online solution of partially observable Markov decision processes",
Discrete Event Dynamic Systems 14, 2004).

Letters: S states (grid points), A joint actions, M controls, L load levels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from netrollout.adapt.plants import held_rewards
from netrollout.batch import joint_actions
from netrollout.dp import MDP, evaluate_policy, policy_iteration, q_factors
from netrollout.systems.mesh.dynamics import Mesh, MeshState, hold_table
from netrollout.types import Floats, InputError, Ints


class Plan(NamedTuple):
    """What to do on a model.

    Attributes
    ----------
    table : (S,) joint action preferred in every state
    q : (S, A) Q-factors by which alternatives are compared; minus infinity where an action is not feasible
    """

    table: Ints
    q: Floats


class Planner:
    """Makes the decision process of any response on one mesh.

    Parameters
    ----------
    mesh : Mesh
        Gives grid, actions, objective and the law of the load.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mdp, self._mesh = MDP.from_system(mesh), mesh
        x, joint, top = mesh.states(), joint_actions(mesh.levels), np.asarray(mesh.shape[1:]) - 1
        settings = np.clip(x.setting[:, None, :] + joint - 1, 0, top)
        lanes = MeshState(settings.reshape(-1, settings.shape[2]), np.repeat(x.load, len(joint)))
        self.landing: Ints = mesh.index(lanes).reshape(len(x.load), len(joint))
        self.actions = joint
        hold = np.ones_like(x.setting)
        self.saved = mesh.transition(x, hold, np.full((len(hold), 2), 0.5)).metrics["saved"]

    def process(self, model: Mesh) -> MDP:
        """Return the decision process with the expected rewards of a model."""
        reward = np.where(self._mdp.feasible, held_rewards(model)[self.landing], -np.inf)
        return replace(self._mdp, reward=reward)

    def base(self, model: Mesh) -> Ints:
        """Return the exact optimum of a model, (S,): the base policy when made on the model from before the change."""
        table: Ints = policy_iteration(self.process(model)).policy
        return table

    def plan(self, name: str, model: Mesh, base: Ints) -> Plan:
        """Return the named plan on a model, `base` (S,) being the policy from before the change.

        Raises
        ------
        InputError
            If the name is unknown.
        """
        if name not in PLANS:
            raise InputError(f"unknown plan {name!r}; known: {', '.join(PLANS)}")
        return PLANS[name](self.process(model), model, base)


def best_setting(model: Mesh) -> Ints:
    """Return the setting (M,) that pays most when it is held, averaged over the load levels."""
    mean = held_rewards(model).reshape(len(model.loads), -1).mean(axis=0)
    return np.array(np.unravel_index(int(mean.argmax()), model.shape[1:]))


def _followed(mdp: MDP, table: Ints) -> Plan:
    return Plan(table, q_factors(mdp, evaluate_policy(mdp, table).value))


def _rolled(mdp: MDP, *bases: Ints) -> Plan:
    value = np.max([evaluate_policy(mdp, base).value for base in bases], axis=0)
    q = q_factors(mdp, value)
    return Plan(q.argmax(axis=1).astype(np.int64), q)


def _walk(model: Mesh) -> Ints:
    return hold_table(model, best_setting(model))


PLANS: dict[str, Callable[[MDP, Mesh, Ints], Plan]] = {
    "base": lambda mdp, model, base: _followed(mdp, base),
    "walk": lambda mdp, model, base: _followed(mdp, _walk(model)),
    "dp": lambda mdp, model, base: _followed(mdp, policy_iteration(mdp, base).policy),
    "rollout-1": lambda mdp, model, base: _rolled(mdp, base),
    "rollout": lambda mdp, model, base: _rolled(mdp, base, _walk(model)),
}
