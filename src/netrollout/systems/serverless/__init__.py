"""The serverless autoscaling system: workloads, the task farm, its reward, and the replay of recorded episodes."""

from netrollout.systems.serverless.farm import OBSERVATION, Farm, FarmState
from netrollout.systems.serverless.replay import Episode, final_qos, replay
from netrollout.systems.serverless.reward import Reward
from netrollout.systems.serverless.speedup import runtime
from netrollout.systems.serverless.tasks import Bank, bank, seeded

__all__ = [
    "OBSERVATION",
    "Bank",
    "Episode",
    "Farm",
    "FarmState",
    "Reward",
    "bank",
    "final_qos",
    "replay",
    "runtime",
    "seeded",
]
