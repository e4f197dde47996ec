"""What a change costs and what repairs it: every policy judged exactly on the plant, over refits and training seeds.

Batch letters: R model refits, N training seeds, T cycles, S states.  The newest model is refit on bootstrap resamples
of its visits; base policies are trained once per seed on the model from before the change.  Refits and seeds are
crossed; a policy that uses only one of them repeats along the other axis, and `netrollout.evaluate.bootstrap`
resamples both (``crossed=True``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from netrollout.baselines.mesh import static_table
from netrollout.batch import joint_actions
from netrollout.catalog.policies import lift, policy_table
from netrollout.catalog.registry import Context, context
from netrollout.dp import MDP, evaluate_policy, policy_iteration
from netrollout.experiment import reward_path
from netrollout.learn import learner, learning_curve, tabulate, train
from netrollout.models import certain
from netrollout.policies import random_table
from netrollout.rollout import rollout_table
from netrollout.systems.mesh import Mesh
from netrollout.types import Floats, Ints, Policy


@dataclass(frozen=True)
class Judged:
    """A policy's worth on the plant.

    Attributes
    ----------
    start : (R, N) discounted value at the scenario's start
    mean : (R, N) mean discounted value over all states
    path : (R, N, T) expected reward of every cycle from the start
    """

    start: Floats
    mean: Floats
    path: Floats


@dataclass(frozen=True)
class Trained:
    """What one training seed gave: tables over the base's states (base) or the newest model's (the others).

    Attributes
    ----------
    base : (S,) joint actions
    critic : (S,) the base's critic
    scratch, warm : (R, S) joint actions after retraining on each refit; ``warm`` is None where the old network does not
        fit the new system's observations
    """

    base: Ints
    critic: Floats
    scratch: Ints
    warm: Ints | None


def adaptation(
    name: str,
    source: str,
    seed: int,
    refits: int,
    training_seeds: int,
    base_steps: int,
    retrain_steps: int,
    cycles: int,
) -> dict[str, Judged]:
    """Judge the unadapted, repaired and retrained policies of a scenario on its plant after the change.

    Parameters
    ----------
    name : str
        ``mesh-s2`` or ``mesh-s3``.
    source : str
        ``testbed`` or ``kth``.
    seed : int
        Of refits and trainings.
    refits, training_seeds : int
        R and N.
    base_steps, retrain_steps : int
        Environment steps of PPO before the change, and of each retraining after it.
    cycles : int
        T.

    Returns
    -------
    dict of str to Judged
        By policy name, in the order of the book's tables.
    """
    worlds = [context(name, phase="after", source=source, seed=seed, refit=r) for r in range(refits)]
    base = context(name, phase="after", source=source, seed=seed).base
    worlds = [replace(world, base=base) for world in worlds]
    models = [world.model for world in worlds]
    jobs = (delayed(_train)(base, models, seed + n, base_steps, retrain_steps) for n in range(training_seeds))
    trained: list[Trained] = Parallel(n_jobs=-1)(jobs)
    judge = _Judge(worlds[0].plant, cycles)
    tables = [[_tables(world, one, r) for one in trained] for r, world in enumerate(worlds)]
    return {policy: judge([[cell[policy] for cell in row] for row in tables]) for policy in tables[0][0]}


def _train(base: Mesh, models: Sequence[Mesh], seed: int, base_steps: int, retrain_steps: int) -> Trained:
    from netrollout.learn.network import critic_values  # torch loads for seconds: only where it is needed

    old = train(base, "ppo", base_steps, seed)
    scratch = [tabulate(train(model, "ppo", retrain_steps, seed), model) for model in models]
    fits = len(base.loads) == len(models[0].loads)
    warm = [tabulate(train(model, "ppo", retrain_steps, seed, warm=old), model) for model in models] if fits else None
    return Trained(tabulate(old, base), critic_values(old, base), np.stack(scratch), np.stack(warm) if warm else None)


def _tables(worlds: Context, trained: Trained, refit: int) -> dict[str, Any]:
    """Return every policy of the study as a table over the plant's states."""
    model, newest = worlds.model, MDP.from_system(worlds.model)
    assert isinstance(model, Mesh)
    ppo, critic = lift(trained.base, model), lift(trained.critic, model)
    sure = model.with_response(certain(model.response))
    tables = {
        "random": random_table(model),
        "static": policy_table("static", worlds),
        "reactive": policy_table("reactive", worlds),
        "greedy": policy_table("greedy", worlds),
        "optimal": policy_table("optimal", worlds),
        "ppo": ppo,
        "rollout(ppo, terminal=stale)": rollout_table(newest, ppo, terminal="stale", stale_value=critic),
        "rollout(ppo, terminal=stale), undiscounted": undiscounted_table(newest, ppo, critic),
        "rollout(ppo, terminal=zero)": rollout_table(newest, ppo, terminal="zero"),
        "rollout(ppo)": rollout_table(newest, ppo),
        "rollout(static)": policy_table("rollout(static)", worlds),
        "rollout(optimal)": policy_table("rollout(optimal)", worlds),
        "rollout(ppo, lookahead=2)": rollout_table(newest, ppo, lookahead=2),
        "walk(static)": static_table(model),
        "retrain(ppo)": trained.scratch[refit],
        "retrain(optimal)": policy_iteration(newest).policy,
        "retrain(optimal), r(E d)": policy_iteration(MDP.from_system(sure)).policy,
        "oracle": policy_table("oracle", worlds),
    }
    if trained.warm is not None:
        tables["retrain(ppo, warm=true)"] = trained.warm[refit]
    return tables


def undiscounted_table(mdp: MDP, base: Ints, stale_value: Floats) -> Ints:
    """Return the policy (S,) that maximises the reward plus the stale value, undiscounted, of the next state.

    This is what the published code of the scenarios S2 and S3 runs under the name of rollout: a search of depth one
    that the old policy's critic closes.

    Parameters
    ----------
    base : (S,) joint actions, for ties
    stale_value : (S,) the critic's values, from before the change
    """
    return rollout_table(mdp, base, terminal="stale", stale_value=stale_value / mdp.discount)  # cancels the discount


class _Judge:
    """Exact worth of tables on a plant; equal tables are judged once."""

    def __init__(self, plant: Any, cycles: int) -> None:
        self._mdp, self._cycles = MDP.from_system(plant), cycles
        self._start = int(plant.index(plant.initial(np.random.default_rng(0), 1))[0])
        self._known: dict[bytes, tuple[float, float, Floats]] = {}

    def __call__(self, tables: Sequence[Sequence[Any]]) -> Judged:
        worth = [[self._worth(np.asarray(table)) for table in row] for row in tables]
        start, mean, path = (np.array([[cell[k] for cell in row] for row in worth]) for k in range(3))
        return Judged(start, mean, path)

    def _worth(self, table: Any) -> tuple[float, float, Floats]:
        key = table.tobytes()
        if key not in self._known:
            value = evaluate_policy(self._mdp, table).value
            path = reward_path(self._mdp, table, self._start, self._cycles)
            self._known[key] = float(value[self._start]), float(value.mean()), path
        return self._known[key]


def setting_path(mesh: Mesh, table: Ints, cycles: int) -> Ints:
    """Return the control levels (T + 1, M) that a table (S,) walks through from the scenario's start, load unmoved."""
    x = mesh.initial(np.random.default_rng(0), 1)
    top = np.asarray(mesh.shape[1:]) - 1
    joint, path = joint_actions(mesh.levels), [x.setting[0]]
    for _ in range(cycles):
        x = x._replace(setting=np.clip(x.setting + joint[table[mesh.index(x)]] - 1, 0, top))
        path.append(x.setting[0])
    return np.array(path)


@dataclass(frozen=True)
class Repair:
    """What one way of repairing the policy took, all on the same tabulated model.

    Attributes
    ----------
    method : str
    seconds : float
        Computing after the data are there: refit, tabulation and planning or training.
    steps : int
        Environment steps of training; 0 where nothing is trained.
    reached : bool
        Whether the policy's value at the start reached the target share of the model's optimum.
    table : (S,) joint actions
    """

    method: str
    seconds: float
    steps: int
    reached: bool
    table: Ints


def repairs(name: str, source: str, seed: int, training_seeds: int, budget: int, share: float = 0.95) -> list[Repair]:
    """Time every repair after the change: planning once, retraining once per seed up to `share` of the optimum.

    Parameters
    ----------
    budget : int
        Environment steps at most, for each training.
    """
    clock = time.perf_counter()
    worlds = context(name, phase="after", source=source, seed=seed)
    mdp = MDP.from_system(worlds.model)
    learning = time.perf_counter() - clock
    start = int(worlds.model.index(worlds.model.initial(np.random.default_rng(0), 1))[0])
    optimum = policy_iteration(mdp).value[start]
    target = optimum - (1.0 - share) * abs(optimum)
    base = lift(policy_table("optimal", worlds), worlds.model)
    assert isinstance(worlds.model, Mesh)
    model = worlds.model
    plans: dict[str, Callable[[], Ints]] = {
        "rollout": lambda: rollout_table(mdp, base),
        "walk(static)": lambda: static_table(model),
        "retrain(optimal)": lambda: policy_iteration(mdp).policy,
    }
    found = []
    for method, plan in plans.items():
        clock = time.perf_counter()
        table = plan()
        seconds = learning + time.perf_counter() - clock
        found.append(Repair(method, seconds, 0, bool(evaluate_policy(mdp, table).value[start] >= target), table))

    def worth(policy: Policy) -> Floats:
        return evaluate_policy(mdp, tabulate(policy, model)).value[[start]]

    for n in range(training_seeds):
        old = train(worlds.base, "ppo", budget, seed + n) if len(worlds.base.states().load) == mdp.n_states else None
        for method, warm in {"retrain(ppo)": None, "retrain(ppo, warm=true)": old}.items():
            if method.endswith("true)") and warm is None:
                continue
            made = learner(model, "ppo", seed + n, warm=warm, fresh=False)
            curve = learning_curve(made, budget, 1024, worth, stop=lambda done, values: bool(values[0] >= target))
            reached, table = bool(curve.values[-1, 0] >= target), tabulate(made.policy(), model)
            found.append(Repair(method, learning + curve.seconds, int(curve.done[-1]), reached, table))
    return found
