"""Supervised learning: a student neuron learns to follow the membrane potential of a teacher neuron."""

from tasks.supervised.family import Supervised

__all__ = ["Supervised"]
