"""A slow drawing goes on while its readers are told to ask again, and its answer is there when they do."""

from __future__ import annotations

import asyncio
import json

import pytest

from api.http import drawing
from api.http.drawing import Drawing
from api.http.problems import Problem
from ruleforge.store import FoundRule, RuleRecord


def a_rule(text):
    return FoundRule(RuleRecord("0" * 32, "reward", text, [[text]], 1, "b"), None, None, None, 0, [])


class Slow(Drawing):
    """Draws as soon as it is allowed to, and counts how often it began."""

    def __init__(self):
        super().__init__()
        self.allowed = asyncio.Event()
        self.begun = []

    async def _answer(self, question):
        self.begun.append(question)
        await self.allowed.wait()
        return json.dumps({"done": f"drawing {len(self.begun)}"})


def test_it_goes_on_and_is_begun_once(monkeypatch):
    monkeypatch.setattr(drawing, "PATIENCE", 0.05)

    async def ask():
        slow = Slow()
        for _ in range(3):
            with pytest.raises(Problem) as refused:
                await slow.figure(a_rule("R"), {}, None)
            assert refused.value.status == 503
            assert "still being drawn" in refused.value.detail
            assert "Retry-After" in refused.value.headers
        both = [asyncio.ensure_future(slow.figure(a_rule("R"), {}, None)) for _ in range(2)]
        await asyncio.sleep(0)
        both[0].cancel()
        await asyncio.sleep(0)
        slow.allowed.set()
        assert await both[1] == "drawing 1"
        assert await slow.figure(a_rule("R"), {}, None) == "drawing 1"
        assert len(slow.begun) == 1
        assert await slow.figure(a_rule("E"), {}, None) == "drawing 2"
        await slow.close()

    asyncio.run(ask())


def test_as_many_as_wait_and_no_more(monkeypatch):
    monkeypatch.setattr(drawing, "PATIENCE", 0.05)
    monkeypatch.setattr(drawing, "MOST_WAITING", 2)

    async def ask():
        slow = Slow()
        for text, said in (
            ("R", "still"),
            ("E", "still"),
            ("1", "many pictures"),
            ("R", "still"),
            ("2", "many pictures"),
        ):
            with pytest.raises(Problem) as refused:
                await slow.figure(a_rule(text), {}, None)
            assert said in refused.value.detail
        await slow.close()
        await asyncio.sleep(0)
        assert not slow._asked

    asyncio.run(ask())


class Hopeless(Drawing):
    """Answers the same whenever it is asked, and counts how often that was."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.begun = answer, 0

    async def _answer(self, question):
        self.begun += 1
        return self.answer


@pytest.mark.parametrize(
    ("answer", "status", "said", "attempts"),
    [
        (None, 500, "ended twice", 2),  # what ends the process is tried once more
        ('{"failed": "ValueError: no window"}', 500, "no window", 1),
        ('{"refused": ["/parameters/n_trials", "expected at most 5"]}', 422, "at most 5", 1),
    ],
)
def test_what_can_never_be_drawn_is_answered_so_and_not_tried_again(answer, status, said, attempts):
    async def ask():
        hopeless = Hopeless(answer)
        for _ in range(3):
            with pytest.raises(Problem) as refused:
                await hopeless.figure(a_rule("R"), {}, None)
            assert refused.value.status == status
            assert said in refused.value.detail
            assert "Retry-After" not in (refused.value.headers or {})
        assert hopeless.begun == attempts
        await hopeless.close()

    asyncio.run(ask())
