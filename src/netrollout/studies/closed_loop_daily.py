"""The closed loop on scenario S4, judged on paired simulated runs.

Every run begins with a day under the base policy, while the controller listens; then the change strikes, the controller
takes over, and the run is judged for `cycles` cycles by the rewards that it gets.  All controllers meet the same
requests.

The rows are the words of `netrollout.systems.queues.loops`.

Letters: R model refits, N seeds, T cycles since the change.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from joblib import Parallel, delayed

from netrollout.loop import make_loop
from netrollout.makers import Worlds, make_policy
from netrollout.models.drift import calibrate
from netrollout.seeding import spawn
from netrollout.studies.closed_loop_study import Runs
from netrollout.systems.queues.dynamics import QueueMesh
from netrollout.systems.queues.loops import DETECTOR, ORACLES, WORDS
from netrollout.systems.queues.plants import window_of_step
from netrollout.systems.queues.realise import daily_model, load_daily
from netrollout.systems.queues.relearn import RelearnedQueues
from netrollout.types import Floats, InputError, Policy

DAY = 96  # cycles before the change
CALIBRATION_RATE = 3e-4  # false alarms per cycle and stream
STREAK, SHARE = 24, 0.8  # recovered: this share of the possible gain, over so many cycles
OWN = 1000  # number of the first log of other days that a quiet plant is drawn from
ROWS = tuple(WORDS)


def compare_daily(
    change: str = "heavier",
    refits: int = 10,
    seeds: int = 20,
    cycles: int = 150,
    seed: int = 0,
    rows: Sequence[str] = ROWS,
    jobs: int = -1,
) -> dict[tuple[str, str], Runs]:
    """Run every row on the same worlds and requests.

    Parameters
    ----------
    change : str
        ``heavier``, ``slower`` or ``shifted``.
    refits, seeds : int
        R logs that the old model is learned from, N runs with each.
    cycles : int
        T.
    seed : int
        Of logs and runs.
    rows : sequence of str
        Of `ROWS`.
    jobs : int
        Processes.

    Returns
    -------
    dict of (row, "none") to Runs
        With the unadapted base and the optimum, whether asked for or not; `netrollout.studies.closed_loop_study` judges
        it.

    Raises
    ------
    InputError
        If a row or the change is unknown.
    """
    wanted = list(dict.fromkeys(["base", *rows, "optimum"]))
    if unknown := sorted(set(wanted) - set(ROWS)):
        raise InputError(f"unknown row {unknown[0]!r} of the closed loop on S4; known: {', '.join(ROWS)}")
    if change not in load_daily().changes:
        raise InputError(f"unknown change {change!r} of S4; known: {', '.join(load_daily().changes)}")
    work = (delayed(_refit)(change, refit, seeds, cycles, seed, wanted) for refit in range(refits))
    found = Parallel(n_jobs=jobs)(work)
    return {(row, "none"): _judged(k, wanted, found) for k, row in enumerate(wanted)}


def _refit(change: str, refit: int, seeds: int, cycles: int, seed: int, rows: Sequence[str]) -> list[list[Floats]]:
    """Return (row, seed) runs: each (T + DAY, 4) reward, late, alarm, computing."""
    known = daily_model("before", change, seed, refit)
    return [[run_daily(change, known, row, seed + n, refit, cycles) for n in range(seeds)] for row in rows]


def run_daily(change: str, known: QueueMesh, row: str, n: int, refit: int = 0, cycles: int = 150) -> Floats:
    """Run one row; return reward, share late, alarm (0 or 1) and computing time in s of every cycle, (DAY + T, 4)."""
    loop = replace(make_loop(f"mesh-s4-{change}"), model=known)
    brain, base = loop.controller(row, seed=n), _base(known)
    rng = spawn(n, "daily loop", refit)
    brain.x, w = loop.before.initial(rng, 1), loop.before.disturbance(rng, (DAY + cycles,))
    plant = loop.simulated(DAY, n, brain.x, lambda t: w[t][None])
    found = np.empty((DAY + cycles, 4))
    for t in range(DAY + cycles):
        begin = time.perf_counter()
        u = base.predict(known.observe(brain.x), deterministic=True)[0][0] if t < DAY else brain.decide()
        computing, window = time.perf_counter() - begin, plant.act(u)
        begin, alarms = time.perf_counter(), ()
        if row in ORACLES:  # they are told, and need no detector
            brain.x = window.state
        else:
            _, alarms = brain.learn(window)
        reward = brain.relearner.reward(window)[0]
        found[t] = reward, window.late, bool(alarms), computing + time.perf_counter() - begin
    return found


def _base(known: QueueMesh) -> Policy:
    return make_policy(WORDS["base"], Worlds(known, known, known))


def _judged(k: int, rows: Sequence[str], found: Sequence[list[list[Floats]]]) -> Runs:
    """Gather a row's runs; recovered: the shortfall against the optimum has fallen to stay."""
    cells = np.array([one[k] for one in found])  # (R, N, DAY + T, 4)
    base, best = (np.array([one[rows.index(name)] for one in found])[..., DAY:, 0] for name in ("base", "optimum"))
    since, quiet = cells[:, :, DAY:], cells[:, :, :DAY]
    shortfall, allowed = best - since[..., 0], (1.0 - SHARE) * float((best - base).mean())
    r, n, cycles = shortfall.shape
    recovery = np.array([_recovered(one, allowed) for one in shortfall.reshape(-1, cycles)]).reshape(r, n)
    lost = np.array(
        [one[: int(t)].sum() for one, t in zip(shortfall.reshape(-1, cycles), recovery.ravel(), strict=True)]
    )
    alarms = since[..., 2] > 0
    delay = np.where(alarms.any(axis=2), alarms.argmax(axis=2) + 1, cycles).astype(float)
    return Runs(since[..., 0], since[..., 1].mean(axis=2), recovery.reshape(r, n).astype(float), lost,
                quiet[..., 2].sum(axis=2), delay, np.median(since[..., 3], axis=2))  # fmt: skip


def _recovered(shortfall: Floats, allowed: float) -> int:
    """Return the first cycle from which the mean of `STREAK` shortfalls (T,) is small enough; T if there is none."""
    means = np.convolve(shortfall, np.full(STREAK, 1.0 / STREAK), mode="valid")
    low = np.flatnonzero(means <= allowed)
    return int(low[0]) if len(low) else len(shortfall)


def calibrated(cycles: int = 10_000, seed: int = 0) -> float:
    """Return the setting of the detector by the rule: the most sensitive one that is quiet on other days' models.

    A quiet plant is the model learned from another log of the same system; the base policy runs on it for a day and the
    controller, which knows the model of its own log, listens.  With 95 % confidence each stream raises at most
    `CALIBRATION_RATE` false alarms per cycle.
    """
    known = daily_model("before", "heavier", seed, 0)
    quiet = [_quiet(known, daily_model("before", "heavier", seed, OWN + k), k) for k in range(max(cycles // DAY, 1))]
    streams = np.concatenate([np.array(one).T for one in quiet])
    return calibrate(DETECTOR, np.nan_to_num(streams), CALIBRATION_RATE)


def _quiet(known: QueueMesh, plant: QueueMesh, n: int) -> list[Floats]:
    rng, relearned = spawn(n, "quiet day"), RelearnedQueues(known)
    x, base, found = plant.initial(rng, 1), _base(known), []
    for _ in range(DAY):
        u = base.predict(known.observe(x), deterministic=True)[0]
        step = plant.step(x, u, rng)
        found.append(relearned.residuals(window_of_step(int(x.phase[0]), step)))
        x = step.state
    return found
