"""Names to systems: `systems`, `make`, and the worlds in which a named policy is made and judged."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import gymnasium

from netrollout.batch import sizes
from netrollout.catalog.daily import daily_model, load_daily
from netrollout.catalog.farm import LAWS, LOGS, LoggedQueue, farm_model, farm_plant
from netrollout.catalog.realise import SOURCES, model_response, plant_response
from netrollout.catalog.scenario import Phase, load_scenario
from netrollout.envs.gym import NetEnv
from netrollout.models import SURROGATES
from netrollout.places import near
from netrollout.seeding import SEEDS
from netrollout.systems.mesh import Mesh
from netrollout.systems.queues import QueueMesh
from netrollout.systems.serverless import Farm
from netrollout.systems.serverless.farm import INCREMENTS
from netrollout.systems.toy import Walk
from netrollout.types import Enumerable, InputError

MESHES = {
    "mesh-s1": "two services share two nodes; nothing changes",
    "mesh-s2": "one service on two nodes becomes heavier",
    "mesh-s3": "one service on two nodes; the load starts to move",
    "mesh-release": "the mesh of mesh-s2; a release overloads it where its base policy rests",
}
QUEUES = {"mesh-s4": "one service on two nodes through the day: queues, slow starts, bursts; three changes"}
FARMS = {"serverless": "a task farm: deadlines met by more or fewer workers; three changes"}
TOYS = {"walk": "a walk on a line with a known optimum (for tests and first steps)"}
CHOICES = {"source": SOURCES, "phase": ("before", "after"), "side": ("plant", "model", "log"),
           "surrogate": tuple(SURROGATES), "workload": tuple(LAWS), "log": LOGS}  # fmt: skip
LONGEST = 1_000_000  # cycles of an episode
CHANGES = {"mesh-s4": ("heavier", "slower", "shifted"), "serverless": ("double", "cold", "rise")}


@dataclass(frozen=True)
class Options:
    """How a system is made.

    Parameters
    ----------
    source : str
        ``testbed`` (the shipped traces) or ``kth`` (the published traces, where fetched).
    phase : str
        ``before`` or ``after`` the change.
    side : str
        ``plant`` (what really happens: held-out visits) or ``model`` (what was learned from the other visits);
        serverless also has the ``log`` that its model was learned from, on which a learner may practise.
    surrogate : str
        Which regressor the model is.
    seed : int
        Of the surrogate and of the bootstrap.
    refit : int or None
        Number of a bootstrap resample of the model's visits; None takes the visits as they are.
    change : str or None
        Of a system that has several, the first where None: mesh-s4 ``heavier``, ``slower`` or ``shifted``; serverless
        ``double`` (service times), ``cold`` (slow starts) or ``rise`` (arrivals).
    workload : str
        Of serverless: the law of its plant's arrivals.
    log : str
        Of serverless: whether the model was learned from all laws that may be learned from (``mixed``) or from the one
        of the ``published`` farm, where every episode has the same phases.
    discount, horizon : float, int or None
        In place of the scenario's.
    """

    source: str = "testbed"
    phase: str = "before"
    side: str = "plant"
    surrogate: str = "forest"
    seed: int = 0
    refit: int | None = None
    change: str | None = None
    workload: str = "published"
    log: str = "mixed"
    discount: float | None = None
    horizon: int | None = None


TYPES: dict[str, Callable[[str], Any]] = {"seed": int, "refit": int, "discount": float, "horizon": int}
MEANINGLESS = {
    **{name: {"change", "workload", "log"} for name in MESHES},
    **{name: {"source", "surrogate", "workload", "log"} for name in QUEUES},
    **{name: {"source", "surrogate"} for name in FARMS},
    **{name: {"source", "surrogate", "refit", "change", "workload", "log"} for name in TOYS},
}


@dataclass(frozen=True)
class Entry:
    """A line of `netrollout systems`."""

    summary: str
    controls: str
    states: int | None
    actions: int


@dataclass(frozen=True)
class Context:
    """The worlds of a comparison: three systems of one kind.

    Attributes
    ----------
    base : system on which base policies are made: the model from before the change
    model : the newest model, on which they are improved
    plant : what really happens, on which everything is judged
    seed : of everything random in making a policy
    """

    base: Any
    model: Any
    plant: Any
    seed: int = 0


def systems() -> list[str]:
    """Return the names that `make` knows."""
    return [*MESHES, *QUEUES, *FARMS, *TOYS]


def describe(name: str) -> Entry:
    """Return what there is to say of a system without reading its traces."""
    if name in FARMS:
        return Entry(FARMS[name], "workers", None, len(INCREMENTS))
    system: Any = load_scenario(name).mesh("after") if name in MESHES else load_daily().before
    if name in TOYS:
        system = Walk()
    controls = ", ".join(c.name for c in system.controls) if name not in TOYS else "step"
    states = system.n_states if isinstance(system, Enumerable) else None
    return Entry((MESHES | QUEUES | TOYS)[name], controls, states, math.prod(sizes(system.levels)))


def make(name: str, /, **options: Any) -> Any:
    """Make a system by name.

    Parameters
    ----------
    name : str
        One of `systems`.
    **options
        Those of `Options`; texts are converted, so ``seed="3"`` is ``seed=3``.

    Returns
    -------
    System
        An `Enumerable` one, but for mesh-s4 and serverless.

    Raises
    ------
    InputError
        If the name, an option or its value is unknown (near ones are suggested), an option has no meaning for the
        system, or its traces are not there.

    Examples
    --------
    >>> make("walk", discount=0.5).discount
    0.5
    """
    if name not in systems():
        raise InputError(f"unknown system {name!r}; {near(name, systems())}")
    chosen = _options(options)
    if idle := sorted(MEANINGLESS[name] & set(options)):
        raise InputError(f"option {idle[0]} has no meaning for {name}; leave it out")
    given = {k: getattr(chosen, k) for k in ("discount", "horizon") if getattr(chosen, k) is not None}
    if name in TOYS:
        return replace(Walk(), **given)
    if chosen.side == "log" and name not in FARMS:
        raise InputError(f"option side=log: {name} keeps no log to practise on; choose plant or model")
    maker = _mesh if name in MESHES else _queues if name in QUEUES else _farm
    return replace(maker(name, chosen), **given)


def context(name: str, /, **options: Any) -> Context:
    """Return base model, newest model and plant of a system for the same options; ``side`` has no meaning here."""
    if "side" in options:
        raise InputError("option side: a comparison always plans on the model and judges on the plant")
    model = make(name, **options, side="model")
    base = make(name, **{**options, "phase": "before"}, side="model")
    return Context(base, model, make(name, **options, side="plant"), int(options.get("seed", 0)))


def make_env(name: str, flat: bool = False, render_mode: str | None = None, **options: Any) -> gymnasium.Env[Any, Any]:
    """Make a system as a Gymnasium environment: the entry point of the ids netrollout/<System>-v0.

    `flat` and `render_mode` are those of `NetEnv`, the options those of `make`.
    """
    return NetEnv(make(name, **options), flat, render_mode)


def _mesh(name: str, options: Options) -> Mesh:
    scenario = load_scenario(name, options.source)
    phase = cast(Phase, options.phase)
    if options.side == "plant":
        return scenario.mesh(phase, plant_response(scenario, phase, options.seed))
    return scenario.mesh(phase, model_response(scenario, phase, options.surrogate, options.seed, options.refit))


def _queues(name: str, options: Options) -> QueueMesh:
    change = _change(name, options)
    if options.side == "plant":
        return load_daily().plant(options.phase, change)
    return daily_model(options.phase, change, options.seed, options.refit)


def _farm(name: str, options: Options) -> Farm | LoggedQueue:
    change = _change(name, options)
    if options.side == "plant":
        return farm_plant(options.workload, options.phase, change)
    model = farm_model(options.phase, change, options.log, options.seed, options.refit)
    return model.log if options.side == "log" else model


def _change(name: str, options: Options) -> str:
    known = CHANGES[name]
    if options.change is not None and options.change not in known:
        raise InputError(f"option change={options.change}: choose one of {', '.join(known)}")
    return options.change or known[0]


def _options(given: dict[str, Any]) -> Options:
    known = [field.name for field in fields(Options)]
    values = {}
    for key, value in given.items():
        if key not in known:
            raise InputError(f"unknown option {key!r}; {near(key, known)}")
        values[key] = _converted(key, value)
    return Options(**values)


def _converted(key: str, value: Any) -> Any:
    if key in CHOICES and value not in CHOICES[key]:
        raise InputError(f"option {key}={value}: choose one of {', '.join(CHOICES[key])}")
    if key in TYPES and value is not None:
        kind = TYPES[key]
        try:
            number = kind(value)
        except ValueError:
            raise InputError(f"option {key}={value}: expected {'a whole' if kind is int else 'a'} number") from None
        if key in ("seed", "refit") and not 0 <= number < SEEDS:
            raise InputError(f"option {key}={value}: expected a whole number from 0 to {SEEDS - 1}")
        if key == "horizon" and not 1 <= number <= LONGEST:
            raise InputError(f"option {key}={value}: expected a whole number from 1 to {LONGEST}")
        if key == "discount" and not 0.0 <= number <= 1.0:
            raise InputError(f"option {key}={value}: expected a number from 0 to 1")
        return number
    return value
