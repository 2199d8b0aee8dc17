"""What rules may be made of, and what a scientist demands of them: the `grammar` of a job specification."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from ruleforge.checked import CheckedModel
from ruleforge.errors import InputError, unknown_name
from ruleforge.family import TaskFamily
from ruleforge.language.primitives import PRIMITIVES, primitive_named
from ruleforge.language.rule import Rule
from ruleforge.language.tokens import MAX_DEPTH, MAX_NODES

Sign = Literal["non_negative", "non_positive"]


class Grammar(CheckedModel):
    """What rules may be made of."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    operators: tuple[str, ...] | None = Field(None, min_length=1, description="operators, e.g. + - * / ** sqrt")
    slot_operators: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="operators of single slots, in place of the common ones"
    )
    constants: tuple[float, ...] | None = Field(None, max_length=100, description="numbers that may stand in a rule")
    random_constants: tuple[float, float] | None = Field(
        None, description="smallest and largest magnitude of constants drawn by chance; without it none are drawn"
    )
    signals: dict[str, tuple[str, ...]] | None = Field(
        None, description="signals by slot; a list applies to every slot"
    )
    max_complexity: int = Field(25, ge=1, le=MAX_NODES, description="largest number of nodes, over all slots")
    max_depth: int = Field(8, ge=1, le=MAX_DEPTH, description="largest height of a slot's tree")
    nesting: dict[str, dict[str, int]] = Field(
        default_factory=dict,
        description="how often operators may stand inside another, e.g. {exp = {exp = 0, '/' = 1}}",
    )
    units: Literal["ignored", "free_constants", "strict"] = Field(
        "ignored",
        description="strict: only rules whose units fit, constants without one; free_constants: a constant takes any",
    )
    zero_when: dict[str, float] = Field(
        default_factory=dict,
        description="values of signals at which a rule must change nothing, e.g. {s = 0}: no input, no change",
    )
    sign: dict[str, Sign] = Field(
        default_factory=dict, description="sign that the change of a slot must have over the signals' ranges"
    )
    bounded: dict[str, float] = Field(
        default_factory=dict,
        description="largest magnitude of a slot's change over the signals' ranges",
    )
    templates: dict[str, str] = Field(
        default_factory=dict, description="form of a slot's expression; the search fills each ? in it, e.g. 'E * ?'"
    )
    seed_rules: tuple[str, ...] = Field((), max_length=1000, description="rules that the first generation starts from")

    @field_validator("operators")
    @classmethod
    def _known_operators(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if given is None else _operators(given)

    @field_validator("slot_operators")
    @classmethod
    def _known_slot_operators(cls, given: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        return {slot: _operators(names) for slot, names in given.items()}

    @field_validator("random_constants")
    @classmethod
    def _ordered(cls, given: tuple[float, float] | None) -> tuple[float, float] | None:
        if given is not None and not 0 < given[0] <= given[1]:
            raise ValueError("expected two positive magnitudes, the smaller one first")
        return given

    @field_validator("nesting")
    @classmethod
    def _known_nesting(cls, given: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
        if any(most < 0 for inner in given.values() for most in inner.values()):
            raise ValueError("expected how often an operator may stand inside another: 0 or more")
        return {
            outer: dict(zip(_operators(inner), inner.values(), strict=True))
            for outer, inner in zip(_operators(given), given.values(), strict=True)
        }

    @field_validator("bounded")
    @classmethod
    def _positive(cls, given: dict[str, float]) -> dict[str, float]:
        if any(bound <= 0 for bound in given.values()):
            raise ValueError("expected a positive bound")
        return given

    @field_validator("signals", mode="before")
    @classmethod
    def _signals_by_slot(cls, given: Any) -> Any:
        return {"*": given} if isinstance(given, (list, tuple)) else given


def _operators(names: Iterable[str]) -> tuple[str, ...]:
    found = []
    for name in names:
        primitive = primitive_named(name)
        if primitive is None:
            raise ValueError(unknown_name("operator", name, PRIMITIVES))
        found.append(primitive.name)
    return tuple(dict.fromkeys(found))


def completed(given: Grammar, family: type[TaskFamily]) -> tuple[Grammar, list[tuple[str, str]]]:
    """The grammar with the family's defaults, its signals by slot, and what is wrong with it: (JSON pointer, sentence).

    Names must be those of the family's slots and signals, templates and seed rules must parse, and seed rules must
    follow the templates.
    """
    defaults = family.search_defaults
    errors: list[tuple[str, str]] = []
    by_slot = dict(given.signals or {})
    everywhere = by_slot.pop("*", None)
    names = [slot.name for slot in family.slots]
    keyed: dict[str, Iterable[str]] = {
        "signals": by_slot,
        "slot_operators": given.slot_operators,
        "sign": given.sign,
        "bounded": given.bounded,
        "templates": given.templates,
    }
    for key, table in keyed.items():
        errors += [(f"/grammar/{key}", unknown_name("slot", name, names)) for name in table if name not in names]
    every_signal = list(dict.fromkeys(symbol for slot in family.slots for symbol in slot.symbols))
    for symbol in given.zero_when:
        if symbol not in every_signal:
            errors.append(("/grammar/zero_when", unknown_name("signal", symbol, every_signal)))
    signals: dict[str, tuple[str, ...]] = {}
    for slot in family.slots:
        chosen = by_slot.get(slot.name, everywhere)
        signals[slot.name] = slot.default_symbols if chosen is None else tuple(dict.fromkeys(chosen))
        for symbol in signals[slot.name]:
            if symbol not in slot.symbols:
                errors.append((f"/grammar/signals/{slot.name}", unknown_name("signal", symbol, slot.symbols)))
    constants = defaults.constants if given.constants is None else tuple(dict.fromkeys(given.constants))
    errors += [
        (f"/grammar/signals/{name}", "expected at least one signal or constant, and none is left")
        for name, symbols in signals.items()
        if not symbols and not constants
    ]
    errors += _texts(given, family)
    complete = given.model_copy(
        update={"operators": given.operators or defaults.operators, "constants": constants, "signals": signals}
    )
    return complete, errors


def _texts(given: Grammar, family: type[TaskFamily]) -> list[tuple[str, str]]:
    """What is wrong with templates and seed rules."""
    from ruleforge.search.templates import HOLE, Template

    errors: list[tuple[str, str]] = []
    templates = []
    for slot in family.slots:
        try:
            templates.append(Template(slot, given.templates.get(slot.name, HOLE)))
        except InputError as error:
            errors.append((f"/grammar/templates/{slot.name}", str(error)))
            templates.append(Template(slot))
    for index, text in enumerate(given.seed_rules):
        try:
            rule = Rule.parse(text, family)
        except InputError as error:
            errors.append((f"/grammar/seed_rules/{index}", str(error)))
            continue
        for template, expression in zip(templates, rule.expressions, strict=True):
            if template.holes_of(expression) is None:
                sentence = f"{text!r} does not follow the template of its slot: write it in that form, or leave it out"
                errors.append((f"/grammar/seed_rules/{index}", sentence))
                break
    return errors
