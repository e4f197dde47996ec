"""One way to run a comparison: cells, rows, a judge."""

import numpy as np
import pytest

from netrollout.catalog import Worlds, world
from netrollout.dp import MDP, evaluate_policy
from netrollout.evaluate import simulate
from netrollout.experiment import COST, Table, episodes, exactly, run
from netrollout.policies import RandomPolicy, TablePolicy
from netrollout.seeding import spawn
from netrollout.systems.toy import Walk
from netrollout.types import InputError


def walk(slip=0.3):
    world = Walk(pay=(0.0, 1.0, 2.0), slip=slip)
    return Worlds(world, world, world)


def test_a_name_is_judged_in_every_cell_of_the_grid():
    cells = {(slip, refit): lambda slip=slip: walk(slip) for slip in (0.0, 0.5) for refit in range(3)}
    table = run(cells, ["optimal", "random"], exactly())
    assert table.axes == ((0.0, 0.5), (0, 1, 2)) and table["mean", "random"].shape == (2, 3, 1)
    assert (table["mean", "optimal"] > table["mean", "random"]).all()
    assert np.array_equal(table.at(0.5)["start", "random"], table["start", "random"][1])


def test_processes_change_nothing():
    cells = {(slip, k): lambda slip=slip: walk(slip) for slip in (0.0, 0.5) for k in range(2)}
    alone, together = (run(cells, ["random"], episodes(range(4)), jobs) for jobs in (1, 2))
    assert np.array_equal(alone["return", "random"], together["return", "random"])


def test_cells_with_the_same_last_part_share_a_process_one_after_the_other():
    met = []
    cells = {(a, b): lambda a=a, b=b: met.append((b, a)) or walk() for a in "xy" for b in range(2)}
    run(cells, {"same": lambda worlds: np.ones(3, dtype=int)}, exactly())
    assert met == [(0, "x"), (0, "y"), (1, "x"), (1, "y")]


def test_episodes_are_paired_and_an_estimate_of_a_difference_is_of_pairs():
    table = run(walk, {"one": "optimal", "two": "optimal", "up": "rollout(random)"}, episodes(range(20)))
    assert table["return", "one"].shape == (20,)
    same = table.estimate("return", "one", minus="two")
    assert same.value == same.low == same.high == 0.0 and same.n == 20


def test_without_cells_on_a_grid_an_estimate_is_that_of_the_episodes_alone():
    world = walk()
    table = run(lambda: world, {"random": lambda worlds: RandomPolicy(worlds.plant, spawn(3))}, episodes(range(8)))
    rewards = simulate(world.plant, RandomPolicy(world.plant, spawn(3)), range(8)).mean_rewards()
    assert np.array_equal(table["mean_reward", "random"], rewards)
    assert set(COST) <= set(table.values["random"])


def test_a_function_makes_what_no_name_says_and_rows_may_depend_on_the_cell():
    hold = np.ones(3, dtype=int)
    rows = lambda refit: {"held": lambda worlds: hold, "told": lambda worlds: {"mean": np.array([refit])}}  # noqa: E731
    table = run({refit: walk for refit in range(3)}, rows, exactly())
    exact = evaluate_policy(MDP.from_system(walk().plant), hold).value.mean()
    assert table["mean", "held"].ravel().tolist() == [exact] * 3 and table["mean", "told"].ravel().tolist() == [0, 1, 2]


def test_names_are_checked_before_anything_is_judged():
    def judged(worlds):
        raise AssertionError

    with pytest.raises(InputError, match="unknown policy"):
        run(walk, {"made": lambda worlds: TablePolicy(worlds.plant, np.ones(3, dtype=int)), "nosuch": "nosuch"},
            episodes([0])._replace(of=lambda worlds: judged))  # fmt: skip


def test_a_grid_with_a_hole_is_refused():
    with pytest.raises(InputError, match="no cell"):
        run({("a", 0): walk, ("b", 1): walk}, ["optimal"], exactly())


def test_the_path_of_an_exact_judgement_sums_to_the_value_at_the_start():
    worlds = world("mesh-s2", discount=0.9)
    table: Table = run(lambda: worlds, ["random", "static"], exactly(cycles=400))
    for row in ("random", "static"):
        assert table["path", row] @ 0.9 ** np.arange(400) == pytest.approx(table["start", row][0])
