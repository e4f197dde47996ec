"""Closed loops of a mesh by name: the worlds of a scenario, the controllers that act in them, and their plants.

Every loop begins at the resting state of the base policy, the optimum of the model from before the change.  The
controller knows that model and nothing of the change; the plant's windows are held out from it.

==============  =======================================================================================================
word            decision
==============  =======================================================================================================
`none`          stands at the scenario's start
`static`        walks to the best static setting of the old model and holds it
`static-new`    the same for the true new system (an oracle)
`hpa`           threshold autoscaler with the algorithm of Kubernetes' HorizontalPodAutoscaler, on node 1's workers
`base`          the optimum of the model from before the change, unadapted
`retrain`       retrained on the relearned model: in force only when its training time is over, then trained anew
`walk`          walks to the best static setting of the relearned model
`dp`            exact optimum of the relearned model
`rollout-1`     one-step rollout on the base policy with the relearned model
`rollout`       parallel rollout on base policy and walk, with the relearned model; chosen before anything was judged
`constrained`   the same among the actions that are expected to keep the response time within its bound
`rollout-true`  rollout with the true new model from the moment of the change (an oracle)
`optimum`       exact optimum of the true new model from the moment of the change (an oracle)
==============  =======================================================================================================

Any other name of a policy of the mesh's kind is taken as it is.  Letters: M controls, S states, G grid points, L load
levels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from netrollout.adapt import Controller, Record
from netrollout.loop import ClosedLoop
from netrollout.makers import Worlds, make_policy
from netrollout.models import Queueing
from netrollout.policies import PolicyName
from netrollout.systems.mesh.autoscaler import Autoscaler, tuned
from netrollout.systems.mesh.dynamics import Mesh, MeshState, ResponseTable
from netrollout.systems.mesh.explore import LIMIT, Cautious, Explorer, Retraining, fresh
from netrollout.systems.mesh.physics import Curves, curves
from netrollout.systems.mesh.plants import KINDS, RecordedPlant, SimulatedPlant, Window, line_of, window_of
from netrollout.systems.mesh.realise import learned, model, plant, rows, split
from netrollout.systems.mesh.relearn import Relearned
from netrollout.systems.mesh.scenario import load_scenario
from netrollout.systems.queues.dynamics import Pattern
from netrollout.traces import shipped
from netrollout.types import Floats, InputError, Ints, Phase, Policy

if TYPE_CHECKING:
    from netrollout.testbed.live import LivePlant

DETECTOR, SETTING = "page-hinkley", 10.0  # see `netrollout.studies.closed_loop_study.calibrated`
TRAINING = 4  # cycles that a retraining takes: 10 s of training in cycles of 2.5 s
SETTLING = 60  # cycles until every policy rests
SYSTEMS = {"S2": "mesh-s2", "S2-slow": "mesh-s2", "S2-kill": "mesh-s2", "S3": "mesh-s3", "release": "mesh-release",
           "S4": "mesh-s3"}  # whose traces tell of a loop; the live day has the controls and loads of S3  # fmt: skip
SIMULATED = ("S2", "S3", "release")
DAY = 48  # cycles of the live day
WORDS = {
    "none": "start",
    "static": "static",
    "static-new": "walk(static)",
    "base": "optimal",
    "retrain": "retrain(optimal)",
    "walk": "walk(static)",
    "dp": "retrain(optimal)",
    "rollout-1": "rollout(optimal)",
    "rollout": "parallel(optimal)",
    "constrained": "parallel(optimal)",
    "rollout-true": "parallel(optimal)",
    "optimum": "retrain(optimal)",
}
"""Word -> policy's name."""
TOLD = {"static-new": ("after", "after"), "rollout-true": ("model", "after"), "optimum": ("model", "after")}


@dataclass(frozen=True, eq=False)
class Loop(ClosedLoop):
    """The worlds of a closed loop of a mesh, one of `SYSTEMS`; the oracles plan on `after`.

    Attributes
    ----------
    busy : pair of (G, Q) share of node 1's worker time in use in the windows of the trace, before and after
    resting : (M,) where the base policy rests
    curves : Curves
        Of a queueing formula fit on the same visits as the model.
    autoscaler : (float, int)
        Its target and the level of its routing weight: what earns most before the change.
    """

    model: Mesh
    before: Mesh
    after: Mesh
    busy: tuple[Floats, Floats]
    resting: Ints
    curves: Curves
    autoscaler: tuple[float, int]

    detector, kinds, told = (DETECTOR, SETTING), KINDS, TOLD
    columns = ("cycle", "configuration", "load (req/s)", "response (ms)", "bound", "reward", "residual",
               "decision (ms)", "")  # fmt: skip

    def controller(self, policy: str, explore: str = "none", seed: int = 0, change_at: int = 0) -> Controller:
        """Return a fresh controller.

        Parameters
        ----------
        policy : str
            One of `WORDS`, ``hpa``, or a policy's name.
        explore : str
            One of `explore.EXPLORATIONS`; only policies that plan on the relearned model explore.
        seed : int
            Of the exploration.
        change_at : int
            Cycle of the change, which only oracles are told.

        Raises
        ------
        InputError
            If a name is unknown, or a policy without a model is to explore.
        """
        relearned, explorer = Relearned(self.model, self.curves, self.resting), Explorer(explore, seed)
        # The autoscaler needs to see windows, so no name makes it.
        name, told = self.meant("none" if policy == "hpa" else policy, change_at)
        if explorer.name != "none" and told is not None:
            known = [word for word, text in WORDS.items() if "(" in text and word not in self.told]
            raise InputError(f"exploration {explorer.name}: {policy} does not plan; give one of {', '.join(known)}")

        def make(model: Mesh, name: PolicyName | str = name) -> Policy:
            return make_policy(name, Worlds(self.model, model, self.after, explorer.seed))

        plan: Callable[[Mesh, int], Policy]
        if policy == "hpa":
            made = Autoscaler(self.model, *self.autoscaler, lambda: relearned.window)
            plan = lambda model, cycle: made  # noqa: E731
        elif told is not None:
            plan = lambda model, cycle: make(model)  # noqa: E731
        else:
            way = fresh(make)
            if policy == "retrain":
                way = Retraining(relearned, make, lambda model: make(model, "optimal"), TRAINING)
            plan = Cautious(relearned, way, explorer, 1.0 if policy == "constrained" else LIMIT)
        return Controller(relearned, self.detectors(relearned), plan, told)

    def simulated(self, change_at: int, seed: int) -> SimulatedPlant:
        """Return the simulated plant, at the base policy's resting state.

        Raises
        ------
        InputError
            If no trace tells how the scenario goes on after its change.
        """
        if self.name not in SIMULATED:
            known = f"the simulator has {', '.join(SIMULATED)}"
            raise InputError(f"scenario {self.name} is known on the testbed only; {known}")
        return SimulatedPlant(self.before, self.after, change_at, self.resting, seed, busy=self.busy)

    def recorded(self, phase: Phase = "after") -> RecordedPlant:
        """Return the held-out windows of the scenario's trace, in the order in which they were measured."""
        scenario = load_scenario(SYSTEMS[self.name])
        frame = split(rows(scenario, phase), "plant")
        d = frame[[f"d_{service}" for service in scenario.services]].to_numpy()
        return RecordedPlant(self.model, frame["grid"].to_numpy(), d, self.resting)

    def trace_rewards(self) -> Floats:
        """Return the mean reward of a window at every grid point, (G,), over all visits of the trace after the change.

        The simulated plant has one visit of each, so its best setting looks better than it is.
        """
        scenario = load_scenario(SYSTEMS[self.name])
        frame = rows(scenario, "after")
        d = frame[[f"d_{service}" for service in scenario.services]].to_numpy()
        reward, _ = self.model.objective(self.model.saved[frame["grid"].to_numpy()], d)
        mean = frame.assign(reward=reward).groupby("grid")["reward"].mean()
        return np.asarray(mean.reindex(range(self.model.n_states)))

    def live(
        self, change_at: int, seed: int, cycle: int = 0, window: Window | None = None, **options: Any
    ) -> LivePlant:
        """Return the live mesh, at the base policy's resting state or at a later cycle after its last window."""
        from netrollout.testbed.live import Change, LivePlant

        scenario = load_scenario(SYSTEMS[self.name])
        demand, heavier = (
            {s: float(shipped(scenario.trace[phase]).header[f"demand_{s}"].split()[0]) for s in scenario.services}
            for phase in ("before", "after")
        )
        changes = {
            "S2": Change(demand=heavier),
            "S2-slow": Change(slow={1: heavier["compute"] / demand["compute"]}),
            "S2-kill": Change(kill="node1"),
            "S3": Change(load_moves=True),
            "release": Change(demand=heavier),
            "S4": Change(day=_live_day(self.after)),
        }
        x = Relearned(self.model, resting=self.resting).state(window)
        return LivePlant(self.after, demand, changes[self.name], change_at, x.setting[0], seed, int(x.load[0]), cycle,
                         **options)  # fmt: skip

    def line(self, record: Record, controller: Controller) -> dict[str, Any]:
        """Return a cycle as a log keeps it."""
        return line_of(record, tuple(control.name for control in self.model.controls))

    def window(self, line: dict[str, Any]) -> Window:
        """Return the window of a logged cycle."""
        return window_of(line, self.model)

    def cells(self, record: Record, controller: Controller) -> list[str]:
        """Return what is shown of a cycle, in the order of `columns`, but for the last: what happened."""
        window, grid = record.window, self.model
        settings = (f"{c.name}={c.levels[k]:g}" for c, k in zip(grid.controls, window.setting, strict=True))
        return [
            str(record.cycle),
            " ".join(settings),
            "/".join(f"{rate:g}" for rate in grid.loads[window.load]),
            "/".join(f"{1000 * d:.0f}" for d in window.d),
            "/".join(f"{1000 * bound:.0f}" for bound in grid.objective.bounds),
            f"{record.reward:.3f}",
            f"{record.residuals[0]:+.1f}",
            f"{1000 * sum(record.seconds.values()):.1f}",
        ]


@lru_cache(maxsize=16)
def make_loop(name: str, seed: int = 0, refit: int | None = None, held: int | None = None) -> Loop:
    """Return the worlds of a scenario; `refit` resamples the model's visits, `held` is the plant's visit."""
    system = SYSTEMS[name]
    after = plant(system, phase="after", seed=seed, held=held)
    known = model(system, phase="before", seed=seed, refit=refit, held=held)
    before = after if len(after.loads) > 1 else plant(system, phase="before", seed=seed, held=held)
    hypotheses = curves(_formula(system, seed, refit, held), after)
    extended = after.with_response(_extended(known, after, hypotheses))
    busy = (_busy(system, "before", after), _busy(system, "after", after))
    assert after.start is not None
    resting = _rest(extended, after.start.setting[0])
    autoscaler = tuned(extended, busy[0], resting)
    return Loop(name, extended, replace(before, load_move=0.0), after, WORDS, 150, 50, busy, resting, hypotheses,
                autoscaler)  # fmt: skip


def _formula(system: str, seed: int, refit: int | None, held: int | None) -> Queueing:
    formula = learned(load_scenario(system), "before", "queueing", seed, refit, "model", held)[1]
    assert isinstance(formula, Queueing)
    return formula


def _extended(known: Mesh, mesh: Mesh, hypotheses: Curves) -> ResponseTable:
    """Extend a response known at the first load to all loads: at a load never met, moved as the formula says."""
    windows = np.concatenate([known.response.windows] * (len(mesh.loads) // len(known.loads)))
    unchanged = hypotheses.logs[hypotheses.nearest(np.zeros(2))]
    first = np.concatenate([unchanged[: known.n_states]] * (len(mesh.loads) // len(known.loads)))
    return ResponseTable(windows * np.exp(unchanged - first)[:, None, :])


def _busy(system: str, phase: Phase, mesh: Mesh) -> Floats:
    """Return the share of node 1's worker time in use in windows of every grid point of the mesh, (G, Q)."""
    frame = rows(load_scenario(system), "after" if len(mesh.loads) > 1 else phase)
    windows = frame.groupby("grid")["busy_1"].apply(np.asarray).reindex(range(mesh.n_states))
    return np.stack([np.resize(values, max(map(len, windows))) for values in windows])


def _rest(model: Mesh, setting: Ints) -> Ints:
    """Return where the optimum of a model rests, (M,), load unmoved at its first level."""
    base, x = make_policy("optimal", Worlds(model, model, model)), MeshState(setting[None], np.zeros(1, dtype=np.int64))
    for _ in range(SETTLING):
        u, _ = base.predict(model.observe(x))
        x = x._replace(setting=np.clip(x.setting + u - 1, 0, np.asarray(model.shape[1:]) - 1))
    rested: Ints = x.setting[0]
    return rested


def _live_day(grid: Mesh) -> Pattern:
    """Return a day that goes from the lowest level of the load to the highest, bursts beyond it."""
    levels = np.asarray(grid.loads)[:, 0]
    return Pattern(mean=float(levels.mean()), amplitude=float(np.ptp(levels)) / 2, day=DAY)
