"""The readout's time in pieces in which the potential only decays: the same for every rule, so laid out once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Steps = NDArray[np.int32]

# The window of a run whose steps are in none that has a maximum.
NO_WINDOW = -1


class Segments(NamedTuple):
    """The steps of a readout, cut at every input spike that reaches the membrane and where a window begins or ends.

    inputs: (n_segments,) int32, the input whose spike begins the segment, n_inputs if nobody's does;
    lengths: (n_segments,) int32, number of steps up to the next segment, 0 between spikes that arrive together;
    runs: (n_runs, 4) int32, segments that belong together: index after their last one, number of steps, the window
    whose maximum they may hold (NO_WINDOW for none), and 1 if they count in the baseline, else 0;
    n_windows: number of windows that have a maximum;
    n_longest: the largest of the lengths;
    n_steps, delay, first_in_baseline: for which readout this was laid out.
    """

    inputs: Steps
    lengths: Steps
    runs: Steps
    n_windows: int
    n_longest: int
    n_steps: int
    delay: int
    first_in_baseline: bool


def segments_of(
    passes: Steps,
    inputs: Steps,
    n_inputs: int,
    windows: Steps,
    n_steps: int,
    delay: int,
    first_in_baseline: bool,
) -> Segments:
    """The segments of `n_steps` of readout; spikes of `inputs` reach the membrane `delay` steps after `passes`.

    passes: (n_spikes,) ascending, from 1 − delay on; windows: (n_windows, 2), first and last step, ascending and apart.
    The baseline is what lies outside of the windows. With first_in_baseline it is what the published validation took
    for it: the first window has no maximum and belongs to the baseline, and so does the last step of every other one;
    the readout's own last step was not recorded there and belongs to nothing. A window that the end of the readout cuts
    off has no maximum either.
    """
    n_recorded = n_steps - first_in_baseline
    n_arriving = int(np.searchsorted(passes, n_recorded - delay, side="right"))
    arrivals, inputs = passes[:n_arriving] + delay, inputs[:n_arriving]
    last_steps = windows[:, 1] if first_in_baseline else windows[:0, 1]
    edges = np.unique(np.concatenate([[1], windows[:, 0], last_steps, windows[:, 1] + 1]))
    edges = edges[(edges >= 1) & (edges <= n_recorded)]
    silent = edges[~np.isin(edges, arrivals)]
    places = np.searchsorted(arrivals, silent)
    steps = np.insert(arrivals, places, silent)
    lengths = np.diff(steps, append=n_recorded + 1)

    n_complete = int(np.count_nonzero(windows[:, 1] <= n_steps))
    nearest = np.searchsorted(windows[:, 0], edges, side="right") - 1
    last = windows[nearest, 1]
    inside = (nearest >= 0) & (edges <= last)
    baseline = ~inside | (first_in_baseline & ((nearest == 0) | (edges == last)))
    window = nearest - first_in_baseline
    window = np.where(inside & (nearest < n_complete) & (window >= 0), window, NO_WINDOW)
    ends = np.append(np.searchsorted(steps, edges)[1:], len(steps))
    runs = np.stack([ends, np.diff(edges, append=n_recorded + 1), window, baseline], axis=1)
    return Segments(
        np.insert(inputs, places, n_inputs).astype(np.int32),
        lengths.astype(np.int32),
        runs.astype(np.int32),
        max(n_complete - first_in_baseline, 0),
        int(lengths.max()),
        n_steps,
        delay,
        first_in_baseline,
    )
