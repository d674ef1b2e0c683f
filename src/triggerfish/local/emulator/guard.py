"""Replacing a name inside MiniStack, and refusing to start when it isn't the one we know.

Every mend names the gap it closes and the signature of what it replaces. A release of MiniStack
that moved or renamed something must stop the start with a sentence, not fail later in silence.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

KNOWN_VERSION = "1.5.33"


class Unknown(Exception):
    """The installed MiniStack isn't the one the mends were written for."""


class Code(Protocol):
    co_varnames: tuple[str, ...]
    co_argcount: int
    co_kwonlyargcount: int


def check_version() -> None:
    found = version("ministack")
    if found != KNOWN_VERSION:
        raise Unknown(
            f"this Triggerfish knows ministack {KNOWN_VERSION}, found {found}: "
            "run `make setup`, which installs the pinned release"
        )


def attribute(owner: object, name: str, gap: str) -> Any:
    """What MiniStack calls `name`, or `Unknown` naming the gap that can't be closed."""
    try:
        return getattr(owner, name)
    except AttributeError:
        place = getattr(owner, "__name__", repr(owner))
        raise Unknown(
            f"this Triggerfish knows ministack {KNOWN_VERSION}: {place} has no {name}, "
            f"so this can't be mended: {gap}"
        ) from None


def replace(
    owner: object,
    name: str,
    parameters: tuple[str, ...],
    replacement: Callable[..., Any],
    *,
    gap: str,
) -> Any:
    """Put `replacement` in place of a function that takes `parameters`; give the original."""
    original = attribute(owner, name, gap)
    found = _parameters(original)
    if found != parameters:
        place = getattr(owner, "__name__", repr(owner))
        raise Unknown(
            f"this Triggerfish knows ministack {KNOWN_VERSION}: {place}.{name} takes "
            f"{found}, wanted {parameters}, so this can't be mended: {gap}"
        )
    setattr(owner, name, replacement)
    return original


def _parameters(function: Any) -> tuple[str, ...]:
    code: Code = getattr(function, "__wrapped__", function).__code__
    return tuple(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
