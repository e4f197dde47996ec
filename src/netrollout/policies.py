"""Policies with one `predict`, and the names by which the command line, YAML files and results know them.

Batch letters: B lanes, K action components, A joint actions, S states, M controls.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import BatchPolicy, joint_actions, joint_feasible, sizes
from netrollout.types import Enumerable, Floats, InputError, Ints, System

SHAPE = "NAME, NAME(key=value, ...) or NAME(POLICY, key=value, ...)"
BARE = re.compile(r"=\s*([^\s'\"(),=]+)")  # a value that needs no quotes


class RandomPolicy(BatchPolicy):
    """Chooses uniformly among the feasible joint actions.

    Parameters
    ----------
    system : System
    rng : numpy.random.Generator
        The policy's own stream.
    """

    def __init__(self, system: System, rng: np.random.Generator) -> None:
        self._system, self._rng = system, rng
        self._ends = np.cumsum(sizes(system.levels))[:-1]

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return random feasible actions (B, K)."""
        mask = action_masks if action_masks is not None else self._system.feasible(self._system.state_of(observation))
        allowed = np.asarray(mask, dtype=bool)  # component by component, so a uniform choice in each is one over all
        ranks = np.where(allowed, self._rng.random(allowed.shape), -1.0)
        return np.stack([part.argmax(axis=1) for part in np.split(ranks, self._ends, axis=1)], axis=1), state


class TablePolicy(BatchPolicy):
    """Looks its action up by state.

    Parameters
    ----------
    system : Enumerable
        Gives the state behind an observation and its index.
    table : (S,) int
        Joint action of every state, a row of `batch.joint_actions`.
    q : (S, A), optional
        Q-factors that the table was chosen by, where they are not those of the table itself.
    """

    def __init__(self, system: Enumerable, table: Ints, q: Floats | None = None) -> None:
        if np.shape(table) != (system.n_states,):
            raise InputError(f"{system.name}: a policy table of shape {np.shape(table)}; expected ({system.n_states},)")
        self.table, self.q = np.asarray(table), q
        self._system = system
        self._joint = joint_actions(system.levels)

    def act(self, observation: NDArray[Any], state: Any, episode_start: Any, action_masks: Any) -> tuple[Ints, Any]:
        """Return the tabulated actions (B, K)."""
        index = self._system.index(self._system.state_of(observation))
        return self._joint[self.table[index]], state


def random_table(system: Enumerable) -> Floats:
    """Return the random policy as probabilities (S, A), for exact evaluation."""
    allowed = joint_feasible(system.feasible(system.states()), system.levels)
    law: Floats = allowed / allowed.sum(axis=1, keepdims=True)
    return law


@dataclass(frozen=True)
class PolicyName:
    """A policy's name, parsed by Python's own grammar of calls.

    A plain name may carry options, ``static(p=0.6,c=2)``; a combinator wraps another name and may carry options after
    it, ``rollout(ppo, lookahead=2, terminal=zero)``.  A value with a comma, a space or a parenthesis stands in quotes.
    `str` prints the canonical form, which parses to the same name.  What there is of each name is said by
    `netrollout.makers`.

    Parameters
    ----------
    head : str
    inner : PolicyName or None
        What a combinator wraps.
    options : tuple of (str, str)
    """

    head: str
    inner: PolicyName | None = None
    options: tuple[tuple[str, str], ...] = field(default=())

    def __str__(self) -> str:
        """Print the canonical form."""
        inside = [str(self.inner)] if self.inner else []
        inside += [f"{key}={value if BARE.fullmatch('=' + value) else repr(value)}" for key, value in self.options]
        separator = ", " if self.inner else ","
        return f"{self.head}({separator.join(inside)})" if inside else self.head

    @classmethod
    def parse(cls, text: str) -> PolicyName:
        """Parse a name.

        Raises
        ------
        InputError
            If it is not written as one, or an option is given twice.
        """
        try:
            tree = ast.parse(BARE.sub(lambda match: f"={match[1]!r}", text.strip()), mode="eval")
            return cls._of(tree.body)
        except SyntaxError as error:
            raise InputError(f"policy {text!r}: {error.msg}; expected {SHAPE}") from None
        except (MemoryError, RecursionError):
            raise InputError(f"policy {text[:60]!r}..: nested too deeply; expected {SHAPE}") from None
        except ValueError as error:
            raise InputError(f"policy {text!r}: {error or 'something else'}; expected {SHAPE}") from None

    @classmethod
    def _of(cls, node: ast.expr) -> PolicyName:
        call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
        if not isinstance(call.func, ast.Name):
            raise ValueError(f"{ast.unparse(node)!r} is no name")
        if len(call.args) > 1:
            raise ValueError(f"{ast.unparse(call.args[1])!r} is not an option; options read key=value")
        keys = [word.arg or "**" for word in call.keywords]
        if len(set(keys)) < len(keys):
            raise ValueError("an option is given twice")
        values = [str(ast.literal_eval(word.value)) for word in call.keywords]
        inner = cls._of(call.args[0]) if call.args else None
        return cls(call.func.id, inner, tuple(zip(keys, values, strict=True)))
