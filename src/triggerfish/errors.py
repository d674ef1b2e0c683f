"""The error tree. The type of an error decides whether the work is tried again.

Error:
    ├── ConfigError    what the user wrote is wrong: every problem at once, never retried
    ├── InputError     the event is wrong: dead-lettered with its reason, never retried
    ├── Refused        a peer understood and said no: never retried
    └── Unavailable    a peer can't answer now: tried again later
        └── Conflict   somebody else changed the state first: read again, decide again

`triggerfish.runtime.entry` alone turns these into Lambda outcomes and exit codes.

"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Error(Exception):
    """A failure the user is told about in words: what, where, found, wanted, and what to do."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class InputError(Error):
    """The event or argument is wrong; trying again can't help."""


class Refused(Error):
    """A peer understood the request and said no; trying again can't help."""


class Unavailable(Error):
    """A peer can't answer now; the same request may succeed later."""


class Conflict(Unavailable):
    """A conditional write lost: the state is not what the decision was made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in a configuration file.

    `path` is the key path (`provision[1].timeout`), `line` counts from 1, 0 where none is known.
    `found` is already safe to print: a value marked secret never gets here.
    """

    file: str
    line: int
    path: str
    found: str
    wanted: str
    hint: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        text = f"{where}: {self.path}: found {self.found}, wanted {self.wanted}"
        return f"{text} ({self.hint})" if self.hint else text


class ConfigError(Error):
    """What the user wrote is wrong. Carries every problem, in file order."""

    def __init__(self, problems: Sequence[Problem], *, hint: str | None = None) -> None:
        super().__init__("\n".join(str(problem) for problem in problems), hint=hint)
        self.problems = tuple(problems)
