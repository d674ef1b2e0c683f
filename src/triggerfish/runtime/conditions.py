"""What must hold for a write to happen: a small algebra over one item. Pure.

`Absent` is the only condition that holds for an item that isn't there, except `Lacks`: comparing an
attribute that is missing, or of another type, is false, as in DynamoDB.

    Or(Absent(), Equals({"state": "free"}))                 take a slot
    Or(Lacks("lease_until"), AtMost("lease_until", now_s))  take an expired lease
    Equals({"version": 7})                                  write what was read
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, assert_never

from msgspec import Struct

from triggerfish.runtime.attribute_values import to_attributes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from triggerfish.runtime.attribute_values import AttributeValue, Value


class Absent(Struct, frozen=True):
    """There is no such item."""


class Present(Struct, frozen=True):
    """There is such an item."""


class Equals(Struct, frozen=True):
    """Every named attribute is there and equal, type included: 1, "1" and True are three values."""

    fields: Mapping[str, Value]

    def __post_init__(self) -> None:
        if not self.fields:
            raise ValueError("Equals needs at least one attribute")


class OneOf(Struct, frozen=True):
    """The attribute is one of at most 100 values (DynamoDB's limit for IN)."""

    field: str
    values: Sequence[Value]

    def __post_init__(self) -> None:
        if not 1 <= len(self.values) <= 100:
            raise ValueError(f"OneOf takes 1 to 100 values, found {len(self.values)}")


class AtMost(Struct, frozen=True):
    """The attribute is a number no greater than this: a lease that ran out, a time that came."""

    field: str
    number: int


class Lacks(Struct, frozen=True):
    """The item has no such attribute; also where there is no item."""

    field: str


class And(Struct, frozen=True):
    left: Condition
    right: Condition


class Or(Struct, frozen=True):
    left: Condition
    right: Condition


Condition: TypeAlias = "Absent | Present | Equals | OneOf | AtMost | Lacks | And | Or"


class Expression:
    """Collects the names and values of one DynamoDB request; every one of them as a placeholder.

    Names too, because any word may be reserved, and nothing from outside is ever expression text.
    """

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, AttributeValue] = {}
        self._placeholders: dict[str, str] = {}

    def name(self, attribute: str) -> str:
        if attribute not in self._placeholders:
            placeholder = f"#n{len(self._placeholders)}"
            self._placeholders[attribute] = placeholder
            self.names[placeholder] = attribute
        return self._placeholders[attribute]

    def value(self, attribute: str, value: Value) -> str:
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = to_attributes({attribute: value})[attribute]
        return placeholder

    def condition(self, condition: Condition) -> str:  # noqa: PLR0911 - one a case
        match condition:
            case Absent():
                return f"attribute_not_exists({self.name('pk')})"
            case Present():
                return f"attribute_exists({self.name('pk')})"
            case Equals(fields):
                parts = [
                    f"{self.name(key)} = {self.value(key, value)}" for key, value in fields.items()
                ]
                return " AND ".join(parts)
            case OneOf(field, values):
                listed = ", ".join(self.value(field, value) for value in values)
                return f"{self.name(field)} IN ({listed})"
            case AtMost(field, number):
                return f"{self.name(field)} <= {self.value(field, number)}"
            case Lacks(field):
                return f"attribute_not_exists({self.name(field)})"
            case And(left, right):
                return f"({self.condition(left)}) AND ({self.condition(right)})"
            case Or(left, right):
                return f"({self.condition(left)}) OR ({self.condition(right)})"
            case _:
                assert_never(condition)
