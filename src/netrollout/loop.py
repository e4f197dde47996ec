"""Closed loops by name: a scenario's worlds, its controllers, its plants, and what is logged and shown of a cycle."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import netrollout.systems  # noqa: F401  (its families register themselves)
from netrollout.adapt import Controller, Plant, Record, Relearner
from netrollout.family import families, family_of
from netrollout.makers import Worlds, make_policy, resolved
from netrollout.models.drift import Detector, make_detector
from netrollout.policies import PolicyName
from netrollout.types import InputError, Policy


@dataclass(frozen=True, eq=False)
class ClosedLoop:
    """The worlds of a closed loop; a room's part ``loops`` makes one of a name.

    Attributes
    ----------
    name : str
    model : System
        What the controller knows, from before the change.
    before, after : System
        The plant.
    words : mapping
        Short name of a policy -> its name.
    cycles, change_at : int
        Of a run, where nobody says otherwise.
    detector : (str, float)
        Name and setting of what listens to each stream of residuals.
    told : mapping
        Short name -> what its policy is planned on before and after the change, in place of the newest model.
    kinds : mapping
        What a resumed run reads of a log's cycle, see `netrollout.adapt.Journal`.
    columns : tuple of str
        What is shown of a cycle; the last is what happened.
    """

    name: str
    model: Any
    before: Any
    after: Any
    words: Mapping[str, str]
    cycles: int
    change_at: int

    detector: ClassVar[tuple[str, float]]
    told: ClassVar[Mapping[str, tuple[str, str]]] = {}
    kinds: ClassVar[Mapping[str, Any]] = {"action": list}
    columns: ClassVar[tuple[str, ...]]

    def header(self) -> dict[str, Any]:
        """Return what a log's reader needs beyond the loop's name: nothing."""
        return {}

    def controller(self, policy: str, explore: str = "none", seed: int = 0, change_at: int = 0) -> Controller:
        """Return a fresh controller.

        Parameters
        ----------
        policy : str
            A word of the room's module, or a policy's name.
        explore : str
            Only ``none``, where a room says nothing else.
        seed : int
            Of simulated paths.
        change_at : int
            Cycle of the change, which only oracles are told.

        Raises
        ------
        InputError
            If a name is unknown, or a policy cannot explore as it is to.
        """
        if explore != "none":
            raise InputError(f"scenario {self.name} has no exploration")
        name, told = self.meant(policy, change_at)
        learner, seeds = self.relearner(policy), self.seeds(seed)

        def plan(model: Any, cycle: int) -> Policy:
            return make_policy(name, Worlds(self.model, model, self.before, next(seeds)))

        return Controller(learner, self.detectors(learner), plan, told)

    def meant(self, policy: str, change_at: int) -> tuple[PolicyName, Callable[[int], Any] | None]:
        """Return the name of a policy, and what tells it the model of a cycle; None where it is the newest one.

        A policy that acts on no other is made once: what it is made on never moves.
        """
        name = PolicyName.parse(self.words.get(policy, policy))
        resolved(name, family_of(self.model))
        worlds = self.told.get(policy) if policy in self.words else None
        if worlds is None and (name.inner or name.head == "lookahead"):
            return name, None
        early, late = worlds or ("model", "model")
        return name, lambda cycle: getattr(self, late if cycle >= change_at else early)

    def detectors(self, learner: Relearner) -> list[Detector]:
        """Return a detector for each stream of residuals."""
        return [make_detector(*self.detector) for _ in learner.streams]

    def seeds(self, seed: int) -> Iterator[int]:
        """Yield the seed of each plan."""
        return itertools.repeat(seed)

    def relearner(self, policy: str) -> Relearner:
        """Return what relearns the model for a policy."""
        raise NotImplementedError

    def prepare(self, controller: Controller) -> None:
        """Plan ahead what no cycle of a live run may wait for: nothing."""

    def simulated(self, change_at: int, seed: int) -> Plant:
        """Return the simulated plant of a run."""
        raise NotImplementedError

    def recorded(self) -> Plant:
        """Return the windows of a trace as a plant.

        Raises
        ------
        InputError
            If no trace has it.
        """
        raise InputError(f"scenario {self.name} is played on the simulator only")

    def live(self, change_at: int, seed: int, cycle: int = 0, window: Any = None, **options: Any) -> Any:
        """Return the live plant, a context manager, or that of a run which is resumed at a cycle after a window.

        `options` are `foreign_limit` and `priority` of the live plant.

        Raises
        ------
        InputError
            If there is none.
        """
        raise InputError(f"scenario {self.name} is played on the simulator only")

    def line(self, record: Record, controller: Controller) -> dict[str, Any]:
        """Return a cycle as a log keeps it."""
        raise NotImplementedError

    def window(self, line: dict[str, Any]) -> Any:
        """Return the window of a logged cycle; nothing where a resumed run plays its actions again."""

    def cells(self, record: Record, controller: Controller) -> list[str]:
        """Return what is shown of a cycle, in the order of `columns`, but for the last: what happened."""
        raise NotImplementedError


def make_loop(name: str, seed: int = 0, refit: int | None = None) -> Any:
    """Return the worlds of a closed loop, a `ClosedLoop`.

    Parameters
    ----------
    name : str
        Of a loop that a family declares.
    seed, refit
        Number of the log that the model from before the change is learned from.

    Raises
    ------
    InputError
        If there is no such loop.
    """
    for family in families():
        if name in family.loops:
            return family.part("loops").make_loop(name, seed, refit)
    known = [loop for family in families() for loop in family.loops]
    raise InputError(f"unknown scenario {name!r} of the closed loop; known: {', '.join(known)}")
