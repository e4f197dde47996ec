"""The closed loop: detect the change, relearn, roll out, act."""

from netrollout.adapt.cycle import LIMIT, Controller, Record, run
from netrollout.adapt.explore import EXPLORATIONS, Explorer, safe_actions
from netrollout.adapt.journal import Journal, as_line, read_journal, replay, window_of
from netrollout.adapt.planning import PLANS, Plan, Planner, best_setting
from netrollout.adapt.plants import Plant, RecordedPlant, SimulatedPlant, Window, held_rewards, moved
from netrollout.adapt.relearn import CHANGED, QUIET, Prior, Relearned
from netrollout.adapt.strategies import ADAPTIVE, STRATEGIES, Follow, Hpa, Rule, Sight

__all__ = [
    "ADAPTIVE",
    "CHANGED",
    "EXPLORATIONS",
    "LIMIT",
    "PLANS",
    "QUIET",
    "STRATEGIES",
    "Controller",
    "Explorer",
    "Follow",
    "Hpa",
    "Journal",
    "Plan",
    "Planner",
    "Plant",
    "Prior",
    "Record",
    "RecordedPlant",
    "Relearned",
    "Rule",
    "Sight",
    "SimulatedPlant",
    "Window",
    "as_line",
    "best_setting",
    "held_rewards",
    "moved",
    "read_journal",
    "replay",
    "run",
    "safe_actions",
    "window_of",
]
