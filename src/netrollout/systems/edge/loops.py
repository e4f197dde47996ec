"""Closed loops of the edge by name: one after each of its changes, simulated.

A word says how a policy's name is made: `WORDS`; oracles are told the true new system from the change on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from netrollout.adapt import Controller, Record
from netrollout.family import family_of
from netrollout.makers import Worlds, make_policy, resolved
from netrollout.models.drift import make_detector
from netrollout.policies import PolicyName
from netrollout.systems.edge.dynamics import DAY, Edge
from netrollout.systems.edge.realise import model, plant
from netrollout.systems.edge.relearn import RelearnedEdge, SimulatedEdge
from netrollout.types import InputError

DETECTOR, SETTING = "page-hinkley", 20.0  # 3e-4 false alarms per cycle and stream on days under the band rule
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
ORACLES = ("static-new", "optimum")


@dataclass(frozen=True, eq=False)
class Loop:
    """The worlds of a closed loop.

    Attributes
    ----------
    name : str
    model : Edge
        What the controller knows, from before the change.
    before, after : Edge
        The plant.
    """

    name: str
    model: Edge
    before: Edge
    after: Edge

    cycles, change_at, kinds = 3 * DAY, DAY, {"action": list}
    columns = ("cycle", "pods", "load (req/s)", "late", "reward", "")

    def header(self) -> dict[str, Any]:
        """Return what a log's reader needs beyond the loop's name: nothing."""
        return {}

    def controller(self, policy: str, explore: str = "none", seed: int = 0, change_at: int = 0) -> Controller:
        """Return a fresh controller.

        Parameters
        ----------
        policy : str
            One of `WORDS`, or a policy's name.
        explore : str
            Only ``none``.
        seed : int
            Of simulated paths.
        change_at : int
            Cycle of the change, which only oracles are told.
        """
        if explore != "none":
            raise InputError(f"scenario {self.name} has no exploration")
        name = PolicyName.parse(WORDS.get(policy, policy))
        resolved(name, family_of(self.model))
        learner = RelearnedEdge(self.model, self.after)
        told: Callable[[int], Edge] | None = None
        if policy in ORACLES:
            told = lambda cycle: self.after if cycle >= change_at else self.before  # noqa: E731
        elif policy == "unadapted" or (not name.inner and name.head != "lookahead"):
            told = lambda cycle: self.model  # noqa: E731  # made once: what it is made on never moves

        def plan(newest: Edge, cycle: int) -> Any:
            return make_policy(name, Worlds(self.model, newest, self.before, seed))

        return Controller(learner, [make_detector(DETECTOR, SETTING) for _ in learner.streams], plan, told)

    def simulated(self, change_at: int, seed: int) -> SimulatedEdge:
        """Return the simulated plant of a run."""
        return SimulatedEdge(self.before, self.after, change_at, seed)

    def recorded(self) -> Any:
        """Raise: no trace has it."""
        raise InputError(f"scenario {self.name} is played on the simulator only")

    def live(self, change_at: int, seed: int, cycle: int = 0, window: Any = None, **options: Any) -> Any:
        """Raise: there is no live edge."""
        return self.recorded()

    def line(self, record: Record, controller: Controller) -> dict[str, Any]:
        """Return a cycle as a log keeps it."""
        x = record.window.state
        return {
            "pods": x.pods[0].tolist(), "load": x.load[0].tolist(), "down": int(x.down[0]), "slow": int(x.slow[0]),
            **record.window.metrics, "reward": record.reward, "residuals": record.residuals.tolist(),
            "alarms": list(record.alarms), "action": record.action.tolist(), "seconds": dict(record.seconds),
        }  # fmt: skip

    def window(self, line: dict[str, Any]) -> None:
        """Return nothing: a resumed run plays its actions again."""

    def cells(self, record: Record, controller: Controller) -> list[str]:
        """Return what is shown of a cycle, in the order of `columns`, but for the last: what happened."""
        x, late = record.window.state, record.window.metrics["late"]
        pods, load = ("/".join(f"{value:.0f}" for value in row[0]) for row in (x.pods, x.load))
        return [str(record.cycle), pods, load, f"late {late:.1%}", f"{record.reward:.3f}"]


@lru_cache(maxsize=16)
def make_loop(name: str, seed: int = 0, refit: int | None = None) -> Loop:
    """Return the worlds of a closed loop; `seed` and `refit` are of the log that the model is learned from."""
    change: Any = name.rpartition("-")[2]
    return Loop(name, model(seed=seed, refit=refit), plant(), plant(phase="after", change=change))
