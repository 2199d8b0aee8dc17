"""Pictures, traces and simplified formulas: work of seconds, done by a process beside the service, and kept."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections import OrderedDict
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from api.http.problems import RETRY_AFTER, Problem
from ruleforge.store import FoundRule

# How long one piece of work may take, in seconds; how long a request waits for it before it is told to ask again; how
# many may wait; how many characters of answers are kept.
SECONDS, PATIENCE, MOST_WAITING, KEPT = 300.0, 30.0, 16, 64_000_000
# A long answer is one line: larger than what a stream takes by default.
LONGEST_LINE = 64 * 1024 * 1024


class Drawing:
    """Asks `api.http.drawer`, which is started when first needed and ended when it takes too long."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._one_at_a_time = asyncio.Lock()
        self._asked: dict[str, asyncio.Task[str]] = {}
        self._kept: OrderedDict[str, str] = OrderedDict()  # answers as they came, in JSON
        self._size = 0

    async def figure(self, found: FoundRule, parameters: Mapping[str, Any], kind: str | None) -> str:
        """SVG of what the rule does."""
        return await self._ask("figure", found, parameters=parameters, kind=kind)

    async def trace(self, found: FoundRule, parameters: Mapping[str, Any]) -> str:
        """What happens in a simulation, as arrays for charts, in JSON."""
        return await self._ask("trace", found, parameters=parameters)

    async def simplified(self, found: FoundRule) -> str:
        """A form with fewer nodes, in JSON; null if there is none."""
        return await self._ask("simplified", found)

    async def close(self) -> None:
        """End the process, and what waits for it."""
        for work in list(self._asked.values()):
            work.cancel()
        await self._end()

    async def _end(self) -> None:
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            self._process = None

    async def _ask(self, what: str, found: FoundRule, **options: Any) -> str:
        question = json.dumps(
            {"what": what, "task": found.rule.task, "tokens": found.rule.tokens, **options}, sort_keys=True
        )
        if question in self._kept:
            self._kept.move_to_end(question)
            return _told(self._kept[question])
        if question not in self._asked and len(self._asked) >= MOST_WAITING:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "many pictures are being drawn: try again", headers=RETRY_AFTER
            )
        work = self._asked.get(question)
        if work is None:
            work = self._asked[question] = asyncio.create_task(self._work(question))
            work.add_done_callback(_looked_at)
        try:
            # Shielded: whoever asks again after a 503 finds the drawing where it is by then, and not at its begin.
            async with asyncio.timeout(PATIENCE):
                return await asyncio.shield(work)
        except TimeoutError:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"the picture takes more than {PATIENCE:g} s and is still being drawn: ask again",
                headers=RETRY_AFTER,
            ) from None

    async def _work(self, question: str) -> str:
        """Draw, and keep what comes of it, whether anybody still waits for it or not."""
        try:
            async with self._one_at_a_time:
                answer = await self._answer(question) or await self._answer(question)
                if answer is None:
                    answer = json.dumps(
                        {"failed": "the drawing process ended twice at this, and it is not tried again"}
                    )
                self._keep(question, answer)
                return _told(answer)
        finally:
            del self._asked[question]

    def _keep(self, question: str, answer: str) -> None:
        """Until others, asked for more lately, need the room."""
        self._kept[question] = answer
        self._size += len(answer)
        while self._size > KEPT:
            self._size -= len(self._kept.popitem(last=False)[1])

    async def _answer(self, question: str) -> str | None:
        """The answer of the process to one question, in JSON; None if it ended at that, or had ended before.

        Whatever interrupts this ends the process, whose answer nobody would read.
        """
        try:
            async with asyncio.timeout(SECONDS):
                process = await self._running()
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(question.encode() + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
        except TimeoutError:
            await self._end()
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE, f"the picture took more than {SECONDS:.0f} s", headers=RETRY_AFTER
            ) from None
        except (ConnectionError, ValueError):
            line = b""
        except BaseException:
            await asyncio.shield(self._end())
            raise
        if not line:
            await self._end()
            return None
        return line.decode()

    async def _running(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "api.http.drawer"), stdin=PIPE, stdout=PIPE, limit=LONGEST_LINE
            )
        return self._process


def _looked_at(work: asyncio.Task[str]) -> None:
    """A refusal that nobody waited for is no fault of the service."""
    if not work.cancelled():
        work.exception()


def _told(answer: str) -> str:
    """What was drawn. Raises Problem for what never can be: 422 where the question is refused, 500 where it fails."""
    found = json.loads(answer)
    if "refused" in found:
        pointer, reason = found["refused"]
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, reason, [(pointer, reason)])
    if "failed" in found:
        raise Problem(HTTPStatus.INTERNAL_SERVER_ERROR, found["failed"])
    done: str = found["done"]
    return done
