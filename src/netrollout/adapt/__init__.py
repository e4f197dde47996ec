"""The closed loop: detect the change, relearn, plan, act."""

from netrollout.adapt.cycle import Changing, Controller, Plant, Record, Relearner, replay, run
from netrollout.adapt.journal import Journal, read_journal

__all__ = [
    "Changing",
    "Controller",
    "Journal",
    "Plant",
    "Record",
    "Relearner",
    "read_journal",
    "replay",
    "run",
]
