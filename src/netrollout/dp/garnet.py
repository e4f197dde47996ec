"""Random Markov decision processes for tests and benchmarks.

After the Garnet problems of Archibald, McKinnon & Thomas (Journal of the Operational Research Society 46, 1995): every
action of every state has a few successors, drawn at random, with probabilities cut from the unit interval.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from netrollout.dp.mdp import MDP


def garnet(
    rng: np.random.Generator,
    states: int,
    actions: int,
    branching: int,
    discount: float,
    infeasible: float = 0.0,
    ending: float = 0.0,
) -> MDP:
    """Draw a random MDP with rewards uniform in [-1, 1].

    Parameters
    ----------
    rng : numpy.random.Generator
    states, actions : int
        S and A.
    branching : int
        Successors of every action, at most S; 1 makes the process deterministic.
    discount : float
        In [0, 1); 1 needs `ending` above 0.
    infeasible : float
        Share of the actions that may not be taken; every state keeps at least one.
    ending : float
        Share of the actions after which the process ends with a probability drawn uniformly.

    Raises
    ------
    InputError
        If the arrays do not pass `MDP.from_arrays`.
    """
    rows = states * actions
    successors = rng.random((rows, states)).argsort(axis=1)[:, :branching]
    cuts = np.sort(rng.random((rows, branching - 1)), axis=1)
    shares = np.diff(cuts, axis=1, prepend=0.0, append=1.0)
    ends = np.where(rng.random(rows) < ending, rng.random(rows), 0.0)
    feasible = rng.random((states, actions)) >= infeasible
    feasible[np.arange(states), rng.integers(actions, size=states)] = True
    transition = sparse.csr_array(
        ((shares * (1.0 - ends[:, None])).ravel(), (np.repeat(np.arange(rows), branching), successors.ravel())),
        shape=(rows, states),
    )
    reward = rng.uniform(-1.0, 1.0, size=(states, actions))
    return MDP.from_arrays(transition, reward, discount, feasible, ends.reshape(states, actions))
