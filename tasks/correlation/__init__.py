"""The `correlation` family: a neuron that learns, without a teacher, to respond to a repeated spike pattern."""

from tasks.correlation.family import Correlation
from tasks.correlation.instance import Instance
from tasks.correlation.parameters import CorrelationParameters

__all__ = ["Correlation", "CorrelationParameters", "Instance"]
