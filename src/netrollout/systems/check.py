"""Does a system of one's own keep the promises of `netrollout.types.System`: `check_system` tries it.

Planning, rollout and learning rely on them without looking: a transition that changes its input, or a noise whose
weights do not sum to one, gives a wrong answer in silence.

Batch letters: B lanes, K action components, D observation size, S states, W noise points.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from netrollout import batch
from netrollout.dp.mdp import listed_noise
from netrollout.types import Bools, Enumerable, Floats, InputError, Ints, State, Step, System

LANES, CYCLES = 16, 8  # states that are tried: lanes of random play, cycle by cycle
MOST_STATES = 2_000  # listed states from which every action is tried
MEMBERS = ("name", "discount", "horizon", "levels", "initial", "disturbance", "transition", "step", "observe",
           "state_of", "feasible", "noise_support")  # fmt: skip


class _Case(NamedTuple):
    """What a transition is given."""

    x: State
    u: Ints
    w: Floats


def check_system(system: System, seed: int = 0) -> None:
    """Try a system by random play and refuse the first promise that it breaks.

    Tried are the shapes and types of all that it returns, masks of the right width that leave a choice, finite rewards,
    that `transition` is pure (it changes nothing it was given and draws nothing itself), that a lane alone does what it
    does in a batch, that `step` is `transition` under a drawn disturbance, that `state_of` is the inverse of `observe`
    (where the state is visible; where it is not, let it raise `InputError`), noise that sums to one, and of a system
    whose states are listed that `index` is the inverse of `states` and that no action leaves them.

    Parameters
    ----------
    system : System
    seed : int
        Of the random play.

    Raises
    ------
    InputError
        One line: what is wrong, and what would be right.

    Examples
    --------
    >>> import netrollout
    >>> netrollout.check_system(netrollout.make("walk"))
    """
    _check_members(system)
    rng = np.random.default_rng(seed)
    x = _checked_state(system, "initial", _drawn(system, "initial", lambda r: system.initial(r, LANES)), LANES)
    for _ in range(CYCLES):
        w = _drawn(system, "disturbance", lambda r: system.disturbance(r, (LANES,)))
        _refuse(system, np.ndim(w) != 2 or len(w) != LANES, f"disturbance(rng, ({LANES},)) of shape {np.shape(w)}",
                f"({LANES}, D_w), numbers for every lane")  # fmt: skip
        _check_view(system, x)
        case = _Case(x, _actions(system, rng, LANES), system.disturbance(rng, (LANES,)))
        x = _check_transition(system, case).state
    _check_noise(system, w.shape[1])
    if isinstance(system, Enumerable):
        _check_listed(system, rng)


def _refuse(system: System, wrong: Any, found: str, expected: str) -> None:
    if wrong:
        raise InputError(f"{system.name}: {found}; expected {expected}")


def _check_members(system: System) -> None:
    label = getattr(system, "name", type(system).__name__)
    for member in MEMBERS:
        if not hasattr(system, member):
            raise InputError(f"{label} has no {member}; expected all of {', '.join(MEMBERS)} (netrollout.types.System)")
    _refuse(system, not 0.0 <= system.discount <= 1.0, f"discount {system.discount}", "a number from 0 to 1")
    whole = isinstance(system.horizon, int | np.integer) and system.horizon >= 1
    _refuse(system, not whole, f"horizon {system.horizon!r}", "a whole number of cycles, 1 or more")
    levels = system.levels
    listed = isinstance(levels, tuple | list) and levels and all(isinstance(s, tuple | list) and s for s in levels)
    _refuse(system, not listed, f"levels {levels!r}", "the settings of each component, such as ((-1.0, 0.0, 1.0),)")


def _drawn(system: System, method: str, draw: Callable[[np.random.Generator], Any]) -> Any:
    """Return what a method draws, and refuse one that draws from elsewhere than the Generator it is given."""
    first, second = (draw(np.random.default_rng(1)) for _ in range(2))
    _refuse(system, not _same(first, second), f"{method} gives two answers for equal Generators",
            "every random number to come from the one it is given")  # fmt: skip
    return first


def _checked_state(system: System, method: str, x: State, lanes: int) -> State:
    _refuse(system, not isinstance(x, tuple) or not hasattr(x, "_fields"),
            f"{method} gives a state of type {type(x).__name__}", "a NamedTuple of arrays")  # fmt: skip
    for name, field in zip(x._fields, x, strict=True):
        fits = isinstance(field, np.ndarray) and field.shape[:1] == (lanes,)
        _refuse(system, not fits, f"{method} gives a state whose {name} has the shape {np.shape(field)}",
                f"an array of {lanes} lanes first")  # fmt: skip
    return x


def _check_view(system: System, x: State) -> None:
    """Check what a controller sees of states x, and what it may do there."""
    seen = system.observe(x)
    lanes = batch.length(x)
    fits = isinstance(seen, np.ndarray) and seen.ndim == 2 and len(seen) == lanes and seen.dtype == np.float32
    _refuse(system, not fits, f"observe gives shape {np.shape(seen)} and type {getattr(seen, 'dtype', type(seen))}",
            f"({lanes}, D) of float32")  # fmt: skip
    low, high = getattr(system, "bounds", (np.zeros(1), np.ones(1)))
    outside = ~((seen >= low) & (seen <= high))
    _refuse(system, outside.any(), f"observe gives {seen[outside][:1]}",
            "numbers within `bounds`, or from 0 to 1 where the system has none")  # fmt: skip
    _check_mask(system, system.feasible(x), lanes)
    behind = _behind(system, seen)
    _refuse(system, behind is not None and not _same(system.observe(behind), seen),
            "observe(state_of(observation)) is another observation",
            "the same, or state_of to raise InputError where the state is hidden")  # fmt: skip


def _behind(system: System, observation: Any) -> State | None:
    """Return the states behind observations, None where they are hidden."""
    try:
        return system.state_of(observation)
    except InputError:
        return None


def _check_mask(system: System, mask: Bools, lanes: int) -> None:
    sizes = batch.sizes(system.levels)
    fits = np.shape(mask) == (lanes, sum(sizes)) and np.asarray(mask).dtype.kind == "b"
    _refuse(system, not fits, f"feasible gives shape {np.shape(mask)} and type {np.asarray(mask).dtype}",
            f"({lanes}, {sum(sizes)}) of bool, component by component")  # fmt: skip
    for k, (begin, end) in enumerate(pairwise(np.cumsum([0, *sizes]))):
        _refuse(system, not mask[:, begin:end].any(axis=1).all(), f"feasible leaves component {k} no setting",
                "at least one that is allowed in every state")  # fmt: skip


def _actions(system: System, rng: np.random.Generator, lanes: int) -> Ints:
    return np.stack([rng.integers(size, size=lanes) for size in batch.sizes(system.levels)], axis=1)


def _check_transition(system: System, case: _Case) -> Step:
    """Check one transition of all lanes, and return what it brought."""
    kept = copy.deepcopy(case)
    step = _checked_step(system, system.transition(*case), case.x)
    for name, before, after in zip(_Case._fields, kept, case, strict=True):
        _refuse(system, not _same(before, after), f"transition changes the {name} that it is given",
                "new arrays in the state that it returns")  # fmt: skip
    _refuse(system, not _same(step, system.transition(*case)), "transition gives two answers for the same x, u and w",
            "every random number to come from `disturbance`")  # fmt: skip
    for lane in (np.array([0]), np.array([batch.length(case.x) - 1])):
        alone = system.transition(batch.take(case.x, lane), case.u[lane], case.w[lane])
        _refuse(system, not _same(alone, _lanes(step, lane)), f"lane {lane[0]} alone does not what it does in a batch",
                "no lane to read another")  # fmt: skip
    first, second = np.random.default_rng(2), np.random.default_rng(2)
    w = system.disturbance(second, (len(case.u),))
    _refuse(system, not _same(system.step(case.x, case.u, first), system.transition(case.x, case.u, w)),
            "step is not the transition under the disturbance of its Generator",
            "transition(x, u, disturbance(rng, (B,)))")  # fmt: skip
    return step


def _checked_step(system: System, step: Step, x: State) -> Step:
    lanes = batch.length(x)
    _checked_state(system, "transition", step.state, lanes)
    _refuse(system, type(step.state) is not type(x), f"transition gives a {type(step.state).__name__}",
            f"a {type(x).__name__}, as `initial`")  # fmt: skip
    for name, old, new in zip(x._fields, x, step.state, strict=True):
        _refuse(system, old.shape != new.shape, f"transition gives {name} the shape {new.shape}", f"{old.shape}")
        _refuse(system, old.dtype.kind != new.dtype.kind, f"transition gives {name} the type {new.dtype}",
                f"{old.dtype}, as it was")  # fmt: skip
    for name, values in {"reward": step.reward, "terminated": step.terminated, **step.metrics}.items():
        _refuse(system, np.shape(values) != (lanes,), f"transition gives {name} of shape {np.shape(values)}",
                f"({lanes},)")  # fmt: skip
    reward = np.asarray(step.reward)
    _refuse(system, not np.isfinite(reward).all(), f"transition gives a reward of {reward[~np.isfinite(reward)][:1]}",
            "finite numbers")  # fmt: skip
    ends = np.asarray(step.terminated).dtype
    _refuse(system, ends.kind != "b", f"transition gives terminated of type {ends}", "bool")
    return step


def _lanes(step: Step, index: Ints) -> Step:
    return Step(batch.take(step.state, index), step.reward[index], step.terminated[index],
                {name: values[index] for name, values in step.metrics.items()})  # fmt: skip


def _check_noise(system: System, width: int) -> None:
    noise = listed_noise(system)
    if noise is not None:
        _refuse(system, noise[0].shape[1] != width, f"noise_support gives points of {noise[0].shape[1]} numbers",
                f"{width}, as disturbance")  # fmt: skip


def _check_listed(system: Enumerable, rng: np.random.Generator) -> None:
    """Check a list of states, where there is one: large systems may raise InputError instead."""
    try:
        x = system.states()
    except InputError:
        return
    _checked_state(system, "states", x, system.n_states)
    index = np.asarray(system.index(x))
    wrong = np.flatnonzero(index != np.arange(system.n_states)) if index.shape == (system.n_states,) else [0]
    _refuse(system, len(wrong), f"index(states()) is not 0 .. {system.n_states - 1}, first for state {(*wrong, 0)[0]}",
            "the position of each state in `states`")  # fmt: skip
    some = np.unique(np.linspace(0, system.n_states - 1, MOST_STATES).astype(np.int64))
    x = batch.take(x, some)
    _check_view(system, x)
    behind = _behind(system, system.observe(x))
    _refuse(system, behind is not None and not _same(behind, x), "state_of(observe(x)) is another state than x",
            "the same, or state_of to raise InputError where the state is hidden")  # fmt: skip
    for u in batch.joint_actions(system.levels) if len(system.levels) < 5 else _actions(system, rng, 100):
        _check_stays(system, x, np.tile(u, (len(some), 1)), rng)


def _check_stays(system: Enumerable, x: State, u: Ints, rng: np.random.Generator) -> None:
    after = system.step(x, u, rng).state
    index = np.asarray(system.index(after))
    inside = (index >= 0) & (index < system.n_states)
    stays = inside.all() and _same(batch.take(system.states(), index), after)
    _refuse(system, not stays, f"action {u[0].tolist()} leads to a state that `states` does not list",
            "a listed one; let an action that is not feasible hold")  # fmt: skip


def _same(a: Any, b: Any) -> bool:
    """Compare arrays, tuples and dictionaries of them; numbers to rounding, as a product may add in another order."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    first, second = np.asarray(a), np.asarray(b)
    if first.shape != second.shape:
        return False
    if first.dtype.kind != "f":
        return bool((first == second).all())
    tolerance = 1e-6 if np.float32 in (first.dtype, second.dtype) else 1e-9
    return bool(np.allclose(first, second, rtol=tolerance, atol=tolerance, equal_nan=True))
