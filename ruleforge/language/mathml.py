"""Tokens → presentation MathML (the core that browsers show), laid out exactly as the LaTeX is.

sympy prints MathML too, but of its own sums and products, in its own order: what is shown here is the tree that ran.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from html import escape

from ruleforge.language.primitives import ATOM, POWER, Primitive
from ruleforge.language.text import Piece, set_formula, symbol_latex
from ruleforge.language.tokens import Tokens

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
APPLY, TIMES = "&#x2061;", "&#x2062;"  # invisible signs: function application, product
ACCENTS: Mapping[str, str] = {
    "bar": "¯",
    "overline": "¯",
    "hat": "^",
    "tilde": "~",
    "dot": "˙",
    "ddot": "¨",
    "vec": "→",
}
UPRIGHT = ("mathrm", "operatorname", "text")
_LATEX = re.compile(r"\\(?P<command>[A-Za-z]+|.)|(?P<sign>[{}^_])|(?P<number>[0-9]+)|(?P<letter>\S)")


def _row(*parts: str) -> str:
    return parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>"


def _operator(sign: str) -> str:
    return f"<mo>{sign}</mo>"


def _greek(command: str) -> str | None:
    """α for alpha; None for what is no Greek letter."""
    case = "CAPITAL" if command[0].isupper() else "SMALL"
    name = "LAMDA" if command.lower() == "lambda" else command.upper()
    try:
        return unicodedata.lookup(f"GREEK {case} LETTER {name}")
    except KeyError:
        return None


class _SymbolReader:
    """Reads the LaTeX of a signal: letters, numbers, Greek, accents, upright names, indices."""

    def __init__(self, latex: str) -> None:
        self._pieces = [(str(match.lastgroup), match.group()) for match in _LATEX.finditer(latex)]

    def read(self, until_brace: bool = False) -> str:
        parts: list[str] = []
        while self._pieces and not (until_brace and self._pieces[0][1] == "}"):
            base, below, above = self._unit(), "", ""
            while self._pieces and self._pieces[0][1] in ("_", "^"):
                place = self._pieces.pop(0)[1]
                below, above = (self._unit(), above) if place == "_" else (below, self._unit())
            parts.append(_indexed(base, below, above))
        return _row(*parts) if parts else "<mrow></mrow>"

    def _unit(self) -> str:
        if not self._pieces:
            return "<mrow></mrow>"
        kind, text = self._pieces.pop(0)
        if text == "{":
            inner = self.read(until_brace=True)
            if self._pieces:
                self._pieces.pop(0)
            return inner
        if kind == "number":
            return f"<mn>{text}</mn>"
        if kind == "letter":
            return f"<mi>{escape(text)}</mi>" if text.isalpha() else _operator(escape(text))
        command = text.lstrip("\\")
        if command in ACCENTS:
            return f'<mover accent="true">{self._unit()}{_operator(ACCENTS[command])}</mover>'
        if command in UPRIGHT:
            return f'<mi mathvariant="normal">{self._letters()}</mi>'
        return f"<mi>{_greek(command) or escape(command)}</mi>" if command.isalpha() else ""

    def _letters(self) -> str:
        """The text of a group, e.g. of \\mathrm{slow}."""
        if not self._pieces or self._pieces[0][1] != "{":
            return escape(self._pieces.pop(0)[1]) if self._pieces else ""
        self._pieces.pop(0)
        letters = ""
        while self._pieces and self._pieces[0][1] != "}":
            piece = self._pieces.pop(0)[1]
            letters += "\N{NO-BREAK SPACE}" if piece.startswith("\\") else piece
        self._pieces = self._pieces[1:]
        return escape(letters)


def _indexed(base: str, below: str, above: str) -> str:
    if below and above:
        return f"<msubsup>{base}{below}{above}</msubsup>"
    if below:
        return f"<msub>{base}{below}</msub>"
    return f"<msup>{base}{above}</msup>" if above else base


def symbol_mathml(latex: str) -> str:
    """MathML of a signal's LaTeX: letters, numbers, Greek, accents, upright names, indices."""
    return _SymbolReader(latex).read()


class MathML:
    """MathML without the outermost element; `signals` maps each symbol to its LaTeX, or to none."""

    def __init__(self, signals: Mapping[str, str]) -> None:
        self._signals = signals

    def symbol(self, symbol: str) -> Piece:
        """As its family writes it."""
        latex = self._signals.get(symbol) or symbol_latex(symbol)
        return symbol_mathml(latex), POWER if "^" in latex else ATOM

    def number(self, digits: str, negative: bool) -> str:
        """2, −2."""
        return _row(*([_operator("−")] if negative else []), f"<mn>{digits}</mn>")

    def scientific(self, digits: str, exponent: int, negative: bool) -> str:
        """2 × 10³."""
        power = f"<msup><mn>10</mn>{self.number(str(abs(exponent)), exponent < 0)}</msup>"
        return _row(self.number(digits, negative), _operator("×"), power)

    def grouped(self, inner: str) -> str:
        """Growing parentheses."""
        return _row(_operator("("), inner, _operator(")"))

    def applied(self, primitive: Primitive, operands: list[str], dotted: bool) -> str:
        """Fractions, exponents and roots as such, |x|, other functions by name."""
        match primitive.name:
            case "/":
                return f"<mfrac>{operands[0]}{operands[1]}</mfrac>"
            case "**":
                return f"<msup>{operands[0]}{operands[1]}</msup>"
            case "sqrt":
                return f"<msqrt>{operands[0]}</msqrt>"
            case "abs":
                bar = '<mo fence="true">|</mo>'
                return _row(bar, operands[0], bar)
            case "neg":
                return _row(_operator("−"), operands[0])
            case "*":
                return _row(operands[0], _operator("·" if dotted else TIMES), operands[1])
        if primitive.infix:
            return _row(operands[0], _operator(primitive.name.replace("-", "−")), operands[1])
        arguments = _operator(",").join(operands)
        return _row(f"<mi>{primitive.name}</mi>", _operator(APPLY), self.grouped(arguments))


def format_mathml(slots: Sequence[tuple[str, Tokens, Mapping[str, str]]]) -> str:
    """One `math` element for (name of the slot or "", tokens, symbol → LaTeX); several slots are rows of a table."""
    rows = []
    for name, tokens, signals in slots:
        index = f'<mi mathvariant="normal">{escape(name)}</mi>'
        weight = f"<msub><mi>w</mi>{index}</msub>" if name else "<mi>w</mi>"
        left = _row('<mi mathvariant="normal">Δ</mi>', _operator(TIMES), weight)
        rows.append((left, _operator("∝"), set_formula(tokens, MathML(signals))))
    head = f'<math xmlns="{NAMESPACE}" display="block">'
    if len(rows) == 1:
        return f"{head}{_row(*rows[0])}</math>"
    cells = ("".join(f"<mtd>{cell}</mtd>" for cell in row) for row in rows)
    table = "".join(f"<mtr>{row}</mtr>" for row in cells)
    return f'{head}<mtable displaystyle="true" columnalign="right center left">{table}</mtable></math>'
