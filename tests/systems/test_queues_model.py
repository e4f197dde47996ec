"""Learning S4: demands and the day from a log."""

from dataclasses import replace

import numpy as np
import pytest

from netrollout.systems.queues.dynamics import QueueMesh
from netrollout.systems.queues.model import collect, learn_queues
from netrollout.systems.queues.policies import Hold, Hpa
from netrollout.types import InputError

BASE = QueueMesh()


def shift_error(learned, true):
    day = BASE.pattern.day
    return abs((learned - true + day / 2) % day - day / 2)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "plant",
    [BASE, replace(BASE, demand=(0.14, 0.1)), replace(BASE, pattern=replace(BASE.pattern, shift=24.0))],
    ids=["as before", "slower", "shifted"],
)
def test_a_day_of_operation_teaches_the_demands_and_the_day(plant, seed):
    learned = learn_queues(BASE, collect(plant, Hpa(plant, p=0.8), 96, seed))
    assert learned.demand == pytest.approx(plant.demand, rel=0.06)
    assert learned.pattern.mean == pytest.approx(22.0, rel=0.08)
    assert learned.pattern.amplitude == pytest.approx(16.0, rel=0.15)
    assert shift_error(learned.pattern.shift, plant.pattern.shift) < 3.0
    assert learned.law == "exponential"


def test_what_the_log_cannot_say_stays_as_it_was_believed():
    plant = replace(BASE, demand=(0.14, 0.14))
    hold = Hold(plant, plant.setting({"p": 1.0, "c": 6.0}))
    learned = learn_queues(BASE, collect(plant, hold, 24, 0))  # a quarter of a day, nothing at node 2
    assert learned.demand[1] == 0.1 and learned.demand[0] == pytest.approx(0.14, rel=0.06)
    assert learned.pattern == BASE.pattern


def test_a_longer_log_teaches_better():
    errors = []
    for cycles in (24, 384):
        logs = [collect(BASE, Hpa(BASE, p=0.8), cycles, seed) for seed in range(8)]
        errors.append(np.mean([abs(learn_queues(BASE, log).demand[1] - 0.1) for log in logs]))
    assert errors[1] < errors[0]


def test_an_empty_log_is_refused():
    with pytest.raises(InputError, match="cycles 0: a log needs at least one"):
        collect(BASE, Hpa(BASE), 0, 0)
