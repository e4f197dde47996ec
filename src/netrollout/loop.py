"""Closed loops by name: a scenario's worlds, its controllers, its plants, and what is logged and shown of a cycle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import netrollout.systems  # noqa: F401  (its families register themselves)
from netrollout.adapt import Controller, Plant, Record
from netrollout.family import families
from netrollout.types import InputError


class ClosedLoop(Protocol):
    """What a room's part ``loops`` makes of a name.

    Attributes
    ----------
    name : str
    model : System
        What the controller knows, from before the change.
    cycles, change_at : int
        Of a run, where nobody says otherwise.
    kinds : mapping
        What a resumed run reads of a log's cycle, see `netrollout.adapt.Journal`.
    columns : tuple of str
        What is shown of a cycle; the last is what happened.
    """

    name: str
    model: Any
    cycles: int
    change_at: int
    kinds: Mapping[str, Any]
    columns: tuple[str, ...]

    def header(self) -> dict[str, Any]:
        """Return what a log's reader needs to judge it."""

    def controller(self, policy: str, explore: str = "none", seed: int = 0, change_at: int = 0) -> Controller:
        """Return a fresh controller, see `netrollout.systems.mesh.loops.Loop.controller`."""

    def simulated(self, change_at: int, seed: int) -> Plant:
        """Return the simulated plant."""

    def recorded(self) -> Plant:
        """Return the windows of a trace as a plant."""

    def live(self, change_at: int, seed: int, cycle: int = 0, window: Any = None, **options: Any) -> Any:
        """Return the live plant, a context manager, or that of a run which is resumed after a window."""

    def line(self, record: Record, controller: Controller) -> dict[str, Any]:
        """Return a cycle as a log keeps it."""

    def window(self, line: dict[str, Any]) -> Any:
        """Return the window of a logged cycle."""

    def cells(self, record: Record, controller: Controller) -> list[str]:
        """Return what is shown of a cycle, but for what happened."""


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
