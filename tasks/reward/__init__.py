"""Learning from a delayed reward."""

from tasks.reward.family import Reward

__all__ = ["Reward"]
