"""The published edge environment: its rules, its quirks, and the table that the book quotes."""

from dataclasses import replace

import numpy as np
import pytest

from netrollout.catalog import make
from netrollout.evaluate import simulate
from netrollout.makers import Worlds, make_policy
from netrollout.seeding import spawn
from netrollout.systems.edge.policies import Band, Hourly, Static
from netrollout.systems.edge_published import dynamics
from netrollout.systems.edge_published.dynamics import DAY, Published
from netrollout.systems.edge_published.policies import Balance, balanced
from netrollout.types import InputError

FOUND = {  # ms, reward: hourly users, profile A, a day of bursts; reference numbers of the specification
    "static 1": (92.7, -94.3), "static 2": (46.6, -49.8), "static 3": (33.9, -38.7), "static 4": (29.6, -36.0),
    "random 0": (74.9, -78.1), "random 1": (50.6, -54.6), "balance": (79.8, -82.4), "reactive 1.0": (37.1, -41.1),
    "reactive 1.25": (32.7, -37.4), "hourly": (29.9, -35.6),
}  # fmt: skip


class Drawn:
    """Uniform numbers of pods from `least` to 4."""

    def __init__(self, least):
        self._least, self._rng = least, spawn(0, "drawn")

    def predict(self, observation, state=None, *rest, **more):
        return self._rng.integers(self._least, 5, size=(len(observation), 4)), state


def judged(system, policy, seeds=(0,)):
    return simulate(system, policy, seeds)


@pytest.fixture(scope="module")
def statics():
    return {k: judged(Published(), Static(Published(), k)) for k in (1, 2, 3, 4)}


def hourly(statics):
    """Return the cheapest number of pods of each deployment and hour, from what its station adds to the latency."""
    cost = [
        [run.metrics[f"latency_{i}"][0].reshape(24, -1).mean(axis=1) + 0.4 * k for i in (1, 2, 3, 4)]
        for k, run in statics.items()
    ]
    return np.argmin(cost, axis=0).T + 1


@pytest.mark.parametrize("row", FOUND)
def test_the_reference_table_is_met_within_three_percent(row, statics):
    system, (name, _, number) = Published(), row.partition(" ")
    if name == "static":
        run = statics[int(number)]
    elif name == "balance":
        system = Published(signal="cumulative", reset=5)
        run = judged(system, Balance(system))
    else:
        rules = {"random": lambda: Drawn(int(number)), "reactive": lambda: Band(system, float(number), float(number)),
                 "hourly": lambda: Hourly(system, hourly(statics))}  # fmt: skip
        run = judged(system, rules[name](), (10,))
    latency, pods = run.metrics["latency"].mean(), run.metrics["pods"].mean()
    assert (latency, -latency - 0.4 * pods) == pytest.approx(FOUND[row], rel=0.03)


def test_the_reward_is_the_latency_and_four_tenths_for_each_pod():
    system = Published()
    x, u = system.initial(spawn(0), 30), spawn(1).integers(5, size=(30, 4))
    step = system.step(x, u, spawn(2))
    assert step.reward == pytest.approx(-step.metrics["latency"] - 0.4 * u.sum(axis=1))
    once = replace(system, times=1).step(x, u, spawn(2))
    assert once.reward == pytest.approx(-step.metrics["latency"] - 0.1 * u.sum(axis=1))


def test_the_balancing_rule_has_the_published_thresholds_after_a_reset_and_chooses_one_pod_otherwise():
    latency = np.array([30.4, 30.45, 48.64, 48.65, 72.96, 73.0])
    assert balanced(latency, np.full(6, 4)).tolist() == [1, 2, 2, 3, 3, 4]
    assert balanced(np.full(3, 90.0), np.array([16, 32, 64])).tolist() == [1, 1, 1]


def test_a_random_policy_under_the_published_quirks_has_the_published_mean_of_pods():
    """An action of 0 does nothing, each reset leaves one pod of the first deployment, six events an episode."""
    system, rng, events = Published(zero="keep", reset=5), spawn(0), []
    x = system.initial(rng, 20)
    for _ in range(2000):
        step = system.step(x, rng.integers(5, size=(20, 4)), rng)
        x = step.state
        events += [step.metrics["pods"]] + ([x.pods.sum(axis=1)] if x.phase[0] % 5 == 0 else [])
    assert np.mean(events[60:]) == pytest.approx(9.6875, abs=0.1)
    assert np.std(events[60:]) == pytest.approx(2.2607, abs=0.03)


def test_static_rules_under_the_published_quirks_have_the_published_mean_of_pods():
    for pods, mean, deviation in ((3, 11.667, 0.745), (4, 15.5, 1.118)):
        system = Published(zero="keep", reset=5)
        x, events = system.initial(spawn(0), 1), []
        for _ in range(50):
            step = system.step(x, np.full((1, 4), pods), spawn(1))
            x = step.state
            events += [step.metrics["pods"][0]] + ([x.pods.sum()] if x.phase[0] % 5 == 0 else [])
        assert (np.mean(events), np.std(events)) == pytest.approx((mean, deviation), abs=1e-3)


def test_users_are_the_published_curve_split_by_profile():
    for profile, share in dynamics.PROFILES.items():
        system, x = Published(profile), Published().initial(spawn(0), 20_000)
        x = x._replace(phase=np.full(20_000, 21 * 360))
        users = system.step(x, np.full((20_000, 4), 4), spawn(1)).state.load
        assert users.sum(axis=1).mean() == pytest.approx(99.5, abs=0.25)
        assert users.mean(axis=0) / users.mean(axis=0).sum() == pytest.approx(share, abs=0.01)


def test_without_pods_requests_go_to_the_next_deployment_and_without_any_they_are_lost():
    system = Published(noise=0.0, cost=0.0)
    x, w = system.initial(spawn(0), 1), np.array([[0.5, 0.3]])
    only_last = system.transition(x, np.array([[0, 0, 0, 4]]), w)
    users, added = only_last.state.load[0], [only_last.metrics[f"latency_{i}"][0] for i in (1, 2, 3, 4)]
    assert added / (users / users.sum()) == pytest.approx([70.0, 60.0, 50.0, 40.0])
    none = system.transition(x, np.zeros((1, 4), dtype=int), w)
    assert none.metrics["lost"] == 1.0 and none.metrics["latency"] == 0.0


def test_a_pod_throttles_when_bursts_are_larger_than_what_drains_between_them():
    system, latency = Published(noise=0.0, cost=0.0), []
    for hour in (6, 21):  # some 22 and 100 users a burst, of which a pod drains 28
        x = system.initial(spawn(0), 1)._replace(phase=np.array([hour * 360]))
        for _ in range(30):
            step = system.step(x, np.array([[1, 0, 0, 0]]), spawn(1))
            x = step.state
        latency.append(step.metrics["latency"][0])
    assert latency[0] < 10.0 + 30.0 < latency[1]


def test_the_compiled_burst_equals_its_plain_twin(monkeypatch):
    system, x, w = Published(), Published().initial(spawn(0), 2), np.array([[0.3, 0.7], [0.9, 0.1]])
    u = np.array([[1, 0, 2, 4], [4, 3, 0, 1]])
    compiled = system.transition(x, u, w)
    monkeypatch.setattr(dynamics, "uniform", dynamics.uniform.py_func)
    monkeypatch.setattr(dynamics, "burst", dynamics.burst.py_func)
    with np.errstate(over="ignore"):  # the hash is arithmetic modulo 2^64
        plain = system.transition(x, u, w)
    assert np.array_equal(compiled.state.load, plain.state.load)
    assert np.allclose(compiled.reward, plain.reward, atol=1e-9)


def test_the_day_begins_again():
    x = Published().initial(spawn(0), 1)._replace(phase=np.array([DAY - 1]))
    assert Published().step(x, np.ones((1, 4), dtype=int), spawn(0)).state.phase.tolist() == [0]


@pytest.mark.parametrize("change", [{"profile": "C"}, {"zero": "never"}, {"signal": "1m"}, {"noise": -1.0}])
def test_settings_that_there_are_not_are_refused(change):
    with pytest.raises(InputError, match=r"edge-published: .*expected"):
        replace(Published(), **change)


@pytest.mark.parametrize("name", ["random", "static(k=3)", "reactive", "balance", "multiagent(static, horizon=0)"])
def test_its_policies_have_names(name):
    system = make("edge-published", signal="cumulative", reset=5)
    policy = make_policy(name, Worlds(system, system, system))
    u, _ = policy.predict(system.observe(system.initial(spawn(0), 3)))
    assert u.shape == (3, 4) and u.min() >= 0 and u.max() <= 4


def test_more_pods_than_there_are_is_refused():
    with pytest.raises(InputError, match=r"static\(k=5\): expected 1 to 4 pods"):
        make_policy("static(k=5)", Worlds(Published(), Published(), Published()))
