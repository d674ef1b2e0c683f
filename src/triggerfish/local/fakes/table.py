"""The state table in memory, with DynamoDB's semantics and limits.

Items are kept as DynamoDB attribute values, so equality, types and sizes are DynamoDB's and nothing
returned is shared with what is stored. Subclass it and override `before_write` or `after_write` to
inject a crash, a slow peer or a competing writer: both run outside the lock.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, assert_never

from triggerfish.errors import InputError, Refused
from triggerfish.runtime.attribute_values import (
    AttributeValue,
    check_size,
    from_attributes,
    key_attributes,
    size_bytes,
    to_attribute,
    to_attributes,
)
from triggerfish.runtime.conditions import (
    Absent,
    And,
    AtMost,
    Condition,
    Equals,
    Lacks,
    OneOf,
    Or,
    Present,
)
from triggerfish.runtime.table import (
    Check,
    ConditionFailed,
    Delete,
    Put,
    Update,
    check_transaction,
    key_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from triggerfish.runtime.attribute_values import Item
    from triggerfish.runtime.table import SingleWrite, Write

    Attributes: TypeAlias = Mapping[str, AttributeValue]
    Key: TypeAlias = tuple[bytes, bytes]

MAX_TRANSACTION_BYTES = 4 * 1024 * 1024


class MemoryTable:
    def __init__(self) -> None:
        self._partitions: dict[bytes, dict[bytes, Attributes]] = {}
        self._lock = threading.Lock()

    def before_write(self, writes: Sequence[Write]) -> None:
        """What happens before a write takes effect. Raising here means it never did."""

    def after_write(self, writes: Sequence[Write]) -> None:
        """What happens between a write and its answer. Raising here loses the answer only."""

    def get(self, pk: str, sk: str) -> Item | None:
        key = _key(pk, sk)
        with self._lock:
            item = self._read(key)
        return None if item is None else from_attributes(item)

    def query(self, pk: str, sk_prefix: str = "") -> list[Item]:
        partition, prefix = _key(pk, sk_prefix or "-")
        if not sk_prefix:
            prefix = b""
        with self._lock:
            items = self._partitions.get(partition, {})
            found = [items[sk] for sk in sorted(items) if sk.startswith(prefix)]
        return [from_attributes(item) for item in found]

    def write(self, write: SingleWrite) -> None:
        self._apply([write])

    def transact(self, writes: Sequence[Write]) -> None:
        check_transaction(writes)
        if writes:
            self._apply(writes)

    def _apply(self, writes: Sequence[Write]) -> None:
        keys = [_key(*key_of(write)) for write in writes]
        for write in writes:
            _check_values(write)
        self.before_write(writes)
        with self._lock:
            before = [self._read(key) for key in keys]
            failed = [
                position
                for position, write in enumerate(writes)
                if write.condition is not None and not holds(write.condition, before[position])
            ]
            if failed:
                current = [
                    from_attributes(item) if item is not None and position in failed else None
                    for position, item in enumerate(before)
                ]
                raise ConditionFailed(writes, failed, current)
            after = [_after(write, item) for write, item in zip(writes, before, strict=True)]
            if sum(size_bytes(item) for item in after if item) > MAX_TRANSACTION_BYTES:
                raise Refused("the transaction is larger than DynamoDB's 4 MB")
            for key, item in zip(keys, after, strict=True):
                self._store(key, item)
        self.after_write(writes)

    def _read(self, key: Key) -> Attributes | None:
        return self._partitions.get(key[0], {}).get(key[1])

    def _store(self, key: Key, item: Attributes | None) -> None:
        partition = self._partitions.setdefault(key[0], {})
        if item is None:
            partition.pop(key[1], None)
        else:
            partition[key[1]] = item


def _key(pk: object, sk: object) -> Key:
    attributes = key_attributes(pk, sk)
    return attributes["pk"]["S"].encode(), attributes["sk"]["S"].encode()


def _check_values(write: Write) -> None:
    """Refuse before the write what `DynamoTable` can't put into a request."""
    match write:
        case Put(item):
            check_size(to_attributes(item))
        case Update():
            to_attributes({**write.set, **write.add})
        case Delete() | Check():
            pass
        case _:
            assert_never(write)
    if write.condition is not None:
        holds(write.condition, {})


def _after(write: Write, item: Attributes | None) -> Attributes | None:
    match write:
        case Put(new):
            return to_attributes(new)
        case Update():
            return _updated(write, item)
        case Delete():
            return None
        case Check():
            return item
        case _:
            assert_never(write)


def _updated(write: Update, item: Attributes | None) -> Attributes:
    attributes = dict(item) if item is not None else key_attributes(write.pk, write.sk)
    attributes.update(to_attributes(write.set))
    for name in write.remove:
        attributes.pop(name, None)
    for name, number in write.add.items():
        old = attributes.get(name, {"N": "0"})
        if "N" not in old:
            raise Refused(f"attribute {name!r} is not a number and can't be added to")
        attributes[name] = to_attribute(int(old["N"]) + number)
    try:
        check_size(attributes)
    except InputError as error:
        raise InputError(f"dynamodb:UpdateItem: {error.message}") from None
    return attributes


def holds(condition: Condition, item: Attributes | None) -> bool:  # noqa: PLR0911 - one a case
    """Decide a condition as DynamoDB does on the item, or on its absence."""
    attributes = item or {}
    match condition:
        case Absent():
            return "pk" not in attributes
        case Present():
            return "pk" in attributes
        case Equals(fields):
            wanted = to_attributes(fields)
            return all(attributes.get(name) == value for name, value in wanted.items())
        case OneOf(field, values):
            return attributes.get(field) in [to_attribute(value) for value in values]
        case AtMost(field, number):
            limit = to_attribute(number)["N"]
            found = attributes.get(field, {})
            return "N" in found and int(found["N"]) <= int(limit)
        case Lacks(field):
            return field not in attributes
        case And(left, right):
            results = (holds(left, item), holds(right, item))
            return results[0] and results[1]
        case Or(left, right):
            results = (holds(left, item), holds(right, item))
            return results[0] or results[1]
        case _:
            assert_never(condition)
