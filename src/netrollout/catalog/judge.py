"""Policies by name, planned on the model and judged on the plant over paired episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netrollout.catalog.policies import make_policy
from netrollout.catalog.registry import context
from netrollout.evaluate import Estimate, bootstrap, simulate
from netrollout.policies import PolicyName
from netrollout.types import Floats

UNITS = {"return": "reward", "mean_reward": "reward/cycle", "violation": "share", "saved": "share", "place": "place",
         "late": "share", "over": "share", "busy": "share", "workers": "workers", "moves": "levels",
         "load": "requests/s", "n_1": "requests", "n_2": "requests", "completed": "tasks", "violations": "tasks",
         "arrivals": "tasks", "queue": "tasks", "qos": "share", "applied": "workers", "requested": "changes",
         **{f"reward_{term}": "reward" for term in ("qos", "backlog", "efficiency", "scaling", "direction", "steady",
                                                    "end")}}  # fmt: skip
HOW = "bootstrap over {n} paired episodes; one policy"


@dataclass(frozen=True)
class Judgement:
    """What a policy brought.

    Attributes
    ----------
    policy : str
        Canonical name.
    returns : (N,) discounted return of every episode
    estimates : dict of Estimate
        ``return``, ``mean_reward``, and the mean of every metric.
    """

    policy: str
    returns: Floats
    estimates: dict[str, Estimate]


def judge(system: str, policies: Sequence[str], options: Mapping[str, str], seeds: int) -> list[Judgement]:
    """Judge each policy on the same episodes, seeds 0 .. seeds - 1.

    Raises
    ------
    InputError
        If a name or an option is unknown; all are checked before anything is planned.
    """
    names = [PolicyName.parse(text) for text in policies]
    worlds = context(system, **options)
    made = [make_policy(name, worlds) for name in names]
    results = []
    for name, policy in zip(names, made, strict=True):
        episodes = simulate(worlds.plant, policy, range(seeds))
        returns = episodes.returns(worlds.plant.discount)
        estimates = {"return": bootstrap(returns), "mean_reward": bootstrap(episodes.mean_rewards())}
        for metric, values in episodes.metrics.items():
            estimates[metric] = bootstrap((values * episodes.alive).sum(axis=1) / episodes.alive.sum(axis=1))
        results.append(Judgement(str(name), returns, estimates))
    return results
