"""Measures ruleforge beside hand-written C and beside the simulators and searches that people use today."""
