"""The growth with the number of components is told with every row; decisions are asked for along an episode."""

from benchmarks.clock import Row
from benchmarks.manyagents import CYCLES, grown, walked

from netrollout.systems.fleet import Alone, Fleet


def test_each_row_is_set_against_the_first():
    rows = grown([Row("multiagent", "2", ours=[1.0], checked="a"), Row("multiagent", "4", ours=[2.0], checked="b")])
    assert [row.checked for row in rows] == [
        "a; 1.0 times as long as for 2 components",
        "b; 2.0 times as long as for 2 components",
    ]


def test_the_states_are_those_of_an_episode_of_the_base_policy():
    fleet = Fleet(components=3)
    observations = walked(fleet, Alone(fleet))
    assert len(observations) == CYCLES
    assert {observation.shape for observation in observations} == {(1, 6)}
    assert len({observation.tobytes() for observation in observations}) > 1
