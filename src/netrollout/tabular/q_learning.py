"""Q(lambda) of Watkins: learn the values of the greedy policy while another one explores.

With traces e (see `netrollout.tabular.traces`) and action a' chosen in s'::

    delta = r + gamma max_a q(s', a) - q(s, a)    the second term is 0 where the episode has ended in s'
    q    += alpha delta e
    e    *= gamma lambda  if a' is greedy, else 0: what comes after exploring says nothing about the greedy policy

Source: Sutton & Barto, *Reinforcement Learning*, 2nd edition, section 12.10, for a table; Watkins 1989.
"""

from __future__ import annotations

from netrollout.types import Floats


def follow(row: Floats, action: int) -> tuple[float, bool]:
    """Return the value of going on greedily in a state with the values `row` (A,), and whether `action` does so."""
    best = float(row.max())
    return best, bool(row[action] == best)
