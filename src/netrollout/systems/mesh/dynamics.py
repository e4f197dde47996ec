"""The service mesh: routing weights and workers against measured response times.

A front node splits the offered load of V services over processing nodes; M controls (a routing weight per service,
workers per node) stand on finite grids and move by at most one level in a control cycle.  With setting s, load l and
disturbance w::

    s'  = clip(s + u)                         the controls move (an increment beyond the range holds)
    d   = response(s', l, w)                  the window's mean response time of every service, s
    r   = reward(s', d)                       see `Objective`
    l'  = l with probability 1 - load_move, else another level, each equally likely

so the load that the controller sees is the load of the coming cycle.  The response is a table of equally likely window
means at each grid point: measured windows in the plant, a surrogate's quantiles in the model.  Discount and horizon are
per control cycle.  Batch letters: B lanes, M controls, V services, L load levels, G grid points, Q windows.

Sources: the scenarios of Samani, Hammar & Stadler, NOMS 2024, section IV; the model is theirs with a Markov load.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netrollout.batch import joint_index
from netrollout.types import Bools, Floats, InputError, Ints, Step

INCREMENTS = (-1.0, 0.0, 1.0)


class MeshState(NamedTuple):
    """Where the controls stand and which load comes."""

    setting: Ints  # (B, M) level of each control
    load: Ints  # (B,) level of the load


@dataclass(frozen=True)
class Control:
    """One thing that the controller sets.

    Parameters
    ----------
    name : str
        ``p_<service>`` (routing weight to node 1, 0..1) or ``c_<node>`` (workers).
    levels : tuple of float
        The settings, rising.
    """

    name: str
    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse levels that do not rise."""
        if len(self.levels) < 2 or any(a >= b for a, b in itertools.pairwise(self.levels)):
            raise InputError(f"control {self.name}: levels {list(self.levels)} must be at least two and rise")


def level_of(system: str, controls: Sequence[Control], values: dict[str, float]) -> Ints:
    """Return the levels (M,) of named control values; see `Mesh.setting`."""
    found = {}
    for key, value in values.items():
        match = [c for c in controls if c.name == key or c.name.split("_")[0] == key]
        if len(match) != 1:
            raise InputError(f"{system}: no single control {key!r}; the controls are {_names(controls)}")
        near = int(np.argmin(np.abs(np.asarray(match[0].levels) - value)))
        if not abs(match[0].levels[near] - value) <= 1e-9:  # so written, NaN is refused too
            raise InputError(f"{system}: {key}={value:g} is not on the grid {list(match[0].levels)}")
        if match[0].name in found:
            raise InputError(f"{system}: {match[0].name} is given twice")
        found[match[0].name] = near
    missing = [c for c in controls if c.name not in found]
    if missing:
        raise InputError(f"{system}: a setting needs a value for {_names(missing)}")
    return np.array([found[c.name] for c in controls])


def _names(controls: Sequence[Control]) -> str:
    return ", ".join(control.name for control in controls)


@dataclass(frozen=True)
class Objective:
    """The reward of a cycle.

    With every response time within its bound the reward is the product, over the groups of `economy`, of one minus the
    share of the group's largest setting in use (for S2: 1 - c/5); otherwise it is minus the sum of the excesses, s.
    A missing response time (nothing was routed) violates nothing.

    Parameters
    ----------
    bounds : tuple of float
        Largest acceptable response time of each service, s.
    economy : tuple of tuple of str
        Groups of controls whose settings are saved on.
    digits : int or None
        Response times are first rounded to so many decimals, as the published code does; None leaves them.
    """

    bounds: tuple[float, ...]
    economy: tuple[tuple[str, ...], ...]
    digits: int | None = None

    def __call__(self, saved: Floats, d: Floats) -> tuple[Floats, Bools]:
        """Return reward (...,) and violation (...,) for savings (...,) and response times d (..., V), s."""
        if self.digits is not None:
            d = np.round(d, self.digits)
        excess = np.nan_to_num(np.maximum(d - np.asarray(self.bounds), 0.0), nan=0.0).sum(axis=-1)
        violation = excess > 0.0
        return np.where(violation, -excess, saved), violation


@dataclass(frozen=True, eq=False)
class ResponseTable:
    """Equally likely window means at every grid point.

    Parameters
    ----------
    windows : (G, Q, V) float64
        Response times, s, in the order of `Mesh.grid_features`.
    """

    windows: Floats

    def __call__(self, grid: Ints, u: Floats) -> Floats:
        """Return the response times (B, V) at grid points (B,) for uniforms u (B,) in [0, 1)."""
        q = self.windows.shape[1]
        drawn: Floats = self.windows[grid, np.minimum((u * q).astype(np.int64), q - 1)]
        return drawn


@dataclass(frozen=True, eq=False)
class Mesh:
    """A service mesh with finite controls.

    ======================  =====================================  =========================
    observation             unit                                   range
    ======================  =====================================  =========================
    one per control         level, as a share of the highest       0 to 1
    one per moving load     level, as a share of the highest       0 to 1 (absent if L = 1)
    ======================  =====================================  =========================

    Actions: one increment (down, hold, up) per control.  No state terminates.

    Parameters
    ----------
    name : str
    controls : tuple of Control
    services : tuple of str
    loads : (L, V) float64
        Offered load of every service at each load level, requests/s.
    load_move : float
        Probability that the load moves to another level after a cycle.
    objective : Objective
    response : ResponseTable
    start : MeshState or None
        Where every episode begins, one lane; None draws it uniformly from all states.
    discount : float
        Per control cycle.
    horizon : int
        Control cycles per episode; the adapters truncate there.

    Raises
    ------
    InputError
        If the response table does not fit the grid, a bound is missing, or a group of the economy names no control.
    """

    name: str
    controls: tuple[Control, ...]
    services: tuple[str, ...]
    loads: Floats
    load_move: float
    objective: Objective
    response: ResponseTable
    start: MeshState | None = None
    discount: float = 0.99
    horizon: int = 20

    def __post_init__(self) -> None:
        """Check that the parts fit each other."""
        names = [control.name for control in self.controls]
        for control in itertools.chain.from_iterable(self.objective.economy):
            if control not in names:
                raise InputError(f"{self.name}: economy names {control!r}; the controls are {', '.join(names)}")
        if len(self.objective.bounds) != len(self.services):
            raise InputError(f"{self.name}: {len(self.objective.bounds)} bounds for {len(self.services)} services")
        expected = (self.n_states, len(self.services))
        got = (self.response.windows.shape[0], self.response.windows.shape[2])
        if got != expected:
            raise InputError(f"{self.name}: response table for {got} grid points and services; expected {expected}")
        if not 0.0 <= self.discount < 1.0:
            raise InputError(f"{self.name}: discount {self.discount} must be at least 0 and below 1")
        if not 0.0 <= self.load_move <= 1.0:
            raise InputError(f"{self.name}: load_move {self.load_move} is a probability, 0 to 1")
        if self.horizon < 1:
            raise InputError(f"{self.name}: horizon {self.horizon} must be at least 1 cycle")

    @property
    def levels(self) -> tuple[tuple[float, ...], ...]:
        """Increments of every control."""
        return (INCREMENTS,) * len(self.controls)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Load levels, then levels of each control: the grid, load slowest."""
        return (len(self.loads), *(len(control.levels) for control in self.controls))

    @property
    def n_states(self) -> int:
        """Number of states, and of grid points."""
        return int(np.prod(self.shape))

    @cached_property
    def _top(self) -> Ints:
        return np.asarray(self.shape[1:]) - 1

    @cached_property
    def saved(self) -> Floats:
        """What each grid point saves, (G,), in [0, 1]."""
        values = dict(zip((c.name for c in self.controls), self.grid_features().T, strict=False))
        saved = np.ones(self.n_states)
        for group in self.objective.economy:
            top = sum(float(values[name].max()) for name in group)
            saved *= 1.0 - sum(values[name] for name in group) / top
        return saved

    @cached_property
    def _outcomes(self) -> tuple[Floats, Bools, Floats]:
        """Reward, violation (G, Q) and response times (V, G, Q) of every window; NaN times read as 0."""
        reward, violation = self.objective(self.saved[:, None], self.response.windows)
        return reward, violation, np.nan_to_num(np.moveaxis(self.response.windows, 2, 0), nan=0.0)

    def held_rewards(self) -> Floats:
        """Return the expected reward of a cycle when each grid point is held, (G,)."""
        return np.asarray(self._outcomes[0].mean(axis=1))

    def late_share(self) -> Floats:
        """Return the share of windows over a bound when each grid point is held, (G,)."""
        share: Floats = self._outcomes[1].mean(axis=1)
        return share

    def states(self) -> MeshState:
        """Return all states as one batch, in the order of the grid."""
        grid = np.stack(np.unravel_index(np.arange(self.n_states), self.shape), axis=1)
        return MeshState(grid[:, 1:].astype(np.int64), grid[:, 0].astype(np.int64))

    def index(self, x: MeshState) -> Ints:
        """Return the grid point of each lane, (B,)."""
        return np.ravel_multi_index((x.load, *x.setting.T), self.shape).astype(np.int64)

    def grid_features(self) -> Floats:
        """Return (G, M + V): the value of every control, then the offered load of every service in requests/s."""
        x = self.states()
        settings = [np.asarray(c.levels)[x.setting[:, k]] for k, c in enumerate(self.controls)]
        return np.column_stack([*settings, self.loads[x.load]])

    def setting(self, values: dict[str, float]) -> Ints:
        """Return the levels (M,) of named control values; a service or node may be dropped where that is unique.

        Raises
        ------
        InputError
            If a control is unknown, missing, given twice, or not on its grid.
        """
        return level_of(self.name, self.controls, values)

    def initial(self, rng: np.random.Generator, n: int) -> MeshState:
        """Return the starts of n episodes."""
        if self.start is not None:
            return MeshState(np.repeat(self.start.setting, n, axis=0), np.repeat(self.start.load, n))
        grid = np.stack(np.unravel_index(rng.integers(self.n_states, size=n), self.shape), axis=1).astype(np.int64)
        return MeshState(grid[:, 1:], grid[:, 0])

    def disturbance(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Draw uniforms (*shape, 2): which window is met, and how the load moves."""
        return rng.random((*shape, 2))

    def transition(self, x: MeshState, u: Ints, w: Floats) -> Step:
        """Move the controls by u (B, M), meet a window, and let the load move; see the module's equations."""
        setting = np.clip(x.setting + np.asarray(u) - 1, 0, self._top)
        grid = self.index(MeshState(setting, x.load))
        reward, violation, times = self._outcomes
        q = reward.shape[1]
        window = np.minimum((w[:, 0] * q).astype(np.int64), q - 1)
        metrics = {f"d_{name}": times[v, grid, window] for v, name in enumerate(self.services)}
        metrics["violation"] = violation[grid, window].astype(float)
        metrics["saved"] = self.saved[grid]
        state = MeshState(setting, self._move(x.load, w[:, 1]))
        return Step(state, reward[grid, window], np.zeros(len(grid), dtype=bool), metrics)

    def _move(self, load: Ints, u: Floats) -> Ints:
        """Invert the law of the load: the first load_move of [0, 1) is shared by the other levels."""
        others = len(self.loads) - 1
        if not others or not self.load_move:
            return load
        other = np.minimum((u / self.load_move * others).astype(np.int64), others - 1)
        return np.where(u < self.load_move, other + (other >= load), load)

    def step(self, x: MeshState, u: Ints, rng: np.random.Generator) -> Step:
        """Draw a disturbance and apply `transition`."""
        return self.transition(x, u, self.disturbance(rng, (len(x.load),)))

    def observe(self, x: MeshState) -> NDArray[np.float32]:
        """Return the levels as shares of the highest, (B, D)."""
        parts = [x.setting / self._top]
        if len(self.loads) > 1:
            parts.append(x.load[:, None] / (len(self.loads) - 1))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def state_of(self, observation: NDArray[np.floating]) -> MeshState:
        """Return the states behind observations (B, D)."""
        m = len(self.controls)
        setting = np.rint(np.asarray(observation)[:, :m] * self._top).astype(np.int64)
        if len(self.loads) == 1:
            return MeshState(setting, np.zeros(len(setting), dtype=np.int64))
        return MeshState(setting, np.rint(observation[:, m] * (len(self.loads) - 1)).astype(np.int64))

    def feasible(self, x: MeshState) -> Bools:
        """Return which increments stay within the range, (B, 3 M)."""
        can = np.stack([x.setting > 0, np.ones_like(x.setting, dtype=bool), x.setting < self._top], axis=2)
        return can.reshape(len(x.setting), 3 * len(self.controls))

    def noise_support(self) -> tuple[Floats, Floats]:
        """Return the Q windows times the load's moves with their probabilities."""
        q, others = self.response.windows.shape[1], len(self.loads) - 1
        windows = (np.arange(q) + 0.5) / q
        moves, weights = np.array([1.0 - 1e-9]), np.array([1.0])
        if others and self.load_move:
            moves = np.append((np.arange(others) + 0.5) / others * self.load_move, (1.0 + self.load_move) / 2)
            weights = np.append(np.full(others, self.load_move / others), 1.0 - self.load_move)
        w = np.stack(np.meshgrid(windows, moves, indexing="ij"), axis=-1).reshape(-1, 2)
        return w, np.outer(np.full(q, 1.0 / q), weights).ravel()

    def with_response(self, response: ResponseTable) -> Mesh:
        """Return the same mesh with another response: what a learned model replaces, and nothing else."""
        return replace(self, response=response)


def hold_table(mesh: Mesh, setting: Ints) -> Ints:
    """Return the table (S,) that moves every control one level a cycle towards `setting` and holds it there.

    Parameters
    ----------
    mesh : Mesh
    setting : (M,) int
        Target level of each control, or (S, M) one target per state.
    """
    move = np.sign(np.asarray(setting) - mesh.states().setting) + 1
    return joint_index(move.astype(np.int64), mesh.levels)
