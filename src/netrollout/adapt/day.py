"""The control cycle of scenario S5, the working day: what a cycle measures, what is learned from it, and the plants.

The controller knows the day's pattern and the model from before the change, a mesh of exponential queues.  What it
learns is the worker time that a request takes: an average of worker time in use per completed request, in which each
cycle weighs `weight`; there is no detector.  The work that waits is the number of requests in a node's queue times that
demand.  Plants answer an action with a `DayWindow`: `SimulatedDay` here, and `netrollout.testbed.day.LiveDay`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from netrollout.seeding import spawn
from netrollout.systems.queues.dynamics import QueueMesh, QueueState
from netrollout.systems.queues.throttle import ThrottledMesh, backlog
from netrollout.types import Floats, InputError, Ints

STEP = 0.05  # the log factor on the demand is rounded to multiples of this, so that plans can be kept


@dataclass(frozen=True)
class DayWindow:
    """What one cycle measured.

    Attributes
    ----------
    setting : (2,) levels of p and c in this cycle
    starting : (start_cycles,) workers that serve after the coming 1, 2, .. cycles
    load : float
        Requests/s, offered.
    n : (2,) requests completed at each node
    busy : (2,) worker time in use at each node, s
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

    def reward(self, system: QueueMesh) -> float:
        """Return the reward of the cycle by the system's prices."""
        workers = system.worker_cost * (int(self.setting[1]) + 1)
        return -workers - system.late_cost * self.late - system.move_cost * self.moves


class DayPlant(Protocol):
    """What really happens."""

    def act(self, u: Ints) -> DayWindow:
        """Move the controls by u (2,), let a cycle pass, and return its window."""


@dataclass
class LearnedDemand:
    """The newest model of S5.

    Parameters
    ----------
    known : QueueMesh
        The model from before the change.
    weight : float
        Of a cycle in the average; 0 learns nothing.
    """

    known: QueueMesh
    weight: float
    _demand: float = 0.0

    def __post_init__(self) -> None:
        """Begin with what is known."""
        self._demand = self.known.demand[0]

    @property
    def model(self) -> QueueMesh:
        """The newest model, its demand rounded; that of the two nodes is one, because their service is one."""
        factor = self._demand / self.known.demand[0]
        if not self.weight:
            return self.known
        rounded = float(self.known.demand[0] * np.exp(STEP * np.rint(np.log(factor) / STEP)))
        return replace(self.known, demand=(rounded, rounded))

    def learn(self, window: DayWindow) -> None:
        """Take a window in which requests were completed."""
        count, busy = float(window.n.sum()), float(window.busy.sum())
        if window.usable and count > 0.0 and busy > 0.0:
            self._demand += self.weight * (busy / count - self._demand)


def state_after(model: QueueMesh, window: DayWindow, cycle: int) -> QueueState:
    """Return the model's state (one lane) after the window of a cycle, the number of which counts from 0.

    The queue is what waits, times the model's demand; whether there is a burst is told by the load.
    """
    phase, load = cycle % model.pattern.day, np.array([window.load])
    calm = model.pattern.load(np.array([phase]), np.zeros(1, dtype=np.int64))
    burst = (load > 0.5 * (1.0 + model.pattern.burst) * calm).astype(np.int64)
    ready = int(window.setting[1]) + 1 - int(window.starting.sum())
    work = backlog(np.asarray(window.queue)[None], np.asarray(model.demand), np.array([ready]))
    following = np.array([(phase + 1) % model.pattern.day])
    busy = np.array([min(window.busy[0] / (ready * model.cycle), 1.0)])
    return QueueState(
        following, burst, window.setting[None], window.starting[None], work, load, busy, np.array([window.late])
    )


class SimulatedDay:
    """The throttled mesh, which changes after a number of cycles; the requests in it stay as they are.

    Two plants with the same seed meet the same load and streams of requests, whatever is done to them.

    Parameters
    ----------
    before, after : ThrottledMesh
    change_at : int
        Cycle (from 0) in which the change strikes.
    seed : int
    """

    def __init__(self, before: ThrottledMesh, after: ThrottledMesh, change_at: int, seed: int) -> None:
        if before.pattern.day != after.pattern.day:
            raise InputError(f"{before.name}: days of {before.pattern.day} and {after.pattern.day} cycles differ")
        self._worlds, self._change_at, self._seed, self._cycle = (before, after), change_at, seed, 0
        self._x: Any = before.initial(spawn(seed, "start"), 1)

    def act(self, u: Ints) -> DayWindow:
        """Move the controls by u (2,), let a cycle pass, and return its window."""
        world = self._worlds[self._cycle >= self._change_at]
        w = world.disturbance(spawn(self._seed, "disturbance", self._cycle), (1,))
        step = world.transition(self._x, np.asarray(u)[None], w)
        self._cycle, self._x = self._cycle + 1, step.state
        m = {key: float(value[0]) for key, value in step.metrics.items()}
        n, busy, queue = (np.array([m[f"{name}_1"], m[f"{name}_2"]]) for name in ("n", "cpu", "queue"))
        d = m["d_compute"] if m["n_1"] + m["n_2"] > 0.0 else float("nan")
        return DayWindow(
            step.state.setting[0], step.state.starting[0], m["load"], n, busy, queue, m["late"], int(m["ended"]), d,
            int(m["moves"]),
        )  # fmt: skip


KINDS = {"setting": dict, "starting": list, "load": float | int, "n": list, "busy": list, "queue": list,
         "late": float | int, "ended": int, "d": float | int | None, "moves": int, "usable": bool, "action": list,
         "notes": dict}  # of what a resumed run reads of a log's cycle  # fmt: skip


def line_of(window: DayWindow, names: tuple[str, ...]) -> dict[str, Any]:
    """Return a window as a log keeps it; `names` are those of the controls."""
    line = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in vars(window).items()}
    return line | {"setting": dict(zip(names, line["setting"], strict=True)), "notes": dict(window.notes)}


def window_of(line: Mapping[str, Any], system: QueueMesh) -> DayWindow:
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
    return DayWindow(
        np.array(setting), np.array(starting), float(line["load"]), pairs["n"], pairs["busy"], pairs["queue"],
        float(line["late"]), int(line["ended"]), float("nan") if line["d"] is None else float(line["d"]),
        int(line["moves"]), line["usable"], line["notes"],
    )  # fmt: skip
