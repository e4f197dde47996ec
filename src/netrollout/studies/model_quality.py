"""How good must the model be? Models of graded quality, what they are wrong by, and what that costs on the plant.

Plant and model of a mesh share the law by which settings and load move and differ in the reward alone, so the
simulation lemma takes its simplest form.  With e(x, u) = |r_model - r_plant| and the model's optimal policy pi::

    regret = J*_plant - J_pi,plant
           <=  E[sum of discount^t e] under the plant's optimum  +  the same under pi     (weighted)
           <=  2 max e / (1 - discount)                                                   (supremum)

(Kearns & Singh 2002; the weighted form keeps the two sums that the supremum bounds).

Batch letters: S states, N values of a measure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from netrollout.catalog import Worlds, policy_table
from netrollout.dp import MDP, evaluate_policy, policy_iteration
from netrollout.experiment import Row, Values, exactly
from netrollout.models import Forest, bootstrap_visits, certain, make_surrogate, tabulate
from netrollout.rollout import rollout_table
from netrollout.rollout.truncated import simulate_returns
from netrollout.seeding import spawn
from netrollout.systems.mesh.dynamics import Mesh
from netrollout.systems.mesh.realise import MODEL_WINDOWS, rows, split
from netrollout.systems.mesh.scenario import load_scenario
from netrollout.systems.queues.model import collect, learn_queues
from netrollout.systems.queues.policies import Hpa
from netrollout.systems.queues.realise import LOG_ROUTING
from netrollout.types import Floats, InputError, Ints, Phase, Policy, State, Surrogate, System

VARIANTS = (
    "forest", "forest, r(E d)", "forest, 10 trees", "forest, 40 trees", "forest, 1 visit", "forest, half the settings",
    "mean-forest", "boosting", "linear", "queueing", "table", "stale forest",
)  # fmt: skip


def graded(worlds: Worlds, name: str, variant: str, seed: int, refit: int, held: int | None = None) -> Worlds:
    """Return worlds after a change with a model of graded quality as the newest.

    Parameters
    ----------
    worlds : Worlds
        Of the scenario after its change.
    name : str
        ``mesh-s1``, ``mesh-s2`` or ``mesh-s3``.
    variant : str
        Of `VARIANTS`.
    seed, refit : int
        Of the surrogate, and number of the bootstrap resample of the model's visits.
    held : int or None
        Which visit is the plant's, see `netrollout.systems.mesh.realise.split`.

    Raises
    ------
    InputError
        If the variant is unknown.
    """
    return replace(worlds, model=_variant(name, variant, worlds.plant, seed, refit, held))


def _variant(name: str, variant: str, plant: Mesh, seed: int, refit: int, held: int | None) -> Mesh:
    """Return a model of the system after the change."""
    if variant not in VARIANTS:
        raise InputError(f"unknown model {variant!r}; choose among {'; '.join(VARIANTS)}")
    kind, _, what = variant.partition(", ")
    phase: Phase = "before" if kind.startswith("stale") else "after"
    scenario = load_scenario(name)
    mesh, frame = scenario.mesh(phase), split(rows(scenario, phase), "model", held)
    if what == "1 visit":
        frame = frame[frame["rank"] == frame["rank"].min()]
    if what == "half the settings":
        kept = spawn(seed, "half", refit).permutation(np.unique(frame["grid"]))[::2]
        frame = frame[frame["grid"].isin(kept)]
    chosen = bootstrap_visits(frame["visit"].to_numpy(), frame["grid"].to_numpy(), spawn(seed, "refit", refit))
    frame = frame.iloc[chosen]
    response = frame[[f"d_{service}" for service in scenario.services]].to_numpy()
    controls = [control.name for control in scenario.controls]
    surrogate: Surrogate = make_surrogate(
        kind.removeprefix("stale "), seed, controls=controls, services=scenario.services
    )
    if what.endswith("trees"):
        surrogate = Forest(trees=int(what.split()[0]), seed=seed)
    surrogate.fit(mesh.grid_features()[frame["grid"]], response, frame["visit"].to_numpy())
    table = tabulate(surrogate, plant, MODEL_WINDOWS)  # at the loads of after the change, whatever it has seen
    return plant.with_response(certain(table) if what == "r(E d)" else table)


def errors(worlds: Worlds) -> Values:
    """Return what a model is wrong by: means over all states, N = 1.

    Returns
    -------
    dict
        ``error``, the mean absolute error of the expected response time over the mean of the plant's (NMAE);
        ``supremum``, 2 max e / (1 - discount); ``weighted``, the occupancy-weighted bound.
    """
    mdp, judge = MDP.from_system(worlds.model), MDP.from_system(worlds.plant)
    true, learned = (np.nanmean(mesh.response.windows, axis=1) for mesh in (worlds.plant, worlds.model))
    gap = np.zeros_like(judge.reward)  # an action that is not feasible has no reward to be wrong by
    gap[judge.feasible] = np.abs(mdp.reward[judge.feasible] - judge.reward[judge.feasible])
    wrong, optima = replace(judge, reward=gap), (policy_iteration(process).policy for process in (judge, mdp))
    return {
        "error": np.array([np.abs(learned - true).mean() / true.mean()]),
        "supremum": np.array([2.0 * gap.max() / (1.0 - judge.discount)]),
        "weighted": np.array([sum(evaluate_policy(wrong, policy).value.mean() for policy in optima)]),
    }


def on_both(worlds: Worlds) -> Callable[[Any], Values]:
    """Judge a table's mean value over states on the ``model`` and on the ``plant``."""
    of = {"model": exactly().of(replace(worlds, plant=worlds.model)), "plant": exactly().of(worlds)}
    return lambda table: {side: judge(table)["mean"] for side, judge in of.items()}


def lookaheads(steps: Sequence[int], noise: float, seed: int, refit: int) -> dict[tuple[str, int], Row]:
    """Return lookahead with terminal values of graded quality around the old optimum, as rows (terminal value, steps).

    ``zero`` is model predictive control with horizon l, ``zero, r(E d)`` its certainty-equivalent form; ``base`` is the
    re-evaluated old optimum, ``stale`` its value before the change, ``noisy`` the model's optimal value with noise of
    standard deviation `noise`, in units of its spread over states.
    """
    made: dict[str, Callable[[int], Row]] = {
        key: lambda ahead, key=key: f"rollout(optimal, lookahead={ahead}, terminal={key})"  # type: ignore[misc]
        for key in ("zero", "stale", "base")
    }
    made |= {"zero, r(E d)": lambda ahead: partial(_certain, ahead)}
    made |= {"noisy": lambda ahead: partial(_noisy, ahead, noise, seed, refit)}
    order = ("zero", "zero, r(E d)", "stale", "base", "noisy")
    return {(key, ahead): made[key](ahead) for key in order for ahead in steps}


def _certain(steps: int, worlds: Worlds) -> Ints:
    sure = MDP.from_system(worlds.model.with_response(certain(worlds.model.response)))
    return rollout_table(sure, policy_table("optimal", worlds), lookahead=steps, terminal="zero")


def _noisy(steps: int, noise: float, seed: int, refit: int, worlds: Worlds) -> Ints:
    mdp, rng = MDP.from_system(worlds.model), spawn(seed, "noise", refit)
    best = policy_iteration(mdp).value
    value = best + noise * best.std() * rng.standard_normal(len(best))
    return rollout_table(mdp, policy_table("optimal", worlds), lookahead=steps, terminal="stale", stale_value=value)


def common_numbers(
    system: System, base: Policy, x: State, horizon: int, samples: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return standard deviations, path by path, of the gain of moving one component down from the base's action, (P,).

    Parameters
    ----------
    system : System
    base : Policy
        Without memory.
    x : State
        B states.
    horizon, samples : int
        Of the simulated paths.
    rng : numpy.random.Generator

    Returns
    -------
    common, independent : (P,)
        With common random numbers, all candidates of a state meeting the same disturbances, and with their own.
    """
    u, _ = base.predict(system.observe(x))
    lanes = np.arange(len(u))
    returns = _returns_of(system, base, x, horizon)
    shared_w = system.disturbance(rng, (horizon + 1, len(u), samples))
    still = returns(u, shared_w)
    spreads: tuple[list[Floats], list[Floats]] = ([], [])
    for component in range(u.shape[1]):
        other = u.copy()
        other[:, component] = np.where(u[:, component] > 0, u[:, component] - 1, 1)
        moved = returns(other, shared_w)
        own = returns(other, system.disturbance(rng, (horizon + 1, len(lanes), samples)))
        for place, paths in enumerate((moved, own)):
            spreads[place].append((paths - still).std(axis=1, ddof=1))
    return np.concatenate(spreads[0]), np.concatenate(spreads[1])


def _returns_of(system: System, base: Policy, x: State, horizon: int) -> Callable[[Any, Floats], Floats]:
    def returns(u: Any, w: Floats) -> Floats:
        return simulate_returns(system, base, x, u, w, np.arange(len(u)))[0]

    return returns


def from_log(worlds: Worlds, cycles: int, seed: int) -> Worlds:
    """Return S4's worlds with the newest model learned from a log of so many control cycles of the plant."""
    log = collect(worlds.plant, Hpa(worlds.plant, p=LOG_ROUTING), cycles, seed)
    return replace(worlds, model=learn_queues(worlds.base, log))
