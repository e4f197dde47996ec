"""Tabular learners: SARSA(lambda) and Watkins' Q(lambda) over binned observations."""

from netrollout.tabular.discretise import FARM, Bins, bins_of
from netrollout.tabular.learning import ALGORITHMS, PUBLISHED, Settings, TabularRun, learn
from netrollout.tabular.policy import TabularPolicy

__all__ = ["ALGORITHMS", "FARM", "PUBLISHED", "Bins", "Settings", "TabularPolicy", "TabularRun", "bins_of", "learn"]
