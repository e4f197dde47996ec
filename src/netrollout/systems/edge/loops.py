"""Closed loops of the edge by name: one after each of its changes, simulated.

A word says how a policy's name is made: `WORDS`; oracles are told the true new system from the change on.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from netrollout.adapt import Controller, Record
from netrollout.loop import ClosedLoop
from netrollout.systems.edge.dynamics import DAY
from netrollout.systems.edge.realise import model, plant
from netrollout.systems.edge.relearn import RelearnedEdge, SimulatedEdge

WORDS = {
    "base": "optimal",
    "static": "static",
    "static-new": "retrain(static)",
    "walk": "retrain(static)",
    "predictive": "retrain(predictive)",
    "hourly": "retrain(hourly)",
    "unadapted": "multiagent(hold)",
    "rollout": "multiagent(hold)",
    "dp": "retrain(optimal)",
    "optimum": "retrain(optimal)",
}
TOLD = {"static-new": ("before", "after"), "optimum": ("before", "after"), "unadapted": ("model", "model")}


class Loop(ClosedLoop):
    """The worlds of a closed loop of the edge."""

    detector = "page-hinkley", 20.0  # 3e-4 false alarms per cycle and stream on days under the band rule
    told = TOLD
    columns = ("cycle", "pods", "load (req/s)", "late", "reward", "")

    def relearner(self, policy: str) -> RelearnedEdge:
        """Return what relearns the model."""
        return RelearnedEdge(self.model, self.after)

    def simulated(self, change_at: int, seed: int) -> SimulatedEdge:
        """Return the simulated plant of a run."""
        return SimulatedEdge(self.before, self.after, change_at, seed)

    def line(self, record: Record, controller: Controller) -> dict[str, Any]:
        """Return a cycle as a log keeps it."""
        x = record.window.state
        return {
            "pods": x.pods[0].tolist(), "load": x.load[0].tolist(), "down": int(x.down[0]), "slow": int(x.slow[0]),
            **record.window.metrics, "reward": record.reward, "residuals": record.residuals.tolist(),
            "alarms": list(record.alarms), "action": record.action.tolist(), "seconds": dict(record.seconds),
        }  # fmt: skip

    def cells(self, record: Record, controller: Controller) -> list[str]:
        """Return what is shown of a cycle, in the order of `columns`, but for the last: what happened."""
        x, late = record.window.state, record.window.metrics["late"]
        pods, load = ("/".join(f"{value:.0f}" for value in row[0]) for row in (x.pods, x.load))
        return [str(record.cycle), pods, load, f"late {late:.1%}", f"{record.reward:.3f}"]


@lru_cache(maxsize=16)
def make_loop(name: str, seed: int = 0, refit: int | None = None) -> Loop:
    """Return the worlds of a closed loop; `seed` and `refit` are of the log that the model is learned from."""
    change: Any = name.rpartition("-")[2]
    known, after = model(seed=seed, refit=refit), plant(phase="after", change=change)
    return Loop(name, known, plant(), after, WORDS, 3 * DAY, DAY)
