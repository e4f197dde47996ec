"""The tables that everybody is given: scenario S1, 900 states and 81 joint actions, discount .99.

States are (c1, c2, p1, p2), actions an increment of each, both in the order of a product with the last component
fastest; that is the order of the published package and of `netrollout` alike.  An increment beyond the range holds, so
all actions are feasible.  The published reward takes the response times at the next state and the savings at the
present one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

import netrollout
from netrollout.batch import joint_actions
from netrollout.dp import MDP
from netrollout.systems.mesh.dynamics import Mesh
from netrollout.types import Floats, Ints

BASE_SEED = 0


@dataclass(frozen=True, eq=False)
class Problem:
    """What is handed to the peers.

    Attributes
    ----------
    system : Mesh
        Our S1, whose settings the tables are about.
    delays : (900, 2) float64
        Expected response times at each state, s.
    mdp : MDP
    base : (900,) int
        A base policy drawn at random, so that no side can profit from its shape.
    """

    system: Mesh
    delays: Floats
    mdp: MDP
    base: Ints


def published_problem() -> Problem:
    """Make the tables from the model of S1 that was learned from the shipped trace."""
    system = netrollout.make("mesh-s1", side="model")
    assert isinstance(system, Mesh)
    delays: Floats = np.nan_to_num(system.response.windows).mean(axis=1)
    mdp = tables(system, delays)
    base = np.random.default_rng(BASE_SEED).integers(mdp.n_actions, size=mdp.n_states)
    return Problem(system, delays, mdp, base)


def tables(system: Mesh, delays: Floats) -> MDP:
    """Return transitions and published rewards of all state-action pairs as a process."""
    states, moves = system.states().setting, joint_actions(system.levels) - 1
    top = np.array(system.shape[1:]) - 1
    after = np.clip(states[:, None] + moves, 0, top)
    successor = np.ravel_multi_index(tuple(np.moveaxis(after, 2, 0)), system.shape[1:])
    c1, c2, p1, p2, *_ = system.grid_features().T
    saved = ((1 - (c1 + c2) / 10) * (1 - p1) * (1 - p2))[:, None]
    excess = np.maximum(delays - np.asarray(system.objective.bounds), 0.0).sum(axis=1)[successor]
    n_states, n_actions = successor.shape
    rows = (np.ones(successor.size), successor.ravel(), np.arange(successor.size + 1))
    transition = sparse.csr_array(rows, shape=(n_states * n_actions, n_states))
    return MDP.from_arrays(transition, np.where(excess > 0, -excess, saved), system.discount)
