"""The task families: learning problems that score plasticity rules."""
