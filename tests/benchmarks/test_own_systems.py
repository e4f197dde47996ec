"""The small version of the benchmark on systems of one's own: the plan is about as good as the best measured."""

import numpy as np
import pytest
from benchmarks.own_systems import APART, KINDS, MOST, ends, own_systems


@pytest.mark.parametrize("kind", KINDS)
def test_the_followed_plan_is_never_much_worse_than_the_best_measured_setting(kind):
    found = [ends(kind, visits, seed) for visits in (2, 8) for seed in range(3)]
    regret = {name: np.mean([trace[name].regret for trace in found]) for name in found[0]}
    assert regret["plan"] <= MOST * regret["best measured"] + APART
    assert regret["truth"] <= regret["plan"] < regret["hold"] / 10
    assert np.mean([trace["plan"].worse for trace in found]) <= np.mean(
        [trace["best measured"].worse for trace in found]
    )


def test_a_row_tells_all_ways_to_act_and_compares_means(monkeypatch):
    monkeypatch.setattr("benchmarks.own_systems.VISITS", (8,))
    monkeypatch.setattr("benchmarks.own_systems.KINDS", {"cliff": KINDS["cliff"]})
    regret, worse = own_systems(1)
    assert regret.met and worse.met and not regret.ratios
    assert "hold" in regret.checked and "forest elsewhere" in regret.checked
