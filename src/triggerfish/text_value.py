"""Values that people write as one string in the config, and that travel as that string.

They are plain classes: msgspec would write a dataclass as an object of its fields.
"""

from abc import abstractmethod
from typing import NoReturn, Self


class TextValue:
    """An immutable value that equals another of its class when both are written the same."""

    __slots__ = ()

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self:
        """Raises `ValueError`, in words, for a text that isn't one."""

    @abstractmethod
    def __str__(self) -> str:
        """The text that `parse` reads back as this value."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and str(other) == str(self)

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}.parse({str(self)!r})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return type(self).parse, (str(self),)
