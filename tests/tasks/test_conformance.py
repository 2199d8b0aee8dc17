"""The families of this package keep the contract that they ask of others."""

from __future__ import annotations

import pytest

from ruleforge.conformance import check_family
from ruleforge.family import family_class

# Small problems: what is checked does not depend on their size.
SMALL = {
    "reward": {"n_trials": 30, "n_inputs": 20, "trial_duration": 200.0},
    "supervised": {"duration": 400.0, "comparison_start": 100.0},
    "correlation": {"duration": 3000.0, "readout": 2000.0, "n_inputs": 200, "initial_weight": 0.5},
}


@pytest.mark.parametrize("name", SMALL)
def test_a_family_keeps_the_contract(name):
    check_family(family_class(name), SMALL[name])
