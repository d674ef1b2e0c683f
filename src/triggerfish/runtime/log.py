"""One JSON object a line on standard output: what CloudWatch Logs and `triggerfish logs` read.

Whatever is logged stays one line of plain ASCII: text from outside can't end a line, start another
or drive a terminal. Long values are cut, and no value makes logging fail.
What libraries say through `logging` comes out the same way.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from types import TracebackType

MAX_TEXT = 8_192
MAX_ITEMS = 100
MAX_DEPTH = 6
MAX_LINE = 200_000
"""Below the 256 KB that every reader of CloudWatch Logs takes."""
MAX_FRAMES = 40
MAX_INTEGER = 2**64

_RESERVED = ("time", "level", "message")
_process: dict[str, object] = {}
_bound: ContextVar[Mapping[str, object]] = ContextVar("bound", default={})  # noqa: B039 - never changed

Level = Literal["info", "warning", "error"]


def configure(trigger: str, **fields: object) -> None:
    """Put these into every line of this process from here on, of every thread.

    Libraries' warnings become lines like ours.
    """
    _process.clear()
    _process.update(trigger=trigger, **fields)
    root = logging.getLogger()
    if not any(isinstance(handler, _LibraryHandler) for handler in root.handlers):
        root.handlers[:] = [_LibraryHandler()]  # the Lambda runtime's own writes plain text
        root.setLevel(logging.WARNING)


@contextmanager
def bind(**fields: object) -> Iterator[None]:
    """Add fields to every line within. Threads started within don't have them."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def info(message: str, /, **fields: object) -> None:
    _write("info", message, fields)


def warning(message: str, /, **fields: object) -> None:
    _write("warning", message, fields)


def error(message: str, /, **fields: object) -> None:
    """Log a failure. An exception among the fields is written as its type, message and stack."""
    _write("error", message, fields)


def _write(level: Level, message: str, fields: Mapping[str, object]) -> None:
    head = {"time": _now(), "level": level, "message": _plain(message)}
    extra = {
        f"{name}_" if name in _RESERVED else name: _plain(value)
        for name, value in {**_process, **_bound.get(), **fields}.items()
    }
    line = json.dumps({**head, **extra})
    if len(line) > MAX_LINE:
        line = json.dumps({**head, "dropped": f"fields of {len(line):,} characters"})
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: object, depth: int = 0) -> object:
    match value:
        case None | bool():
            return value
        case int():
            return value if abs(value) < MAX_INTEGER else "<a huge integer>"
        case float():
            return value if math.isfinite(value) else str(value)  # JSON has no NaN, no infinity
        case BaseException():
            return _exception(value, depth)
        case dict() | list() | tuple() | set() | frozenset() if depth < MAX_DEPTH:
            return _collection(value, depth + 1)
        case _:
            return _described(value)


def _collection(value: Collection[object], depth: int) -> object:
    first = list(value)[:MAX_ITEMS]
    if isinstance(value, dict):
        return {_described(key): _plain(value[key], depth) for key in first}
    return [_plain(inner, depth) for inner in first]


def _described(value: object) -> str:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    try:
        return _cut(value.isoformat() if isinstance(value, datetime) else str(value))
    except Exception:  # noqa: BLE001 - a log line must not fail for a value that can't be shown
        return f"<{type(value).__name__}>"


def _cut(text: str) -> str:
    if len(text) <= MAX_TEXT:
        return text
    return f"{text[:MAX_TEXT]}... ({len(text) - MAX_TEXT:,} more characters)"


def _exception(error: BaseException, depth: int) -> dict[str, object]:
    plain: dict[str, object] = {
        "type": type(error).__qualname__,
        "message": _described(error),
        "stack": _stack(error.__traceback__),
    }
    if error.__cause__ is not None and depth < MAX_DEPTH:
        plain["cause"] = _exception(error.__cause__, depth + 1)
    return plain


def _stack(traceback: TracebackType | None) -> list[str]:
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{code.co_filename}:{traceback.tb_lineno} in {code.co_qualname}")
        traceback = traceback.tb_next
    return frames[-MAX_FRAMES:]


class _LibraryHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        if record.levelno < logging.WARNING:
            level = "info"
        fields: dict[str, object] = {"logger": record.name}
        if record.exc_info and record.exc_info[1]:
            fields["error"] = record.exc_info[1]
        _write(level, _message(record), fields)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - as above: a library's wrong format is still worth a line
        return _described(record.msg)
