"""The closed loop judged on paired simulated runs, and its detector calibrated.

Every run begins at the base policy's resting state, is quiet for a while, and is then judged for `cycles` cycles from
the change on, with the expected reward of the configuration in force (the windows that the controller sees are drawn).

Letters: R model refits, N seeds, T cycles since the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed

from netrollout.adapt import run
from netrollout.adapt.measures import worth
from netrollout.evaluate import Estimate, over_units
from netrollout.models.drift import DETECTORS, alarms, calibrate, make_detector
from netrollout.seeding import spawn
from netrollout.systems.mesh.dynamics import MeshState, ResponseTable
from netrollout.systems.mesh.loops import SYSTEMS, Loop, make_loop
from netrollout.systems.mesh.plants import SimulatedPlant
from netrollout.systems.mesh.realise import visits
from netrollout.systems.mesh.relearn import Relearned
from netrollout.types import Floats, Ints

QUIET = 50  # cycles before the change
PLANT_WINDOWS = 5  # windows at each grid point of a quiet plant drawn for the calibration
STREAM = 250  # cycles of a calibration run
CALIBRATION_RATE = 1e-3  # false alarms per cycle: half of what is allowed, because the plant is not the model
Row = tuple[str, str]  # policy, exploration

ROWS: tuple[Row, ...] = (
    ("none", "none"),
    ("static", "none"),
    ("static-new", "none"),
    ("hpa", "none"),
    ("base", "none"),
    ("retrain", "none"),
    ("walk", "none"),
    ("dp", "none"),
    ("rollout-1", "none"),
    ("rollout", "none"),
    ("constrained", "none"),
    ("rollout", "epsilon"),
    ("rollout", "optimism"),
    ("rollout", "thompson"),
    ("walk", "optimism"),
    ("dp", "optimism"),
    ("rollout-true", "none"),
    ("optimum", "none"),
)


@dataclass(frozen=True)
class Runs:
    """What a row of the comparison brought.

    Attributes
    ----------
    reward : (R, N, T) expected reward of every cycle since the change
    late : (R, N) share of the windows since the change that were over a bound
    recovery : (R, N) cycles until recovered
    lost : (R, N) reward given away until then
    false_alarms : (R, N) alarms in the quiet cycles
    delay : (R, N) cycles from the change to the first alarm; T where there was none
    computing : (R, N) median computing time of a cycle, s
    """

    reward: Floats
    late: Floats
    recovery: Floats
    lost: Floats
    false_alarms: Floats
    delay: Floats
    computing: Floats

    @property
    def total(self) -> Floats:
        """Summed reward since the change, (R, N)."""
        return np.asarray(self.reward.sum(axis=2))


def compare(
    scenario: str = "S2",
    refits: int = 10,
    seeds: int = 20,
    cycles: int = 150,
    seed: int = 0,
    rows: Sequence[Row] = ROWS,
    jobs: int = -1,
) -> dict[Row, Runs]:
    """Run every row on the same worlds and disturbances.

    Parameters
    ----------
    scenario : str
        ``release``, ``S2`` or ``S3``.
    refits, seeds : int
        R worlds, each with another visit held out, as long as there are, and a resample of the others; N disturbances.
    cycles : int
        T.
    seed : int
        Of refits and disturbances.
    rows : sequence of (policy, exploration)
    jobs : int
        Processes.

    Returns
    -------
    dict of row to Runs
        With the unadapted base and the optimum, whether asked for or not.
    """
    wanted = list(dict.fromkeys([("base", "none"), *rows, ("optimum", "none")]))
    work = (delayed(_one)(scenario, r, n, cycles, seed, wanted) for r in range(refits) for n in range(seeds))
    found = Parallel(n_jobs=jobs)(work)
    return {row: _gathered([one[k] for one in found], refits, seeds) for k, row in enumerate(wanted)}


def _gathered(cells: Sequence[tuple[Floats, Floats]], refits: int, seeds: int) -> Runs:
    reward = np.array([cell[0] for cell in cells]).reshape(refits, seeds, -1)
    rest = np.array([cell[1] for cell in cells]).reshape(refits, seeds, -1)
    return Runs(reward, *np.moveaxis(rest, 2, 0))


def _one(scenario: str, refit: int, n: int, cycles: int, seed: int, rows: Sequence[Row]) -> list[tuple[Floats, Floats]]:
    loop = make_loop(scenario, seed, refit, refit % visits(SYSTEMS[scenario]))
    rewards = loop.after.held_rewards()
    floor = float(rewards[int(loop.after.index(MeshState(loop.resting[None], np.zeros(1, dtype=np.int64)))[0])])
    return [_run(loop, policy, explore, seed + n, refit, cycles, floor, float(rewards.max()))
            for policy, explore in rows]  # fmt: skip


def _run(
    loop: Loop, policy: str, explore: str, n: int, refit: int, cycles: int, floor: float, reference: float
) -> tuple[Floats, Floats]:
    brain = loop.controller(policy, explore, n, QUIET)
    plant = loop.simulated(QUIET, int(spawn(n, "plant", refit).integers(2**31)))
    records = run(plant, brain, QUIET + cycles)
    since = records[QUIET:]
    reward = np.array([record.window.expected for record in since])
    judged = worth(reward, np.array([record.violation for record in since]), floor, reference)
    raised = np.array([record.cycle for record in records if record.alarm], dtype=np.int64)
    delay = next((int(t) + 1 - QUIET for t in raised if t >= QUIET), cycles)
    computing = float(np.median([sum(record.seconds.values()) for record in records]))
    numbers = [judged.late, judged.recovery, judged.lost, float((raised < QUIET).sum()), float(delay), computing]
    return reward, np.array(numbers)


def fractions(runs: dict[Row, Runs], level: float = 0.95) -> dict[Row, Estimate]:
    """Return each row's share of the gain of the optimum over the unadapted base, with its interval.

    The ratio of the mean gains; its interval is Student's over the refits, of the ratio linearised at its value.
    """
    base, best = runs["base", "none"].total, runs["optimum", "none"].total
    most = best - base

    def estimate(total: Floats) -> Estimate:
        gain = total - base
        ratio = gain.mean() / most.mean()
        return over_units(ratio + (gain - ratio * most) / most.mean(), level)

    return {row: estimate(one.total) for row, one in runs.items()}


@dataclass(frozen=True)
class Calibration:
    """How a detector was set.

    Attributes
    ----------
    detector : str
    setting : float
        The most sensitive one that keeps the calibration's rate.
    cycles : int
        Quiet cycles, of the calibration and of the check each.
    calibrated : float
        False alarms per 1,000 cycles of the calibration's plants.
    checked : float
        The same on the scenario's own plant, which had no part in the calibration.
    """

    detector: str
    setting: float
    cycles: int
    calibrated: float
    checked: float


def calibrated(scenario: str = "S2", cycles: int = 10_000, seed: int = 0) -> list[Calibration]:
    """Calibrate every detector on quiet closed loops, and check it on the plant before its change.

    The rule: quiet plants are drawn from the model from before the change, `PLANT_WINDOWS` windows at each grid point,
    so that they differ from the model as a plant does that was visited once; the base policy runs on each for `STREAM`
    cycles; the setting is the most sensitive one whose rate of false alarms is, with 95 % confidence, at most
    `CALIBRATION_RATE` per cycle.
    """
    loop, streams = make_loop(scenario, seed), cycles // STREAM
    drawn = [_drawn(loop.model.response, spawn(seed, "quiet plant", k)) for k in range(streams)]
    quiet = np.array([_residuals(loop, response, seed + k) for k, response in enumerate(drawn)])
    check = np.array([_residuals(loop, loop.before.response, seed + k) for k in range(streams)])
    found = []
    for name in DETECTORS:
        setting = calibrate(name, quiet, CALIBRATION_RATE)
        rates = [1000.0 * _count(name, setting, z) / z.size for z in (quiet, check)]
        found.append(Calibration(name, setting, quiet.size, *rates))
    return found


def _count(name: str, setting: float, streams: Floats) -> int:
    return sum(len(alarms(make_detector(name, setting), stream)) for stream in streams)


def _drawn(table: ResponseTable, rng: np.random.Generator) -> ResponseTable:
    picks: Ints = rng.integers(table.windows.shape[1], size=(len(table.windows), PLANT_WINDOWS))
    return ResponseTable(np.take_along_axis(table.windows, picks[:, :, None], axis=1))


def _residuals(loop: Loop, response: ResponseTable, seed: int) -> Floats:
    """Return the residuals (T,) that the loop sees while the base policy rests and nobody listens for a change."""
    mesh = loop.before.with_response(response)
    plant, relearned = SimulatedPlant(mesh, mesh, 10**9, loop.resting, seed), Relearned(loop.model, loop.curves)
    stay, found = np.ones_like(loop.resting), np.empty(STREAM)
    for t in range(STREAM):
        window = plant.act(stay)
        z = relearned.residuals(window)
        relearned.learn(window, z)
        found[t] = z[0]
    return found
