"""A rule as a Python file that needs numpy alone, with the numbers of the reference to the last bit."""

from __future__ import annotations

import ast
import inspect
import json
import keyword
import textwrap
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ruleforge.language.primitives import ATOM, NEGATION, POWER, PRIMITIVES, PRODUCT, SUM, Primitive
from ruleforge.language.signals import Signal, Slot
from ruleforge.language.tokens import Tokens, fold
from workers.export.description import Exported

WIDTH = 100
# The file's own helpers; each is there only if the rule needs it.
_WHOLE = '''\
def elementwise(function):
    """Give `function` its signals as flat float64 arrays of one length; the result has their common shape."""

    @functools.wraps(function)
    def call(**signals):
        signals = {name: np.asarray(values, dtype=np.float64) for name, values in signals.items()}
        shape = np.broadcast_shapes(*(values.shape for values in signals.values()))
        flat = {name: np.full(shape, values).reshape(-1) for name, values in signals.items()}
        with np.errstate(all="ignore"):  # IEEE arithmetic: poles give infinity or NaN
            result = function(**flat)
        return np.full(int(np.prod(shape)), result).reshape(shape)

    return call
'''
_POWER = '''\
def power(base, exponent):
    """{meaning}."""
    # Whole arrays, because numpy takes powers by the scalars 2, -1 and 0.5 another way, with other bits.
    return {function}(*(np.array(values) for values in np.broadcast_arrays(base, exponent)))
'''
# How tightly Python binds; powers are calls here.
_OPERATORS = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT}


class _Piece:
    """A Python expression: how tightly it binds, and whether it is made of plain numbers alone."""

    def __init__(self, text: str, binding: int, plain: bool) -> None:
        self.text, self.binding, self.plain = text, binding, plain

    def inside(self, weakest: int) -> str:
        return f"({self.text})" if self.binding < weakest else self.text


def _called(primitive: Primitive) -> str:
    """What the file calls this primitive: numpy's own function, or a copy of ours."""
    if primitive.name == "**":
        return "power"
    own = isinstance(primitive.numpy, np.ufunc)
    return f"np.{primitive.numpy.__name__}" if own else primitive.numpy.__name__


def python_expression(tokens: Tokens, names: Mapping[str, str]) -> str:
    """The expression in Python over numpy arrays, operation by operation as in the tree; `names`: symbol → variable."""

    def leaf(token: object) -> _Piece:
        if isinstance(token, str):
            return _Piece(names[token], ATOM, False)
        text = repr(token)
        return _Piece(text, NEGATION if text.startswith("-") else ATOM, True)

    def node(primitive: Primitive, operands: list[_Piece]) -> _Piece:
        if all(operand.plain for operand in operands):
            # Python's own numbers raise at poles, numpy's do not.
            operands = [_Piece(f"np.float64({operand.text})", ATOM, False) for operand in operands]
        if primitive.name == "neg":
            return _Piece(f"-{operands[0].inside(NEGATION)}", NEGATION, False)
        if primitive.name in _OPERATORS:
            binding = _OPERATORS[primitive.name]
            left, right = operands
            return _Piece(f"{left.inside(binding)} {primitive.name} {right.inside(binding + 1)}", binding, False)
        return _Piece(f"{_called(primitive)}({', '.join(operand.text for operand in operands)})", ATOM, False)

    assert POWER < ATOM
    return fold(tokens, leaf, node).text


def _source(function: Any) -> str:
    """The source of one of the language's own functions, without annotations, so that it stands alone."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    return ast.unparse(tree) + "\n"


def _variable(name: str, taken: Collection[str]) -> str:
    while keyword.iskeyword(name) or name in taken:
        name += "_"
    return name


def _quoted(text: str) -> str:
    """Text as it may stand between triple quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"') if '"""' in text or "\\" in text else text


def _docstring(lines: list[str], indent: str = "") -> str:
    # A quotation mark at the very end would join the closing ones.
    body = "\n".join(f"{indent}{line}".rstrip() for line in lines)
    return f'{indent}"""{body.removeprefix(indent)}\n{indent}"""\n'


def _wrapped(text: str, hanging: str = "    ") -> list[str]:
    return textwrap.wrap(_quoted(text), WIDTH - 4, subsequent_indent=hanging, break_long_words=False)


def _reach(signal: Signal) -> str:
    if signal.values:
        return ", ".join(f"{value:g}" for value in signal.values)
    return f"{signal.range[0]:g} to {signal.range[1]:g}"


def _function(slot: Slot, tokens: Tokens, name: str, helpers: Collection[str]) -> str:
    """The function of one slot: keyword-only signals in the slot's order; those that it does not read are optional."""
    names: dict[str, str] = {}
    for signal in slot.signals:
        names[signal.symbol] = _variable(signal.symbol, {*helpers, *names.values()})
    read = set(tokens)
    arguments = ", ".join(names[symbol] if symbol in read else f"{names[symbol]}=0.0" for symbol in slot.symbols)
    lines = [*_wrapped(f"{slot.updates} (acts at: {slot.when})", ""), "", "Signals, by keyword, as numbers or arrays:"]
    for signal in slot.signals:
        unread = "" if signal.symbol in read else "; not read by this rule"
        unit = "dimensionless" if signal.unit == "1" else signal.unit
        lines += _wrapped(f"{names[signal.symbol]} ({unit}, {_reach(signal)}): {signal.meaning}{unread}")
    expression = python_expression(tokens, names)
    return f"@elementwise\ndef {name}(*, {arguments}):\n{_docstring(lines, '    ')}    return {expression}\n"


def _head(exported: Exported) -> str:
    rule, family = exported.rule, exported.family
    lines = ["A synaptic plasticity rule, written by ruleforge.", "", *_wrapped(f"rule: {rule.text}")]
    lines += _wrapped(f"known as: {exported.known or 'no name in the literature of this task'}")
    lines += [f"rule id: {rule.id}", *_wrapped(f"task: {rule.task}, version {family.version}: {family.title}")]
    lines += _wrapped(f"source of the task: {family.citation}")
    if exported.fitness is not None:
        lines += _wrapped(f"training fitness: {exported.fitness:.6g}")
    if exported.validation and exported.validation["aggregate"] is not None:
        validation = exported.validation
        error = validation["standard_error"]
        spread = (
            "" if error is None or validation["mean"] != validation["aggregate"] else f", standard error {error:.2g}"
        )
        lines += _wrapped(f"validation fitness: {validation['aggregate']:.6g} on {validation['n']} instances{spread}")
    lines += ["", "Parameters of the task:"]
    for name, field in family.Parameters.model_fields.items():
        extra = field.json_schema_extra
        unit = str(extra.get("unit", "1")) if isinstance(extra, dict) else "1"
        value = exported.parameters[name]
        written = "none" if value is None else json.dumps(value, ensure_ascii=False)
        with_unit = written if unit == "1" or value is None else f"{written} {unit}"
        lines += _wrapped(f"{name} = {with_unit}: {field.description}")
    return _docstring(lines)


def python_file(exported: Exported) -> str:
    """The text of a Python file with one function per slot."""
    rule = exported.rule
    tokens_of_rule = [str(token) for tokens in rule.expressions for token in tokens]
    used = [PRIMITIVES[token] for token in tokens_of_rule if token in PRIMITIVES]
    copied = {p.name: p for p in used if not isinstance(p.numpy, np.ufunc)}
    helpers = ["np", "functools", "elementwise", "power", *(p.numpy.__name__ for p in copied.values())]
    parts = [_WHOLE, *(_source(primitive.numpy) for primitive in copied.values())]
    if "**" in copied:
        power = copied["**"]
        parts.append(_POWER.format(meaning=power.meaning.capitalize(), function=power.numpy.__name__))
    taken = set(helpers)
    for slot, tokens in zip(rule.slots, rule.expressions, strict=True):
        name = _variable(slot.name, taken)
        taken.add(name)
        parts.append(_function(slot, tokens, name, helpers))
    imports = "import functools\n\nimport numpy as np\n"
    return "\n\n".join([f"{_head(exported)}\n{imports}", *parts])
