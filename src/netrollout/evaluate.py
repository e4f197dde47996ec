"""Paired evaluation: the same disturbances for every policy, and intervals that respect how the numbers arose.

Batch letters: N seeds (one lane each), T cycles, K action components.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from netrollout import batch
from netrollout.seeding import spawn
from netrollout.types import Floats, InputError, Policy, State, System

TAIL = 5  # worst episodes from which a mean of them is reported


@dataclass(frozen=True)
class Episodes:
    """What N paired episodes brought.

    Attributes
    ----------
    rewards : (N, T) reward of every cycle; 0 after the end of an episode
    alive : (N, T) whether the cycle took place
    metrics : dict of (N, T)
    """

    rewards: Floats
    alive: Floats
    metrics: dict[str, Floats]

    def returns(self, discount: float) -> Floats:
        """Return the discounted sum of rewards of each episode, (N,)."""
        total: Floats = self.rewards @ discount ** np.arange(self.rewards.shape[1])
        return total

    def mean_rewards(self) -> Floats:
        """Return the mean reward per cycle of each episode, (N,)."""
        mean: Floats = self.rewards.sum(axis=1) / self.alive.sum(axis=1)
        return mean


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes
    ----------
    value, low, high : float
    level : float
        Coverage of [low, high].
    n : int
        Size of the first (independent) axis.
    """

    value: float
    low: float
    high: float
    level: float
    n: int


def simulate(
    system: System, policy: Policy, seeds: Sequence[int], horizon: int | None = None, given: Floats | None = None
) -> Episodes:
    """Run one episode per seed, all as lanes of one batch.

    Start and disturbances of an episode depend on its seed alone, so two policies run with the same seeds are paired
    cycle by cycle (common random numbers).

    Parameters
    ----------
    system : System
        The plant.
    policy : Policy
    seeds : sequence of int, (N,)
    horizon : int, optional
        Cycles T; the system's own where None.
    given : (T, N, D_w) float64, optional
        Recorded disturbances in place of drawn ones.

    Raises
    ------
    InputError
        If there are no seeds or no cycles, the given disturbances are of other numbers of them, or a reward is not
        finite.

    Examples
    --------
    >>> import netrollout
    >>> worlds = netrollout.world("walk")
    >>> ran = netrollout.simulate(worlds.plant, netrollout.make_policy("optimal", worlds), seeds=[1, 2])
    >>> ran.rewards.shape, ran.metrics["place"].mean(axis=1).tolist()
    ((2, 10), [1.0, 1.0])
    """
    cycles = system.horizon if horizon is None else horizon
    if not len(seeds) or cycles < 1:
        raise InputError(f"{len(seeds)} seeds and {cycles} cycles: at least one of each is needed")
    x = _starts(system, seeds)
    w = given
    if w is None:
        w = np.stack([system.disturbance(spawn(seed, "disturbance"), (cycles,)) for seed in seeds], axis=1)
    if w.shape[:2] != (cycles, len(seeds)):
        raise InputError(f"disturbances of shape {w.shape}; expected {cycles} cycles of {len(seeds)} episodes")
    alive, memory, begin = np.ones(len(seeds)), None, np.ones(len(seeds), dtype=bool)
    rewards, lived, metrics = [], [], []
    for t in range(cycles):
        u, memory = policy.predict(system.observe(x), memory, begin, deterministic=True)
        step = system.transition(x, u, w[t])
        odd = np.flatnonzero((alive > 0.0) & ~np.isfinite(step.reward))
        if odd.size:
            place = f"cycle {t} of seed {seeds[odd[0]]}"
            raise InputError(f"{system.name}: reward {step.reward[odd[0]]} in {place}; expected a finite number")
        rewards.append(np.where(alive > 0.0, step.reward, 0.0))
        lived.append(alive)
        metrics.append(step.metrics)
        alive = alive * ~step.terminated
        x, begin = step.state, np.zeros(len(seeds), dtype=bool)
    series = {name: np.stack([m[name] for m in metrics], axis=1) for name in metrics[0]}
    return Episodes(np.stack(rewards, axis=1), np.stack(lived, axis=1), series)


def _starts(system: System, seeds: Sequence[int]) -> State:
    lanes = [system.initial(spawn(seed, "start"), 1) for seed in seeds]
    state: State = type(lanes[0])(*(np.concatenate(fields) for fields in zip(*lanes, strict=True)))
    assert batch.length(state) == len(seeds)
    return state


def bootstrap(
    values: Floats,
    statistic: Callable[[Floats], Floats] | None = None,
    level: float = 0.95,
    draws: int = 4000,
    seed: int = 0,
    crossed: bool = False,
) -> Estimate:
    """Return a mean with its hierarchical bootstrap interval.

    Each axis of `values` is one level of nesting, the outermost first (say model refits, then training seeds, then
    episodes).  Every draw resamples the first axis with replacement, then, separately inside each chosen item, the
    second, and so on: the interval widens with the number of independent refits and seeds, not with that of episodes
    (Saravanan, Berman & Sober 2020, section 2.2).  Where the axes are crossed (the same training seeds meet every
    refit) each axis is resampled once per draw instead, since resampling the seeds anew inside each refit would average
    their luck away.

    Parameters
    ----------
    values : (n_1, n_2, ...) float64
    statistic : callable, optional
        From (draws, n_1 n_2 ...) resampled values to (draws,); the mean where None.
    level : float
        Coverage, between 0 and 1.
    draws : int
        Number of bootstrap resamples.
    seed : int
        Of the resampling.
    crossed : bool
        Whether item k of an axis is the same thing at every place of the other axes.

    Raises
    ------
    InputError
        If there are no values or one is not finite.

    Examples
    --------
    >>> import netrollout, numpy as np
    >>> found = netrollout.bootstrap(np.array([1.0, 2.0, 6.0]))
    >>> found.value, found.low, found.high
    (3.0, 1.0, 6.0)
    """
    values = np.atleast_1d(np.asarray(values, dtype=float))
    if values.size == 0 or not np.isfinite(values).all():
        raise InputError(f"bootstrap of {values.size} values needs at least one, all finite")
    reduce = statistic if statistic is not None else _mean
    rng = spawn(seed, "bootstrap")
    index = np.zeros((draws, 1), dtype=np.int64)
    for size in values.shape:
        drawn = rng.integers(size, size=(draws, 1 if crossed else index.shape[1], size))
        index = (index[:, :, None] * size + drawn).reshape(draws, -1)
    samples = reduce(values.ravel()[index])
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(reduce(values.reshape(1, -1))[0]), float(low), float(high), level, values.shape[0])


def t_interval(values: Floats, level: float = 0.95) -> Estimate:
    """Return the mean over independent units with Student's t interval, n - 1 degrees of freedom.

    Unlike a percentile bootstrap it covers what it says with few units (Colas, Sigaud & Oudeyer 2018).

    Parameters
    ----------
    values : (n, ...) float64
        The first axis counts the units (runs, refits, trainings, or their paired differences); what a unit holds is
        averaged first.
    level : float
        Coverage, between 0 and 1.

    Raises
    ------
    InputError
        If there are fewer than two units or a value is not finite.
    """
    units = np.asarray(values, dtype=float)
    if units.ndim == 0 or len(units) < 2 or not np.isfinite(units).all():
        raise InputError(f"a t interval of values of shape {units.shape} needs at least two units, all finite")
    means = units.reshape(len(units), -1).mean(axis=1)
    half = float(stdtrit(len(means) - 1, (1 + level) / 2) * means.std(ddof=1) / np.sqrt(len(means)))
    value = float(means.mean())
    return Estimate(value, value - half, value + half, level, len(means))


def over_units(values: Floats, level: float = 0.95) -> Estimate:
    """Return `t_interval` over the first axis that has more than one unit; a value that has none is a point.

    So ten logs of four episodes are ten units, and a single log's episodes are four.
    """
    units = np.atleast_1d(np.asarray(values, dtype=float))
    while units.ndim > 1 and len(units) == 1:
        units = units[0]
    if len(units) > 1:
        return t_interval(units, level)
    return Estimate(float(units[0]), float(units[0]), float(units[0]), level, 1)


def resolution(differences: Floats, level: float = 0.95, power: float = 0.8) -> float:
    """Return the smallest true difference that so many units tell from zero with the given power.

    Parameters
    ----------
    differences : (n, ...) float64
        Paired differences of two policies; the first axis counts the units, at least two.
    level, power : float
        Coverage of the interval, and probability with which it leaves out zero.
    """
    units = np.asarray(differences, dtype=float)
    means = units.reshape(len(units), -1).mean(axis=1)
    free = len(means) - 1
    told = stdtrit(free, (1 + level) / 2) + stdtrit(free, power)
    return float(told * means.std(ddof=1) / np.sqrt(len(means)))


def cvar(values: Floats, share: float, level: float = 0.95) -> Estimate:
    """Return the mean of the worst episodes (conditional value at risk) with its bootstrap interval.

    Parameters
    ----------
    values : (N,) float64
        One return per episode.
    share : float
        Of the episodes, between 0 and 1; their number is rounded down.
    level : float
        Coverage of the interval.

    Raises
    ------
    InputError
        If the worst are fewer than `TAIL`: their mean would be luck.
    """
    worst = int(len(values) * share + 1e-9)
    if worst < TAIL:
        least = int(np.ceil(TAIL / share)) if 0.0 < share <= 1.0 else 0
        raise InputError(
            f"CVaR at {share:.2g}: {worst} of {len(values)} episodes are the worst ones; expected {TAIL} or more, "
            f"which takes {least} episodes"
        )
    return bootstrap(values, lambda samples: np.partition(samples, worst - 1, axis=1)[:, :worst].mean(axis=1), level)


def _mean(samples: Floats) -> Floats:
    mean: Floats = samples.mean(axis=1)
    return mean
