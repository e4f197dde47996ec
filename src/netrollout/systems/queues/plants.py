"""Plants of the queues in the control cycle, their windows, and how a log keeps these.

A plant answers an action with a `QueueWindow`: `SimulatedQueues` here, of S4 or of S5, and
`netrollout.testbed.live.LiveDay`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netrollout.adapt.cycle import Changing
from netrollout.seeding import spawn
from netrollout.systems.queues.dynamics import QueueMesh, QueueState
from netrollout.types import Floats, InputError, Ints, Step


@dataclass(frozen=True)
class QueueWindow:
    """What one cycle measured.

    Attributes
    ----------
    setting : (2,) levels of p and c in this cycle
    starting : (start_cycles,) workers that serve after the coming 1, 2, .. cycles
    load : float
        Requests/s, offered.
    n : (2,) requests completed at each node; on S4 those given to it
    busy : (2,) worker time in use at each node, s; on S4 that which its requests asked for
    queue : (2,) requests that wait at each node at the end
    late : float
        Share over the bound of the requests that ended; 0 where none did.
    ended : int
        How many that were.
    d : float
        Mean response time of those completed, s; NaN where none was.
    moves : int
        Levels that the controls moved.
    usable : bool
        Whether anything is learned from it.
    notes : dict
        Whatever else was measured, for the log.
    phase : int
        Cycle of the day.
    state : QueueState, optional
        Where the system stands afterwards, where that is known.
    """

    setting: Ints
    starting: Ints
    load: float
    n: Floats
    busy: Floats
    queue: Floats
    late: float
    ended: int
    d: float
    moves: int
    usable: bool = True
    notes: Mapping[str, Any] = field(default_factory=dict)
    phase: int = 0
    state: QueueState | None = None

    def reward(self, system: QueueMesh) -> float:
        """Return the reward of the cycle by the system's prices."""
        workers = system.worker_cost * (int(self.setting[1]) + 1)
        return -workers - system.late_cost * self.late - system.move_cost * self.moves


def window_of_step(phase: int, step: Step) -> QueueWindow:
    """Return the window of a step of one lane, which began in a cycle of the day."""
    m = {key: float(value[0]) for key, value in step.metrics.items()}
    n, busy, queue = (np.array([m.get(f"{name}_{k}", 0.0) for k in (1, 2)]) for name in ("n", "cpu", "queue"))
    d = m["d_compute"] if n.sum() > 0.0 else float("nan")
    return QueueWindow(
        step.state.setting[0], step.state.starting[0], m["load"], n, busy, queue, m["late"],
        int(m.get("ended", n.sum())), d, int(m["moves"]), phase=phase, state=step.state,
    )  # fmt: skip


class SimulatedQueues(Changing):
    """A mesh with queues, which changes after a number of cycles; the requests in it stay as they are.

    Two plants with the same seed meet the same load and streams of requests, whatever is done to them.

    Parameters
    ----------
    before, after : QueueMesh
    change_at : int
        Cycle (from 0) in which the change strikes.
    seed : int
    x : QueueState, optional
        Where it begins; at the start of a day where None.
    draw : callable, optional
        From a cycle's number to its disturbance, in place of the seed's.
    """

    def __init__(
        self,
        before: QueueMesh,
        after: QueueMesh,
        change_at: int,
        seed: int,
        x: QueueState | None = None,
        draw: Callable[[int], Floats] | None = None,
    ) -> None:
        if before.pattern.day != after.pattern.day:
            raise InputError(f"{before.name}: days of {before.pattern.day} and {after.pattern.day} cycles differ")
        super().__init__(
            before, after, change_at, before.initial(spawn(seed, "start"), 1) if x is None else x,
            draw or (lambda cycle: before.disturbance(spawn(seed, "disturbance", cycle), (1,))),
        )  # fmt: skip

    def window(self, phase: int, x: Any, step: Step) -> QueueWindow:
        """Return what a step from state x measured."""
        return window_of_step(int(x.phase[0]), step)


KINDS = {"setting": dict, "starting": list, "load": float | int, "n": list, "busy": list, "queue": list,
         "late": float | int, "ended": int, "d": float | int | None, "moves": int, "usable": bool, "action": list,
         "notes": dict}  # of what a resumed run reads of a log's cycle  # fmt: skip


def line_of(window: QueueWindow, names: tuple[str, ...]) -> dict[str, Any]:
    """Return a window as a log keeps it; `names` are those of the controls."""
    line = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in vars(window).items()}
    del line["phase"], line["state"]
    return line | {"setting": dict(zip(names, line["setting"], strict=True)), "notes": dict(window.notes)}


def window_of(line: Mapping[str, Any], system: QueueMesh) -> QueueWindow:
    """Return the window of a logged cycle.

    Raises
    ------
    InputError
        If a level of a control or a number of workers is none of the system's.
    """
    setting, starting = list(line["setting"].values()), line["starting"]
    shape = [len(control.levels) for control in system.controls]
    good = len(setting) == 2 and all(type(k) is int and 0 <= k < n for k, n in zip(setting, shape, strict=True))
    good = good and len(starting) == system.start_cycles and all(type(k) is int and k >= 0 for k in starting)
    if not good or sum(starting) > setting[1]:
        raise InputError(
            f"cycle {line['cycle']} of the log: setting {line['setting']} and starting {starting} are none of "
            f"{system.name}"
        )
    pairs = {key: np.array(line[key], dtype=float) for key in ("n", "busy", "queue")}
    if any(pair.shape != (2,) or not np.isfinite(pair).all() for pair in pairs.values()):
        raise InputError(f"cycle {line['cycle']} of the log: n, busy and queue must be two numbers each")
    return QueueWindow(
        np.array(setting), np.array(starting), float(line["load"]), pairs["n"], pairs["busy"], pairs["queue"],
        float(line["late"]), int(line["ended"]), float("nan") if line["d"] is None else float(line["d"]),
        int(line["moves"]), line["usable"], line["notes"], line["cycle"] % system.pattern.day,
    )  # fmt: skip
