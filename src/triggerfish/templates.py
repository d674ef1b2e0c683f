"""Names made from a member's facts: `web-{number:02}`. Pure: every cold start imports this."""

from collections.abc import Iterator
from typing import NamedTuple, Self

from triggerfish.text_value import TextValue

NAMING_FIELDS = ("number", "group", "instance", "az")
"""What is known before a member has its name."""
MEMBER_FIELDS = (*NAMING_FIELDS, "name", "domain", "address")
"""What is known once it has it."""


class Field(NamedTuple):
    """`{name}`, or `{number:0W}` padded with zeros to `width` digits (0: as it is)."""

    name: str
    width: int = 0


class Template(TextValue):
    """A text with fields of a member; `{{` and `}}` stand for one brace.

    Raises `ValueError` in words when braces don't pair, a width isn't one, or a field is unknown.
    """

    __slots__ = ("parts", "text")
    text: str
    parts: tuple[str | Field, ...]
    """Literal texts and fields, in order."""

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "parts", tuple(_parts(text)))

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(text)

    def __str__(self) -> str:
        return self.text

    @property
    def fields(self) -> frozenset[str]:
        return frozenset(part.name for part in self.parts if isinstance(part, Field))

    def render(self, **values: str | int) -> str:
        """Raises `KeyError` when a field has no value: the caller checks `fields` first."""
        return "".join(
            part if isinstance(part, str) else f"{values[part.name]:0>{part.width}}"
            for part in self.parts
        )


def _parts(text: str) -> Iterator[str | Field]:
    literal = ""
    at = 0
    while at < len(text):
        character = text[at]
        if text[at : at + 2] in ("{{", "}}"):
            literal += character
            at += 2
        elif character == "{":
            end = text.find("}", at)
            if end < 0:
                raise ValueError(f'the "{{" at character {at + 1} is never closed')
            if literal:
                yield literal
            literal = ""
            yield _field(text[at + 1 : end])
            at = end + 1
        elif character == "}":
            raise ValueError(f'the "}}" at character {at + 1} closes nothing; "}}}}" is one brace')
        else:
            literal += character
            at += 1
    if literal:
        yield literal


def _field(text: str) -> Field:
    name, colon, width = text.partition(":")
    if name not in MEMBER_FIELDS:
        raise ValueError(f"{{{text}}} is no field{_did_you_mean(name)}")
    if not colon:
        return Field(name)
    if name != "number":
        raise ValueError(f"{{{text}}} has a width, which only {{number}} takes")
    if len(width) != 2 or width[0] != "0" or width[1] not in "123456789":
        raise ValueError(f"{{{text}}} has a width that isn't 01 to 09, as in {{number:02}}")
    return Field(name, int(width))


def _did_you_mean(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  only the failure pays for it

    near = get_close_matches(name.strip().lower(), MEMBER_FIELDS, 1)
    return f"; did you mean {{{near[0]}}}?" if near else ""
