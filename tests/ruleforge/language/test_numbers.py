"""Numbers on a page: never with an e that reads as a product, and within half a unit of the last digit."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleforge.language.numbers import html_number, latex_measured, latex_number

LATEX = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)(?: \\times 10\^\{(-?[0-9]+)\})?")


@given(value=st.floats(-1e308, 1e308), digits=st.integers(1, 8))
def test_latex_is_the_number_rounded(value, digits):
    found = LATEX.fullmatch(latex_number(value, digits))
    assert found
    read = float(f"{found[1]}e{found[2] or 0}")
    assert math.isclose(read, value, rel_tol=0.51 * 10 ** (1 - digits), abs_tol=1e-323)
    assert html_number(value, digits).replace(" × 10<sup>", "e").replace("</sup>", "").replace("−", "-") == (
        f"{found[1]}e{found[2]}" if found[2] else found[1]
    )


@pytest.mark.parametrize(
    ("value", "latex", "html"),
    [
        (123456.0, r"1.235 \times 10^{5}", "1.235 × 10<sup>5</sup>"),
        (-123456.0, r"-1.235 \times 10^{5}", "−1.235 × 10<sup>5</sup>"),
        (99999.9, r"1 \times 10^{5}", "1 × 10<sup>5</sup>"),
        (1e-07, r"1 \times 10^{-7}", "1 × 10<sup>−7</sup>"),
        (12.3456, "12.35", "12.35"),
        (-0.0, "0", "0"),
        (0.0, "0", "0"),
        (5e-324, r"4.941 \times 10^{-324}", "4.941 × 10<sup>−324</sup>"),
        (1.7976931348623157e308, r"1.798 \times 10^{308}", "1.798 × 10<sup>308</sup>"),
        (9999.0, "9999", "9999"),
        (0.0001, "0.0001", "0.0001"),
        (None, "--", "–"),
        (math.inf, "--", "–"),
        (-math.inf, "--", "–"),
        (math.nan, "--", "–"),
    ],
)
def test_edges(value, latex, html):
    assert (latex_number(value), html_number(value)) == (latex, html)


@pytest.mark.parametrize(
    ("value", "error", "latex"),
    [
        (123456.0, 1e-07, r"$1.235 \times 10^{5} \pm 1 \times 10^{-7}$"),
        (1.5, 0.123, r"$1.5 \pm 0.12$"),
        (1.5, None, "$1.5$"),
        (1.5, math.nan, "$1.5$"),
        (None, 0.1, "--"),
        (math.inf, 0.1, "--"),
        (-0.0, 0.0, r"$0 \pm 0$"),
    ],
)
def test_measured(value, error, latex):
    assert latex_measured(value, error) == latex
