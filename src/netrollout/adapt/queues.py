"""The control cycle on queues that carry over (scenario S4): what is relearned there, and who decides.

A window of S4 tells how many requests came, how many each node was given and how much worker time they asked for.  The
model's two demands and its daily pattern foretell all three; each gives a stream of standardised residuals::

    z_k    = (log(cpu_k / n_k) - log demand_k + 1 / (2 n_k)) sqrt(n_k)   node k = 1, 2; demands vary by their mean
    z_load = (n - m) / sqrt(m + (MISFIT m)^2)       m: requests foretold, without or with a burst, the nearer one

and a detector of its own.  Until an alarm nothing is relearned: the log behind the model is worth more than a few
windows.  After an alarm on a demand the log factors on the two demands are a Gaussian vector, whose prior says that
a change of both together is likelier than a change of one (`netrollout.adapt.physics`), and every window since the
likeliest moment of the change conditions it.  After an alarm on the load every shift of the day and every factor on the
load is a hypothesis, weighed by the loads since then.  The model is rounded (`STEP`), so that a plan is made anew only
where the model has really moved.

Letters: H hypotheses of the pattern, T windows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from netrollout.adapt.physics import APART, TOGETHER
from netrollout.models.drift import Detector, change_point
from netrollout.systems.queues.dynamics import Pattern, QueueMesh, QueueState
from netrollout.types import Floats, Ints, Policy

KEEP = 96  # windows, a day
MISFIT = 0.05  # share of the load by which a learned pattern is wrong although nothing has changed
STEP = 0.05  # the log factors on the demands are rounded to multiples of this
FACTORS = np.exp(np.linspace(np.log(0.5), np.log(2.0), 15))  # on the load
SPREAD = 0.3  # prior standard deviation of the log factor on the load
UNSHIFTED = 0.5  # prior probability that the day is not shifted
STREAMS = ("demand_1", "demand_2", "load")


class QueueWindow(NamedTuple):
    """What one cycle of S4 measured."""

    phase: int  # cycle of the day
    n: Floats  # (2,) requests given to each node
    cpu: Floats  # (2,) s, worker time that they asked for
    load: float  # requests/s


@dataclass
class RelearnedQueues:
    """The newest model of S4.

    Parameters
    ----------
    known : QueueMesh
        The model from before the change.

    Attributes
    ----------
    alarms : int
        Changes that were noticed.
    """

    known: QueueMesh
    alarms: int = 0
    _rows: deque[tuple[QueueWindow, Floats]] = field(default_factory=lambda: deque(maxlen=KEEP))
    _since: dict[str, list[QueueWindow]] = field(default_factory=dict)
    _model: QueueMesh | None = None

    @property
    def model(self) -> QueueMesh:
        """The newest model, rounded."""
        return self.known if self._model is None else self._model

    def residuals(self, window: QueueWindow) -> Floats:
        """Return the standardised residuals (3,) of a window, in the order of `STREAMS`; NaN where nothing is told."""
        model = self.model
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = np.log(window.cpu / window.n) - np.log(model.demand)
            demand = (gap + 0.5 / window.n) * np.sqrt(window.n)  # the log of a mean lies half a variance too low
        expected = _expected(model.pattern, np.array([window.phase]))[:, 0] * model.cycle
        count = window.load * model.cycle
        z = (count - expected) / np.sqrt(expected + (MISFIT * expected) ** 2)
        return np.append(np.where(window.n > 0, demand, np.nan), z[np.abs(z).argmin()])

    def learn(self, window: QueueWindow, z: Floats, alarms: tuple[str, ...]) -> None:
        """Take a window with its residuals z (3,); `alarms` names the streams in which a change was noticed."""
        self._rows.append((window, z))
        for found in self._since.values():
            found.append(window)
        for stream in alarms:
            self._change(stream)
        if self._since:
            self._model = self._refitted()

    def _change(self, stream: str) -> None:
        told = [(window, float(z[STREAMS.index(stream)])) for window, z in self._rows]
        told = [row for row in told if np.isfinite(row[1])]
        since = change_point(np.array([z for _, z in told]))
        self._since["load" if stream == "load" else "demand"] = [window for window, _ in told[-since:]]
        self.alarms += 1

    def _refitted(self) -> QueueMesh:
        model = self.known
        if "demand" in self._since:
            factors = _factors(self._since["demand"], np.asarray(self.known.demand))
            rounded = np.exp(STEP * np.rint(factors / STEP)) * np.asarray(self.known.demand)
            model = replace(model, demand=(float(rounded[0]), float(rounded[1])))
        if "load" in self._since:
            model = replace(model, pattern=_moved(self.known, self._since["load"]))
        return model


def _expected(pattern: Pattern, phase: Ints) -> Floats:
    """Return the loads without and with a burst, (2, T), requests/s; at least a hundredth of the mean."""
    calm, burst = (pattern.load(phase, np.full(len(phase), b)) for b in (0, 1))
    return np.maximum(np.stack([calm, burst]), 0.01 * pattern.mean)


def _factors(windows: list[QueueWindow], demand: Floats) -> Floats:
    """Return the posterior mean (2,) of the log factors on the demands."""
    n, cpu = (np.sum([getattr(window, name) for window in windows], axis=0) for name in ("n", "cpu"))
    together, apart = TOGETHER**2 + APART**2, TOGETHER**2 - APART**2
    prior = np.array([[together, apart], [apart, together]])
    met = np.flatnonzero(n > 0)
    told = np.log(cpu[met] / n[met] / demand[met])
    gain = prior[:, met] @ np.linalg.inv(prior[np.ix_(met, met)] + np.diag(1.0 / n[met]))
    return np.asarray(gain @ told)


def _moved(known: QueueMesh, windows: list[QueueWindow]) -> Pattern:
    """Return the pattern under the likeliest shift of the day and factor on the load."""
    pattern, cycle = known.pattern, known.cycle
    shifts = np.arange(pattern.day)
    phase = np.array([window.phase for window in windows])
    count = np.array([window.load for window in windows]) * cycle
    expected = _expected(pattern, (phase[None, :] - shifts[:, None]).ravel() % pattern.day) * cycle
    m = expected.reshape(2, 1, len(shifts), len(phase)) * FACTORS[:, None, None]  # (2, factors, shifts, T)
    variance = m + (MISFIT * m) ** 2
    log = -0.5 * ((count - m) ** 2 / variance + np.log(variance))
    often = pattern.enter / (pattern.enter + pattern.leave)
    with np.errstate(divide="ignore"):  # bursts may never come
        calm, burst = np.log1p(-often), np.log(often)
    likelihood = np.logaddexp(log[0] + calm, log[1] + burst).sum(axis=-1)
    likelihood -= 0.5 * (np.log(FACTORS)[:, None] / SPREAD) ** 2
    likelihood += np.log(np.where(shifts == 0, UNSHIFTED, (1.0 - UNSHIFTED) / (pattern.day - 1)))
    factor, shift = np.unravel_index(int(likelihood.argmax()), likelihood.shape)
    return replace(
        pattern,
        mean=float(pattern.mean * FACTORS[factor]),
        amplitude=float(pattern.amplitude * FACTORS[factor]),
        shift=float((pattern.shift + shifts[shift]) % pattern.day),
    )


@dataclass
class QueueController:
    """Decides on S4, and learns from what follows.

    Parameters
    ----------
    relearned : RelearnedQueues
    detectors : dict of stream to Detector
        For each of `STREAMS`.
    plan : callable
        From a model to a policy; called anew whenever the model has moved.
    """

    relearned: RelearnedQueues
    detectors: dict[str, Detector]
    plan: Callable[[QueueMesh], Policy]
    _planned: tuple[QueueMesh, Policy] | None = None
    _memory: Any = None

    def decide(self, x: QueueState) -> Ints:
        """Return the action (2,) in state x (one lane), of which the policy sees the observation."""
        model = self.relearned.model
        begin = self._planned is None or self._planned[0] != model
        if self._planned is None or begin:
            self._planned, self._memory = (model, self.plan(model)), None
        policy = self._planned[1]
        u, self._memory = policy.predict(model.observe(x), self._memory, np.array([begin]), deterministic=True)
        action: Ints = u[0]
        return action

    def learn(self, window: QueueWindow) -> bool:
        """Remember a window, test for change, and refit; return whether a change was noticed."""
        z = self.relearned.residuals(window)
        told = zip(STREAMS, z, strict=True)
        alarms = tuple(s for s, one in told if np.isfinite(one) and self.detectors[s].update(float(one)))
        self.relearned.learn(window, z, alarms)
        return bool(alarms)


def window_of_cycle(phase: int, metrics: dict[str, Floats]) -> QueueWindow:
    """Return the window of a step of one lane."""
    n, cpu = (np.array([metrics[f"{name}_{k}"][0] for k in (1, 2)]) for name in ("n", "cpu"))
    return QueueWindow(phase, n, cpu, float(metrics["load"][0]))
