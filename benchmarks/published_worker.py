"""Ours and the published package in one process: `python -m benchmarks.published_worker SECTION REPETITIONS FILE`.

Runs in the environment that `benchmarks.published` makes.  Four things keep the published package from running as it
is installed, and each is met from outside, without a change to its files:

* it loads a forest from its author's home folder when imported: `joblib.load` gives it our table instead;
* one module imports another by a name without its package: the folder is put on the path;
* it needs the old gym: Gymnasium answers by that name;
* it prints at every step: its prints are silenced, which is to its favour.

The response-time bounds are those of our scenario, written over its constants.  Its environment masks "fewer workers"
at two instead of one; the PPO policy that we hand it masks by state and so decides the same on both sides.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

import gymnasium
import joblib
import numpy as np

from benchmarks.clock import Row, paired
from benchmarks.problem import Problem, published_problem
from benchmarks.published import PEER
from netrollout.batch import joint_actions
from netrollout.dp import evaluate_policy
from netrollout.learn import tabulate, train
from netrollout.rollout import RolloutPolicy, q_rollout
from netrollout.types import Floats, Ints

NAME = "online_policy_adaptation_using_rollout"
FLOORS = {1: 50.0, 2: 300.0, 3: 10_000.0}
STATES = {1: 100, 2: 5, 3: 1}  # per repetition: a decision of the peer takes a millisecond, .1 s, 10 s
REPETITIONS = {1: 7, 2: 7, 3: 3}
TOLERANCE = 1e-8
PPO_STEPS = 5120


class Delays:
    """Our table of expected response times, in the place of the published forest."""

    def __init__(self, problem: Problem) -> None:
        self._table = {tuple(row[:4]): tuple(d) for row, d in zip(_settings(problem), problem.delays, strict=True)}

    def predict(self, rows: Any) -> Any:
        """Return (n, 2) for rows (c1, c2 in thousandths of a core, p1, p2, ...); zero off the grid."""
        return [self._table.get((r[0] / 1000, r[1] / 1000, round(r[2], 2), round(r[3], 2)), (0.0, 0.0)) for r in rows]


def _settings(problem: Problem) -> Floats:
    return problem.system.grid_features()[:, :4]


class Published:
    """The published package's functions, given our tables.

    Parameters
    ----------
    problem : Problem

    Attributes
    ----------
    common : dict
        Arguments that all of its functions take.
    """

    def __init__(self, problem: Problem) -> None:
        sys.modules.update({"gym": gymnasium, "gym.envs": gymnasium.envs})
        sys.modules["gym.envs.registration"] = gymnasium.envs.registration
        sys.path.append(str(Path(importlib.import_module(NAME).__path__[0]) / "algorithms"))
        with mock.patch.object(joblib, "load", lambda path: Delays(problem)):
            self.model = self._quiet("system_model.system_model_scenario_1")
            self.rollouts = self._quiet("algorithms.rollouts_scenario_1")
            environment = self._quiet("ppo_base_policy.scenario_1_env.routing_env")
            self._quiet("ppo_base_policy.scenario_1_env.routing_middle_ware")
            self.environment = environment.RoutingEnv("ours")
        self.model.O_1, self.model.O_2 = problem.system.objective.bounds
        services, nodes, edges = self.model.services(), self.model.nodes(), self.model.edges()
        self.states = self.model.state_space(services, nodes, edges, delta_c=1.0, delta_p=0.2, c_max=5.0, p_max=1.0)
        self.actions, _ = self.model.action_space(services, nodes, edges, delta_c=1.0, delta_p=0.2)
        if not np.allclose(self.states, _settings(problem)):
            raise ValueError("the published states are in another order than ours")
        self.common = {
            "gamma": problem.mdp.discount, "states": self.states, "actions": self.actions, "c_max": 5.0, "p_max": 1.0,
            "N": nodes, "E": edges, "S": services, "delay_table": self.model.precompute_delays(self.states, services),
        }  # fmt: skip

    def _quiet(self, name: str) -> Any:
        with mock.patch("builtins.print"):
            module = importlib.import_module(f"{NAME}.{name}")
        module.print = lambda *words: None  # type: ignore[attr-defined]
        return module

    def decide(self, state: int, value: list[float], lookahead: int) -> tuple[int, float]:
        """Return its action and Q-factor in a state."""
        decision: tuple[int, float] = self.rollouts.deterministic_l_step_lookahead_maximization(
            s=state, V_base=value, l=lookahead, **self.common
        )
        return decision

    def evaluate(self, policy: Any, samples: int) -> Floats:
        """Return its Monte-Carlo value (900,): undiscounted, over int(1 / (1 - discount)) steps."""
        value = self.rollouts.monte_carlo_policy_evaluation(
            policy=policy, batch_size=samples, delta_c=1.0, delta_p=0.2, env=self.environment, **self.common
        )
        return np.array(value)

    def rewards(self, state: int) -> Floats:
        """Return its rewards (81,) of all actions in a state."""
        names = {"services": "S", "nodes": "N", "edges": "E"}
        fixed = {new: self.common[old] for new, old in names.items()}
        fixed |= {key: self.common[key] for key in ("c_max", "p_max", "states", "delay_table")}
        return np.array([self.model.reward_function(s=self.states[state], a=a, **fixed) for a in self.actions])


class PublishedCoding:
    """A MaskablePPO of ours behind the published observations and action codes (0 hold, 1 down, 2 up; p before c)."""

    def __init__(self, model: Any, problem: Problem) -> None:
        system, x = problem.system, problem.system.states()
        self._model, self._top = model.model, np.array(system.shape[1:]) - 1
        self._shape = system.shape[1:]
        self._observations, self._masks = system.observe(x), system.feasible(x)
        self._code = np.array([1, 0, 2])

    def predict(self, observation: Floats, deterministic: bool, action_masks: Any) -> tuple[Ints, None]:
        """Return the coded action (4,) for (p1, p2, c1, c2 in thousandths of a core)."""
        p1, p2, c1, c2 = observation
        place = (round(c1 / 1000) - 1, round(c2 / 1000) - 1, round(5 * p1), round(5 * p2))
        s = np.ravel_multi_index(place, self._shape)
        action, _ = self._model.predict(self._observations[s], deterministic=True, action_masks=self._masks[s])
        return self._code[action[[2, 3, 0, 1]]], None


def summed(problem: Problem, table: Ints, steps: int) -> Floats:
    """Return the undiscounted reward (900,) of `steps` steps of a table: what the published value estimates."""
    states, value = np.arange(len(table)), np.zeros(len(table))
    successors = problem.mdp.successors
    assert successors is not None
    reward, after = problem.mdp.reward[states, table], successors[states, table]
    for _ in range(steps):
        value = reward + value[after]
    return value


def lookahead(problem: Problem, peer: Published, repetitions: int) -> list[Row]:
    """Time a decision with exact lookahead, the base policy's value given to both."""
    value = evaluate_policy(problem.mdp, problem.base).value
    return [_lookahead_row(problem, peer, repetitions or REPETITIONS[depth], value, depth) for depth in FLOORS]


def _lookahead_row(problem: Problem, peer: Published, repetitions: int, value: Floats, depth: int) -> Row:
    chosen = np.random.default_rng(depth).choice(len(value), STATES[depth], replace=False)
    everywhere = np.arange(len(value))[:, None]
    values = value.tolist()

    def ours() -> Callable[[], Any]:
        policy = RolloutPolicy(problem.system, problem.mdp, problem.base, depth, terminal=value)
        return lambda: [policy.decide(state) for state in everywhere]  # each state once: nothing is remembered yet

    def theirs() -> Callable[[], Any]:
        return lambda: [peer.decide(int(state), values, depth) for state in chosen]

    decided = RolloutPolicy(problem.system, problem.mdp, problem.base, depth, terminal=value).decide(chosen)
    q = q_rollout(problem.mdp, value, depth, chosen)[np.arange(len(chosen)), decided]
    _agree(q, np.array([peer.decide(int(state), values, depth)[1] for state in chosen]), f"lookahead {depth}")
    seconds = paired(ours, theirs, (len(value), len(chosen)), repetitions, warm=False)
    return Row(
        "lookahead", f"decision, lookahead {depth}", PEER, item="decision", floor=FLOORS[depth],
        checked=f"Q-factors of the chosen actions equal within {TOLERANCE:g} in {len(chosen)} states", **seconds,
    )  # fmt: skip


def evaluation(problem: Problem, peer: Published, repetitions: int) -> list[Row]:
    """Time the value of a policy in all states: ours exact and discounted, theirs sampled, undiscounted, cut off."""
    return [_table_row(problem, peer, repetitions or 3), _ppo_row(problem, peer, repetitions or 2)]


def _table_row(problem: Problem, peer: Published, repetitions: int) -> Row:
    steps = int(1 / (1 - problem.mdp.discount))
    weights = np.eye(problem.mdp.n_actions)[problem.base]
    _agree(summed(problem, problem.base, steps), peer.evaluate(weights, 1), "value of a table policy")
    seconds = paired(
        lambda: lambda: evaluate_policy(problem.mdp, problem.base),
        lambda: lambda: peer.evaluate(weights, 5),
        (1, 1), repetitions, warm=False,
    )  # fmt: skip
    return Row(
        "evaluation", "value of a table policy, 900 states", PEER, item="evaluation", floor=1000.0,
        checked=f"undiscounted sums over {steps} steps equal within {TOLERANCE:g}; theirs 5 samples", **seconds,
    )  # fmt: skip


def _ppo_row(problem: Problem, peer: Published, repetitions: int) -> Row:
    steps = int(1 / (1 - problem.mdp.discount))
    model = train(problem.system, length=PPO_STEPS, seed=0)
    coded, table = PublishedCoding(model, problem), tabulate(model, problem.system)
    found: list[Floats] = []
    seconds = paired(
        lambda: lambda: evaluate_policy(problem.mdp, tabulate(model, problem.system)),
        lambda: lambda: found.append(peer.evaluate(coded, 1)),
        (1, 1), repetitions, warm=False,
    )  # fmt: skip
    _agree(summed(problem, table, steps), found[0], "value of a PPO policy")
    return Row(
        "evaluation", "value of a PPO policy, 900 states", PEER, item="evaluation", floor=100.0,
        checked=f"undiscounted sums over {steps} steps equal within {TOLERANCE:g}; theirs 1 sample", **seconds,
    )  # fmt: skip


def check_tables(problem: Problem, peer: Published) -> None:
    """Refuse to compare unless rewards agree in a tenth of the states (lookahead then checks transitions too)."""
    for state in range(0, problem.mdp.n_states, 10):
        _agree(problem.mdp.reward[state], peer.rewards(state), f"rewards in state {state}")
    assert joint_actions(problem.system.levels).shape == (len(peer.actions), 4)


def _agree(ours: Floats, theirs: Floats, what: str) -> None:
    worst = float(np.abs(ours - theirs).max())
    if worst > TOLERANCE:
        raise SystemExit(f"{what}: ours and the published package's differ by {worst:g}; nothing was timed")


def main() -> None:
    """Write the rows of a section as JSON."""
    section, repetitions, answer = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    problem = published_problem()
    peer = Published(problem)
    check_tables(problem, peer)
    rows = {"lookahead": lookahead, "evaluation": evaluation}[section](problem, peer, repetitions)
    answer.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")


if __name__ == "__main__":
    main()
