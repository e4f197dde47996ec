"""What is relearned of queues that carry over: `RelearnedQueues` on S4, `LearnedDemand` on S5.

A window of S4 tells how many requests came, how many each node was given and how much worker time they asked for.  The
model's two demands and its daily pattern foretell all three; each gives a stream of standardised residuals::

    z_k    = (log(cpu_k / n_k) - log demand_k + 1 / (2 n_k)) sqrt(n_k)   node k = 1, 2; demands vary by their mean
    z_load = (n - m) / sqrt(m + (MISFIT m)^2)       m: requests foretold, without or with a burst, the nearer one

and a detector of its own.  Until an alarm nothing is relearned: the log behind the model is worth more than a few
windows.  After an alarm on a demand the log factors on the two demands are a Gaussian vector, whose prior says that
a change of both together is likelier than a change of one (`APART`), and every window since the
likeliest moment of the change conditions it.  After an alarm on the load every shift of the day and every factor on the
load is a hypothesis, weighed by the loads since then.  The model is rounded (`STEP`), so that a plan is made anew only
where the model has really moved.

On S5 the controller knows the day, too.  What it learns is the worker time that a request takes: an average of worker
time in use per completed request, in which each cycle weighs `weight`; there is no detector.  The work that waits is
the number of requests in a node's queue times that demand.

Letters: H hypotheses of the pattern, T windows.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from netrollout.models.drift import change_point
from netrollout.seeding import spawn
from netrollout.systems.mesh.physics import APART, TOGETHER
from netrollout.systems.queues.dynamics import MOST_LATE, Pattern, QueueMesh, QueueState
from netrollout.systems.queues.plants import QueueWindow
from netrollout.systems.queues.throttle import backlog
from netrollout.types import Floats, Ints

KEEP = 96  # windows, a day
MISFIT = 0.05  # share of the load by which a learned pattern is wrong although nothing has changed
STEP = 0.05  # the log factors on the demands are rounded to multiples of this, so that plans can be kept
FACTORS = np.exp(np.linspace(np.log(0.5), np.log(2.0), 15))  # on the load
SPREAD = 0.3  # prior standard deviation of the log factor on the load
UNSHIFTED = 0.5  # prior probability that the day is not shifted
STREAMS = ("demand_1", "demand_2", "load")


class _Queues:
    """What both have in common."""

    streams: tuple[str, ...] = ()
    known: QueueMesh
    alarms: int = 0

    def model(self) -> QueueMesh:
        """Return the newest model, rounded."""
        raise NotImplementedError

    def state(self, window: QueueWindow | None) -> QueueState:
        """Return the model's state (one lane) after a window: what is known of it, or what the window tells."""
        if window is None:
            return self.known.initial(spawn(0, "start"), 1)
        return state_after(self.model(), window) if window.state is None else window.state

    def predicted(self, x: QueueState, u: Ints) -> Floats:
        """Return nothing, (0,): response times are not foretold."""
        return np.empty(0)

    def reward(self, window: QueueWindow) -> tuple[float, bool]:
        """Return the reward of a window and whether too many requests were late."""
        return window.reward(self.known), window.late > MOST_LATE


@dataclass
class RelearnedQueues(_Queues):
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

    streams = STREAMS
    known: QueueMesh
    alarms: int = 0
    _rows: deque[tuple[QueueWindow, Floats]] = field(default_factory=lambda: deque(maxlen=KEEP))
    _since: dict[str, list[QueueWindow]] = field(default_factory=dict)
    _model: QueueMesh | None = None

    def model(self) -> QueueMesh:
        """Return the newest model, rounded."""
        if self._model is None:
            self._model = self._refitted()
        return self._model

    def residuals(self, window: QueueWindow) -> Floats:
        """Return the standardised residuals (3,) of a window, in the order of `STREAMS`; NaN where nothing is told."""
        model = self.model()
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = np.log(window.busy / window.n) - np.log(model.demand)
            demand = (gap + 0.5 / window.n) * np.sqrt(window.n)  # the log of a mean lies half a variance too low
        expected = _expected(model.pattern, np.array([window.phase]))[:, 0] * model.cycle
        count = window.load * model.cycle
        z = (count - expected) / np.sqrt(expected + (MISFIT * expected) ** 2)
        return np.append(np.where(window.n > 0, demand, np.nan), z[np.abs(z).argmin()])

    def learn(self, window: QueueWindow, z: Floats) -> None:
        """Take a window with its residuals z (3,)."""
        self._rows.append((window, z))
        for found in self._since.values():
            found.append(window)
        self._model = None

    def change(self, stream: str) -> None:
        """Believe that what a stream tells of has changed."""
        told = [(window, float(z[STREAMS.index(stream)])) for window, z in self._rows]
        told = [row for row in told if np.isfinite(row[1])]
        since = change_point(np.array([z for _, z in told]))
        self._since["load" if stream == "load" else "demand"] = [window for window, _ in told[-since:]]
        self.alarms, self._model = self.alarms + 1, None

    def _refitted(self) -> QueueMesh:
        model = self.known
        if "demand" in self._since:
            factors = _factors(self._since["demand"], np.asarray(self.known.demand))
            rounded = np.exp(STEP * np.rint(factors / STEP)) * np.asarray(self.known.demand)
            model = replace(model, demand=(float(rounded[0]), float(rounded[1])))
        if "load" in self._since:
            model = replace(model, pattern=_moved(self.known, self._since["load"]))
        return model


@dataclass
class LearnedDemand(_Queues):
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

    def state(self, window: QueueWindow | None) -> QueueState:
        """Return the model's state (one lane) after a window, as far as that tells of it."""
        return super().state(window and replace(window, state=None))

    def __post_init__(self) -> None:
        """Begin with what is known."""
        self._demand = self.known.demand[0]

    def model(self) -> QueueMesh:
        """Return the newest model, its demand rounded; that of the two nodes is one, because their service is one."""
        factor = self._demand / self.known.demand[0]
        if not self.weight:
            return self.known
        rounded = float(self.known.demand[0] * np.exp(STEP * np.rint(np.log(factor) / STEP)))
        return replace(self.known, demand=(rounded, rounded))

    def residuals(self, window: QueueWindow) -> Floats:
        """Return nothing, (0,): there is no detector."""
        return np.empty(0)

    def learn(self, window: QueueWindow, z: Floats) -> None:
        """Take a window; one in which no request was completed tells nothing."""
        count, busy = float(window.n.sum()), float(window.busy.sum())
        if count > 0.0 and busy > 0.0:
            self._demand += self.weight * (busy / count - self._demand)


def state_after(model: QueueMesh, window: QueueWindow) -> QueueState:
    """Return the model's state (one lane) after a window.

    The queue is what waits, times the model's demand; whether there is a burst is told by the load.
    """
    phase, load = window.phase, np.array([window.load])
    calm = model.pattern.load(np.array([phase]), np.zeros(1, dtype=np.int64))
    burst = (load > 0.5 * (1.0 + model.pattern.burst) * calm).astype(np.int64)
    ready = int(window.setting[1]) + 1 - int(window.starting.sum())
    work = backlog(np.asarray(window.queue)[None], np.asarray(model.demand), np.array([ready]))
    following = np.array([(phase + 1) % model.pattern.day])
    busy = np.array([min(window.busy[0] / (ready * model.cycle), 1.0)])
    return QueueState(
        following, burst, window.setting[None], window.starting[None], work, load, busy, np.array([window.late])
    )


def _expected(pattern: Pattern, phase: Ints) -> Floats:
    """Return the loads without and with a burst, (2, T), requests/s; at least a hundredth of the mean."""
    calm, burst = (pattern.load(phase, np.full(len(phase), b)) for b in (0, 1))
    return np.maximum(np.stack([calm, burst]), 0.01 * pattern.mean)


def _factors(windows: list[QueueWindow], demand: Floats) -> Floats:
    """Return the posterior mean (2,) of the log factors on the demands."""
    n, busy = (np.sum([getattr(window, name) for window in windows], axis=0) for name in ("n", "busy"))
    together, apart = TOGETHER**2 + APART**2, TOGETHER**2 - APART**2
    prior = np.array([[together, apart], [apart, together]])
    met = np.flatnonzero(n > 0)
    told = np.log(busy[met] / n[met] / demand[met])
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
