"""How numbers are written: exactly, as text that reads back as the same; rounded, on a page or in a paper.

Everything that sets numbers in LaTeX, MathML or HTML goes through here, so that 123456 is 1.235 × 10⁵ everywhere and
never 1.235e+05, which is read there as a product and a sum.
"""

from __future__ import annotations

import math

NONE_LATEX, NONE_HTML = "--", "–"


def format_number(value: float) -> str:
    """The shortest text that reads back as the same float64: 1, 0.1, 1e-05, -0."""
    if value.is_integer() and abs(value) < 1e16:
        return f"{'-' if math.copysign(1.0, value) < 0 else ''}{abs(int(value))}"
    return repr(value)


def scientific_latex(digits: str, exponent: int) -> str:
    r"""2 \times 10^{3}, from its digits (with their sign) and the power of ten."""
    return rf"{digits} \times 10^{{{exponent}}}"


def latex_number(value: float | None, digits: int = 4) -> str:
    r"""A number for LaTeX as mathematics, rounded to significant digits: 12.35, 1.235 \times 10^{5}; -- for none."""
    parts = _rounded(value, digits)
    if parts is None:
        return NONE_LATEX
    return parts[0] if parts[1] is None else scientific_latex(*parts)


def latex_measured(value: float | None, error: float | None, digits: int = 4) -> str:
    r"""A number ± its standard error, where there is one, between dollars; -- for none."""
    if _rounded(value, digits) is None:
        return NONE_LATEX
    written = latex_number(value, digits)
    if _rounded(error, 2) is not None:
        written = rf"{written} \pm {latex_number(error, 2)}"
    return f"${written}$"


def html_number(value: float | None, digits: int = 4) -> str:
    """A number for HTML, rounded to significant digits: 12.35, −1.235 × 10<sup>5</sup>; – for none."""
    parts = _rounded(value, digits)
    if parts is None:
        return NONE_HTML
    mantissa, exponent = parts[0].replace("-", "−"), parts[1]
    return mantissa if exponent is None else f"{mantissa} × 10<sup>{str(exponent).replace('-', '−')}</sup>"


def _rounded(value: float | None, digits: int) -> tuple[str, int] | tuple[str, None] | None:
    """The digits with their sign and the power of ten, if it needs one; None for no number, or none that is finite."""
    if value is None or not math.isfinite(value):
        return None
    mantissa, mark, exponent = f"{value + 0.0:.{digits}g}".partition("e")  # + 0.0: −0 is 0 in a table
    return (mantissa, int(exponent)) if mark else (mantissa, None)
