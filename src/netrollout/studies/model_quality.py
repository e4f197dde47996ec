"""How good must the model be? Models of graded quality, what they are wrong by, and what that costs on the plant.

Plant and model of a mesh share the law by which settings and load move and differ in the reward alone, so the
simulation lemma takes its simplest form.  With e(x, u) = |r_model - r_plant| and the model's optimal policy pi::

    regret = J*_plant - J_pi,plant
           <=  E[sum of discount^t e] under the plant's optimum  +  the same under pi     (weighted)
           <=  2 max e / (1 - discount)                                                   (supremum)

(Kearns & Singh 2002; the weighted form keeps the two sums that the supremum bounds).

Batch letters: R refits, S states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from netrollout.baselines.queues import Hpa
from netrollout.catalog.daily import LOG_ROUTING
from netrollout.catalog.policies import lift, make_policy
from netrollout.catalog.realise import MODEL_WINDOWS, rows, split
from netrollout.catalog.registry import context
from netrollout.catalog.scenario import Phase, load_scenario
from netrollout.dp import MDP, evaluate_policy, policy_iteration
from netrollout.evaluate import simulate
from netrollout.models import Forest, bootstrap_visits, certain, make_surrogate, tabulate
from netrollout.models.demands import collect, learn_queues
from netrollout.rollout import rollout_table
from netrollout.rollout.truncated import simulate_returns
from netrollout.seeding import spawn
from netrollout.systems.mesh import Mesh
from netrollout.types import Floats, InputError, Policy, State, Surrogate, System

VARIANTS = (
    "forest", "forest, r(E d)", "forest, 10 trees", "forest, 40 trees", "forest, 1 visit", "forest, half the settings",
    "mean-forest", "boosting", "linear", "queueing", "table", "stale forest",
)  # fmt: skip


@dataclass(frozen=True)
class Quality:
    """What a model is wrong by, and what that costs; means over all states, each (R,).

    Attributes
    ----------
    error : mean absolute error of the expected response time over the mean of the plant's (NMAE)
    supremum : 2 max e / (1 - discount)
    weighted : the occupancy-weighted bound
    exact : regret of the model's optimal policy
    rollout : regret of one-step rollout, on the model, of the policy that was optimal before the change
    """

    error: Floats
    supremum: Floats
    weighted: Floats
    exact: Floats
    rollout: Floats


def model_quality(name: str, variants: Sequence[str], seed: int, refits: int) -> dict[str, Quality]:
    """Grade models of a scenario after its change; everything is planned on them and judged exactly on the plant.

    Parameters
    ----------
    name : str
        ``mesh-s1``, ``mesh-s2`` or ``mesh-s3``.
    variants : sequence of str
        Of `VARIANTS`.
    seed : int
    refits : int
        Bootstrap resamples R of the model's visits.

    Raises
    ------
    InputError
        If a variant is unknown.
    """
    worlds = context(name, phase="after", seed=seed)
    plant = MDP.from_system(worlds.plant)
    best = policy_iteration(plant)
    base = lift(policy_iteration(MDP.from_system(worlds.base)).policy, worlds.plant)
    found = {}
    for variant in variants:
        models = [_variant(name, variant, worlds.plant, seed, refit) for refit in range(refits)]
        graded = [_grade(model, worlds.plant, plant, best.value, best.policy, base) for model in models]
        found[variant] = Quality(*(np.array(column) for column in zip(*graded, strict=True)))
    return found


def _variant(name: str, variant: str, plant: Mesh, seed: int, refit: int) -> Mesh:
    """Return a model of the system after the change."""
    if variant not in VARIANTS:
        raise InputError(f"unknown model {variant!r}; choose among {'; '.join(VARIANTS)}")
    kind, _, what = variant.partition(", ")
    phase: Phase = "before" if kind.startswith("stale") else "after"
    scenario = load_scenario(name)
    mesh, frame = scenario.mesh(phase), split(rows(scenario, phase), "model")
    if what == "1 visit":
        frame = frame[frame["rank"] == 0]
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


def _grade(model: Mesh, plant: Mesh, judge: MDP, best: Floats, optimum: Any, base: Any) -> tuple[float, ...]:
    mdp = MDP.from_system(model)
    true, learned = (np.nanmean(mesh.response.windows, axis=1) for mesh in (plant, model))
    gap = np.zeros_like(judge.reward)  # an action that is not feasible has no reward to be wrong by
    gap[judge.feasible] = np.abs(mdp.reward[judge.feasible] - judge.reward[judge.feasible])
    planned = policy_iteration(mdp).policy
    errors = replace(judge, reward=gap)
    weighted = sum(evaluate_policy(errors, policy).value.mean() for policy in (optimum, planned))
    regrets = [float((best - evaluate_policy(judge, p).value).mean()) for p in (planned, rollout_table(mdp, base))]
    nmae = float(np.abs(learned - true).mean() / true.mean())
    return nmae, float(2.0 * gap.max() / (1.0 - judge.discount)), float(weighted), *regrets


def lookahead_study(
    name: str, lookaheads: Sequence[int], seed: int, refits: int, noise: float
) -> dict[tuple[str, int], Floats]:
    """Judge lookahead with terminal values of graded quality on the plant after the change.

    Parameters
    ----------
    name : str
    lookaheads : sequence of int
    seed, refits : int
    noise : float
        Standard deviation of what is added to the model's optimal value, in units of its spread over states.

    Returns
    -------
    dict of (terminal value, lookahead) to (R, 2)
        Mean value over states on the model, and on the plant.  ``zero`` is model predictive control with horizon l,
        ``zero, r(E d)`` its certainty-equivalent form; ``base`` is the re-evaluated old optimum, ``stale`` its value
        before the change, ``noisy`` the model's optimal value with noise.
    """
    plant = MDP.from_system(context(name, phase="after", seed=seed).plant)
    cells: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for refit in range(refits):
        worlds = context(name, phase="after", seed=seed, refit=refit)
        for key, table in _lookaheads(worlds, lookaheads, spawn(seed, "noise", refit), noise).items():
            values = (float(evaluate_policy(m, table).value.mean()) for m in (MDP.from_system(worlds.model), plant))
            cells.setdefault(key, []).append(tuple(values))  # type: ignore[arg-type]
    return {key: np.array(values) for key, values in cells.items()}


def _lookaheads(worlds: Any, lookaheads: Sequence[int], rng: np.random.Generator, noise: float) -> dict[Any, Any]:
    mdp, before = MDP.from_system(worlds.model), MDP.from_system(worlds.base)
    sure = MDP.from_system(worlds.model.with_response(certain(worlds.model.response)))
    old = policy_iteration(before)
    base, best = lift(old.policy, worlds.model), policy_iteration(mdp).value
    values: dict[str, tuple[MDP, Floats]] = {
        "zero": (mdp, np.zeros_like(best)),
        "zero, r(E d)": (sure, np.zeros_like(best)),
        "stale": (mdp, lift(old.value, worlds.model)),
        "base": (mdp, evaluate_policy(mdp, base).value),
        "noisy": (mdp, best + noise * best.std() * rng.standard_normal(len(best))),
    }
    return {
        (key, steps): rollout_table(model, base, lookahead=steps, terminal="stale", stale_value=value)
        for key, (model, value) in values.items()
        for steps in lookaheads
    }


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


def learning_study(
    change: str, logs: Sequence[int], seed: int, refits: int, episodes: int, cycles: int
) -> dict[tuple[int, str], Floats]:
    """Judge S4's policies planned on models that were learned from logs of growing length after a change.

    Parameters
    ----------
    change : str
        ``heavier``, ``slower`` or ``shifted``.
    logs : sequence of int
        Lengths in control cycles.
    seed, refits : int
        R logs of each length.
    episodes, cycles : int
        Paired episodes N on the plant.

    Returns
    -------
    dict of (length, policy) to (R, N) mean reward per cycle
        The policies that need no model stand under length 0.
    """
    worlds = context("mesh-s4", phase="after", change=change, seed=seed, horizon=cycles)
    fixed = ("random", "static", "reactive", "hpa", "oracle")
    found = {(0, name): _rewards(make_policy(name, worlds), worlds.plant, episodes)[None] for name in fixed}
    for length in logs:
        models = [_from_log(worlds, length, seed * 1000 + refit) for refit in range(refits)]
        for name in ("walk(static)", "rollout(static)", "retrain(optimal)"):
            each = [make_policy(name, replace(worlds, model=model)) for model in models]
            found[length, name] = np.stack([_rewards(policy, worlds.plant, episodes) for policy in each])
    return found


def _from_log(worlds: Any, length: int, seed: int) -> Any:
    return learn_queues(worlds.base, collect(worlds.plant, Hpa(worlds.plant, p=LOG_ROUTING), length, seed))


def _rewards(policy: Policy, plant: System, episodes: int) -> Floats:
    return simulate(plant, policy, range(episodes)).mean_rewards()
