"""Published experiments, rebuilt from the order in which their authors drew random numbers."""
