"""The rows behind chapter 06."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from netrollout import experiment
from netrollout.catalog import world
from netrollout.cli.evaluate import judged
from netrollout.policies import PolicyName
from netrollout.studies.networks import networks
from netrollout.studies.which_rollout import bound, exact_rollouts, fleet, fleet_rows
from netrollout.systems.mesh.policies import greedy_table


def test_on_s1_every_base_meets_every_rollout_and_the_oracle_is_above_them_all(tmp_path):
    worlds = [world("mesh-s1", refit=r) for r in range(2)]
    [ppo] = networks([worlds[0].model], 512, [0], tmp_path)
    rows = exact_rollouts({"greedy": lambda w: greedy_table(w.model), "ppo": ppo}, (1, 2)) | {"oracle": "oracle"}
    cells = {r: partial(replace, world, base=worlds[0].model) for r, world in enumerate(worlds)}
    table = experiment.run(cells, rows, experiment.exactly())
    for base in ("greedy", "ppo"):
        kinds = {row[1] for row in rows if row[0] == base}
        assert kinds == {"base", "l = 1", "l = 2", "multi-agent", "autonomous", "multi-agent, fortified"}
    assert all((table["mean", row] <= table["mean", "oracle"] + 1e-9).all() for row in rows)
    assert (table["mean", ("ppo", "l = 1")] > table["mean", ("ppo", "base")]).all()


def test_on_s4_nobody_exceeds_the_bound_and_a_name_means_what_it_means_on_the_command_line():
    names = ["random", "greedy", "rollout(static, horizon=1, samples=2)", "multiagent(static, horizon=1, samples=2)"]
    worlds = partial(world, "mesh-s4", phase="after", change="slower", refit=0, horizon=4)
    rows = {name: name for name in names} | {"bound": bound(range(3))}
    found = experiment.run({0: worlds}, rows, experiment.episodes(range(3)))
    _, table = judged("mesh-s4", names, ["phase=after", "change=slower", "refit=0", "horizon=4"], seeds=3)
    for row, name in enumerate(names):
        assert np.array_equal(table["mean_reward", row], found["mean_reward", name][0])
        assert (found["mean_reward", name] <= found["mean_reward", "bound"] + 1e-12).all()


def test_the_fleet_is_compared_jointly_only_where_that_is_possible():
    tables = {k: experiment.run(partial(fleet, k, 4, 0), fleet_rows(k), experiment.episodes(range(3))) for k in (2, 8)}
    assert set(tables[2].values) - set(tables[8].values) == {"joint"}
    steps = {k: table["model_steps", "multi-agent"][0] for k, table in tables.items()}
    assert steps[8] / steps[2] == pytest.approx(4.0, rel=0.4)


def test_networks_may_lie_in_a_folder_whose_name_has_a_comma(monkeypatch, tmp_path):
    monkeypatch.setattr("netrollout.studies.networks.Parallel", lambda n_jobs: list)
    [name] = networks([None], 1, [0], tmp_path / "a, b")
    assert dict(PolicyName.parse(name).options) == {"file": str(tmp_path / "a, b" / "0.npz")}
