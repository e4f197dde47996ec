"""One component at a time: what theory gives, and the counterexamples to what it does not."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netrollout.batch import joint_index
from netrollout.dp import MDP, evaluate_policy, garnet, policy_iteration
from netrollout.policies import TablePolicy
from netrollout.rollout import (
    MultiagentRollout,
    fortified_table,
    multiagent_policy_iteration,
    multiagent_table,
    rollout_table,
)
from netrollout.seeding import spawn
from netrollout.systems.fleet import Alone, Fleet
from netrollout.types import InputError

LEVELS = ((0.0, 1.0), (0.0, 1.0))


@st.composite
def shared(draw):
    """A random process whose actions have two or three components, with a random base policy."""
    sizes = draw(st.sampled_from([(2, 2), (3, 2), (2, 3, 2)]))
    rng, states = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), draw(st.integers(1, 6))
    mdp = garnet(
        rng,
        states,
        int(np.prod(sizes)),
        draw(st.integers(1, states)),
        draw(st.sampled_from([0.0, 0.5, 0.9, 0.99, 0.999])),
        draw(st.sampled_from([0.0, 0.3])),
        draw(st.sampled_from([0.0, 0.3])),
    )
    base, other = (np.where(mdp.feasible, rng.random(mdp.reward.shape), -1.0).argmax(axis=1) for _ in range(2))
    order = draw(st.one_of(st.just("best"), st.permutations(range(len(sizes)))))
    return mdp, tuple(tuple(range(n)) for n in sizes), base, other, order


def never_below(mdp, better, base):
    gain = evaluate_policy(mdp, better).value - evaluate_policy(mdp, base).value
    return (gain >= -1e-9 / (1.0 - mdp.discount)).all()


@settings(max_examples=500, deadline=None)
@given(shared())
def test_one_step_is_never_below_the_base_in_any_order(case):
    mdp, levels, base, _, order = case
    assert never_below(mdp, multiagent_table(mdp, levels, base, order), base)


@settings(max_examples=100, deadline=None)
@given(shared(), st.integers(2, 3))
def test_fortified_it_is_never_below_the_base_with_more_lookahead_nor_is_any_other_proposal(case, lookahead):
    mdp, levels, base, other, order = case
    for proposed in (multiagent_table(mdp, levels, base, order, lookahead), other):
        assert never_below(mdp, fortified_table(mdp, base, proposed), base)


def test_with_two_steps_it_can_fall_below_the_base():
    """State 0 pays 2 if both components act, which no component finds alone.  In state 1 leaving for state 0 costs 1:
    two steps of joint maximisation promise the 2, and component 0 leaves; in state 0 both then hold for ever."""
    transition = np.eye(2)[[[0, 1, 1, 0], [1, 0, 0, 1]]]
    mdp = MDP.from_arrays(transition, [[0.0, 0.0, 0.0, 2.0], [0.0, 0.0, -1.0, 0.0]], 0.9)
    base = np.array([0, 0])
    proposed = multiagent_table(mdp, LEVELS, base, lookahead=2)
    assert evaluate_policy(mdp, base).value.tolist() == [0.0, 0.0]
    assert evaluate_policy(mdp, proposed).value.tolist() == [0.0, -1.0]
    assert never_below(mdp, fortified_table(mdp, base, proposed), base)


def test_the_autonomous_variant_can_fall_below_the_base():
    """Each component alone would gain 1 by acting; together they lose 9."""
    mdp = MDP.from_arrays(np.ones((1, 4, 1)), [[0.0, 1.0, 1.0, -9.0]], 0.5)
    base = np.array([0])
    assert evaluate_policy(mdp, multiagent_table(mdp, LEVELS, base, autonomous=True)).value[0] == pytest.approx(-18.0)
    assert evaluate_policy(mdp, multiagent_table(mdp, LEVELS, base)).value[0] == pytest.approx(2.0)


def test_the_order_matters_and_the_best_first_finds_more():
    """Component 0 gains 1 alone, component 1 gains 3 alone, both together nothing."""
    mdp = MDP.from_arrays(np.ones((1, 4, 1)), [[0.0, 3.0, 1.0, 0.0]], 0.0)
    base = np.array([0])
    tables = [multiagent_table(mdp, LEVELS, base, order).tolist() for order in ((0, 1), (1, 0), "best")]
    assert tables == [[2], [1], [1]]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 0.9, 0.99]), st.permutations(range(3)))
def test_a_base_that_draws_its_components_independently_is_improved_too(seed, discount, order):
    rng, sizes = np.random.default_rng(seed), (2, 3, 2)
    mdp = garnet(rng, 5, 12, 3, discount)
    marginals = [rng.dirichlet(np.ones(m), size=5) for m in sizes]
    base = np.einsum("si,sj,sk->sijk", *marginals).reshape(5, 12)
    assert never_below(mdp, multiagent_table(mdp, tuple(tuple(range(m)) for m in sizes), base, order), base)


def test_components_drawn_together_are_refused():
    mdp = MDP.from_arrays(np.ones((1, 4, 1)), np.zeros((1, 4)), 0.9)
    with pytest.raises(InputError, match="draws its components together"):
        multiagent_table(mdp, LEVELS, np.array([[0.5, 0.0, 0.0, 0.5]]))
    with pytest.raises(InputError, match="order 'best' needs a base policy of actions"):
        multiagent_table(mdp, LEVELS, np.full((1, 4), 0.25), "best")


@settings(max_examples=60, deadline=None)
@given(shared())
def test_with_one_component_it_is_rollout(case):
    mdp, _, base, _, _ = case
    single = (tuple(range(mdp.n_actions)),)
    assert np.array_equal(multiagent_table(mdp, single, base), rollout_table(mdp, base))


@settings(max_examples=60, deadline=None)
@given(shared())
def test_repeated_it_ends_where_no_component_gains_and_not_below_its_start(case):
    mdp, levels, base, _, _ = case
    end = multiagent_policy_iteration(mdp, levels, base)
    assert end.converged
    assert np.array_equal(multiagent_table(mdp, levels, end.policy), end.policy)
    assert never_below(mdp, end.policy, base)


def test_repeated_it_may_end_short_of_the_optimum():
    mdp = MDP.from_arrays(np.ones((1, 4, 1)), [[0.0, -1.0, -1.0, 5.0]], 0.0)
    end = multiagent_policy_iteration(mdp, LEVELS, np.array([0]))
    assert (end.policy.tolist(), policy_iteration(mdp).policy.tolist()) == ([0], [3])
    assert end.residual == pytest.approx(5.0)


def test_ties_stay_with_the_base():
    mdp = MDP.from_arrays(np.ones((1, 4, 1)), np.full((1, 4), 0.3), 0.9)
    for action in range(4):
        assert multiagent_table(mdp, LEVELS, np.array([action])).tolist() == [action]
        assert multiagent_table(mdp, LEVELS, np.array([action]), "best").tolist() == [action]


def simulated(system, hold, **options):
    mdp = MDP.from_system(system)
    value = evaluate_policy(mdp, np.full(mdp.n_states, (mdp.n_actions - 1) // 2)).value
    terminal = lambda x: value[system.index(x)]  # noqa: E731
    return MultiagentRollout(system, hold(system.k), spawn(0), **{"horizon": 1, "terminal": terminal, **options})


@pytest.mark.parametrize("autonomous", [False, True])
@pytest.mark.parametrize("order", [None, (2, 0, 1)])
def test_simulated_it_decides_as_the_table_where_the_noise_cancels(walkers, hold, order, autonomous):
    system = walkers(k=3, n=4)
    mdp = MDP.from_system(system)
    base = np.full(mdp.n_states, 13)  # hold, hold, hold
    exact = multiagent_table(mdp, system.levels, base, order, autonomous=autonomous)
    policy = simulated(system, hold, order=order, autonomous=autonomous)
    actions, _ = policy.predict(system.observe(system.states()))
    assert np.array_equal(joint_index(actions, system.levels), exact)
    assert len(set(exact)) > 5


def test_the_work_grows_with_the_sum_and_not_the_product(walkers, hold):
    steps = []
    for k in (2, 4, 8):
        system = walkers(k=k, n=3)
        policy = MultiagentRollout(system, hold(k), spawn(0), horizon=1)
        policy.predict(np.full((1, k), 0.5, dtype=np.float32))
        steps.append(policy.model_steps)
    assert steps == [2 * (1 + 2 * k) for k in (2, 4, 8)]


def test_lanes_do_not_depend_on_each_other(walkers, hold):
    system = walkers(k=3, n=4)
    policy = simulated(system, hold, horizon=2)
    x = system.initial(spawn(1), 5)
    u, w = np.ones((5, 3), dtype=np.int64), system.disturbance(spawn(2), (3, 5, 4))
    together = policy.improve(x, u, w)
    for b in range(5):
        assert np.array_equal(policy.improve(type(x)(x.place[[b]]), u[[b]], w[:, [b]])[0], together[b])


def test_the_same_seed_decides_the_same(walkers, hold):
    system = walkers(k=2, n=4)
    runs = [MultiagentRollout(system, hold(2), spawn(5), 3, samples=2) for _ in range(2)]
    observation = system.observe(system.states())
    assert np.array_equal(runs[0].predict(observation)[0], runs[1].predict(observation)[0])


def test_it_improves_on_its_base_when_it_is_run(walkers):
    """Judged exactly on the process it planned on, through the table of its own decisions."""
    system = walkers(k=2, n=5, bonus=2.0)
    mdp = MDP.from_system(system)
    base = np.random.default_rng(0).permuted(np.where(mdp.feasible, 1.0, 0.0), axis=1).argmax(axis=1)
    base = np.where(mdp.feasible[np.arange(mdp.n_states), base], base, 4)
    value = evaluate_policy(mdp, base).value
    policy = MultiagentRollout(
        system, TablePolicy(system, base), spawn(0), 0, terminal=lambda x: value[system.index(x)]
    )
    actions, _ = policy.predict(system.observe(system.states()))
    assert never_below(mdp, joint_index(actions, system.levels), base)


def test_autonomous_choices_that_are_not_feasible_together_are_refused():
    mask = [[True, True, True, False]]
    mdp = MDP.from_arrays(np.ones((1, 4, 1)), [[0.0, 1.0, 1.0, 0.0]], 0.9, mask)
    with pytest.raises(InputError, match=r"in state 0 the components' own choices \[1, 1\] are not feasible together"):
        multiagent_table(mdp, LEVELS, np.array([0]), autonomous=True)


class Stuck(Fleet):
    """A fleet whose first queue can only give a worker back, as its base does."""

    def feasible(self, x):
        return np.tile([True, False, False, True, True, True], (len(x.waiting), 1))


@pytest.mark.parametrize("lanes", [0, 1])
@pytest.mark.parametrize("autonomous", [False, True])
def test_a_component_without_a_choice_is_passed_over(lanes, autonomous):
    system = Stuck(components=2)
    policy = MultiagentRollout(system, Alone(system), spawn(0), 1, 2, autonomous=autonomous)
    actions, _ = policy.predict(system.observe(system.initial(spawn(1), lanes)))
    assert actions.shape == (lanes, 2) and (actions[:, 0] == 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda mdp: multiagent_table(mdp, ((0.0, 1.0),), np.array([0])), "make 2 joint actions; the process has 4"),
        (lambda mdp: multiagent_table(mdp, LEVELS, np.array([0]), (0, 0)), "order (0, 0) must name each of the"),
        (lambda mdp: multiagent_table(mdp, LEVELS, np.array([0]), "first"), "order 'first' must name each of the"),
        (lambda mdp: multiagent_table(mdp, LEVELS, np.array([4])), "policy takes action 4 in state 0"),
    ],
)
def test_bad_input_is_named(call, message):
    mdp = MDP.from_arrays(np.ones((1, 4, 1)), np.zeros((1, 4)), 0.9)
    with pytest.raises(InputError, match=re.escape(message)):
        call(mdp)


def test_bad_options_of_the_simulated_form_are_named(walkers, hold):
    for options, message in (({"horizon": -1}, "horizon -1"), ({"samples": 0}, "samples 0"), ({"order": [0]}, "order")):
        with pytest.raises(InputError, match=message):
            simulated(walkers(), hold, **options)
