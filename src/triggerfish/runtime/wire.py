"""Reading JSON that somebody else wrote: it becomes the class asked for, or an InputError. Pure.

Unknown keys are ignored. Messages name types and paths and never repeat a value.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec

from triggerfish.errors import InputError

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def decoded(text: str | bytes, what: str) -> object:
    """Decode JSON. Raises InputError, also for nesting deeper than Python can follow."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise InputError(f"{what} is not JSON: {error}") from error


def converted(value: object, wanted: type[T], what: str) -> T:
    try:
        return msgspec.convert(value, wanted)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise InputError(f"{what}: {error}") from error


def time_from_text(text: str | None) -> datetime | None:
    """Read an ISO 8601 time; None where it is none: an event's time is not worth failing for."""
    try:
        time = datetime.fromisoformat(text or "")
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def time_from_epoch_ms(milliseconds: str | int | None) -> datetime | None:
    try:
        return _EPOCH + timedelta(milliseconds=int(milliseconds or ""))
    except (ValueError, OverflowError):
        return None
