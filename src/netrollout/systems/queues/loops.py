"""Closed loops of the queues by name: mesh-s4 after each of its changes, simulated, and S5, the working day.

==============  =======================================================================================================
word            decision on S4
==============  =======================================================================================================
`static`        walks to the best static setting of the old model and holds it
`static-new`    the same for the true new system (an oracle)
`hpa`           Kubernetes' autoscaler
`base`          the optimum of the old model's lattice, unadapted
`walk`          walks to the best static setting of the relearned model
`dp`            the optimum of the relearned model's lattice
`rollout-1`     truncated rollout on the old base with the relearned model, closed with zero
`rollout-zero`  the same on `walk`
`rollout`       one simulated cycle of the relearned model, closed with the value of its lattice; the kind that did best
                in the comparison of chapter 06
`optimum`       the optimum of the true new system's lattice from the moment of the change (an oracle)
==============  =======================================================================================================

==============  =======================================================================================================
word            decision on S5
==============  =======================================================================================================
`unadapted`     rollout on the model from before the change
`walk`          walks to the best static setting of the relearned model
`hpa`           Kubernetes' autoscaler, target and routing tuned on the model from before the change, with its noise
`predictive`    staffing for the load ahead on the relearned demand
`rollout`       rollout around that rule on the relearned model
`mpc`           rollout around staying put on the relearned model: model predictive control
`static`        walks to the best static setting of the model from before the change and holds it
==============  =======================================================================================================

Any other name of a policy is taken as it is, such as ``static(p=1,c=6)`` or ``rollout(hold, horizon=8)``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from netrollout.adapt import Controller, Record
from netrollout.loop import ClosedLoop
from netrollout.systems.queues.plants import KINDS, QueueWindow, SimulatedQueues, line_of, window_of
from netrollout.systems.queues.realise import Daily, daily_model, day_model, load_daily
from netrollout.systems.queues.relearn import STEP, LearnedDemand, RelearnedQueues
from netrollout.systems.queues.throttle import ThrottledMesh
from netrollout.types import InputError

if TYPE_CHECKING:
    from netrollout.testbed.live import LiveDay

DETECTOR, SETTING = "page-hinkley", 17.0  # see `netrollout.studies.closed_loop_daily.calibrated`
PREPARED = (-4, 15)  # steps of the learned demand of S5, from .8 to 2 times what was known
STATIC, OPTIMAL = "static(days=4)", "optimal(samples=50)"  # as good as can be had online
WORDS = {
    "static": STATIC,
    "static-new": f"retrain({STATIC})",
    "hpa": "retrain(hpa)",
    "base": OPTIMAL,
    "walk": f"retrain({STATIC})",
    "dp": f"retrain({OPTIMAL})",
    "rollout-1": f"rollout({OPTIMAL})",
    "rollout-zero": f"rollout(retrain({STATIC}))",
    "rollout": f"rollout({OPTIMAL}, horizon=0, terminal=lattice, tables=50)",
    "optimum": f"retrain({OPTIMAL})",
}
"""Word -> policy's name, on S4."""
ORACLES = ("static-new", "optimum")  # told the plant itself, from the change on


def day_words(daily: Daily) -> dict[str, str]:
    """Return what each word of S5 stands for."""
    rolled = ", ".join(f"{key}={value}" for key, value in daily.text["rollout"].items())
    return {
        "unadapted": f"rollout(predictive, {rolled})",
        "walk": "walk(static)",
        "hpa": "hpa(tuned=true)",
        "predictive": "retrain(predictive)",
        "rollout": f"rollout(retrain(predictive), {rolled})",
        "mpc": f"rollout(hold, {rolled})",
    }


class Loop(ClosedLoop):
    """The worlds of a closed loop of S4."""

    detector, told = (DETECTOR, SETTING), dict.fromkeys(ORACLES, ("model", "after"))
    kinds = KINDS
    columns = ("cycle", "routing", "workers", "load", "response", "late", "queues", "reward", "believed", "")

    def header(self) -> dict[str, Any]:
        """Return what a log's reader needs to judge it."""
        return {key: getattr(self.before, key) for key in ("cycle", "bound", "late_cost", "worker_cost", "move_cost")}

    def relearner(self, policy: str) -> Any:
        """Return what relearns the model for a policy."""
        return RelearnedQueues(self.model)

    def simulated(self, change_at: int, seed: int, x: Any = None, draw: Any = None) -> SimulatedQueues:
        """Return the simulated plant of a run."""
        return SimulatedQueues(self.before, self.after, change_at, seed, x, draw)

    def line(self, record: Record, controller: Controller) -> dict[str, Any]:
        """Return a cycle as a log keeps it."""
        line = line_of(record.window, tuple(control.name for control in self.model.controls))
        believed = controller.relearner.model().demand[0]
        return {"action": record.action.tolist(), **line, "reward": record.reward, "demand": believed,
                "alarm": record.alarm, "seconds": dict(record.seconds)}  # fmt: skip

    def window(self, line: dict[str, Any]) -> QueueWindow:
        """Return the window of a logged cycle."""
        return window_of(line, self.model)

    def cells(self, record: Record, controller: Controller) -> list[str]:
        """Return what is shown of a cycle, in the order of `columns`, but for the last: what happened."""
        window: QueueWindow = record.window
        return [
            str(record.cycle),
            f"p level {window.setting[0]}",
            f"c={window.setting[1] + 1} ({window.starting.sum()} start)",
            f"{window.load:.1f} req/s",
            f"{1000 * window.d:.0f} ms",
            f"late {window.late:.1%}",
            f"queue {window.queue[0]:.0f}/{window.queue[1]:.0f}",
            f"{record.reward:.3f}",
            f"demand {1000 * controller.relearner.model().demand[0]:.0f} ms",
        ]


@dataclass(frozen=True, eq=False)
class DayLoop(Loop):
    """The worlds of S5.

    Attributes
    ----------
    weight : float
        Of a cycle in the learned demand.
    """

    before: ThrottledMesh
    after: ThrottledMesh
    weight: float = 0.0

    def relearner(self, policy: str) -> Any:
        """Return what relearns the model for a policy."""
        return LearnedDemand(self.model, 0.0 if policy == "unadapted" else self.weight)

    def seeds(self, seed: int) -> Iterator[int]:
        """Yield the seed of each plan: every one has paths of its own."""
        return itertools.count(1000 * seed)

    def prepare(self, controller: Controller) -> None:
        """Look for the best static settings of all models that may be learned, so that no cycle has to wait for it."""
        for step in range(*PREPARED):
            demand = float(self.model.demand[0] * np.exp(STEP * step))
            controller.plan(replace(self.model, demand=(demand, demand)), 0)

    def recorded(self) -> Any:
        """Raise: no trace has it."""
        raise InputError(f"scenario {self.name} is played on the simulator or the testbed; no trace has it")

    def live(
        self, change_at: int, seed: int, cycle: int = 0, window: QueueWindow | None = None, **options: Any
    ) -> LiveDay:
        """Return the live plant of a run, or of one that is resumed at `cycle` after its last window."""
        from netrollout.testbed.live import LiveDay

        setting, starting = (None, None) if window is None else (window.setting, window.starting)
        return LiveDay(self.before, self.after, change_at, seed, cycle, setting, starting, **options)


@lru_cache(maxsize=16)
def make_loop(name: str, seed: int = 0, refit: int | None = None) -> Loop:
    """Return the worlds of a closed loop; `seed` and `refit` are of the log that the model is learned from."""
    if name == "S5":
        day = load_daily("mesh-s5")
        before, after, text = day.before, day.changes["heavier"], day.text
        assert isinstance(before, ThrottledMesh) and isinstance(after, ThrottledMesh)
        return DayLoop(name, day_model(), before, after, day_words(day), text["horizon"], text["change_at"],
                       text["weight"])  # fmt: skip
    change = name.rpartition("-")[2]
    known, daily = daily_model("before", change, seed, refit), load_daily()
    return Loop(name, known, daily.before, daily.changes[change], WORDS, 246, 96)
