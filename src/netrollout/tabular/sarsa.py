"""SARSA(lambda): learn the values of the policy that is followed, with its exploring.

With traces e (see `netrollout.tabular.traces`) and action a' chosen in s'::

    delta = r + gamma q(s', a') - q(s, a)         the second term is 0 where the episode has ended in s'
    q    += alpha delta e
    e    *= gamma lambda

Source: Sutton & Barto, *Reinforcement Learning*, 2nd edition, section 12.7, for a table.
"""

from __future__ import annotations

from netrollout.types import Floats


def follow(row: Floats, action: int) -> tuple[float, bool]:
    """Return the value of going on with an action whose state has the values `row` (A,), and whether traces live on."""
    return float(row[action]), True
