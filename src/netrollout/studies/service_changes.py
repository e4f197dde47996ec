"""What chapter 5 compares after a change: policies that no name says, and the time that each repair takes.

Batch letters: T cycles, S states, M controls.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from netrollout.batch import joint_actions
from netrollout.catalog import Worlds, policy_table, world
from netrollout.dp import MDP, evaluate_policy, policy_iteration
from netrollout.learn import learner, learning_curve, tabulate, train
from netrollout.makers import lift, stale_value
from netrollout.models import certain
from netrollout.policies import PolicyName
from netrollout.rollout import rollout_table
from netrollout.systems.mesh.dynamics import Mesh
from netrollout.systems.mesh.policies import static_table
from netrollout.types import Floats, Ints, Policy


def undiscounted(ppo: str, worlds: Worlds) -> Ints:
    """Return what the published code runs around a trained base, the table (S,) of `undiscounted_table`."""
    critic = stale_value(PolicyName.parse(ppo), worlds)
    return undiscounted_table(MDP.from_system(worlds.model), policy_table(ppo, worlds), critic)


def certainty_equivalent(worlds: Worlds) -> Ints:
    """Return the optimum (S,) of the newest model with r(E d), the reward of the mean, in place of E r(d)."""
    model = worlds.model
    return policy_iteration(MDP.from_system(model.with_response(certain(model.response)))).policy


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
    worlds = world(name, phase="after", source=source, seed=seed)
    mdp = MDP.from_system(worlds.model)
    learning = time.perf_counter() - clock
    start = int(worlds.model.index(worlds.model.initial(np.random.default_rng(0), 1))[0])
    optimum = policy_iteration(mdp).value[start]
    target = optimum - (1.0 - share) * abs(optimum)
    base = lift(policy_table("optimal", worlds), worlds.model)
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
