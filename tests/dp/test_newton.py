"""The Newton step: in closed form on one dimension, as an identity on finite processes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netrollout.dp import evaluate_policy, garnet, greedy, policy_iteration, q_factors
from netrollout.dp.newton import LinearQuadratic, along_line
from netrollout.dp.value import induced
from netrollout.types import InputError

UNSTABLE = LinearQuadratic(a=2.0, b=1.0, q=1.0, r=1.0)
problems = st.builds(LinearQuadratic, a=st.floats(-3, 3), b=st.floats(0.2, 3), q=st.floats(0.1, 5), r=st.floats(0.1, 5))


def summed(problem, gain, steps):
    """The cost of u = L x from x = 1, added up."""
    x, cost = 1.0, 0.0
    for _ in range(steps):
        cost += problem.q * x**2 + problem.r * (gain * x) ** 2
        x = problem.a * x + problem.b * gain * x
    return cost


@settings(max_examples=100, deadline=None)
@given(problems)
def test_the_optimum_solves_riccatis_equation_and_lies_in_the_region_of_stability(problem):
    best = problem.optimum()
    assert problem.riccati(best) == pytest.approx(best)
    assert problem.slope(best) < 1.0
    assert problem.cost(problem.gain(best)) == pytest.approx(best)


@settings(max_examples=100, deadline=None)
@given(problems, st.floats(0.01, 20))
def test_inside_the_region_the_newton_iterate_is_the_true_cost_of_the_greedy_policy(problem, above):
    k = max(problem.edge(), 0.0) + above
    assert problem.slope(k) < 1.0
    assert problem.newton(k) == pytest.approx(problem.cost(problem.gain(k)), rel=1e-6)
    assert problem.newton(k) >= problem.optimum() * (1 - 1e-9)


def test_inside_the_region_the_cost_is_what_adding_up_gives():
    k = UNSTABLE.edge() + 0.5
    assert UNSTABLE.newton(k) == pytest.approx(summed(UNSTABLE, UNSTABLE.gain(k), 500))


@pytest.mark.parametrize("k", [0.0, 0.5, 0.99])
def test_outside_the_region_the_formula_gives_a_number_and_the_true_cost_is_infinite(k):
    assert UNSTABLE.edge() == 1.0
    assert UNSTABLE.slope(k) > 1.0
    assert np.isfinite(UNSTABLE.newton(k))
    assert UNSTABLE.cost(UNSTABLE.gain(k)) == np.inf
    assert summed(UNSTABLE, UNSTABLE.gain(k), 60) >= 2 * summed(UNSTABLE, UNSTABLE.gain(k), 30)


def test_the_slope_is_one_at_the_edge():
    assert UNSTABLE.slope(UNSTABLE.edge()) == pytest.approx(1.0)


def test_newton_converges_quadratically():
    best, k, errors = UNSTABLE.optimum(), 6.0, []
    for _ in range(4):
        k = UNSTABLE.newton(k)
        errors.append(abs(k - best))
    assert all(later <= earlier**2 for earlier, later in itertools.pairwise(errors) if earlier > 1e-7)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 0.9, 0.99]))
def test_the_value_of_the_greedy_policy_is_the_newton_iterate(seed, discount):
    rng = np.random.default_rng(seed)
    mdp = garnet(rng, 6, 3, 3, discount, ending=0.2)
    value = rng.normal(size=6)
    mu = greedy(mdp, value)
    _, matrix = induced(mdp, mu)
    change = q_factors(mdp, value).max(axis=1) - value
    iterate = value + np.linalg.solve(np.eye(6) - discount * matrix.toarray(), change)
    assert np.allclose(evaluate_policy(mdp, mu).value, iterate, atol=1e-9 / (1 - discount))


def test_a_line_runs_from_the_base_to_the_optimum():
    mdp = garnet(np.random.default_rng(2), 8, 3, 2, 0.9)
    base = evaluate_policy(mdp, np.zeros(8, dtype=int)).value
    best = policy_iteration(mdp).value
    line = along_line(mdp, base, best, np.array([0.0, 0.5, 1.0]))
    assert line.value == pytest.approx([base.mean(), (base + best).mean() / 2, best.mean()])
    assert line.bellman[2] == pytest.approx(best.mean())
    assert line.greedy[2] == pytest.approx(best.mean())
    assert (line.bellman[:2] >= line.value[:2]).all() and (line.greedy >= line.bellman - 1e-9).all()
    corner = along_line(mdp, base, best, np.array([0.0]), np.eye(8)[3])
    assert corner.value == pytest.approx([base[3]])


def test_bad_input_is_named():
    with pytest.raises(InputError, match="b must not be 0, q and r must be positive"):
        LinearQuadratic(1.0, 0.0, 1.0, 1.0)
    mdp = garnet(np.random.default_rng(2), 3, 2, 2, 0.9)
    with pytest.raises(InputError, match=r"weights has shape \(2,\); expected \(3,\)"):
        along_line(mdp, np.zeros(3), np.ones(3), np.array([0.0]), np.ones(2))
