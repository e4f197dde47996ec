"""Real-time priority: the testbed measures the same on a busy machine as on a quiet one.

Under `SCHED_FIFO` the processes of the mesh run before all ordinary work, so that other work beside a measurement
changes nothing (tests/testbed/test_priority.py measures that).  It needs root or CAP_SYS_NICE; where it may not be had
the testbed runs at normal priority, and says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from netrollout.types import InputError

Priority = Literal["realtime", "normal"]
LEVEL = 10  # of SCHED_FIFO, 1 to 99; kernel threads run far above


def may_be_had() -> bool:
    """Return whether this process may run under real-time priority."""
    with held("realtime") as got:
        return got == "realtime"


def obtained(wanted: str) -> Priority:
    """Return the priority that a mesh gets: the one wanted, or normal where real time may not be had.

    Raises
    ------
    InputError
        If there is no such priority.
    """
    if wanted not in get_args(Priority):
        raise InputError(f"priority {wanted!r} must be one of {', '.join(get_args(Priority))}")
    return "realtime" if wanted == "realtime" and may_be_had() else "normal"


def take_priority(priority: Priority) -> None:
    """Let the calling thread, and the processes that it starts from now on, run at this priority."""
    if priority == "realtime":
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(LEVEL))


@contextmanager
def held(priority: Priority) -> Iterator[Priority]:
    """Run the calling thread at this priority for a while; yields the one that it got."""
    if not hasattr(os, "sched_setscheduler"):
        yield "normal"
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        take_priority(priority)
    except PermissionError:
        priority = "normal"
    try:
        yield priority
    finally:
        if priority == "realtime":
            os.sched_setscheduler(0, *before)


def described(priority: Priority) -> str:
    """Return a priority as the headers of traces and logs give it."""
    return f"realtime (SCHED_FIFO {LEVEL})" if priority == "realtime" else "normal"
