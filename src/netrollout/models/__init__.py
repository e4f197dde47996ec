"""Surrogates of a measured response: regressors with a predictive distribution, their honest errors, and tables."""

from netrollout.models.learned import bootstrap_visits, certain, tabulate
from netrollout.models.queueing import Queueing
from netrollout.models.surrogate import SURROGATES, Boosting, Forest, Linear, MeanForest, Table, make_surrogate
from netrollout.models.validation import ErrorRow, grouped_folds, held_out_error, nmae, r2

__all__ = [
    "SURROGATES",
    "Boosting",
    "ErrorRow",
    "Forest",
    "Linear",
    "MeanForest",
    "Queueing",
    "Table",
    "bootstrap_visits",
    "certain",
    "grouped_folds",
    "held_out_error",
    "make_surrogate",
    "nmae",
    "r2",
    "tabulate",
]
