"""Which rollout? Bases and kinds of rollout, planned on the model and judged on the plant.

Exactly on S1, by paired episodes on S4, and on fleets of 2 to 32 queues.
Batch letters: R model refits, N episodes (S4) or training seeds (S1).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed

from netrollout.baselines.lattice import relaxation_bound
from netrollout.baselines.mesh import greedy_table, reactive_table, static_table
from netrollout.catalog.policies import make_policy
from netrollout.catalog.registry import context
from netrollout.dp import MDP, evaluate_policy, policy_iteration
from netrollout.evaluate import Estimate, bootstrap, simulate
from netrollout.learn import save, tabulate, train
from netrollout.policies import PolicyName, RandomPolicy, random_table
from netrollout.rollout import MultiagentRollout, TruncatedRollout, fortified_table, multiagent_table, rollout_table
from netrollout.seeding import spawn
from netrollout.systems.fleet import Alone, Fleet
from netrollout.systems.mesh import Mesh
from netrollout.types import Floats


def exact_rollouts(
    name: str, seed: int, refits: int, training_seeds: int, steps: int, lookaheads: Sequence[int]
) -> dict[tuple[str, str], Floats]:
    """Judge every kind of exact rollout around every base on a mesh whose states can be listed.

    Parameters
    ----------
    name : str
        ``mesh-s1``.
    seed : int
    refits, training_seeds : int
        R and N; the PPO base is trained once per training seed on the first refit's model.
    steps : int
        Environment steps of PPO.
    lookaheads : sequence of int

    Returns
    -------
    dict of (base, kind) to (R, N)
        Mean over all states of the discounted value on the plant; ``kind`` is ``base`` for the base itself.  Under the
        base ``none`` stand the best static setting, the model's optimum and the plant's.
    """
    worlds = [context(name, seed=seed, refit=r) for r in range(refits)]
    trained = Parallel(n_jobs=-1)(delayed(_ppo_table)(worlds[0].model, seed + n, steps) for n in range(training_seeds))
    plant = MDP.from_system(worlds[0].plant)
    rows = [[_exact_row(world.model, plant, table, lookaheads) for table in trained] for world in worlds]
    return {key: np.array([[cell[key] for cell in row] for row in rows]) for key in rows[0][0]}


def _ppo_table(model: Mesh, seed: int, steps: int) -> Any:
    return tabulate(train(model, "ppo", steps, seed), model)


def _exact_row(model: Mesh, plant: MDP, ppo: Any, lookaheads: Sequence[int]) -> dict[tuple[str, str], float]:
    mdp = MDP.from_system(model)
    bases = {
        "random": random_table(model),
        "greedy": greedy_table(model),
        "reactive": reactive_table(model),
        "ppo": ppo,
    }
    tables: dict[tuple[str, str], Any] = {
        ("none", "best static"): static_table(model),
        ("none", "exact on the model"): policy_iteration(mdp).policy,
        ("none", "oracle"): policy_iteration(plant).policy,
    }
    for base, table in bases.items():
        tables[base, "base"] = table
        for lookahead in lookaheads:
            tables[base, f"l = {lookahead}"] = rollout_table(mdp, table, lookahead=lookahead)
        tables[base, "multi-agent"] = multiagent_table(mdp, model.levels, table)
        tables[base, "autonomous"] = multiagent_table(mdp, model.levels, table, autonomous=True)
        if np.ndim(table) == 1:
            deepest = multiagent_table(mdp, model.levels, table, lookahead=max(lookaheads))
            tables[base, "multi-agent, fortified"] = fortified_table(mdp, table, deepest)
    return {key: float(evaluate_policy(plant, table).value.mean()) for key, table in tables.items()}


@dataclass(frozen=True)
class Daily:
    """What a policy brought on S4.

    Attributes
    ----------
    rewards : (R, N) mean reward per cycle of every episode
    late : (R, N) share of late requests
    workers : (R, N) mean workers asked for
    milliseconds : float
        Per decision of one lane, in this run.
    """

    rewards: Floats
    late: Floats
    workers: Floats
    milliseconds: float


def daily_policies(
    changes: Sequence[str], names: Sequence[str], seed: int, refits: int, episodes: int, cycles: int, steps: int
) -> dict[str, dict[str, Daily]]:
    """Judge policies by name on S4 over paired episodes, each planned on R models learned from R logs.

    Parameters
    ----------
    changes : sequence of str
        Of ``none`` (before any change), ``heavier``, ``slower``, ``shifted``.
    names : sequence of str
        Policy names; ``ppo`` stands for a network trained with `steps` on the model from before the change, anew for
        each refit, and ``retrain(ppo)`` for one trained as long on the newest.
    seed, refits, episodes : int
    cycles : int
        Length of an episode.
    steps : int
        Environment steps of each training.

    Returns
    -------
    dict of str to dict of str to Daily
        By change and policy name; under ``bound`` stands the reward that nobody exceeds.
    """
    with tempfile.TemporaryDirectory() as folder:
        networks = [Path(folder, f"{r}.npz") for r in range(refits)]
        if any("ppo" in name for name in names):
            Parallel(n_jobs=-1)(delayed(_train)(seed, r, steps, file) for r, file in enumerate(networks))
        cells = [(change, r) for change in changes for r in range(refits)]
        jobs = (
            delayed(_daily_row)(change, names, seed, r, (episodes, cycles), steps, networks[r]) for change, r in cells
        )
        rows = dict(zip(cells, Parallel(n_jobs=-1)(jobs), strict=True))
    return {change: _gather([rows[change, r] for r in range(refits)]) for change in changes}


def _gather(rows: Sequence[dict[str, Daily]]) -> dict[str, Daily]:
    """Stack one refit's records."""
    found = {}
    for name in rows[0]:
        parts = [row[name] for row in rows]
        rewards, late, workers = (np.stack([getattr(p, k) for p in parts]) for k in ("rewards", "late", "workers"))
        found[name] = Daily(rewards, late, workers, float(np.median([p.milliseconds for p in parts])))
    return found


def _train(seed: int, refit: int, steps: int, file: Path) -> None:
    save(train(context("mesh-s4", seed=seed, refit=refit).base, "ppo", steps, seed + refit), file)


def _daily_row(
    change: str, names: Sequence[str], seed: int, refit: int, runs: tuple[int, int], steps: int, network: Path
) -> dict[str, Daily]:
    """Return one refit's records, each with arrays (N,)."""
    options: dict[str, Any] = {} if change == "none" else {"phase": "after", "change": change}
    episodes, cycles = runs
    worlds, seeds = context("mesh-s4", seed=seed, refit=refit, horizon=cycles, **options), range(episodes)
    bound = relaxation_bound(worlds.plant, seeds, discount=1.0) / worlds.plant.horizon  # compiles what is timed below
    row = {"bound": Daily(bound, np.full(episodes, np.nan), np.full(episodes, np.nan), np.nan)}
    for name in names:
        trained = f"ppo(steps={steps},seed={seed + refit})" if name == "retrain(ppo)" else f"ppo(file={network})"
        policy = make_policy(PolicyName.parse(name.replace("ppo", trained)), worlds)
        begin = time.perf_counter()
        run = simulate(worlds.plant, policy, seeds)
        spent = 1e3 * (time.perf_counter() - begin) / run.rewards.size
        row[name] = Daily(
            run.mean_rewards(), run.metrics["late"].mean(axis=1), run.metrics["workers"].mean(axis=1), spent
        )
    return row


class Fleets(NamedTuple):
    """What a policy brought on a fleet."""

    components: int
    policy: str
    reward: Estimate  # per queue and cycle
    model_steps: float  # lanes times steps for which the model was run, per decision
    milliseconds: float  # per decision


FLEET_HORIZON, FLEET_SAMPLES = 10, 8
MOST_JOINT = 4  # components up to which all joint actions are compared


def fleet_rollouts(components: Sequence[int], decisions: int, seed: int, episodes: int = 12) -> list[Fleets]:
    """Compare joint, multi-agent and autonomous rollout on fleets of growing size; planned and judged on one system.

    Parameters
    ----------
    components : sequence of int
    decisions : int
        Cycles of each episode.
    seed : int
    episodes : int
        Paired episodes, one lane each.
    """
    return [row for k in components for row in _fleet(Fleet(components=k, horizon=decisions), seed, episodes)]


def _fleet(fleet: Fleet, seed: int, episodes: int) -> list[Fleets]:
    base, settings = Alone(fleet), (FLEET_HORIZON, FLEET_SAMPLES)
    policies: dict[str, Any] = {
        "random": RandomPolicy(fleet, spawn(seed, "random")),
        "alone (base)": base,
        "multi-agent": MultiagentRollout(fleet, base, spawn(seed, "multi-agent"), *settings),
        "autonomous": MultiagentRollout(fleet, base, spawn(seed, "autonomous"), *settings, autonomous=True),
    }
    if fleet.components <= MOST_JOINT:
        policies["joint"] = TruncatedRollout(fleet, base, spawn(seed, "joint"), *settings)
    rows = []
    for name, policy in policies.items():
        reward = bootstrap(simulate(fleet, policy, range(episodes)).mean_rewards())
        done = getattr(policy, "model_steps", 0)
        begin = time.perf_counter()
        simulate(fleet, policy, [0])
        spent = 1e3 * (time.perf_counter() - begin) / fleet.horizon
        rows.append(Fleets(fleet.components, name, reward, done / (episodes * fleet.horizon), spent))
    return rows
