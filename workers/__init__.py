"""Where scoring happens: evaluators, the one evolve loop, results."""
