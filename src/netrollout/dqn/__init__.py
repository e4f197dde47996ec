"""Deep Q-learning: Stable-Baselines3's DQN with a double target, and the published settings of the task farm."""

from netrollout.dqn.learning import DqnRun, learn
from netrollout.dqn.policy import DqnPolicy
from netrollout.dqn.settings import PUBLISHED, Settings

__all__ = ["PUBLISHED", "DqnPolicy", "DqnRun", "Settings", "learn"]
