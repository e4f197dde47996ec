"""Rollout by simulation against the exact Q-factors it estimates."""

import re
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from netrollout.batch import joint_actions
from netrollout.dp import MDP, evaluate_policy, q_factors
from netrollout.rollout import (
    RolloutPolicy,
    TruncatedRollout,
    best,
    constrained,
    drawn,
    one_component,
    safe,
    terminal_value,
)
from netrollout.rollout.truncated import simulate_returns
from netrollout.seeding import spawn
from netrollout.systems.toy import ToyState, Walk
from netrollout.types import InputError

HOLD, UP = 1, 2
SLIPPERY = Walk(pay=(0.0, 1.0, 3.0, -2.0, 5.0), slip=0.3)
CALM = Walk(pay=(0.0, 1.0, 3.0, -2.0, 5.0))


def places(*values):
    return ToyState(np.array(values))


def held(n):
    return np.full((n, 1), HOLD)


def rollout(system, hold, seed=0, **options):
    return TruncatedRollout(system, hold(), spawn(seed), **{"horizon": 3, **options})


def exact_q(system, horizon, value):
    mdp = MDP.from_system(system)
    base = np.full(mdp.n_states, HOLD)
    return q_factors(mdp, terminal_value(mdp, base, terminal=value, horizon=horizon))


def by_action(estimates, field):
    """Scatter an estimate (B, C) to (B, A): candidate 0 is the base's action."""
    table = np.full((len(estimates.actions), 3), np.nan)
    for b, c in zip(*np.nonzero(np.isfinite(estimates.mean)), strict=True):
        table[b, estimates.actions[b, c, 0]] = getattr(estimates, field)[b, c]
    return table


def test_gains_cover_the_exact_ones_at_their_stated_confidence(hold):
    """60 decisions in 5 states, 8 gains each: 95 % intervals from Student's t miss 1 in 20, give or take."""
    value = np.array([1.0, -1.0, 2.0, 0.0, 3.0])
    q = exact_q(SLIPPERY, 3, value)
    truth = q - q[:, [HOLD]]
    inside = []
    for seed in range(60):
        policy = rollout(SLIPPERY, hold, seed, samples=100, terminal=lambda x: value[x.place])
        found = policy.estimate(SLIPPERY.states(), held(5))
        gain, error = by_action(found, "gain"), by_action(found, "error")
        other = np.isfinite(gain) & (np.arange(3) != HOLD)
        inside.extend((np.abs(gain - truth) <= stats.t.ppf(0.975, 99) * error)[other])
    assert len(inside) == 60 * 8
    assert 0.92 <= np.mean(inside) <= 0.98


def test_means_agree_with_the_exact_q_factors(hold):
    q = exact_q(SLIPPERY, 3, np.zeros(5))
    found = rollout(SLIPPERY, hold, samples=20_000).estimate(SLIPPERY.states(), held(5))
    mean = by_action(found, "mean")
    assert np.array_equal(np.isfinite(mean), MDP.from_system(SLIPPERY).feasible)
    assert np.allclose(mean[np.isfinite(mean)], q[np.isfinite(mean)], atol=0.1)


def test_common_disturbances_cancel_noise_that_no_action_changes(hold):
    """Rewards are noisy by +-1 but moves are certain: even one sample per action gives the exact gains,
    though no standard error."""
    q = exact_q(CALM, 3, np.zeros(5))
    found = rollout(CALM, hold, samples=2).estimate(CALM.states(), held(5))
    gain, error = by_action(found, "gain"), by_action(found, "error")
    finite = np.isfinite(gain)
    assert np.allclose(gain[finite], (q - q[:, [HOLD]])[finite])
    assert np.allclose(error[finite], 0.0, atol=1e-6)
    single = rollout(CALM, hold, samples=1).estimate(CALM.states(), held(5))
    assert np.allclose(by_action(single, "gain")[finite], gain[finite])
    assert np.isinf(single.error[:, 1:]).all()


def test_the_error_of_a_gain_is_the_standard_deviation_over_root_n_with_one_degree_of_freedom_less(hold):
    """Of four paired paths, so that n in place of n - 1 would be an eighth too small."""
    found = rollout(SLIPPERY, hold, seed=4, samples=4).estimate(places(2), held(1))
    w = SLIPPERY.disturbance(spawn(4), (4, 1, 4))
    u, lane = np.array([[HOLD], [UP]]), np.zeros(2, dtype=int)
    returns, _ = simulate_returns(SLIPPERY, hold(), places(2, 2), u, w, lane)
    expected = (returns[1] - returns[0]).std(ddof=1) / np.sqrt(4)
    assert expected > 0.0 and by_action(found, "error")[0, UP] == pytest.approx(expected)


def test_without_noise_in_the_moves_it_decides_as_exact_rollout_does(hold):
    mdp = MDP.from_system(CALM)
    base = np.full(5, HOLD)
    value = evaluate_policy(mdp, base).value
    simulated = rollout(CALM, hold, horizon=2, terminal=lambda x: value[x.place])
    observation = CALM.observe(CALM.states())
    exact = RolloutPolicy(CALM, mdp, base).predict(observation)[0]
    assert np.array_equal(simulated.predict(observation)[0], exact)


def test_the_same_seed_decides_the_same_and_another_seed_may_not(hold):
    observation = SLIPPERY.observe(SLIPPERY.states())
    runs = [rollout(SLIPPERY, hold, seed).estimate(SLIPPERY.states(), held(5)).mean for seed in (1, 1, 2)]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])
    decisions = [rollout(SLIPPERY, hold, 3).predict(observation)[0] for _ in range(2)]
    assert np.array_equal(*decisions)


class Alternate:
    """Up, down, up, ..: its memory counts what it has decided."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False, action_masks=None):
        count = np.zeros(len(observation), dtype=np.int64) if state is None else state[0]
        return np.where(count % 2 == 0, UP, 0)[:, None], (count + 1,)


def test_lanes_do_not_depend_on_each_other():
    """Simulated together, with memories that differ by lane, or one by one: the same returns."""
    x, u, lane = places(1, 2, 3, 1), np.array([[0], [1], [2], [2]]), np.array([0, 1, 2, 0])
    memory = (np.array([0, 1, 2, 5]),)
    w = SLIPPERY.disturbance(spawn(7), (6, 3, 4))
    together, _ = simulate_returns(SLIPPERY, Alternate(), x, u, w, lane, memory)
    for p in range(4):
        alone, _ = simulate_returns(
            SLIPPERY,
            Alternate(),
            ToyState(x.place[[p]]),
            u[[p]],
            w[:, lane[[p]]],
            np.array([0]),
            (memory[0][[p]],),
        )
        assert np.array_equal(alone[0], together[p])


def test_a_base_policy_remembers_within_a_simulated_path():
    """Alternating from place 1 it stands at 2, 1, 2; with a memory that stands still it would go on to 3 and 4."""
    w = np.ones((4, 1, 1, 2))  # neither slips nor noise matter: rewards are compared on the same disturbances
    u, lane, memory = np.array([[HOLD]]), np.zeros(1, dtype=int), (np.array([0]),)
    found, _ = simulate_returns(CALM, Alternate(), places(1), u, w, lane, memory)
    x, total = places(1), 0.0
    for t, action in enumerate((HOLD, UP, 0, UP)):
        step = CALM.transition(x, np.array([[action]]), w[t, 0])
        x, total = step.state, total + CALM.discount**t * float(step.reward[0])
    assert found.item() == pytest.approx(total)


def test_a_base_policy_with_memory_carries_it_into_the_simulation():
    """From place 1 the base goes up now, so its next move is down: after holding now it finds itself at place 0."""
    policy = TruncatedRollout(CALM, Alternate(), spawn(0), horizon=1)
    _, memory = policy.predict(CALM.observe(places(1)))
    assert memory[0].tolist() == [1]
    found = policy.estimate(places(1), np.array([[UP]]), memory)
    gain = by_action(found, "gain")[0]
    assert gain[HOLD] - gain[UP] == pytest.approx((1.0 + 0.9 * 0.0) - (3.0 + 0.9 * 1.0))


def test_nothing_is_earned_after_the_end_and_no_terminal_value_counts_there(hold):
    system = Walk(pay=(1.0, 1.0, 10.0), end=True)
    policy = rollout(system, hold, horizon=4, terminal=lambda x: np.full(len(x.place), 1000.0))
    found = policy.estimate(places(1), held(1))
    gain = by_action(found, "gain")[0, UP]
    stay = sum(0.9**t for t in range(5)) + 0.9**5 * 1000.0
    later_noise = found.mean[0, 0] - stay  # the noise that the base's longer path met
    assert gain == pytest.approx(10.0 - stay + (by_action(found, "mean")[0, UP] - 10.0) - later_noise)
    assert abs(by_action(found, "mean")[0, UP] - 10.0) == pytest.approx(1.0)


def test_halving_spends_no_more_and_gathers_its_paths_on_the_best(walkers, hold):
    system = walkers(k=2, n=5)
    x = type(system.states())(spawn(1).integers(1, 4, size=(6, 2)))  # inside, where all nine actions are feasible
    u = np.ones((6, 2), dtype=np.int64)
    flat = TruncatedRollout(system, hold(2), spawn(0), horizon=4, samples=16).estimate(x, u)
    halved = TruncatedRollout(system, hold(2), spawn(0), horizon=4, samples=16, halving=True).estimate(x, u)
    assert halved.model_steps <= flat.model_steps * 1.05
    assert halved.samples.max() > flat.samples.max()
    assert np.array_equal(best(halved), best(flat))  # only the noise differs, and it cancels
    dropped = np.isneginf(halved.gain) & (halved.samples > 0)
    assert dropped.any() and not dropped[:, 0].any()


def test_safe_rollout_leaves_the_base_only_for_a_gain_beyond_the_model_error(hold):
    found = rollout(CALM, hold, samples=4).estimate(CALM.states(), held(5))
    gain = found.gain.max(axis=1)
    assert np.array_equal(safe(0.0)(found), best(found))
    assert safe(gain.max())(found).tolist() == [0] * 5
    between = (np.sort(gain)[-2] + gain.max()) / 2
    assert np.array_equal(safe(between)(found) > 0, gain > between)


def test_safe_rollout_counts_standard_errors(hold):
    found = rollout(SLIPPERY, hold, samples=4).estimate(SLIPPERY.states(), held(5))
    chosen = safe(0.0, z=2.0)(found)
    moved = chosen > 0
    rows = np.arange(5)[moved]
    assert (found.gain[rows, chosen[moved]] > 2.0 * found.error[rows, chosen[moved]]).all()


def test_constrained_rollout_keeps_the_limit_where_it_can(hold):
    """The watched metric is the place itself: going up gains most, staying low is wanted."""
    system = Walk(pay=(0.0, 1.0, 2.0, 3.0, 4.0))
    policy = rollout(system, hold, horizon=1, watch="place")
    found = policy.estimate(places(1, 4), held(2))
    assert by_action(found, "watched")[0].tolist() == pytest.approx([0.0, 1.9, 3.8])
    assert found.actions[[0, 1], best(found), 0].tolist() == [UP, HOLD]
    assert found.actions[[0, 1], constrained(1.9)(found), 0].tolist() == [HOLD, 0]
    assert found.actions[[0, 1], constrained(6.0, safe(100.0))(found), 0].tolist() == [HOLD, 0]


def test_candidates_beyond_the_range_or_equal_to_the_base_are_not_simulated(walkers, hold):
    system = walkers(k=3, n=3)
    x = system.states()
    u = np.ones((27, 3), dtype=np.int64)
    found = TruncatedRollout(system, hold(3), spawn(0), horizon=0, candidates=one_component()).estimate(x, u)
    tried = (found.samples > 0).sum(axis=1)
    inside = (x.place == 1).sum(axis=1)
    assert tried.tolist() == (1 + 3 + inside).tolist()  # base; one move per walker, two in the middle
    assert (np.isneginf(found.mean) == (found.samples == 0)).all()


def test_candidate_sets_of_fine_grids():
    class Fine(Walk):
        @property
        def levels(self):
            return (tuple(range(101)), tuple(range(11)))

    near = one_component(width=2)(Fine(), places(0), np.array([[50, 0]]), spawn(0))[0]
    assert near.tolist() == [[48, 0], [49, 0], [51, 0], [52, 0], [50, 0], [50, 0], [50, 1], [50, 2]]
    random = drawn(200)(Fine(), places(0, 0), np.array([[50, 0]] * 2), spawn(0))
    assert random.shape == (2, 200, 2)
    assert random.min() >= 0 and (random.max(axis=(0, 1)) <= [100, 10]).all()


def test_it_runs_as_a_base_of_itself(hold):
    inner = rollout(CALM, hold, horizon=1)
    outer = TruncatedRollout(CALM, inner, spawn(1), horizon=2)
    assert outer.predict(CALM.observe(CALM.states()))[0].shape == (5, 1)
    assert outer.model_steps > 0 and inner.model_steps > 0


def test_the_whole_joint_action_space_is_the_default(walkers, hold):
    system = walkers(k=2, n=5)
    inside = type(system.states())(np.array([[2, 2]]))
    found = TruncatedRollout(system, hold(2), spawn(0), horizon=0).estimate(inside, np.ones((1, 2), dtype=np.int64))
    assert sorted(map(tuple, found.actions[0][found.samples[0] > 0])) == sorted(
        map(tuple, joint_actions(system.levels))
    )


@dataclass(frozen=True)
class Steep(Walk):
    """Refuses to be stepped from its last place, where it ended."""

    end: bool = True

    def transition(self, x, u, w):
        assert (x.place < self.n_states - 1).all()
        return super().transition(x, u, w)


def test_a_state_that_ended_is_never_stepped_from(hold):
    rollout(Steep(pay=(0.0, 0.0, 1.0)), hold, horizon=5).predict(CALM.observe(places(0, 1)) * 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda hold: rollout(CALM, hold, horizon=-1), "horizon -1 and samples 1"),
        (lambda hold: rollout(CALM, hold, samples=0), "horizon 3 and samples 0"),
        (lambda hold: one_component(0), "width 0 must be at least 1 level"),
        (lambda hold: drawn(0), "count 0 must be at least 1 candidate"),
        (lambda hold: rollout(CALM, hold, watch="delay").estimate(places(0), held(1)), "no metric 'delay'"),
    ],
)
def test_bad_input_is_named(call, message, hold):
    with pytest.raises(InputError, match=re.escape(message)):
        call(hold)
