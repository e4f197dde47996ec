"""Baselines of the mesh, each as a table of joint actions (S,), and their names.

Batch letters: S states, A joint actions, M controls, G grid points.
"""

from __future__ import annotations

import numpy as np

from netrollout.batch import joint_actions, joint_index
from netrollout.dp.mdp import MDP
from netrollout.dp.value import greedy
from netrollout.makers import Worlds, maker, tabulated
from netrollout.policies import TablePolicy
from netrollout.systems.mesh.dynamics import Mesh, hold_table
from netrollout.types import Ints, Policy


def best_static(mesh: Mesh) -> Ints:
    """Return the setting (M,) that pays most when it is held for ever.

    The load is averaged over its levels, which the symmetric chain visits equally often; ties go to the setting that
    comes first on the grid.  No policy and no start enters: it is a property of the (learned) system.
    """
    held = MDP.from_system(mesh).reward[:, _hold_action(mesh)]
    mean = held.reshape(len(mesh.loads), -1).mean(axis=0)
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


def _hold_action(mesh: Mesh) -> int:
    return int(np.flatnonzero((joint_actions(mesh.levels) == 1).all(axis=1))[0])


@maker("static", "mesh")
def static(worlds: Worlds, **setting: float) -> Policy:
    """Walk to a setting and hold it: the best of the base model, or the one that is named."""
    base = worlds.base
    return tabulated(hold_table(base, base.setting(setting)) if setting else static_table(base), worlds)


@maker("reactive", "mesh")
def reactive(worlds: Worlds) -> Policy:
    """Follow the rule of `reactive_table`, on what the plant shows."""
    return TablePolicy(worlds.plant, reactive_table(worlds.plant))
