"""Errors are sentences, and remain what they are on their way to another process."""

from __future__ import annotations

import importlib
import inspect
import multiprocessing
import pkgutil

import pytest

from ruleforge.errors import AmbiguousError, RuleforgeError, RuleSyntaxError, SpecificationError
from ruleforge.store import JobHeldError

# Arguments of the classes that take more than a sentence.
ARGUMENTS = {
    RuleSyntaxError: (("unknown name 'y'",), {"text": "x + y", "position": 4}),
    SpecificationError: (([("/seed", "expected a number"), ("", "and a task")],), {}),
    AmbiguousError: (("jobs", "ab", ["abc", "abd"]), {}),
    JobHeldError: (("another process runs it",), {"stopping": True}),
}


def all_errors() -> list[type[RuleforgeError]]:
    """Every class of the tree that a module of the product defines."""
    for name in ("ruleforge", "tasks", "workers", "api"):
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith(("__main__", ".env")):  # these act when they are imported
                importlib.import_module(module.name)
    found, left = [], [RuleforgeError]
    while left:
        found.append(left.pop())
        left += [kind for kind in found[-1].__subclasses__() if inspect.getmodule(kind) and kind not in found]
    return [kind for kind in found if kind.__module__.split(".")[0] in ("ruleforge", "tasks", "workers", "api")]


def through_a_pipe(value):
    """What arrives of a value at the other end of what processes talk through."""
    here, there = multiprocessing.Pipe()
    with here, there:
        here.send(value)
        return there.recv()


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_an_error_is_the_same_in_another_process(kind):
    arguments, options = ARGUMENTS.get(kind, (("the machine is on fire",), {}))
    error = kind(*arguments, **options)
    error.add_note("seen on Monday")
    found = through_a_pipe(error)
    assert type(found) is kind
    assert str(found) == str(error)
    assert vars(found) == vars(error)
    assert found.__notes__ == ["seen on Monday"]


def test_what_a_refusal_points_at_arrives():
    found = through_a_pipe(RuleSyntaxError("unknown name 'y'", text="x + y", position=4))
    assert (found.position, found.reason, found.pointer) == (4, "unknown name 'y'", "/rule")
    assert "x + y" in str(found)
