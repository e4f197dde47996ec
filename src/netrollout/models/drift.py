"""Has the system changed?  Detectors on standardised residuals, calibrated to the same rate of false alarms.

A window mean d at a configuration whose predictive distribution of log d has mean m and standard deviation s gives the
standardised residual z = (log d - m) / s, so that one threshold serves light and overloaded configurations alike.  On
raw seconds it would not: what is noise where requests queue is a catastrophe where they do not.  Residuals are clipped,
so that a single stray window raises no alarm.

Letters: N streams, T cycles, G grid points, Q windows, V services.  Sources: E. S. Page, "Continuous inspection
schemes", Biometrika 41, 1954; A. Bifet & R. Gavalda, "Learning from time-changing data with adaptive windowing", SDM
2007 (both as implemented in river).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from river import drift as river_drift
from scipy.stats import chi2

from netrollout.seeding import spawn
from netrollout.systems.mesh.dynamics import ResponseTable
from netrollout.types import Floats, InputError, Ints

CLIP = 4.0  # standard deviations
ALLOWANCE = 0.25  # Page-Hinkley's tolerated drift: half of the smallest shift that matters, in standard deviations
RATE = 2e-3  # false alarms per quiet cycle that are allowed
CONFIDENCE = 0.95  # of the upper limit of a false-alarm rate
RECENT = 100  # cycles in which the moment of a change is looked for


class Detector(Protocol):
    """Watches a stream of standardised residuals."""

    def update(self, z: float) -> bool:
        """Take the next residual; return whether the stream has changed.  After an alarm the detector begins anew."""


class Adwin:
    """Adaptive windowing: an alarm where two parts of the remembered window differ in their mean.

    Parameters
    ----------
    delta : float
        Significance; greater is more sensitive.  The test is made in every cycle (clock 1).
    """

    def __init__(self, delta: float) -> None:
        self._delta = delta
        self._begin()

    def _begin(self) -> None:
        make: Any = river_drift.ADWIN
        self._window = make(delta=self._delta, clock=1)

    def update(self, z: float) -> bool:
        """Take the next residual; return whether the stream has changed."""
        self._window.update(float(np.clip(z, -CLIP, CLIP)))
        if self._window.drift_detected:
            self._begin()
            return True
        return False


class PageHinkley:
    """The Page-Hinkley test: an alarm where the summed deviations leave their extreme by more than a threshold.

    Parameters
    ----------
    threshold : float
        In standard deviations; smaller is more sensitive.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._begin()

    def _begin(self) -> None:
        make: Any = river_drift.PageHinkley
        self._sum = make(min_instances=5, delta=ALLOWANCE, threshold=self._threshold)

    def update(self, z: float) -> bool:
        """Take the next residual; return whether the stream has changed."""
        self._sum.update(float(np.clip(z, -CLIP, CLIP)))
        if self._sum.drift_detected:
            self._begin()
            return True
        return False


DETECTORS: dict[str, Callable[[float], Detector]] = {"adwin": Adwin, "page-hinkley": PageHinkley}
LADDER: dict[str, tuple[float, ...]] = {  # from the most to the least sensitive setting
    "adwin": (0.9, 0.7, 0.5, 0.35, 0.2, 0.1, 0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3, 1e-4, 1e-5, 1e-6),
    "page-hinkley": (
        2.0,
        2.5,
        3.0,
        3.5,
        4.0,
        4.5,
        5.0,
        5.5,
        6.0,
        7.0,
        8.0,
        9.0,
        10.0,
        12.0,
        14.0,
        17.0,
        20.0,
        25.0,
        30.0,
        40.0,
    ),
}


def make_detector(name: str, setting: float) -> Detector:
    """Make a detector by name.

    Raises
    ------
    InputError
        If the name is unknown.

    Examples
    --------
    >>> detector = make_detector("page-hinkley", 10.0)
    >>> [detector.update(0.0) for _ in range(20)].count(True), any(detector.update(3.0) for _ in range(20))
    (0, True)
    """
    if name not in DETECTORS:
        raise InputError(f"unknown detector {name!r}; known: {', '.join(DETECTORS)}")
    return DETECTORS[name](setting)


def log_moments(table: ResponseTable) -> tuple[Floats, Floats]:
    """Return mean and standard deviation (G, V) of the log response times at every grid point."""
    logs = np.log(table.windows)
    return logs.mean(axis=1), logs.std(axis=1)


def residuals(table: ResponseTable, grid: Ints, d: Floats) -> Floats:
    """Return the standardised residuals (n,) of windows d (n, V), s, met at grid points (n,).

    With several services it is their sum over the square root of their number, so that it keeps unit variance.
    """
    mean, deviation = log_moments(table)
    z: Floats = (np.log(d) - mean[grid]) / deviation[grid]
    return np.asarray(z.sum(axis=1) / np.sqrt(z.shape[1]))


def alarms(detector: Detector, stream: Floats) -> Ints:
    """Return the cycles of a stream (T,) in which the detector raised an alarm."""
    return np.array([t for t, z in enumerate(stream) if detector.update(z)], dtype=np.int64)


def upper_rate(count: int, cycles: int) -> float:
    """Return the upper 95 % limit of the rate of a Poisson process that gave `count` events in `cycles`."""
    return float(chi2.ppf(CONFIDENCE, 2 * (count + 1)) / 2 / cycles)


def calibrate(name: str, quiet: Floats, rate: float = RATE) -> float:
    """Return the most sensitive setting of a detector that keeps the false alarms below a rate.

    The rule: going down the detector's ladder, the first setting for which the upper 95 % limit of the rate of alarms
    in the quiet streams is at most `rate`.

    Parameters
    ----------
    name : str
        A key of `DETECTORS`.
    quiet : (N, T) float64
        Standardised residuals of cycles in which nothing changed.
    rate : float
        Alarms per cycle.

    Raises
    ------
    InputError
        If no setting of the ladder is quiet enough, or there are too few cycles to tell.
    """
    if upper_rate(0, quiet.size) > rate:
        raise InputError(f"{quiet.size} quiet cycles cannot show a rate of {rate:g}; at least {int(3 / rate) + 1} can")
    for setting in LADDER[name]:
        count = sum(len(alarms(make_detector(name, setting), stream)) for stream in quiet)
        if upper_rate(count, quiet.size) <= rate:
            return setting
    raise InputError(f"{name}: no setting raises fewer than {rate:g} false alarms per cycle")


def change_point(z: Floats) -> int:
    """Return how many of the newest residuals z (T,) came after a change that has just been noticed.

    The likeliest moment of a shift of the mean of unit-variance residuals away from 0: it maximises the squared sum of
    the residuals since then over their number.
    """
    newest = z[::-1][:RECENT]
    gain = np.cumsum(newest) ** 2 / np.arange(1, len(newest) + 1)
    return int(gain.argmax()) + 1


@dataclass(frozen=True)
class Delay:
    """How soon a detector notices a change of one size at one configuration.

    Attributes
    ----------
    detector : str
    grid : int
        Grid point at which the controller stands.
    size : float
        Share of the full change, on the scale of log response times.
    shift : float
        The same change in standard deviations of a quiet window: what the configuration tells of it.
    median : float
        Cycles from the change to the alarm; as many as were waited for where it was missed.
    detected : float
        Share of the streams with an alarm in time.
    false_alarms : float
        Alarms per 1,000 quiet cycles at this configuration.
    """

    detector: str
    grid: int
    size: float
    shift: float
    median: float
    detected: float
    false_alarms: float


def delay_study(
    before: ResponseTable,
    after: ResponseTable,
    points: Sequence[int],
    sizes: Sequence[float],
    cycles: int = 10_000,
    repeats: int = 100,
    patience: int = 200,
    seed: int = 0,
) -> list[Delay]:
    """Measure delay against size of change, every detector calibrated to the same rate on the same quiet cycles.

    A change of size f moves every window at a configuration by f times the difference of the mean logs before and
    after.  Calibration uses `cycles` quiet cycles at each configuration, in streams of 500; the false alarms reported
    come from as many others.

    Parameters
    ----------
    before, after : ResponseTable
    points : sequence of int
        Grid points, such as `informative` gives.
    sizes : sequence of float
    cycles : int
        Quiet cycles at each grid point.
    repeats : int
        Changes of each size.
    patience : int
        Cycles that an alarm is waited for.
    """
    shift = (log_moments(after)[0] - log_moments(before)[0]).sum(axis=1)
    found = []
    for point in points:
        quiet = _quiet(before, point, cycles, spawn(seed, "calibrate", point))
        check = _quiet(before, point, cycles, spawn(seed, "check", point))
        spread = log_moments(before)[1][point].mean() * np.sqrt(before.windows.shape[2])
        for name in DETECTORS:
            setting = calibrate(name, quiet)
            count = sum(len(alarms(make_detector(name, setting), stream)) for stream in check)
            for size in sizes:
                moved = size * shift[point] / spread
                delays = [
                    _delay(make_detector(name, setting), stream[:60], stream[60 : 60 + patience] + moved)
                    for stream in _quiet(before, point, 500 * repeats, spawn(seed, "change", point))
                ]
                late = np.array(delays)
                found.append(
                    Delay(name, point, size, float(moved), float(np.median(late)), float((late < patience).mean()),
                          1000.0 * count / check.size)
                )  # fmt: skip
    return found


def informative(before: ResponseTable, after: ResponseTable) -> Ints:
    """Return the grid points (G,) ordered by how much a window there tells of the change, the most telling first."""
    (mean, deviation), new = log_moments(before), log_moments(after)[0]
    return np.argsort(-np.abs((new - mean) / deviation).sum(axis=1), kind="stable").astype(np.int64)


def _quiet(table: ResponseTable, point: int, cycles: int, rng: np.random.Generator) -> Floats:
    """Return standardised residuals of quiet cycles at one grid point, in streams of 500: (cycles / 500, 500)."""
    grid = np.full(cycles, point)
    return residuals(table, grid, table(grid, rng.random(cycles))).reshape(-1, 500)


def _delay(detector: Detector, quiet: Floats, changed: Floats) -> int:
    """Return the cycles from the change to the first alarm after it; an alarm before it is a false one."""
    for z in quiet:
        detector.update(z)
    return next((t + 1 for t, z in enumerate(changed) if detector.update(z)), len(changed))
