"""Python values as DynamoDB attribute values and back, under DynamoDB's rules. Pure.

Written here because boto3's serialiser goes through `Decimal` and is slow to import.
What DynamoDB would refuse is refused before the call, with the attribute's name in the message.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
and CapacityUnitCalculations.html (item sizes), read November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from triggerfish.errors import InputError

if TYPE_CHECKING:
    from typing import Any

    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

Value: TypeAlias = "str | int | bool | bytes | Sequence[Value] | Mapping[str, Value] | None"
"""What an attribute may hold. Floats are not among them: DynamoDB's decimals can't keep them."""
Item: TypeAlias = "dict[str, Value]"
AttributeValue: TypeAlias = "AttributeValueTypeDef"

MAX_ITEM_BYTES = 400 * 1024
MAX_PK_BYTES = 2048
MAX_SK_BYTES = 1024
MAX_DEPTH = 31
"""Containers in one another: DynamoDB nests 32 levels, the innermost value being one of them."""
MAX_NUMBER = 10**38
"""Numbers keep 38 digits."""


def to_attributes(item: Mapping[str, Value]) -> dict[str, AttributeValue]:
    """Turn an item, or a part of one, into attribute values. InputError names the attribute."""
    attributes = {}
    for name, value in item.items():
        try:
            attributes[name] = to_attribute(value)
        except InputError as error:
            raise InputError(f"attribute {name!r}: {error.message}") from None
    return attributes


def to_attribute(value: Value, depth: int = 0) -> AttributeValue:
    if isinstance(value, str):
        return {"S": _text(value)}
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": _number(value)}
    if isinstance(value, bytes):
        return {"B": value}
    return _container(value, depth + 1)


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"text that is not valid Unicode: {error.reason}") from None
    return str.__str__(value)  # a plain str also for members of an enum


def _number(value: int) -> str:
    if not -MAX_NUMBER < value < MAX_NUMBER:
        raise InputError("a number of more than 38 digits")
    return int.__repr__(value)


def _container(value: object, depth: int) -> AttributeValue:
    if depth > MAX_DEPTH:
        raise InputError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise InputError("a map with a key that is not text")
        return {"M": {_text(key): to_attribute(inner, depth) for key, inner in value.items()}}
    if isinstance(value, list | tuple):
        return {"L": [to_attribute(inner, depth) for inner in value]}
    raise InputError(f"a value of type {type(value).__name__}, which the table does not take")


def from_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> Item:
    return {name: from_attribute(attribute) for name, attribute in attributes.items()}


def from_attribute(attribute: Mapping[str, Any]) -> Value:  # noqa: PLR0911 - one a type
    """Turn one attribute value into a Python value: numbers into int, sets into sorted lists."""
    kind, raw = next(iter(attribute.items()))
    match kind:
        case "S" | "BOOL" | "B":
            return raw  # type: ignore[no-any-return]  # botocore has decoded these
        case "N":
            return _integer(raw)
        case "NULL":
            return None
        case "M":
            return from_attributes(raw)
        case "L":
            return [from_attribute(inner) for inner in raw]
        case "SS" | "BS":
            return sorted(raw)
        case "NS":
            return sorted(_integer(number) for number in raw)
        case _:
            raise InputError(f"the table holds a value of the unknown type {kind!r}")


def _integer(raw: str) -> int:
    try:
        return int(raw)
    except ValueError:
        raise InputError(f"the table holds {raw!r} where only whole numbers are written") from None


def size_bytes(attributes: Mapping[str, Mapping[str, Any]]) -> int:
    """Count an item's bytes as DynamoDB does against its 400 KB."""
    return sum(len(name.encode()) + _size(value) for name, value in attributes.items())


def _size(attribute: Mapping[str, Any]) -> int:
    kind, raw = next(iter(attribute.items()))
    match kind:
        case "S":
            return len(raw.encode())
        case "B":
            return len(raw)
        case "N":
            return len(raw.strip("-0")) // 2 + 2
        case "M":
            return 3 + len(raw) + size_bytes(raw)
        case "L":
            return 3 + len(raw) + sum(_size(inner) for inner in raw)
        case _:
            return 1


def check_size(attributes: Mapping[str, Mapping[str, Any]]) -> None:
    size = size_bytes(attributes)
    if size > MAX_ITEM_BYTES:
        raise InputError(f"the item is {size:,} bytes, DynamoDB takes {MAX_ITEM_BYTES:,}")


def key_attributes(pk: object, sk: object) -> dict[str, AttributeValue]:
    return {
        "pk": {"S": _key_text("pk", pk, MAX_PK_BYTES)},
        "sk": {"S": _key_text("sk", sk, MAX_SK_BYTES)},
    }


def _key_text(name: str, value: object, limit: int) -> str:
    if not isinstance(value, str) or not value:
        raise InputError(f"the key {name} is {value!r}, wanted text that is not empty")
    text = _text(value)
    if len(text.encode()) > limit:
        raise InputError(
            f"the key {name} is {len(text.encode()):,} bytes, DynamoDB takes {limit:,}"
        )
    return text
