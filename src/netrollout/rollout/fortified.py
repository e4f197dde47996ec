"""Fortified rollout by simulation: the best plan found so far is kept until a better one is found.

Where a base policy is not consistent (it has a limited horizon, or a memory), plain rollout may leave a good path for
one that turns out worse.  Fortified rollout remembers the tentative best path and follows it unless a new path is
better (Bertsekas 2021, chapter 2, the fortified rollout algorithm).  On a deterministic system whose model is right and
whose end lies within the horizon, no less is earned than the first plan promised, and so no less than the base policy's
first path; elsewhere the plan is an open-loop one, and this is a heuristic.

Batch letters: B lanes, C candidates, P pairs of a lane and a candidate, T = m + 1 steps, K action components.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout import batch
from netrollout.batch import BatchPolicy
from netrollout.rollout.candidates import Candidates, every_action
from netrollout.rollout.truncated import Terminal, feasible_actions, take_memory
from netrollout.types import Floats, InputError, Ints, Policy, State, System


class FortifiedRollout(BatchPolicy):
    """Rollout on a deterministic model that keeps its best plan.

    Its memory holds the base policy's memory and the plan (B, T - 1, K) of every lane.

    Parameters
    ----------
    system : System
        The model to plan on; the state must be visible (`state_of`).  One disturbance is drawn for all paths.
    base : Policy
    rng : numpy.random.Generator
        The policy's own stream.
    horizon : int
        Steps m of the base policy after the candidate action, 0 or more.
    terminal : callable, optional
        From a state of L lanes to values (L,); zero where None.
    candidates : callable
        Which actions to compare: see `netrollout.rollout.candidates`.

    Raises
    ------
    InputError
        If the horizon is negative.
    """

    def __init__(
        self,
        system: System,
        base: Policy,
        rng: np.random.Generator,
        horizon: int,
        terminal: Terminal | None = None,
        candidates: Candidates = every_action,
    ) -> None:
        if horizon < 0:
            raise InputError(f"horizon {horizon}: expected at least 0 steps")
        self._system, self._base, self._rng, self._horizon = system, base, rng, horizon
        self._terminal, self._candidates = terminal, candidates

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return the first actions (B, K) of the best plans, and the memory with what is left of them."""
        before, plan = (None, None) if state is None else state
        u, memory = self._base.predict(observation, before, episode_start, deterministic=True)
        x, u = self._system.state_of(observation), np.asarray(u)
        actions = np.concatenate([u[:, None], self._candidates(self._system, x, u, self._rng)], axis=1)
        valid = feasible_actions(self._system, x, actions)
        valid[:, 0] = True
        w = self._system.disturbance(self._rng, (self._horizon + 1, len(u)))
        lane, candidate = np.nonzero(valid)
        first = actions[lane, candidate][:, None]
        value, path = self._follow(batch.take(x, lane), first, w[:, lane], take_memory(memory, lane))
        table = np.full(valid.shape, -np.inf)
        table[valid] = value
        chosen = np.cumsum(valid, axis=1)[np.arange(len(u)), table.argmax(axis=1)] - 1
        chosen += np.concatenate([[0], np.cumsum(valid.sum(axis=1))[:-1]])
        best = path[chosen]
        if plan is not None and self._horizon:
            kept_value, kept = self._follow(x, plan, w, memory)
            keep = kept_value >= value[chosen]
            if episode_start is not None:
                keep &= ~np.asarray(episode_start, dtype=bool)
            best = np.where(keep[:, None, None], kept, best)
        return best[:, 0], (memory, best[:, 1:])

    def _follow(self, x: State, plan: Ints, w: Floats, memory: Any) -> tuple[Floats, Ints]:
        """Run a plan (P, t, K) and then the base policy; returns (P,) and the whole path of actions (P, T, K)."""
        alive, total, factor, path = np.ones(len(plan)), np.zeros(len(plan)), 1.0, []
        for t in range(len(w)):
            if t:
                u, memory = self._base.predict(
                    self._system.observe(x), memory, np.zeros(len(plan), dtype=bool), deterministic=True
                )
            if t < plan.shape[1]:
                u = plan[:, t]
            step = self._system.transition(x, u, w[t])
            path.append(u)
            total += factor * alive * step.reward
            alive = alive * ~step.terminated
            x = step.state if alive.all() else batch.where(alive > 0.0, step.state, x)
            factor *= self._system.discount
        if self._terminal is not None:
            total += factor * np.where(alive > 0.0, self._terminal(x), 0.0)
        return total, np.stack(path, axis=1)
