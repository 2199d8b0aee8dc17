"""Values from outside nested to any depth are refused with a sentence at every door, and never exhaust the stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleforge.errors import InputError, SpecificationError
from ruleforge.family import TaskFamily, family, family_class
from ruleforge.nesting import MAX_NESTING, refuse_deep
from ruleforge.spec import apply_setting, job_spec, read_toml
from workers.study import study

# From one above the bound, over what Python's stack just holds, to what it never does.
DEPTHS = (MAX_NESTING + 1, 300, 470, 490, 940, 1000, 5000)


def nested(depth: int, kinds: str):
    """1 inside so many tables (d), lists (l) or tuples (t), in turn."""
    value = 1
    for level in range(depth):
        value = {"d": {"a": value}, "l": [value], "t": (value,)}[kinds[level % len(kinds)]]
    return value


@given(depth=st.integers(1, 2 * MAX_NESTING), kinds=st.text("dlt", min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_the_bound_is_exact(depth, kinds):
    if depth <= MAX_NESTING:
        refuse_deep(nested(depth, kinds))
        return
    with pytest.raises(SpecificationError, match=f"at most {MAX_NESTING} deep") as refused:
        refuse_deep(nested(depth, kinds), "/parameters")
    ((pointer, _),) = refused.value.errors
    assert pointer.startswith("/parameters/")
    assert pointer.count("/") == 1 + MAX_NESTING


def test_values_that_hold_themselves_come_to_an_end():
    turning: list = []
    turning.append(turning)
    twice: dict = {}
    twice |= {"a": twice, "b": [twice, turning]}
    doubled: list = [1]
    for _ in range(200):
        doubled = [doubled, doubled]
    for endless in (turning, twice, doubled):
        with pytest.raises(SpecificationError):
            refuse_deep(endless)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("kinds", ["d", "l", "dl", "t"])
def test_every_door_refuses(depth, kinds):
    deep = nested(depth, kinds)
    doors = [
        lambda: job_spec({"task": "reward", "parameters": {"n_trials": deep}}),
        lambda: job_spec({"task": "reward", "tags": deep}),
        lambda: job_spec({"task": "reward", "grammar": {"signals": {"dw": deep}}}),
        lambda: job_spec({"task": deep}),
        lambda: job_spec({"task": "reward", "budget": deep}),
        lambda: family("reward", {"n_trials": deep}),
        lambda: family("correlation", {"initial_weights": deep}),
        lambda: study({"task": "reward", "parameters": deep, "configurations": [{"label": "a", "parameters": deep}]}),
        lambda: study({"task": "reward", "configurations": deep}),
    ]
    for door in doors:
        with pytest.raises(InputError) as refused:
            door()
        assert len(str(refused.value)) < 10_000


@pytest.mark.parametrize("depth", DEPTHS)
def test_settings_and_files_refuse(depth, tmp_path: Path):
    texts = {
        "dots": f"task = 'reward'\n{'.'.join('a' * depth)} = 1\n",
        "header": f"task = 'reward'\n[{'.'.join('a' * depth)}]\n",
        "tables": f"task = 'reward'\nparameters = {'{a = ' * depth}1{'}' * depth}\n",
        "lists": f"task = 'reward'\ntags = {'[' * depth}{']' * depth}\n",
    }
    for name, text in texts.items():
        file = tmp_path / f"{name}.toml"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(InputError):
            read_toml(file)
    chosen = family_class("reward")
    for setting in (
        f"n_trials={'[' * depth}{']' * depth}",
        f"n_trials={'{a = ' * depth}1{'}' * depth}",
        f"tags={'[' * depth}{']' * depth}",
        f"grammar.signals.{'.'.join('a' * depth)}=1",
        f"search.population={'[{a = ' * depth}1{'}]' * depth}",
    ):
        with pytest.raises(InputError):
            job_spec(_with(setting, chosen))


def _with(setting: str, chosen: type[TaskFamily]) -> dict[str, Any]:
    specification: dict[str, Any] = {"task": "reward"}
    apply_setting(specification, setting, chosen)
    return specification
