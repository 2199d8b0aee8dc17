"""A program with an embedded worker that compiles a kernel: prints its result and the threads of the BLAS libraries.

Processes are spawned, and import this file anew before Dask sets their environment.
"""

from __future__ import annotations

import os
import sys

import numba

from workers.evaluators.dask import DaskEvaluator


def compile_there() -> str:
    numba.get_num_threads()
    return f"{numba.njit(lambda number: number + 1)(1)} {os.environ['OPENBLAS_NUM_THREADS']}"


if __name__ == "__main__":
    evaluator = DaskEvaluator("local", 1)
    sys.stdout.write(" ".join(evaluator.connection.client.run(compile_there).values()))
    evaluator.close()
