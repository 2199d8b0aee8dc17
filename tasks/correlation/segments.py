"""The readout's time in pieces in which the potential only decays: the same for every rule, so laid out once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Steps = NDArray[np.int32]

# Where a run of segments lies if not in a window. A window that the end of the readout cuts off has no maximum, and is
# no baseline either.
OUTSIDE, CUT_OFF = -1, -2


class Segments(NamedTuple):
    """Steps 1 … n of a readout, cut at every input spike that reaches the membrane and at both ends of every window.

    inputs: (n_segments,) int32, the input whose spike begins the segment, n_inputs if nobody's does;
    lengths: (n_segments,) int32, number of steps up to the next segment, 0 between spikes that arrive together;
    runs: (n_runs, 3) int32, segments that belong together: index after their last one, number of steps, and the window
    that they lie in, or OUTSIDE or CUT_OFF;
    n_windows: number of windows that are complete;
    n_longest: the largest of the lengths;
    n_steps, delay: for which readout this was laid out.
    """

    inputs: Steps
    lengths: Steps
    runs: Steps
    n_windows: int
    n_longest: int
    n_steps: int
    delay: int


def segments_of(passes: Steps, inputs: Steps, n_inputs: int, windows: Steps, n_steps: int, delay: int) -> Segments:
    """The segments of `n_steps` of readout; spikes of `inputs` reach the membrane `delay` steps after `passes`.

    passes: (n_spikes,) ascending, from 1 − delay on; windows: (n_windows, 2), first and last step, ascending and apart.
    """
    n_arriving = int(np.searchsorted(passes, n_steps - delay, side="right"))
    arrivals, inputs = passes[:n_arriving] + delay, inputs[:n_arriving]
    edges = np.unique(np.concatenate([[1], windows[:, 0], windows[:, 1] + 1]))
    edges = edges[(edges >= 1) & (edges <= n_steps)]
    silent = edges[~np.isin(edges, arrivals)]
    places = np.searchsorted(arrivals, silent)
    steps = np.insert(arrivals, places, silent)
    lengths = np.diff(steps, append=n_steps + 1)

    n_complete = int(np.count_nonzero(windows[:, 1] <= n_steps))
    window = np.searchsorted(windows[:, 0], edges, side="right") - 1
    inside = (window >= 0) & (edges <= windows[window, 1])
    window = np.where(inside, np.where(window < n_complete, window, CUT_OFF), OUTSIDE)
    ends = np.append(np.searchsorted(steps, edges)[1:], len(steps))
    runs = np.stack([ends, np.diff(edges, append=n_steps + 1), window], axis=1)
    return Segments(
        np.insert(inputs, places, n_inputs).astype(np.int32),
        lengths.astype(np.int32),
        runs.astype(np.int32),
        n_complete,
        int(lengths.max()),
        n_steps,
        delay,
    )
