"""Settings to JSON bytes and back: what deploy bakes into a function and the function reads.

Functions import this, so it knows msgspec and the text types and nothing else.
"""

from typing import TypeVar

import msgspec

from triggerfish.text_value import TextValue

T = TypeVar("T")


def encode(value: object) -> bytes:
    """JSON; equal values give equal bytes, so an unchanged artifact keeps its hash."""
    return msgspec.json.encode(value, enc_hook=to_text, order="sorted")


def decode(data: bytes, type: type[T]) -> T:  # noqa: A002  msgspec's own name for it
    """Raises `msgspec.ValidationError` when `data` isn't what `type` says."""
    return msgspec.json.decode(data, type=type, dec_hook=from_text)


def to_text(value: object) -> str:
    """The `enc_hook` of msgspec for a `TextValue`."""
    if isinstance(value, TextValue):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


def from_text(wanted: type, value: object) -> object:
    """The `dec_hook` of msgspec for a `TextValue`."""
    if not issubclass(wanted, TextValue):
        raise NotImplementedError(f"{wanted.__name__} has no JSON form")
    if not isinstance(value, str):
        raise ValueError("expected a string")  # noqa: TRY004  msgspec makes it a ValidationError
    return wanted.parse(value)
