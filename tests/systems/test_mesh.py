"""The mesh: settings move by one level, windows are drawn, the reward is the published one, the load is Markov."""

import pickle

import numpy as np
import pytest

from netrollout import batch
from netrollout.systems.mesh.dynamics import Control, Mesh, MeshState, Objective, ResponseTable
from netrollout.types import InputError

DOWN, HOLD, UP = 0, 1, 2
CONTROLS = (Control("p_compute", (0.0, 0.5, 1.0)), Control("c_1", (1.0, 2.0, 3.0, 4.0)))
WINDOWS = np.random.default_rng(0).uniform(0.02, 0.08, size=(24, 5, 1))


def mesh(**changes):
    given = dict(
        name="m",
        controls=CONTROLS,
        services=("compute",),
        loads=np.array([[10.0], [20.0]]),
        load_move=0.2,
        objective=Objective((0.05,), (("c_1",),)),
        response=ResponseTable(WINDOWS),
    )
    return Mesh(**(given | changes))


def draw(system, n, seed=0):
    rng = np.random.default_rng(seed)
    x = batch.take(system.states(), rng.integers(system.n_states, size=n))
    return x, rng.integers(3, size=(n, 2)), system.disturbance(rng, (n,))


def test_lanes_do_not_disturb_each_other():
    system = mesh()
    x, u, w = draw(system, 50)
    together = system.transition(x, u, w)
    for lane in range(50):
        one = system.transition(batch.take(x, np.array([lane])), u[[lane]], w[[lane]])
        assert one.reward[0] == together.reward[lane]
        assert np.array_equal(one.state.setting[0], together.state.setting[lane])
        assert one.state.load[0] == together.state.load[lane]


def test_transition_is_pure():
    system = mesh()
    x, u, w = draw(system, 20)
    before = [field.copy() for field in x]
    first, second = system.transition(x, u, w), system.transition(x, u, w)
    assert np.array_equal(first.reward, second.reward)
    assert all(np.array_equal(a, b) for a, b in zip(x, before, strict=True))


def test_an_increment_beyond_the_range_holds():
    system = mesh()
    x = MeshState(np.array([[0, 3]]), np.array([0]))
    assert system.transition(x, np.array([[DOWN, UP]]), np.array([[0.1, 0.9]])).state.setting.tolist() == [[0, 3]]
    assert system.feasible(x).tolist() == [[False, True, True, True, True, False]]


def test_the_response_is_that_of_the_new_setting_at_the_old_load():
    system = mesh()
    x = MeshState(np.array([[0, 0]]), np.array([1]))
    step = system.transition(x, np.array([[UP, UP]]), np.array([[0.5, 0.0]]))  # window 2 of 5, and the load moves
    grid = np.ravel_multi_index((1, 1, 1), (2, 3, 4))
    assert step.metrics["d_compute"][0] == WINDOWS[grid, 2, 0]
    assert step.state.load[0] == 0


def test_states_index_and_observation_are_consistent():
    system = mesh()
    x = system.states()
    assert np.array_equal(system.index(x), np.arange(24))
    back = system.state_of(system.observe(x))
    assert np.array_equal(back.setting, x.setting) and np.array_equal(back.load, x.load)
    assert system.observe(x).dtype == np.float32
    assert system.observe(x).min() == 0 and system.observe(x).max() == 1


def test_grid_features_are_values_and_loads():
    features = mesh().grid_features()
    assert features[0].tolist() == [0.0, 1.0, 10.0]
    assert features[-1].tolist() == [1.0, 4.0, 20.0]


def test_noise_support_gives_the_expectation_of_a_step():
    system = mesh()
    x = batch.take(system.states(), np.array([13]))
    u = np.array([[UP, HOLD]])
    w, p = system.noise_support()
    listed = system.transition(batch.repeat(x, len(w)), np.repeat(u, len(w), axis=0), w)
    sampled = system.transition(
        batch.repeat(x, 40_000), np.repeat(u, 40_000, axis=0), system.disturbance(np.random.default_rng(1), (40_000,))
    )
    assert p.sum() == pytest.approx(1)
    assert p @ listed.reward == pytest.approx(sampled.reward.mean(), abs=0.01)
    assert p @ (listed.state.load != x.load) == pytest.approx(0.2)
    assert np.mean(sampled.state.load != x.load) == pytest.approx(0.2, abs=0.01)


def test_the_load_moves_to_every_other_level_alike():
    system = mesh(
        loads=np.array([[1.0], [2.0], [3.0]]), load_move=0.6, response=ResponseTable(np.full((36, 1, 1), 0.01))
    )
    x = MeshState(np.zeros((30_000, 2), dtype=int), np.ones(30_000, dtype=int))
    load = system.step(x, np.ones((30_000, 2), dtype=int), np.random.default_rng(0)).state.load
    assert np.bincount(load) / 30_000 == pytest.approx([0.3, 0.4, 0.3], abs=0.01)


@pytest.mark.parametrize(
    ("objective", "saved", "d", "reward", "late"),
    [
        (Objective((0.05,), ()), 0.6, [0.05], 0.6, False),  # the bound itself is kept
        (Objective((0.05,), ()), 0.6, [0.08], -0.03, True),
        (Objective((0.05,), (), digits=3), 0.6, [0.0504], 0.6, False),  # published rounding
        (Objective((0.05, 0.02), ()), 0.6, [0.06, 0.05], -0.04, True),  # excesses add up
        (Objective((0.05, 0.02), ()), 0.6, [np.nan, 0.01], 0.6, False),  # nothing routed violates nothing
    ],
)
def test_reward(objective, saved, d, reward, late):
    got, violated = objective(np.array([saved]), np.array([d]))
    assert got[0] == pytest.approx(reward)
    assert violated[0] == late


def test_savings_multiply_over_groups_and_add_within_them():
    one = mesh(response=ResponseTable(np.full((24, 1, 1), 0.01)))
    both = mesh(response=one.response, objective=Objective((0.05,), (("c_1",), ("p_compute",))))
    x = MeshState(np.array([[1, 1]]), np.array([0]))  # p = .5, c = 2 of 4
    hold, w = np.array([[HOLD, HOLD]]), np.array([[0.0, 0.9]])
    assert one.transition(x, hold, w).reward[0] == pytest.approx(0.5)
    assert both.transition(x, hold, w).reward[0] == pytest.approx(0.25)


def test_late_share_counts_windows_over_the_bound():
    assert mesh().late_share() == pytest.approx((WINDOWS[:, :, 0] > 0.05).mean(axis=1))


def test_settings_are_named_fully_or_by_what_is_unique():
    system = mesh()
    assert system.setting({"p": 0.5, "c": 3}).tolist() == [1, 2]
    assert system.setting({"p_compute": 0.5, "c_1": 3}).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"p": 0.5}, "needs a value for c_1"),
        ({"p": 0.4, "c": 1}, "p=0.4 is not on the grid"),
        ({"q": 1}, "no single control 'q'"),
        ({"p": float("nan"), "c": 1}, "p=nan is not on the grid"),
        ({"p": 0.5, "c": 1, "c_1": 2}, "c_1 is given twice"),
    ],
)
def test_settings_that_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        mesh().setting(values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"response": ResponseTable(WINDOWS[:5])}, "response table"),
        ({"objective": Objective((0.05, 0.1), ())}, "2 bounds for 1 services"),
        ({"objective": Objective((0.05,), (("c_9",),))}, "economy names 'c_9'"),
        ({"discount": 1.0}, "discount 1.0"),
        ({"horizon": 0}, "horizon 0"),
        ({"load_move": 1.5}, "load_move 1.5"),
    ],
)
def test_a_mesh_that_does_not_fit_together_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        mesh(**changes)


def test_levels_must_rise():
    with pytest.raises(InputError, match="must be at least two and rise"):
        Control("c_1", (2.0, 1.0))


def test_pickle_round_trip():
    system = pickle.loads(pickle.dumps(mesh()))
    x, u, w = draw(system, 10)
    assert np.array_equal(system.transition(x, u, w).reward, mesh().transition(x, u, w).reward)


def test_the_reward_of_holding_depends_on_no_move_of_the_load():
    still, moving = mesh(load_move=0.0), mesh(load_move=0.9)
    assert np.array_equal(still.held_rewards(), moving.held_rewards())
    reward, _ = still.objective(still.saved[:, None], WINDOWS)
    assert still.held_rewards() == pytest.approx(reward.mean(axis=1))
