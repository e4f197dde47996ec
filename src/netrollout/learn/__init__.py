"""Learners: one table of algorithms, one way of training in segments, one form of file.

``train(system, "ppo")`` returns a policy, `save` and `load` keep it; `learner` and `learning_curve` train in segments,
with a judgement and a checkpoint after each.  Networks need torch and Stable-Baselines3, which load when they are asked
for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netrollout.batch import joint_index
from netrollout.learn.bins import Bins, bins_of
from netrollout.learn.config import Identity, Recipe, algorithms, canonical, recipe
from netrollout.learn.run import Curve, Learner, greedy_returns, learning_curve
from netrollout.learn.saved import load, save
from netrollout.learn.table import LearnedTable, TableRun
from netrollout.types import Enumerable, InputError, Ints, Policy, System

if TYPE_CHECKING:
    from netrollout.learn.network import NetworkPolicy, NetworkRun

__all__ = [
    "Bins",
    "Curve",
    "Identity",
    "LearnedTable",
    "Learner",
    "Recipe",
    "TableRun",
    "algorithms",
    "bins_of",
    "canonical",
    "greedy_returns",
    "learner",
    "learning_curve",
    "load",
    "practice",
    "recipe",
    "save",
    "tabulate",
    "train",
]  # fmt: skip


def learner(
    system: System,
    algorithm: str,
    seed: int = 0,
    variant: str | None = None,
    *,
    warm: LearnedTable | NetworkPolicy | None = None,
    fresh: bool = True,
    bins: Bins | None = None,
    **settings: Any,
) -> TableRun | NetworkRun:
    """Return a training that has not begun, for `learning_curve`.

    Parameters
    ----------
    system : System
        Usually a learned model, or what it says to `practice` on.
    algorithm : str
        One of `algorithms`.
    seed : int
    variant : str, optional
        Named settings, such as ``published``.
    warm, fresh
        Of networks: see `netrollout.learn.network.NetworkRun`.
    bins : Bins, optional
        Of tables: see `bins_of`.
    **settings
        Single settings (``algorithms.yml``).

    Raises
    ------
    InputError
        If a name or a setting is not known, or a setting has no meaning.
    """
    chosen = recipe(algorithm, system, variant, **settings)
    if chosen.kind == "table":
        if warm is not None:
            raise InputError(f"{chosen.name} has no weights to start warm from")
        return TableRun(system, chosen, seed, bins)
    from netrollout.learn.network import NetworkRun  # torch loads for seconds: only where it is needed

    return NetworkRun(system, chosen, seed, warm, fresh)


def train(
    system: System,
    algorithm: str = "ppo",
    length: int | None = None,
    seed: int = 0,
    variant: str | None = None,
    *,
    warm: LearnedTable | NetworkPolicy | None = None,
    bins: Bins | None = None,
    **settings: Any,
) -> LearnedTable | NetworkPolicy:
    """Train a policy on a system, in one piece.

    Parameters
    ----------
    length : int, optional
        Steps or episodes, rounded up to what the algorithm takes at once; its own default where None.
    system, algorithm, seed, variant, warm, bins, **settings
        As in `learner`.

    Raises
    ------
    InputError
        If the length is not positive, and as `learner`.

    Examples
    --------
    >>> import netrollout
    >>> walk = netrollout.make("walk")
    >>> policy = netrollout.train(walk, "q-learning", 50, seed=1)  # episodes
    >>> policy.predict(walk.observe(walk.states()))[0].tolist()  # what it does in each state
    [[2], [1]]
    """
    chosen = recipe(algorithm, system, variant)
    total = chosen.length if length is None else length
    if total < 1:
        raise InputError(f"{chosen.unit} {total}; expected 1 or more")
    whole = chosen.name != "ppo"  # recorded results of PPO come from a training in one piece
    made = learner(system, algorithm, seed, variant, warm=warm, fresh=whole, bins=bins, **settings)
    made.advance(total)
    return made.policy()


def practice(model: Any) -> Any:
    """Return where a learner exercises: the log that the model was learned from, where it keeps one, else the model."""
    return getattr(model, "log", model)


def tabulate(policy: Policy, system: Enumerable) -> Ints:
    """Return what a policy without memory does in every state, (S,) joint actions, by one call."""
    x = system.states()
    actions, _ = policy.predict(system.observe(x), deterministic=True, action_masks=system.feasible(x))
    return joint_index(actions.reshape(-1, len(system.levels)), system.levels)
