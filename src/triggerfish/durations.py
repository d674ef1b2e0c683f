"""A length of time as people write it. Pure: every cold start of a function imports this."""

from typing import Self

from triggerfish.text_value import TextValue

_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_MOST_DIGITS = 9


class Duration(TextValue):
    """Whole seconds, written as one number and one unit: `90s`, `30m`, `2h`, `1d`."""

    __slots__ = ("seconds",)
    seconds: int

    def __init__(self, seconds: int) -> None:
        object.__setattr__(self, "seconds", seconds)

    @classmethod
    def parse(cls, text: str) -> Self:
        digits, unit = text[:-1], text[-1:]
        if unit not in _SECONDS or not (digits.isascii() and digits.isdigit()):
            raise ValueError("a number and one of s, m, h, d are wanted")
        if len(digits) > _MOST_DIGITS:
            raise ValueError("too long")
        return cls(int(digits) * _SECONDS[unit])

    def __str__(self) -> str:
        for unit, seconds in _SECONDS.items():
            if self.seconds and self.seconds % seconds == 0:
                return f"{self.seconds // seconds}{unit}"
        return f"{self.seconds}s"
