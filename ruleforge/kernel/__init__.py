"""Rules as register programs, and the compiled interpreter that families build their kernels around."""
