"""Exact solvers on the tables of `benchmarks.problem`: ours, QuantEcon's DiscreteDP and pymdptoolbox.

Every solver is built before the clock starts, in the form that suits it: QuantEcon gets state-action pairs and a sparse
matrix, pymdptoolbox a list of sparse matrices.  Value and modified policy iteration promise a policy within EPSILON of
the optimum, each by its own stopping rule; what they return is evaluated exactly before the clock starts.
"""

from __future__ import annotations

import copy
import importlib.util
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.clock import Row, paired, spread
from benchmarks.problem import Problem, published_problem
from netrollout.dp import MDP, evaluate_policy, modified_policy_iteration, policy_iteration, value_iteration
from netrollout.types import Floats

EPSILON = 1e-6
LIMIT = 100_000  # iterations; QuantEcon's own limit of 250 would stop value iteration early
METHODS: dict[str, Callable[[MDP], Any]] = {
    "policy iteration": policy_iteration,
    "value iteration": partial(value_iteration, epsilon=EPSILON),
    "modified policy iteration": partial(modified_policy_iteration, epsilon=EPSILON),
}
FLOORS = {"policy iteration": 1 / 1.1}
Solver = Callable[[], Callable[[], Any]]


def quantecon(problem: Problem) -> dict[str, Solver]:
    """Return QuantEcon's solvers by method; calling what they prepare returns a policy."""
    from quantecon.markov import DiscreteDP

    mdp = problem.mdp
    states, actions = np.divmod(np.arange(mdp.reward.size), mdp.n_actions)
    ddp = DiscreteDP(mdp.reward.ravel(), sparse.csr_matrix(mdp.transition), mdp.discount, states, actions)

    def solve(method: str) -> Any:
        solved = ddp.solve(method=method, epsilon=EPSILON, max_iter=LIMIT)
        if solved.num_iter >= LIMIT:
            raise RuntimeError(f"QuantEcon's {method} did not converge")
        return solved.sigma

    def solver(method: str) -> Solver:
        return lambda: partial(solve, method)

    return {name: solver(name.replace(" ", "_")) for name in METHODS}


def toolbox(problem: Problem) -> dict[str, Solver]:
    """Return pymdptoolbox's solvers by method; a run uses its object up, so each run gets a copy."""
    from mdptoolbox import mdp as peer

    mdp = problem.mdp
    rows = sparse.csr_matrix(mdp.transition)
    matrices = [rows[np.arange(mdp.n_states) * mdp.n_actions + a] for a in range(mdp.n_actions)]

    def solver(kind: str, **options: float) -> Solver:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it compares sparse matrices with 0 when it checks its input
            built = getattr(peer, kind)(matrices, mdp.reward, mdp.discount, **options)
        return lambda: partial(_run, copy.copy(built))

    return {
        "policy iteration": solver("PolicyIteration", max_iter=LIMIT),
        "value iteration": solver("ValueIteration", epsilon=EPSILON, max_iter=LIMIT),
        "modified policy iteration": solver("PolicyIterationModified", epsilon=EPSILON, max_iter=20),
    }


def _run(solver: Any) -> Any:
    solver.run()
    return np.array(solver.policy)


PEERS: dict[str, tuple[str, Callable[[Problem], dict[str, Solver]]]] = {
    "QuantEcon DiscreteDP": ("quantecon", quantecon),
    "pymdptoolbox": ("mdptoolbox", toolbox),
}
REPETITIONS = {"QuantEcon DiscreteDP": 15, "pymdptoolbox": 3}


def solvers(repetitions: int | None) -> list[Row]:
    """Return one row per method and peer, and the better of two methods against QuantEcon's better."""
    problem, rows = published_problem(), []
    for peer, (module, make) in PEERS.items():
        if importlib.util.find_spec(module) is None:
            rows.append(
                Row("solvers", "all rows", peer, not_run=f"{module} is not installed: pip install -e '.[bench]'")
            )
            continue
        theirs = make(problem)
        found = [_row(problem, peer, name, solver, repetitions) for name, solver in theirs.items()]
        rows += found
        if module == "quantecon":
            rows.append(_better(problem, theirs, found[1:], repetitions or REPETITIONS[peer]))
    return rows


def _row(problem: Problem, peer: str, name: str, theirs: Solver, repetitions: int | None) -> Row:
    mdp, method = problem.mdp, METHODS[name]
    best = policy_iteration(mdp).value
    lost = [best - evaluate_policy(mdp, policy).value for policy in (method(mdp).policy, theirs()())]
    checked = f"policies lose {_worst(lost[0]):.1e} (ours) and {_worst(lost[1]):.1e} (theirs) of the optimum"
    if max(map(_worst, lost)) > max(EPSILON, 1e-8 / (1 - mdp.discount)):
        return Row("solvers", name, peer, not_run=f"{checked}: more than {EPSILON:g}, no equal work")
    seconds = paired(lambda: partial(method, mdp), theirs, (1, 1), repetitions or REPETITIONS[peer], warm=False)
    return Row("solvers", name, peer, item="solve", floor=FLOORS.get(name) if "Quant" in peer else None,
               checked=checked, **seconds)  # fmt: skip


def _worst(loss: Floats) -> float:
    return float(np.abs(loss).max())


def _better(problem: Problem, theirs: dict[str, Solver], rows: list[Row], repetitions: int) -> Row:
    """Return the row of the faster of our methods against the faster of theirs, measured as a pair."""
    name, peer = "better of value and modified policy iteration", rows[0].peer
    ran = [row for row in rows if row.not_run is None]
    if not ran:
        return Row("solvers", name, peer, not_run="neither method did equal work")
    our_best = min(ran, key=lambda row: spread(row.ours)["median"]).name
    their_best = min(ran, key=lambda row: spread(row.theirs)["median"]).name
    seconds = paired(lambda: partial(METHODS[our_best], problem.mdp), theirs[their_best], (1, 1), repetitions)
    return Row(
        "solvers", name, peer, item="solve", floor=1.0, checked=f"ours: {our_best}; theirs: {their_best}", **seconds
    )
