"""The language of rules: operators, trees, text, identity. Knows no simulator, no search, no record."""

from ruleforge.language.identity import KnownRule, Recognition, behaviour, recognise
from ruleforge.language.rule import Rule
from ruleforge.language.signals import Signal, Slot

__all__ = ["KnownRule", "Recognition", "Rule", "Signal", "Slot", "behaviour", "recognise"]
