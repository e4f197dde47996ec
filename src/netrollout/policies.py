"""Policies with one `predict`, and the names by which the command line, YAML files and results know them.

Batch letters: B lanes, K action components, A joint actions, S states, M controls.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import BatchPolicy, joint_actions, joint_feasible, joint_index, sizes
from netrollout.places import near
from netrollout.systems.mesh import Mesh
from netrollout.types import Enumerable, Floats, InputError, Ints, System

PLAIN = ("random", "static", "greedy", "reactive", "hpa", "keda", "sqrt", "up", "optimal", "sarsa", "qlearning", "dqn",
         "ppo", "oracle", "predictive", "hold")  # fmt: skip
COMBINATORS = ("rollout", "multiagent", "walk", "retrain")
OPTIONS = {
    "static": None,  # any control may be named
    "reactive": {"rule"},
    "hpa": {"target", "tolerance", "window", "p", "tuned"},
    "keda": {"target", "window"},
    "sqrt": {"waiting"},
    "sarsa": {"episodes", "seed", "published", "file"},
    "qlearning": {"episodes", "seed", "published", "file"},
    "dqn": {"steps", "seed", "published", "file"},
    "ppo": {"steps", "seed", "file"},
    "rollout": {"lookahead", "terminal", "horizon", "samples", "model", "select", "halving"},
    "multiagent": {"terminal", "horizon", "samples"},
    "retrain": {"warm"},
}


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
    """

    def __init__(self, system: Enumerable, table: Ints) -> None:
        if np.shape(table) != (system.n_states,):
            raise InputError(f"{system.name}: a policy table of shape {np.shape(table)}; expected ({system.n_states},)")
        self.table = np.asarray(table)
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


def hold_table(mesh: Mesh, setting: Ints) -> Ints:
    """Return the table (S,) that moves every control one level a cycle towards `setting` and holds it there.

    Parameters
    ----------
    mesh : Mesh
    setting : (M,) int
        Target level of each control, or (S, M) one target per state.
    """
    move = np.sign(np.asarray(setting) - mesh.states().setting) + 1
    return joint_index(move.astype(np.int64), mesh.levels)


@dataclass(frozen=True)
class PolicyName:
    """A policy's name, parsed.

    A plain name may carry options, ``static(p=0.6,c=2)``; a combinator wraps another name and may carry options after
    it, ``rollout(ppo, lookahead=2, terminal=zero)``.  `str` prints the canonical form, which parses to the same name.

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
        inside += [f"{key}={value}" for key, value in self.options]
        separator = ", " if self.inner else ","
        return f"{self.head}({separator.join(inside)})" if inside else self.head

    def option(self, key: str, default: str) -> str:
        """Return an option's text, or the default."""
        return dict(self.options).get(key, default)

    @classmethod
    def parse(cls, text: str) -> PolicyName:
        """Parse a name.

        Raises
        ------
        InputError
            If the parentheses do not match, a name or an option is unknown (near ones are suggested), a combinator has
            nothing to wrap, or a plain name wraps something.
        """
        match = re.fullmatch(r"\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*", text, flags=re.DOTALL)
        if not match:
            raise InputError(
                f"policy {text!r}: expected NAME, NAME(key=value,...) or COMBINATOR(POLICY, key=value,...)"
            )
        head, body = match.group(1), match.group(2)
        if head not in PLAIN + COMBINATORS:
            raise InputError(f"unknown policy {head!r}; {near(head, PLAIN + COMBINATORS)}")
        parts = _split(body, text) if body is not None else []
        inner = None
        if head in COMBINATORS:
            if not parts or _is_option(parts[0]):
                raise InputError(f"policy {text!r}: {head} needs a policy to act on, such as {head}(static)")
            inner = cls.parse(parts.pop(0))
        if head == "walk" and str(inner) != "static":
            raise InputError(f"policy {text!r}: walk acts on static only: walk(static)")
        options = tuple(_option(part, head, text) for part in parts)
        if len({key for key, _ in options}) != len(options):
            raise InputError(f"policy {text!r}: an option is given twice")
        return cls(head, inner, options)


def _split(body: str, text: str) -> list[str]:
    """Split at the commas outside parentheses."""
    parts, depth, last = [], 0, 0
    for i, character in enumerate(body):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
        if character == "," and depth == 0:
            parts.append(body[last:i])
            last = i + 1
    if depth != 0:
        raise InputError(f"policy {text!r}: the parentheses do not match")
    parts.append(body[last:])
    if any(not part.strip() for part in parts):
        raise InputError(f"policy {text!r}: something is missing between parentheses or commas")
    return [part.strip() for part in parts]


def _is_option(part: str) -> bool:
    return re.match(r"[\w ]+=", part) is not None


def _option(part: str, head: str, text: str) -> tuple[str, str]:
    if not _is_option(part):
        raise InputError(f"policy {text!r}: {part!r} is not an option; options read key=value")
    key, value = (piece.strip() for piece in part.split("=", 1))
    if not value:
        raise InputError(f"policy {text!r}: {key}= has no value; give one, or leave it out")
    known = OPTIONS.get(head, set())
    if known is not None and key not in known:
        raise InputError(
            f"policy {text!r}: {head} has no option {key!r}; {near(key, sorted(known)) if known else 'it takes none'}"
        )
    return key, value
