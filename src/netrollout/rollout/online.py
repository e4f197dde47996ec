"""Repeated online improvement: rollout that remembers what it has improved.

Wherever the process comes by, the action there is replaced by that of one-step rollout, and the policy so changed is
the base from then on.  Every change raises the value in some states and lowers it in none, so the changes end; the
policy is then greedy for its own value in every state that keeps being visited (Bertsekas 2021, "On-line policy
iteration for infinite horizon dynamic programming", arXiv 2106.00746).

Batch letters: S states, B lanes, K action components.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import BatchPolicy, joint_actions
from netrollout.dp.mdp import MDP
from netrollout.dp.solve import choose, evaluate_policy, tie_tolerance
from netrollout.rollout.lookahead import q_rollout
from netrollout.types import Enumerable, Ints


class OnlineImprovement(BatchPolicy):
    """One-step rollout that keeps its improvements.

    The decisions depend on the states met before, and lanes share what they learn: run one lane, or one object per
    lane, where that is not wanted.

    Parameters
    ----------
    system : Enumerable
        Gives the state behind an observation and its index.
    mdp : MDP
        The process to plan on.
    base : (S,) int
        The policy to begin with.

    Attributes
    ----------
    table : (S,) int
        The policy so far.
    value : (S,) float64
        Its exact value on `mdp`.
    improvements : int
        Number of times that the policy changed.

    Raises
    ------
    InputError
        If the base does not fit.
    """

    def __init__(self, system: Enumerable, mdp: MDP, base: Ints) -> None:
        self._system, self._mdp, self._joint = system, mdp, joint_actions(system.levels)
        self.table: Ints = np.array(base)
        self.value = evaluate_policy(mdp, self.table).value
        self.improvements = 0

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Improve the policy in the states that are seen and return its actions (B, K)."""
        index = self._system.index(self._system.state_of(observation))
        q = q_rollout(self._mdp, self.value, 1, index)
        better = choose(q, tie_tolerance(self._mdp, self.value), self.table[index])
        if not np.array_equal(better, self.table[index]):
            self.table[index] = better
            self.value = evaluate_policy(self._mdp, self.table).value
            self.improvements += 1
        return self._joint[better], state
