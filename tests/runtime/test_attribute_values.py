from __future__ import annotations

import pytest

from triggerfish.errors import InputError
from triggerfish.runtime.attribute_values import (
    AttributeValue,
    from_attribute,
    from_attributes,
    size_bytes,
    to_attributes,
)
from triggerfish.runtime.entry import exit_code


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ({"SS": ["b", "a"]}, ["a", "b"]),
        ({"NS": ["10", "9"]}, [9, 10]),
        ({"BS": [b"b", b"a"]}, [b"a", b"b"]),
    ],
    ids=["SS", "NS", "BS"],
)
def test_sets_of_others_are_read_as_sorted_lists(attribute: AttributeValue, value: object) -> None:
    assert from_attribute(attribute) == value


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ({"N": "1.5"}, "the table holds '1.5' where only whole numbers are written"),
        ({"X": "?"}, "the table holds a value of the unknown type 'X'"),
    ],
    ids=["fraction", "unknown"],
)
def test_what_we_do_not_write_is_not_guessed_at(attribute: AttributeValue, message: str) -> None:
    with pytest.raises(InputError) as failure:
        from_attributes({"a": attribute})
    assert str(failure.value) == message
    assert exit_code(failure.value) == 1


def test_sizes_are_counted_as_dynamodb_does() -> None:
    """1 a name's and a text's byte, digits halved and one, 3 a list or map and 1 for each in it."""
    item = to_attributes(
        {"é": "ab", "n": -123, "t": True, "x": None, "b": b"abc", "l": [1], "m": {"k": "v"}}
    )
    assert size_bytes(item) == (2 + 2) + (1 + 3) + (1 + 1) + (1 + 1) + (1 + 3) + (1 + 3 + 1 + 2) + (
        1 + 3 + 1 + 2
    )


def test_members_of_enums_are_written_as_plain_text_and_numbers() -> None:
    from enum import IntEnum, StrEnum  # noqa: PLC0415 - beside its use

    class Phase(StrEnum):
        READY = "ready"

    class Level(IntEnum):
        HIGH = 3

    attributes = to_attributes({"phase": Phase.READY, "level": Level.HIGH})
    assert attributes == {"phase": {"S": "ready"}, "level": {"N": "3"}}
    assert type(attributes["phase"]["S"]) is str
