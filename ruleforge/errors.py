"""One tree of errors. Each message says what was expected, what came, and what to do."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable
from typing import Any, ClassVar


class Fault(enum.Enum):
    """How an error is dealt with, by the runner, the service, the command line and Python alike."""

    transient = "passes by itself: what was tried is tried again after a pause"
    permanent = "comes again at every try: it is recorded and told, with its remedy"
    foreign = "somebody else's decision or mishap: what they decided stands, and nothing of ours is wrong"


class RuleforgeError(Exception):
    """Base of everything that ruleforge raises on purpose; its text is a sentence for the user.

    Every error arrives in another process as what it was when it was raised there.
    """

    fault: ClassVar[Fault] = Fault.permanent

    def __reduce__(self) -> tuple[Any, ...]:
        # The way of all exceptions, to call the class anew with the message, fails for one that takes other arguments.
        return _as_it_was, (type(self), self.args, dict(self.__dict__))


class InputError(RuleforgeError):
    """What was given cannot be used: a rule, a specification, a name, a file. Nothing was changed by it.

    `pointer` is a JSON pointer (RFC 6901) to the refused part where there is one, else "".
    """

    def __init__(self, message: str, *, pointer: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer


class RuleSyntaxError(InputError):
    """The text of a rule is refused. `position` is the offset of the first refused character."""

    def __init__(self, message: str, *, text: str, position: int, pointer: str = "/rule") -> None:
        line_start = text.rfind("\n", 0, position) + 1
        line_end = text.find("\n", position)
        line = text[line_start : line_end if line_end >= 0 else len(text)]
        # A window around the place, so that a rule of thousands of characters does not flood the terminal.
        window_start = max(0, position - line_start - 40)
        shown = line[window_start : window_start + 80]
        caret = " " * (position - line_start - window_start) + "^"
        super().__init__(f"{message}\n  {shown}\n  {caret}" if text.strip() else message, pointer=pointer)
        self.reason = message
        self.position = position


class SpecificationError(InputError):
    """One or more fields of a job specification are refused: `errors` holds (JSON pointer, sentence) pairs."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        lines = [
            f"{pointer.strip('/').replace('/', '.')}: {message}" if pointer else message for pointer, message in errors
        ]
        super().__init__("\n".join(lines), pointer=errors[0][0])
        self.errors = errors


class AmbiguousError(InputError):
    """The beginning of an id is that of several, of which the sentence names the first."""

    NAMED = 3

    def __init__(self, kind: str, beginning: str, ids: Iterable[str]) -> None:
        found = sorted(ids)
        more = ", …" if len(found) > self.NAMED else ""
        named = ", ".join(found[: self.NAMED])
        super().__init__(f"several {kind} begin with {beginning!r} ({named}{more}): write more of the id")


class StoreError(InputError):
    """The record cannot be opened or used as it is."""


class RecordAwayError(StoreError):
    """The record is out of reach for now: held by another process, its server restarting, its disk full."""

    fault = Fault.transient


class RecordReplacedError(StoreError):
    """The file at the record's path is not the one that was opened: deleted, moved, replaced or cut short."""


class EvaluationError(RuleforgeError):
    """A simulation could not be run; unlike a bad score, this is a fault of the family or the machine."""


class ServiceError(RuleforgeError):
    """A ruleforge service cannot be reached, or did not do what it should; its jobs go on without us."""

    fault = Fault.foreign


class WaitTimeoutError(RuleforgeError, TimeoutError):
    """What was waited for has not happened in the time given; it may still happen."""

    fault = Fault.transient


class EvaluatorLostError(RuleforgeError):
    """Where rules are scored is gone, such as a cluster's scheduler; nothing is wrong with what was to be scored."""

    fault = Fault.transient


class JobStopped(RuleforgeError):  # noqa: N818 (a request that was granted, not a fault)
    """Scoring was cut short on request; the generation in flight is dropped."""

    fault = Fault.foreign


def fault_of(error: BaseException) -> Fault:
    """How any exception is dealt with; one that nobody declared comes again."""
    if isinstance(error, RuleforgeError):
        return error.fault
    # Ctrl-C, and a reader of our output or a client that has gone.
    return Fault.foreign if isinstance(error, (KeyboardInterrupt, BrokenPipeError)) else Fault.permanent


def _as_it_was(kind: type[RuleforgeError], args: tuple[Any, ...], state: dict[str, Any]) -> RuleforgeError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """A sentence for a name that is not known, with the nearest one that is."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    listed = ", ".join(names) if names else "none"
    guess = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {name!r}: expected one of {listed}.{guess}"
