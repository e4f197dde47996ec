"""What every system of the catalogue promises, whatever it is."""

import pickle

import numpy as np
import pytest

from netrollout import batch, names
from netrollout.catalog import make
from netrollout.family import family_named, family_of
from netrollout.naming import options_of
from netrollout.systems.check import check_system
from netrollout.types import InputError, System
from netrollout.types import listed as listed_

LANES = 40


def made(name):
    phased = "phase" in options_of(family_named(name).part("realise").plant)
    return make(name, phase="after") if phased else make(name)


@pytest.fixture(scope="module", params=names())
def system(request):
    return made(request.param)


@pytest.fixture(scope="module", params=[name for name in names() if listed_(made(name))])
def listed(request):
    """A system whose states can be listed."""
    return made(request.param)


@pytest.fixture
def lanes(system):
    """States that random actions lead to, actions, disturbances."""
    rng = np.random.default_rng(0)
    x = system.initial(rng, LANES)
    for _ in range(20):
        x = system.step(x, drawn_actions(system, rng), rng).state
    return x, drawn_actions(system, rng), system.disturbance(rng, (LANES,))


def drawn_actions(system, rng):
    return np.stack([rng.integers(len(settings), size=LANES) for settings in system.levels], axis=1)


def same(a, b):
    return all(np.array_equal(f, g) for f, g in zip(a, b, strict=True))


@pytest.mark.parametrize("seed", [0, 1])
def test_it_keeps_what_is_promised_of_every_system(system, seed):
    assert isinstance(system, System)
    check_system(system, seed)


def test_only_a_family_that_says_so_hides_its_state(system, lanes):
    observation = system.observe(lanes[0])
    if family_of(system).hidden:
        with pytest.raises(InputError):
            system.state_of(observation)
    else:
        assert system.observe(system.state_of(observation)) == pytest.approx(observation, abs=1e-6)


def test_a_lane_alone_is_the_lane_in_the_batch(system, lanes):
    x, u, w = lanes
    together = system.transition(x, u, w)
    for lane in range(LANES):
        one = np.array([lane])
        alone = system.transition(batch.take(x, one), u[one], w[one])
        assert same(alone.state, batch.take(together.state, one))
        assert alone.reward[0] == together.reward[lane] and alone.terminated[0] == together.terminated[lane]
        assert {k: v[0] for k, v in alone.metrics.items()} == {k: v[lane] for k, v in together.metrics.items()}


def test_no_action_leaves_the_state_space(listed):
    x, joint = listed.states(), batch.joint_actions(listed.levels)
    rng = np.random.default_rng(2)
    for u in joint:
        after = listed.step(x, np.tile(u, (listed.n_states, 1)), rng).state
        index = listed.index(after)
        assert index.min() >= 0 and index.max() < listed.n_states
        assert same(after, batch.take(listed.states(), index))


def test_the_listed_noise_gives_the_mean_of_simulated_steps(listed):
    n = 20_000
    x = batch.take(listed.states(), np.array([listed.n_states // 2]))
    u = np.ones((1, len(listed.levels)), dtype=int)
    w, p = listed.noise_support()
    at_points = listed.transition(batch.repeat(x, len(w)), np.repeat(u, len(w), axis=0), w)
    drawn = listed.step(batch.repeat(x, n), np.repeat(u, n, axis=0), np.random.default_rng(3))
    error = drawn.reward.std() / np.sqrt(n)
    assert p.sum() == pytest.approx(1.0)
    assert p @ at_points.reward == pytest.approx(drawn.reward.mean(), abs=4 * error + 1e-12)
    law = np.bincount(listed.index(at_points.state), weights=p, minlength=listed.n_states)
    met = np.bincount(listed.index(drawn.state), minlength=listed.n_states) / n
    assert met == pytest.approx(law, abs=0.015)


def test_what_it_declares_is_so(system, lanes):
    """Its metrics have units, and only a system that says so ends before the horizon."""
    step, family = system.transition(*lanes), family_of(system)
    assert all(family.unit(metric) for metric in step.metrics)
    assert family.ends or not step.terminated.any()


def test_a_pickled_system_goes_on_alike(system, lanes):
    twin = pickle.loads(pickle.dumps(system))
    assert np.array_equal(twin.transition(*lanes).reward, system.transition(*lanes).reward)
