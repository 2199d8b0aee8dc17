"""What a family says of itself: names, parameters, slots, signals, known rules."""

from __future__ import annotations

import math
import typing
from typing import Any

from ruleforge.conformance.promises import called, is_count, is_text, require
from ruleforge.family import FamilyParameters, SearchDefaults, TaskFamily
from ruleforge.language.identity import recognise
from ruleforge.language.primitives import PRIMITIVES, primitive_named
from ruleforge.language.rule import Rule
from ruleforge.language.signals import Slot
from ruleforge.statistics import Statistic


def check_declarations(declared: type[TaskFamily]) -> None:
    """Metadata, parameters, slots, signals, defaults of a search."""
    came = repr(declared) if not isinstance(declared, type) else declared.__name__
    require(isinstance(declared, type) and issubclass(declared, TaskFamily), "a family is a TaskFamily", f"{came} came")
    absent = sorted(getattr(declared, "__abstractmethods__", ()))
    require(not absent, "a family has the methods build, evaluate and trace", f"{', '.join(absent)} is missing")
    for name in ("name", "title", "citation", "fitness_meaning"):
        value = getattr(declared, name, None)
        require(is_text(value), f"a family declares its {name} as a text", f"{value!r} came")
    for name in ("version", "rules_per_batch", "instances_per_batch"):
        value = getattr(declared, name, None)
        require(is_count(value), f"a family declares its {name} as an integer of 1 or more", f"{value!r} came")
    value = getattr(declared, "rules_per_unit", None)
    require(value is None or is_count(value), "rules_per_unit is an integer of 1 or more, or None", f"{value!r} came")
    value = getattr(declared, "rules_share_work", None)
    require(isinstance(value, bool), "rules_share_work is True or False", f"{value!r} came")
    _check_parameters(getattr(declared, "Parameters", None))
    slots = getattr(declared, "slots", None)
    require(
        isinstance(slots, tuple) and bool(slots) and all(isinstance(slot, Slot) for slot in slots),
        "a family declares its slots as a tuple of Slot",
        f"{slots!r} came",
    )
    names = [slot.name for slot in declared.slots]
    require(len(set(names)) == len(names), "slots have different names", f"{', '.join(names)} came")
    for index, slot in enumerate(declared.slots):
        _check_slot(declared, index, slot)
    defaults = getattr(declared, "search_defaults", None)
    require(isinstance(defaults, SearchDefaults), "search_defaults are SearchDefaults", f"{defaults!r} came")
    unknown = [name for name in declared.search_defaults.operators if primitive_named(name) is None]
    require(not unknown, f"search_defaults name operators of {' '.join(PRIMITIVES)}", f"{', '.join(unknown)} came")
    for name in ("training", "validation", "test", "library"):
        value = getattr(defaults, name)
        require(is_count(value), f"search_defaults.{name} is an integer of 1 or more", f"{value!r} came")
    statistic, threshold = declared.statistic, declared.failure_below
    require(isinstance(statistic, Statistic), "statistic is a Statistic of ruleforge.statistics", f"{statistic!r} came")
    is_threshold = threshold is None or (isinstance(threshold, float) and math.isfinite(threshold))
    require(is_threshold, "failure_below is a fitness, a finite float, or None", f"{threshold!r} came")


def _check_parameters(model: Any) -> None:
    require(
        isinstance(model, type) and issubclass(model, FamilyParameters),
        "Parameters is a subclass of FamilyParameters",
        f"{model!r} came",
    )
    config = model.model_config
    strict = config.get("frozen") is True and config.get("extra") == "forbid"
    require(strict, "parameters are immutable and refuse unknown names", "model_config says otherwise")
    for name, field in model.model_fields.items():
        require(not field.is_required(), "every parameter has a default", f"{name!r} has none")
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        for what, value in (
            ("meaning", field.description),
            ("unit", extra.get("unit")),
            ("source", extra.get("source")),
        ):
            require(is_text(value), f"every parameter has a {what}", f"{name!r} has none: declare it with parameter(…)")


def _check_slot(declared: type[TaskFamily], index: int, slot: Slot) -> None:
    moments = typing.get_args(typing.get_type_hints(Slot)["when"])
    require(slot.when in moments, f"slot {slot.name!r} acts at one of {', '.join(moments)}", f"{slot.when!r} came")
    require(is_text(slot.updates), f"slot {slot.name!r} says what it updates", f"{slot.updates!r} came")
    symbols = slot.symbols
    require(len(set(symbols)) == len(symbols), f"signals of {slot.name!r} differ in symbol", f"{symbols} came")
    require(bool(slot.default_symbols), f"slot {slot.name!r} offers a signal to a search by default", "none came")
    for signal in slot.signals:
        where = f"signal {signal.symbol!r} of slot {slot.name!r}"
        for what in ("unit", "meaning"):
            value = getattr(signal, what)
            require(is_text(value), f"{where} has a {what} (the unit of a pure number is '1')", f"{value!r} came")
        low, high = signal.range
        finite = math.isfinite(low) and math.isfinite(high) and low < high
        require(finite, f"{where} has a finite range, lowest value first", f"{signal.range} came")
        for value in signal.values:
            require(
                low <= value <= high, f"{where} has its discrete values in its range {low} … {high}", f"{value} came"
            )
        for value in signal.special:
            near = 2 * low - high <= value <= 2 * high - low
            require(near, f"{where} has special values in or near its range {low} … {high}", f"{value} came")
        text = "; ".join(f"{other.name}: {signal.symbol if other is slot else 0}" for other in declared.slots)
        rule = called(f"{where} can be written in a rule", f"for {text!r}", Rule.parse, text, declared)
        require(rule.expressions[index] == (signal.symbol,), f"{where} can be read back from a rule", f"{rule} came")


def check_known_rules(declared: type[TaskFamily]) -> None:
    """Rules of the literature: they can be read, and are recognised as themselves."""
    for entry in declared.literature:
        whole = isinstance(entry, tuple) and len(entry) == 4 and all(map(is_text, entry[:3]))
        require(whole, "a known rule is (name, text, citation, published fitness or None)", f"{entry!r} came")
        name, text, _, published = entry
        number = published is None or (isinstance(published, (int, float)) and math.isfinite(published))
        require(number, f"the published fitness of {name!r} is a finite number or None", f"{published!r} came")
        called(f"the known rule {name!r} can be read", f"for {text!r}", Rule.parse, text, declared)
    names = [entry[0] for entry in declared.literature]
    require(len(set(names)) == len(names), "known rules have different names", f"{', '.join(names)} came")
    for name, known in declared.known_rules().items():
        found = recognise(known.rule, declared.known_rules())
        itself = found is not None and (found.name, found.factor) == (name, 1.0)
        require(itself, f"the known rule {name!r} is recognised as itself", f"it is recognised as {found or 'none'}")
