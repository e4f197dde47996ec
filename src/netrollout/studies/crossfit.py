"""Planning on a learned model against the best static setting, learned and judged on different visits.

Halves of the configurations are drawn. A forest on half A plans, a forest on half B judges, and the other way round.
The optimum of a judge over 1296 noisy predictions is too good to be true (the winner's curse); the cross-fitted oracle
picks on three quarters of the configurations and is valued by the fourth.

Letters: L loads, A = 1296 actions, K random splits, P = 16 pairs of the seen loads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from netrollout.seeding import SEEDS, spawn
from netrollout.studies.bandit import (
    CREDITS,
    SEEN,
    Credit,
    Pattern,
    Windows,
    credited_means,
    expected,
    learn,
    one_line_rule,
    quarters,
)
from netrollout.studies.objectives import OBJECTIVES
from netrollout.types import Bools, Floats

PARTS = ((0, 1), (2, 3), (0,), (1,), (2,), (3,))  # quarters that each of the six forests of a split learns from
SIDES = ((0, 1, 4, 5), (1, 0, 2, 3))  # forests: plan, judge, the judge's quarters
Policies = dict[str, Floats]  # policy -> reward (L,) of one split, (K, L) of all


@dataclass(frozen=True)
class Study:
    """What cross-fitting found.

    Attributes
    ----------
    judged : (objective, credit, pattern) -> policy -> (K, L) reward expected by the judge
    raw : (objective, credit) -> policy -> (K, P) mean reward of the held-out windows themselves
    """

    judged: dict[tuple[str, Credit, str], Policies]
    raw: dict[tuple[str, Credit], Policies]


def cross_fit(
    windows: Windows, patterns: dict[str, Pattern], splits: int, trees: int = 120, min_leaf: int = 5, seed: int = 0
) -> Study:
    """Compare the policies over random halves of the configurations.

    Policies: `random`; `static`, the best constant action of the plan; `rule`, see `one_line_rule`; `published`, what
    the published policy did at that load; `planned`, the plan's best action load by load; `optimum`, the judge's
    largest prediction. `oracle` is cross-fitted: a quarter of the data values picks made on the other three; its gain
    over `static`, by that quarter, is added to the judge's value of `static`, so that a forest on fewer windows, which
    smooths more, is compared with itself only. `oracle, by itself` has the gain that the picking forests promise.
    On raw windows `static` and `planned` choose among the configurations that the plan has not seen, and `informed` is
    picked by the judge's forest, which has seen these windows.

    Parameters
    ----------
    patterns : name -> Pattern; `seen` must be there and hold the loads `SEEN`
    splits : K
    """
    one: list[Study] = [_split(windows, patterns, k, trees, min_leaf, seed) for k in range(splits)]
    judged = {key: _gather(np.stack, [study.judged[key] for study in one]) for key in one[0].judged}
    raw = {key: _gather(np.stack, [study.raw[key] for study in one]) for key in one[0].raw}
    return Study(judged, raw)


def _split(windows: Windows, patterns: dict[str, Pattern], k: int, trees: int, min_leaf: int, seed: int) -> Study:
    """Return the study of split k alone, its arrays without the axis K."""
    quarter = quarters(seed, k)
    forests = [
        learn(
            windows,
            np.isin(quarter[windows.action], part),
            trees,
            min_leaf,
            int(spawn(seed, "forest", k, i).integers(SEEDS)),
        )
        for i, part in enumerate(PARTS)
    ]
    study = Study({}, {})
    for name, pattern in patterns.items():
        tables = [expected(forest, pattern.loads) for forest in forests]
        for objective in OBJECTIVES:
            for credit in CREDITS:
                reward = [objective.reward(table[credit]) for table in tables]
                sides = [_judge([reward[i] for i in side], pattern) for side in SIDES]
                study.judged[objective.name, credit, name] = _gather(_mean, sides)
                if name == "seen":
                    measured = credited_means(windows, objective, credit)
                    study.raw[objective.name, credit] = _raw(measured, reward[:2], quarter >= 2, pattern)
    return study


def _judge(tables: list[Floats], pattern: Pattern) -> Policies:
    """Return the judge's reward (L,) of every policy; tables (L, A) of the plan, the judge and the judge's quarters."""
    plan, judge, first, second = tables
    rows = np.arange(len(judge))
    static = plan.mean(axis=0).argmax()
    gains, promised = [], []
    for quarter, other in ((first, second), (second, first)):
        known = (2 * plan + quarter) / 3  # three of the four quarters; the last one values
        picks = known.argmax(axis=1)
        gains.append(other[rows, picks] - other[:, static])
        promised.append(known[rows, picks] - known[:, static])
    return {
        "random": judge.mean(axis=1),
        "static": judge[:, static],
        "rule": judge[rows, one_line_rule(pattern.loads)],
        "published": judge[rows, pattern.published],
        "planned": judge[rows, plan.argmax(axis=1)],
        "oracle": judge[:, static] + _mean(gains),
        "oracle, by itself": judge[:, static] + _mean(promised),
        "optimum": judge.max(axis=1),
    }


def _raw(measured: Floats, halves: list[Floats], in_b: Bools, seen: Pattern) -> Policies:
    """Return the mean reward (P,) of the windows in which a policy's action was measured.

    Parameters
    ----------
    measured : (P, A) mean reward of the windows
    halves : tables (P, A) of the forests on half A and on half B
    in_b : (A,)
    """
    rows = np.arange(len(SEEN))
    sides: list[Policies] = []
    for plan, judge, held in ((*halves, in_b), (*halves[::-1], ~in_b)):
        allowed, informed = np.where(held, plan, -np.inf), np.where(held, judge, -np.inf)
        sides.append(
            {
                "static": measured[:, allowed.mean(axis=0).argmax()],
                "planned": measured[rows, allowed.argmax(axis=1)],
                "informed": measured[rows, informed.argmax(axis=1)],
            }
        )
    # What does not depend on the split is read from the whole trace: every action was measured in one of its halves.
    fixed = {"rule": measured[rows, one_line_rule(SEEN)], "published": measured[rows, seen.published]}
    return {"random": measured.mean(axis=1)} | fixed | _gather(_mean, sides)


def _mean(arrays: list[Floats]) -> Floats:
    mean: Floats = np.mean(arrays, axis=0)
    return mean


def _gather(join: Callable[[list[Floats]], Floats], parts: list[Policies]) -> Policies:
    return {name: join([part[name] for part in parts]) for name in parts[0]}
