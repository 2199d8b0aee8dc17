"""Every argument of all that `import ruleforge` offers, with values of every wrong type: sentences, no traceback.

The matrix comes from the signatures, so that an argument that is added is tried as well.
"""

from __future__ import annotations

import collections.abc
import inspect
import math
import types
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

import ruleforge
from ruleforge.errors import InputError
from ruleforge.family import TaskFamily
from ruleforge.spec import JobSpec, job_spec
from ruleforge.store import RuleQuery

# A port at which nothing answers: what is taken ends in a ServiceError, which is no InputError.
NOWHERE = "http://127.0.0.1:9"
SMALL = {"n_trials": 2, "n_inputs": 2, "n_patterns": 2, "trial_duration": 20.0}
VALUES: tuple[Any, ...] = (
    None, True, False, np.True_, 1.5, -1, math.nan, math.inf, 10**400, "3", "", b"3", [1], (1,), {1}, {"a": 1},
    {1: "a"}, object(), object, len, np.array([1, 2]), np.float64(1.5), 1j,
)  # fmt: skip


def allowed(value: Any, annotation: Any) -> bool:
    """Whether a value is of the declared type, so that whatever is said about it is not about its type."""
    options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    for option in options:
        origin = typing.get_origin(option) or option
        if origin is Any or (option is type(None) and value is None):
            return True
        if origin in (str, typing.Literal) and isinstance(value, str):
            return True
        if origin is Path and isinstance(value, (str, Path)):
            return True
        if origin in (int, float) and not isinstance(value, (bool, np.bool_)):
            whole = isinstance(value, (int, np.integer))
            if (whole and abs(value) < 2**64) or (origin is float and isinstance(value, (float, np.floating))):
                return True
        if origin is bool and isinstance(value, (bool, np.bool_)):
            return True
        if origin is type and isinstance(value, type) and issubclass(value, TaskFamily):
            return True
        if origin is collections.abc.Mapping and isinstance(value, dict):
            return True
        if origin is collections.abc.Callable and callable(value):
            return True
    return False


def matrix(function: Any) -> list[tuple[str, Any]]:
    """Arguments of a function with values that are of none of their types."""
    hints = typing.get_type_hints(function, localns={"TaskFamily": TaskFamily})
    named = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
    pairs = [(p.name, value) for p in named if p.name not in ("self", "cls") for value in VALUES]
    found = [(name, value) for name, value in pairs if not allowed(value, hints[name])]
    # Beyond what a type can say: numbers that are none.
    numeric = [name for name, _ in pairs if hints.get(name) in (float, float | None)]
    return found + [(name, value) for name in dict.fromkeys(numeric) for value in (math.nan, -math.inf)]


def refused(function: Any, given: dict[str, Any], name: str, value: Any) -> str | None:
    """What is wrong with how a value was taken; None if it was refused by a sentence."""
    try:
        found = function(**{**given, name: value})
        if isinstance(found, collections.abc.Iterator):
            next(found)
    except InputError as error:
        return None if str(error) else f"{name} = {value!r:.60}: an empty sentence"
    except Exception as error:  # noqa: BLE001 - whatever else comes is what is looked for
        return f"{name} = {value!r:.60}: {type(error).__name__}: {error}"
    return f"{name} = {value!r:.60} was taken"


FUNCTIONS = {
    "evaluate": (ruleforge.evaluate, {"task": "reward", "rule": "R*E", "n": 1, "workers": 1, **SMALL}),
    "evolve": (ruleforge.evolve, {"task": "reward", "workers": 1, "parameters": SMALL, "budget": {"evaluations": 1}}),
    "Rule.parse": (ruleforge.Rule.parse, {"text": "R*E", "task": "reward"}),
    "Rule.from_tokens": (ruleforge.Rule.from_tokens, {"expressions": [["R"]], "task": "reward"}),
    "Client": (ruleforge.Client, {"url": NOWHERE}),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function, given = FUNCTIONS[name]
    target = function.__init__ if isinstance(function, type) else function
    faults = [refused(function, given, *pair) for pair in matrix(target)]
    assert len(faults) > 20
    assert not list(filter(None, faults))


def given_to(method: str) -> dict[str, Any]:
    """Good values for what a method of the client cannot do without."""
    signature = inspect.signature(getattr(ruleforge.Client, method))
    needed = [p.name for p in signature.parameters.values() if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    good: dict[str, Any] = {
        "id": "abc",
        "name": "reward",
        "task": "reward",
        "rule": "R*E",
        "budget": {"evaluations": 5},
    }
    good["query"] = RuleQuery()
    return {name: good[name] for name in needed if name != "self"}


METHODS = sorted(name for name, _ in inspect.getmembers(ruleforge.Client, inspect.isfunction) if name[0] != "_")


@pytest.mark.parametrize("method", METHODS)
def test_methods_of_the_client(method):
    given = given_to(method) | ({"replicates": 3} if method == "submit_study" else {})
    with ruleforge.Client(NOWHERE) as client:
        bound = getattr(client, method)
        faults = [refused(bound, given, *pair) for pair in matrix(bound)]
        assert not list(filter(None, faults))


@pytest.mark.parametrize("value", [object(), len, {1, 2}, math.nan, 1j, b"3"], ids=lambda value: type(value).__name__)
def test_what_json_cannot_carry_is_not_sent(value):
    with ruleforge.Client(NOWHERE) as client:
        for send in (
            lambda: client.submit(task="reward", parameters={"learning_rate": value}),
            lambda: client.evaluate("reward", "R", learning_rate=value),
        ):
            with pytest.raises(InputError, match="JSON"):
                send()


def leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Every field of a specification that holds no further fields, with its type."""
    found = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += leaves(field.annotation, (*path, name))
        else:
            found.append(((*path, name), field.annotation))
    return found


@pytest.mark.parametrize(("path", "annotation"), leaves(JobSpec), ids=[".".join(path) for path, _ in leaves(JobSpec)])
def test_keys_of_a_specification(path, annotation):
    def specification(value: Any) -> JobSpec:
        given: Any = value
        for part in reversed(path):
            given = {part: given}
        return job_spec({"task": "reward", **given})

    plain = annotation in (int, float, bool, str, int | None, float | None, str | None)
    faults = [
        refused(specification, {}, "value", value)
        for value in (VALUES if plain else (object(), len, 1j))
        if not allowed(value, annotation)
        and not (annotation in (str, str | None) and isinstance(value, (bytes, int, float, np.generic)))
    ]
    assert not list(filter(None, faults))


@pytest.mark.parametrize("whole", [np.int64, np.uint8, np.float64, float], ids=lambda kind: kind.__name__)
def test_numbers_of_numpy_are_numbers(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = ruleforge.evaluate("reward", "R*E", n=2, seed=3, workers=1, **SMALL)
    given = {name: whole(value) for name, value in SMALL.items()}
    found = ruleforge.evaluate("reward", "R*E", n=whole(2), seed=whole(3), workers=whole(1), **given)
    assert found.fitness == plain.fitness
    spec = job_spec({"task": "reward", "seed": whole(3), "parameters": given, "budget": {"evaluations": whole(9)}})
    assert spec.hash == job_spec({"task": "reward", "seed": 3, "parameters": SMALL, "budget": {"evaluations": 9}}).hash
