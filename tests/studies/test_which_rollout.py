"""The studies behind chapter 06."""

import numpy as np
import pytest

from netrollout.cli.evaluate import judged
from netrollout.studies.which_rollout import daily_policies, exact_rollouts, fleet_rollouts


def test_on_s1_every_base_meets_every_rollout_and_the_oracle_is_above_them_all():
    found = exact_rollouts("mesh-s1", seed=0, refits=2, training_seeds=1, steps=512, lookaheads=(1, 2))
    kinds = {"base", "l = 1", "l = 2", "multi-agent", "autonomous"}
    for base in ("random", "greedy", "reactive", "ppo"):
        assert kinds <= {kind for b, kind in found if b == base}
    oracle = found["none", "oracle"]
    assert all(values.shape == (2, 1) and (values <= oracle + 1e-9).all() for values in found.values())
    assert (found["random", "l = 1"] > found["random", "base"]).all()


def test_on_s4_everybody_meets_the_same_requests_and_nobody_exceeds_the_bound():
    names = ["static", "reactive", "ppo", "retrain(ppo)", "rollout(static, horizon=1, samples=2)", "oracle"]
    found = daily_policies(["none", "slower"], names, seed=0, refits=2, episodes=3, cycles=6, steps=2048)
    assert list(found) == ["none", "slower"] and list(found["slower"]) == ["bound", *names]
    for study in found.values():
        for name in names:
            assert study[name].rewards.shape == (2, 3)
            assert (study[name].rewards <= study["bound"].rewards + 1e-12).all()
    repeated = daily_policies(["none"], names, seed=0, refits=2, episodes=3, cycles=6, steps=2048)
    assert all(np.array_equal(repeated["none"][name].rewards, found["none"][name].rewards) for name in names)


def test_on_s4_a_name_means_in_the_chapter_what_it_means_on_the_command_line():
    names = ["random", "greedy", "rollout(static, horizon=1, samples=2)", "multiagent(static, horizon=1, samples=2)"]
    found = daily_policies(["slower"], names, seed=0, refits=1, episodes=3, cycles=4, steps=2048)["slower"]
    options = ["phase=after", "change=slower", "refit=0", "horizon=4"]
    _, table = judged("mesh-s4", names, options, seeds=3)
    for row, name in enumerate(names):
        assert np.array_equal(table["mean_reward", row], found[name].rewards[0])


def test_the_fleet_is_compared_jointly_only_where_that_is_possible():
    rows = fleet_rollouts([2, 8], decisions=4, seed=0, episodes=3)
    assert {row.policy for row in rows if row.components == 2} - {
        row.policy for row in rows if row.components == 8
    } == {"joint"}
    steps = {(row.components, row.policy): row.model_steps for row in rows}
    assert steps[8, "multi-agent"] / steps[2, "multi-agent"] == pytest.approx(4.0, rel=0.4)
