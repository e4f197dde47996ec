"""The published edge environment by name: its settings are the options."""

from __future__ import annotations

from typing import Literal

from netrollout.systems.edge_published.dynamics import Published


def plant(
    *,
    profile: Literal["A", "B"] = "A",
    zero: Literal["off", "keep"] = "off",
    signal: Literal["interval", "cumulative"] = "interval",
    times: int = 4,
    reset: int = 0,
) -> Published:
    """Return the environment with settings of `Published`."""
    return Published(profile, zero, signal, times, reset)
