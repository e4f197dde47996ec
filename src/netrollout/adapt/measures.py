"""What a run was worth, all on one clock: cycles since the change.

The same measures serve simulated and live runs.  Letters: T cycles since the change.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from netrollout.types import Bools, Floats

STREAK = 10  # cycles over which a recovery must hold
SHARE = 0.8  # of the optimum's gain over the resting state that counts as recovered


class Worth(NamedTuple):
    """A run after its change.

    Attributes
    ----------
    reward : mean reward per cycle
    late : share of windows over a bound
    recovery : cycles from the change until the system has recovered; T where it did not
    lost : reward given away between the change and the recovery, against the reference
    """

    reward: float
    late: float
    recovery: float
    lost: float


def worth(reward: Floats, late: Bools, floor: float, reference: float) -> Worth:
    """Return the measures of a run.

    Recovered means: from that cycle on, over `STREAK` cycles (or those that are left), the mean reward is at least
    the floor plus `SHARE` of what the reference earns more.

    Parameters
    ----------
    reward : (T,) float64
        Of every cycle since the change; expected rewards in a simulator, measured ones on the testbed.
    late : (T,) bool
        Whether a window was over a bound.
    floor : float
        Reward per cycle if nothing is adapted.
    reference : float
        Reward per cycle in the best place.
    """
    recovery = recovered(reward, floor + SHARE * (reference - floor))
    lost = float(np.sum(reference - reward[:recovery]))
    return Worth(float(reward.mean()), float(late.mean()), float(recovery), lost)


def recovered(reward: Floats, level: float) -> int:
    """Return the first cycle from which the mean of the next `STREAK` rewards is at least `level`; T if there is none.

    A streak that the end cuts short counts with at least half of its cycles.
    """
    for t in range(len(reward) - STREAK // 2 + 1):
        if reward[t : t + STREAK].mean() >= level and reward[t] >= level:
            return t
    return len(reward)


def recovered_bound(d: Floats, bound: float, streak: int = 5) -> int:
    """Return the first cycle from which the mean of `streak` response times d (T,), s, is within a bound; T if none."""
    for t in range(len(d) - streak + 1):
        if np.nanmean(d[t : t + streak]) <= bound:
            return t
    return len(d)


def fraction(policy: Floats, base: Floats, optimum: Floats) -> float:
    """Return the share of the gain of the optimum over the base that a policy reaches, from sums of rewards.

    The ratio of means, not the mean of ratios: a world in which there is nothing to gain then counts for nothing.
    """
    return float((policy - base).mean() / (optimum - base).mean())
