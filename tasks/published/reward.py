"""The published figures of the reward family, on our own experiments: the published ones were never released."""

from __future__ import annotations

from ruleforge.family import InstanceKey, PublishedExperiments, PublishedRow, Split


def _keys(split: Split, seed: int, n: int) -> list[InstanceKey]:
    """One experiment per seed: seed, seed + 1, …"""
    return [InstanceKey("sampled", split, seed + index, 0) for index in range(n)]


# As published. At h = 0.1 the potential overshoots the threshold by so much, once weights have grown large, that in
# some experiments the rules other than the first drive the eligibility beyond all bounds.
_RESOLUTION = {"resolution": 0.01}
EXPERIMENTS = PublishedExperiments(
    rows=(
        PublishedRow("(R - 1)*E", 210.2, 193.5),
        PublishedRow("E*(R - 1)/(R*R)", 210.2),
        PublishedRow("R - 1/(1 + 1) + E/(2*R)", 88.6, 69.0),
        PublishedRow("R - 1 + E/R", 78.8, 49.0),
        PublishedRow("R*(2*E - R)", 70.6, 34.0),
        PublishedRow("0", None, 0.0),
    ),
    seed={"training": 1, "validation": 1, "test": 1},
    parameters={"training": _RESOLUTION, "validation": _RESOLUTION, "test": _RESOLUTION},
    n={"training": 40, "validation": 40, "test": 40},
    keys=_keys,
)
