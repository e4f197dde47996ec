"""Scenario S5, the working day, by name: its plant, the model from before the change, and who decides.

==============  =======================================================================================================
name            decision
==============  =======================================================================================================
`unadapted`     rollout on the model from before the change
`walk`          walks to the best static setting of the relearned model
`hpa`           Kubernetes' autoscaler, target and routing tuned on the model from before the change, with its noise
`predictive`    staffing for the load ahead on the relearned demand
`rollout`       rollout around that rule on the relearned model
`mpc`           rollout around staying put on the relearned model: model predictive control
`static`        walks to the best static setting of the model from before the change and holds it
==============  =======================================================================================================

Any other name of a policy of S4's kind is taken as it is, such as ``static(p=1,c=6)`` or ``rollout(hold, horizon=8)``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from netrollout.adapt.day import STEP, DayPlant, DayWindow, LearnedDemand, SimulatedDay, state_after
from netrollout.family import family_of
from netrollout.makers import Worlds, make_policy, resolved
from netrollout.policies import PolicyName
from netrollout.seeding import spawn
from netrollout.systems.mesh.dynamics import Control
from netrollout.systems.queues.dynamics import QueueMesh, WorkingDay
from netrollout.systems.queues.policies import Hold
from netrollout.systems.queues.throttle import ThrottledMesh
from netrollout.types import Ints, Policy

if TYPE_CHECKING:
    from netrollout.testbed.day import LiveDay

LOG_SETTING = {"p": 0.8, "c": 4.0}  # held while the model from before the change is learned: both nodes meet requests
PREPARED = (-4, 15)  # steps of the learned demand, from .8 to 2 times what was known
BELIEVED = 0.09  # s, the demand of a model that nobody has asked yet: 18 ms of CPU at a fifth of a core


@dataclass(frozen=True)
class Day:
    """What the scenario file says.

    Attributes
    ----------
    before, after : ThrottledMesh
        The plant.
    change_at : int
        Cycle of the change.
    cycles : int
        Of a run.
    weight : float
        Of a cycle in the learned demand.
    log : int
        Cycles from which the model before the change is learned.
    policies : dict of str to str
        What each short name stands for.
    campaign : dict
        Runs, policies, end points, margins and contrasts.
    """

    before: ThrottledMesh
    after: ThrottledMesh
    change_at: int
    cycles: int
    weight: float
    log: int
    policies: dict[str, str]
    campaign: dict[str, Any]


@cache
def load_day() -> Day:
    """Read the scenario file."""
    file = resources.files("netrollout.systems.queues") / "scenarios" / "mesh-s5.yml"
    text = yaml.safe_load(file.read_text(encoding="utf-8"))
    controls = tuple(Control(key, tuple(map(float, value["levels"]))) for key, value in text["controls"].items())

    def plant(demand: float) -> ThrottledMesh:
        given = ("name", "discount", "horizon", "cycle", "bound", "late_cost", "worker_cost", "move_cost",
                 "start_cycles", "quota", "mood")  # fmt: skip
        return ThrottledMesh(
            **{key: text[key] for key in given},
            pattern=WorkingDay(**text["load"]),
            demand=(demand, demand),
            start=tuple(text["start"][control.name] for control in controls),
            controls=controls,
        )

    rolled = ", ".join(f"{key}={value}" for key, value in text["rollout"].items())
    policies = {
        "unadapted": f"rollout(predictive, {rolled})",
        "walk": "walk(static)",
        "hpa": "hpa(tuned=true)",
        "predictive": "retrain(predictive)",
        "rollout": f"rollout(retrain(predictive), {rolled})",
        "mpc": f"rollout(hold, {rolled})",
    }
    return Day(
        plant(text["demand"]), plant(text["change"]["heavier"]["demand"]), text["change_at"], text["horizon"],
        text["weight"], text["log"]["before"], policies, text["campaign"],
    )  # fmt: skip


def exponential(plant: ThrottledMesh, demand: float) -> QueueMesh:
    """Return the model of a plant: the same mesh with exponential queues of a mean worker time per request, s."""
    shared = ("name", "pattern", "start", "discount", "horizon", "cycle", "bound", "late_cost", "worker_cost",
              "move_cost", "start_cycles", "controls")  # fmt: skip
    return QueueMesh(**{key: getattr(plant, key) for key in shared}, demand=(demand, demand), law="exponential")


@cache
def day_model(seed: int = 0) -> QueueMesh:
    """Return the model from before the change, learned from days of the plant at a static setting."""
    day, believed = load_day(), exponential(load_day().before, BELIEVED)
    hold, plant = Hold(believed, believed.setting(LOG_SETTING)), SimulatedDay(day.before, day.before, day.log, seed)
    x, busy, count = believed.initial(spawn(seed, "log"), 1), 0.0, 0.0
    for cycle in range(day.log):
        window = plant.act(hold.predict(believed.observe(x))[0][0])
        x, busy, count = state_after(believed, window, cycle), busy + window.busy.sum(), count + window.n.sum()
    return exponential(day.before, busy / count)


class DayController:
    """Decides on S5, and learns from what follows.

    Parameters
    ----------
    policy : str
        A name, see the module.
    seed : int
        Of simulated paths.
    """

    def __init__(self, policy: str, seed: int = 0) -> None:
        day, self.name = load_day(), policy
        name = PolicyName.parse(day.policies.get(policy, policy))
        resolved(name, family_of(day.before))
        self.learned = LearnedDemand(day_model(), 0.0 if policy == "unadapted" else day.weight)
        seeds = itertools.count(1000 * seed)
        self._plan: Callable[[QueueMesh], Policy] = lambda model: make_policy(
            name, Worlds(self.learned.known, model, day.before, next(seeds))
        )
        self.cycle = 0
        self._x = self.learned.known.initial(spawn(seed, "start"), 1)
        self._planned: tuple[QueueMesh, Policy] | None = None
        self._memory: Any = None

    def prepare(self) -> None:
        """Look for the best static settings of all models that may be learned, so that no cycle has to wait for it."""
        known = self.learned.known
        for step in range(*PREPARED):
            demand = float(known.demand[0] * np.exp(STEP * step))
            self._plan(replace(known, demand=(demand, demand)))

    def decide(self) -> Ints:
        """Return the action (2,) for the coming cycle."""
        model = self.learned.model
        begin = self._planned is None
        if self._planned is None or self._planned[0] != model:
            self._planned = model, self._plan(model)
        u, self._memory = self._planned[1].predict(
            model.observe(self._x), self._memory, np.array([begin]), deterministic=True
        )
        action: Ints = u[0]
        return action

    def learn(self, window: DayWindow) -> float:
        """Take the window of the cycle that was decided on; return its reward."""
        self.learned.learn(window)
        self._x = state_after(self.learned.model, window, self.cycle)
        self.cycle += 1
        return window.reward(self.learned.known)


def simulated_day(seed: int, change_at: int | None = None) -> SimulatedDay:
    """Return the simulated plant of a run."""
    day = load_day()
    return SimulatedDay(day.before, day.after, day.change_at if change_at is None else change_at, seed)


def live_day(seed: int, change_at: int, cycle: int = 0, window: DayWindow | None = None, **options: Any) -> LiveDay:
    """Return the live plant of a run, or of one that is resumed at `cycle` after its last window."""
    from netrollout.testbed.day import LiveDay

    day = load_day()
    setting, starting = (None, None) if window is None else (window.setting, window.starting)
    return LiveDay(day.before, day.after, change_at, seed, cycle, setting, starting, **options)


def run_day(plant: DayPlant, brain: DayController, cycles: int) -> list[DayWindow]:
    """Run a number of cycles and return their windows."""
    windows = []
    for _ in range(cycles):
        windows.append(plant.act(brain.decide()))
        brain.learn(windows[-1])
    return windows
