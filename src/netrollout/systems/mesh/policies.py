"""Baselines of the mesh, each as a table of joint actions (S,), and their names.

Batch letters: S states, A joint actions, M controls, G grid points.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from netrollout.batch import joint_actions, joint_index
from netrollout.dp import MDP, evaluate_policy, greedy, policy_iteration, q_factors
from netrollout.makers import Worlds, make_policy, maker, tabulated
from netrollout.policies import PolicyName, TablePolicy
from netrollout.systems.mesh.dynamics import Control, Mesh, MeshState, Objective, ResponseTable, hold_table
from netrollout.types import InputError, Ints, Policy


def best_static(mesh: Mesh) -> Ints:
    """Return the setting (M,) that pays most when it is held for ever.

    The load is averaged over its levels, which the symmetric chain visits equally often; ties go to the setting that
    comes first on the grid.  No policy and no start enters: it is a property of the (learned) system.
    """
    mean = mesh.held_rewards().reshape(len(mesh.loads), -1).mean(axis=0)
    return np.array(np.unravel_index(int(mean.argmax()), mesh.shape[1:]))


def static_table(mesh: Mesh) -> Ints:
    """Walk to the best static setting of `mesh` and hold it."""
    return hold_table(mesh, best_static(mesh))


def greedy_table(mesh: Mesh) -> Ints:
    """Take the action with the best expected reward of the coming cycle (myopic)."""
    mdp = MDP.from_system(mesh)
    return greedy(mdp, np.zeros(mdp.reward.shape[0]))


def reactive_table(mesh: Mesh) -> Ints:
    """One line of operator's reason: where the bound is probably broken give every node one more worker, else one less.

    "Probably" is more than half of the windows met at the present setting and load.  Routing is left where it is.
    """
    x = mesh.states()
    late = mesh.late_share() > 0.5
    workers = np.array([control.name.startswith("c_") for control in mesh.controls])
    move = np.where(workers, np.where(late, 1, -1)[:, None], 0)
    inside = np.clip(x.setting + move, 0, np.asarray(mesh.shape[1:]) - 1) - x.setting
    return joint_index(inside + 1, mesh.levels)


@maker("static", "mesh")
def static(worlds: Worlds, **setting: float) -> Policy:
    """Walk to a setting and hold it: the best of the base model, or the one that is named."""
    base = worlds.base
    return tabulated(hold_table(base, base.setting(setting)) if setting else static_table(base), worlds)


@maker("reactive", "mesh")
def reactive(worlds: Worlds) -> Policy:
    """Follow the rule of `reactive_table`, on what the plant shows."""
    return TablePolicy(worlds.plant, reactive_table(worlds.plant))


@maker("start", "mesh")
def start(worlds: Worlds) -> Policy:
    """Walk to where the scenario begins, and hold it."""
    if worlds.base.start is None:
        raise InputError(f"policy start: {worlds.base.name} begins anywhere")
    return tabulated(hold_table(worlds.base, worlds.base.start.setting[0]), worlds)


@maker("optimal", "mesh")
def optimal(worlds: Worlds) -> Policy:
    """Plan exactly on the base model."""
    return tabulated(_optimum(worlds.base), worlds)


@lru_cache(maxsize=4)  # a loop that plans every cycle asks for the optimum of one old model
def _optimum(mesh: Mesh) -> Ints:
    table: Ints = policy_iteration(process(mesh)).policy
    return table


@maker("parallel", "mesh")
def parallel(worlds: Worlds, inner: PolicyName) -> Policy:
    """Parallel rollout on the newest model: one step, then the better of a policy and the walk to the best static.

    One-step rollout on a base alone may stop at a local optimum, because a base that walks to where it used to rest
    gives every step the same end; a second base that knows of the new model's best setting mends that.

    References
    ----------
    H. S. Chang, R. L. Givan, E. K. P. Chong, "Parallel rollout for online solution of partially observable Markov
    decision processes", Discrete Event Dynamic Systems 14, 2004.
    """
    mdp, base = process(worlds.model), make_policy(inner, worlds)
    if not isinstance(base, TablePolicy):
        raise InputError(f"policy parallel({inner}): {inner} has no table")
    value = np.max([evaluate_policy(mdp, table).value for table in (base.table, static_table(worlds.model))], axis=0)
    q = q_factors(mdp, value)
    return TablePolicy(worlds.plant, q.argmax(axis=1).astype(np.int64), q)


def process(mesh: Mesh) -> MDP:
    """Return the decision process of a mesh; of the meshes on one grid only the rewards differ."""
    mdp, landing = moves(mesh.shape, mesh.load_move, mesh.discount)
    return replace(mdp, reward=np.where(mdp.feasible, mesh.held_rewards()[landing], -np.inf))


@lru_cache(maxsize=8)
def moves(shape: tuple[int, ...], load_move: float, discount: float) -> tuple[MDP, Ints]:
    """Return the decision process of a grid without rewards, and the grid point (S, A) that each action leads to."""
    controls = tuple(Control(f"c_{k}", tuple(map(float, range(n)))) for k, n in enumerate(shape[1:]))
    nothing = ResponseTable(np.ones((int(np.prod(shape)), 1, 1)))
    mesh = Mesh("grid", controls, ("d",), np.ones((shape[0], 1)), load_move, Objective((1.0,), ()), nothing,
                discount=discount)  # fmt: skip
    x, joint = mesh.states(), joint_actions(mesh.levels)
    settings = np.clip(x.setting[:, None, :] + joint - 1, 0, np.asarray(shape[1:]) - 1)
    lanes = MeshState(settings.reshape(-1, settings.shape[2]), np.repeat(x.load, len(joint)))
    return MDP.from_system(mesh), mesh.index(lanes).reshape(len(x.load), len(joint))
