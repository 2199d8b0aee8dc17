"""Where rules are scored: one interface, several places."""

from workers.evaluators.interface import Evaluator
from workers.evaluators.threads import SerialEvaluator, ThreadEvaluator

__all__ = ["Evaluator", "SerialEvaluator", "ThreadEvaluator"]
