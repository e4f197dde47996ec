"""Training in segments: judged, written down and taken up again."""

from netrollout.stages.run import Curve, Learner, greedy_returns, run

__all__ = ["Curve", "Learner", "greedy_returns", "run"]
