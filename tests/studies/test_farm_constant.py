"""At a constant rate the fluid sees no queue, and the farm has one."""

import pytest

from netrollout.studies.farm_constant import at_rate
from netrollout.types import InputError


def test_the_fluid_believes_in_perfect_service_where_the_farm_and_the_queue_are_late():
    found = at_rate(7.5, [12, 16], duration=300.0, episodes=4)
    assert found.farm.shape == (2, 4)
    assert found.fluid[0].min() > 0.99
    for real in (found.farm, found.queue):
        assert real[0].mean() < 0.9 < 0.97 < real[1].mean()


def test_below_the_work_that_comes_all_three_fail():
    found = at_rate(7.5, [9], duration=200.0, episodes=2)
    assert max(found.farm.max(), found.queue.max(), found.fluid.max()) < 0.4


@pytest.mark.parametrize("given", [{"rate": 0.0}, {"workers": [0]}, {"duration": -1.0}])
def test_what_is_not_above_zero_is_refused(given):
    with pytest.raises(InputError, match="all above 0"):
        at_rate(**({"rate": 7.5, "workers": [12]} | given))
