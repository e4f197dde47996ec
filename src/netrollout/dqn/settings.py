"""Settings of deep Q-learning."""

from __future__ import annotations

from dataclasses import dataclass

from netrollout.types import InputError


@dataclass(frozen=True)
class Settings:
    """How a Q-network is learned; the defaults are the published ones except for discount, exploring and target.

    Parameters
    ----------
    hidden : tuple of int
        Units of the layers.
    learning_rate : float
        Of Adam.
    discount : float, optional
        gamma per control cycle; the system's own where None.
    buffer, batch : int
        Transitions kept, and drawn per update.
    starts : int
        Steps before the first update.
    gradient_limit : float
        Norm to which gradients are clipped.
    reward_limit : float
        Absolute value to which rewards are clipped before they are stored.
    epsilon, epsilon_factor, epsilon_least : float
        Probability of a random action at first, its factor per episode (a horizon of steps), and its least value.
    target_every : int
        Updates between moves of the target network.
    target_share : float
        How far it then moves to the network: 1 copies it.
    limit_ends : bool
        Whether the time limit counts as an end of the system, after which nothing follows.

    Raises
    ------
    InputError
        If one is out of range.
    """

    hidden: tuple[int, ...] = (128, 64)
    learning_rate: float = 3e-4
    discount: float | None = None
    buffer: int = 75_000
    batch: int = 64
    starts: int = 400
    gradient_limit: float = 3.0
    reward_limit: float = 100.0
    epsilon: float = 0.8
    epsilon_factor: float = 0.995
    epsilon_least: float = 0.05
    target_every: int = 500
    target_share: float = 1.0
    limit_ends: bool = False

    def __post_init__(self) -> None:
        """Check what a user may have changed."""
        for name in ("learning_rate", "buffer", "batch", "gradient_limit", "reward_limit", "target_every"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} {getattr(self, name):g}; expected more than 0")
        for name in ("discount", "epsilon", "epsilon_factor", "epsilon_least", "target_share"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise InputError(f"{name} {value:g}; expected 0 to 1")

    def exploring(self, episode: float) -> float:
        """Return epsilon in an episode, the first being 0."""
        return max(self.epsilon_least, self.epsilon * self.epsilon_factor**episode)


PUBLISHED = Settings(discount=0.97, epsilon_factor=0.98, target_every=600, target_share=0.01, limit_ends=True)
"""Of the published farm: every 600 updates the target moves by 1 %, so it stays nearly what it was at the start, and
values beyond the next step are close to noise (serverless facts, section 4.2)."""
