"""The same rollout code runs with a forest inside the system, asked lane by lane, and with the forest tabulated."""

from dataclasses import dataclass

import numpy as np
import pytest

from netrollout import batch
from netrollout.models import Forest, tabulate
from netrollout.rollout import FortifiedRollout, MultiagentRollout, TruncatedRollout
from netrollout.seeding import spawn
from netrollout.systems.mesh.dynamics import Control, Mesh, MeshState, Objective, ResponseTable
from netrollout.types import Step

Q = 5
CONTROLS = (Control("p_a", (0.0, 0.5, 1.0)), Control("c_1", (1.0, 2.0, 3.0)))


def mesh_of(loads):
    """A mesh of two controls at constant loads (requests/s), one per episode."""
    nothing = ResponseTable(np.ones((9 * len(loads), 1, 1)))
    objective = Objective((0.09,), (("c_1",), ("p_a",)))
    return Mesh("m", CONTROLS, ("a",), np.array(loads)[:, None], 0.0, objective, nothing, discount=0.8)


@dataclass(frozen=True)
class Asked:
    """A mesh that asks its surrogate in every step, at any load: the level of the load may lie between two levels."""

    mesh: Mesh
    surrogate: Forest

    def __getattr__(self, name):
        return getattr(object.__getattribute__(self, "mesh"), name)

    def noise_support(self):
        return None

    def state_of(self, observation):
        return self.mesh.state_of(observation)._replace(load=np.asarray(observation)[:, 2].astype(np.float64))

    def features(self, x):
        settings = [np.asarray(c.levels)[x.setting[:, k]] for k, c in enumerate(CONTROLS)]
        return np.column_stack([*settings, np.interp(x.load, [0.0, 1.0], self.mesh.loads[:, 0])])

    def transition(self, x, u, w):
        given = self.mesh.transition(x._replace(load=np.zeros(len(u), dtype=int)), u, w)  # moves and bookkeeping
        state = given.state._replace(load=x.load)
        windows = self.surrogate.windows(self.features(state), Q)
        d = windows[np.arange(len(u)), (w[:, 0] * Q).astype(int)]
        reward, violation = self.mesh.objective(given.metrics["saved"], d)
        return Step(state, reward, given.terminated, {**given.metrics, "violation": violation.astype(float)})


@pytest.fixture(scope="module")
def forest():
    """Twenty windows at every configuration, at the loads 5, 10 and 20 requests/s."""
    x = np.repeat(mesh_of([5.0, 10.0, 20.0]).grid_features(), 20, axis=0)
    mean = 0.05 + 0.01 * x[:, 2] * (1.2 - x[:, 0]) / x[:, 1]
    response = mean * spawn(0, "windows").uniform(0.7, 1.3, size=len(x))
    return Forest(trees=10, min_leaf=5).fit(x, response[:, None], np.repeat(np.arange(27), 20))


@pytest.fixture(scope="module")
def asked(forest):
    return Asked(mesh_of([5.0, 20.0]), forest)


@pytest.fixture(scope="module")
def tabulated(forest):
    """The same forest on the grid of three loads; 7.5 lies between those at which there were windows."""
    mesh = mesh_of([5.0, 7.5, 20.0])
    return mesh.with_response(tabulate(forest, mesh, Q))


KINDS = {
    "truncated": lambda system, base: TruncatedRollout(system, base, spawn(7), 3, samples=6),
    "halving": lambda system, base: TruncatedRollout(system, base, spawn(7), 3, samples=6, halving=True),
    "multi-agent": lambda system, base: MultiagentRollout(system, base, spawn(7), 3, samples=6),
    "autonomous": lambda system, base: MultiagentRollout(system, base, spawn(7), 3, samples=6, autonomous=True),
    "fortified": lambda system, base: FortifiedRollout(system, base, spawn(7), 3),
}


class ToTheMiddle:
    """The base: walks to the middle setting, whatever the load."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False, action_masks=None):
        return np.sign(1 - np.rint(2 * np.asarray(observation)[:, :2])).astype(np.int64) + 1, state


def at(setting, load):
    return MeshState(setting, np.full(len(setting), load))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("between", "level"), [(0.0, 0), (1.0, 2), (1 / 6, 1)])
def test_it_decides_alike_where_the_predictions_are_the_same(asked, tabulated, kind, between, level):
    """On the grid of `asked` at its two loads; off it at 5 + (20 - 5) / 6 = 7.5 requests/s, which the other lists."""
    setting = mesh_of([5.0]).states().setting
    inside, outside = at(setting, between), at(setting, level)
    assert np.array_equal(
        asked.surrogate.windows(asked.features(inside), Q), tabulated.response.windows[tabulated.index(outside)]
    )
    found, _ = KINDS[kind](asked, ToTheMiddle()).predict(asked.observe(inside))
    expected, _ = KINDS[kind](tabulated, ToTheMiddle()).predict(tabulated.observe(outside))
    assert np.array_equal(found, expected)
    assert not np.array_equal(found, ToTheMiddle().predict(asked.observe(inside))[0])


def test_off_the_grid_the_forest_answers_for_the_load_that_is_met(asked):
    setting = mesh_of([5.0]).states().setting
    late = [asked.transition(at(setting, load), np.ones((9, 2), dtype=int), np.full((9, 2), 0.9)).metrics["violation"]
            for load in (0.0, 0.4, 1.0)]  # fmt: skip
    assert late[0].sum() < late[1].sum() < late[2].sum()


@pytest.mark.parametrize("autonomous", [False, True])
def test_lanes_do_not_depend_on_each_other(asked, autonomous):
    policy = MultiagentRollout(asked, ToTheMiddle(), spawn(0), 2, samples=4, autonomous=autonomous)
    rng = spawn(1)
    x = MeshState(rng.integers(3, size=(8, 2)), rng.random(8))
    u, _ = ToTheMiddle().predict(asked.observe(x))
    w = asked.disturbance(spawn(2), (3, 8, 4))
    together = policy.improve(x, u, w)
    for b in range(8):
        assert np.array_equal(policy.improve(batch.take(x, np.array([b])), u[[b]], w[:, [b]])[0], together[b])
    assert not np.array_equal(together, u)


def test_a_decision_asks_the_forest_once_per_step_for_all_lanes(asked, monkeypatch):
    asks = []
    windows = Forest.windows
    monkeypatch.setattr(Forest, "windows", lambda self, x, q: asks.append(len(x)) or windows(self, x, q))
    policy = TruncatedRollout(asked, ToTheMiddle(), spawn(0), 3, samples=2)
    policy.predict(asked.observe(at(np.ones((5, 2), dtype=int), 0.3)))
    assert asks == [5 * 9 * 2] * 4  # lanes times joint actions times samples, in each of 1 + 3 steps
