"""Learning curves on the task farm, and maps of where a table has been."""

import numpy as np
import pytest

from netrollout.learn import Bins
from netrollout.policies import PolicyName
from netrollout.studies.farm_learning import learning_curves, sized, visit_map
from netrollout.types import InputError


def test_a_curve_has_trainings_judgements_families_and_episodes():
    found = learning_curves({"sarsa": 4}, ["published", "flash"], judgements=2, episodes=3, trainings=2)["sarsa"]
    assert found.unit == "episodes" and found.done.tolist() == [0, 2, 4]
    assert found.qos.shape == found.reward.shape == (2, 3, 2, 3)
    assert (found.qos <= 1.0).all() and found.visits.sum() == pytest.approx(4 * 29, abs=8)
    # An untrained table holds its workers: the same in every training, but not in every family.
    assert np.array_equal(found.qos[0, 0], found.qos[1, 0])
    assert not np.array_equal(found.qos[0, 0, 0], found.qos[0, 0, 1])


def test_a_map_sums_over_the_observations_that_it_does_not_show():
    bins = Bins([[0.5], [], [0.5, 1.5]])
    visits = np.arange(6)
    assert visit_map(visits, bins, 0, 2).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert visit_map(visits, bins, 2, 0).tolist() == [[0, 3], [1, 4], [2, 5]]
    assert visit_map(visits, bins, 1, 2).tolist() == [[3, 5, 7]]


@pytest.mark.parametrize(
    ("lengths", "message"), [({"sarza": 3}, "learner 'sarza' is unknown; known are sarsa"), ({"sarsa": 0}, "1 or more")]
)
def test_what_cannot_be_trained_is_refused(lengths, message):
    with pytest.raises(InputError, match=message):
        learning_curves(lengths, ["published"])


def test_a_length_that_a_name_says_already_is_replaced():
    longer = PolicyName.parse(sized("rollout(ppo(steps=5,seed=1), lookahead=2)", {"ppo": 9}))
    assert longer == PolicyName.parse("rollout(ppo(steps=9,seed=1), lookahead=2)")
