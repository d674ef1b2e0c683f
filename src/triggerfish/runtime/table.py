"""The state table: one DynamoDB table keyed by `pk` and `sk`; every read is consistent.

Nothing is read, changed and written back without a condition. A condition that fails raises
`ConditionFailed` with what is there now, so that the caller can decide again without reading.
`MemoryTable` in `triggerfish.local.fakes.table` keeps the same promises and passes the same tests.

Items past their `expires_at` may still be returned: DynamoDB removes them within days, not at once.
A retry inside botocore can make a write whose answer was lost find its own effect: a condition
then fails though the write was made, and an `add` may count twice. Callers read `current`.

Limits: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec import Struct

from triggerfish.blueprint import Call
from triggerfish.errors import Conflict, Error, InputError, Refused, Unavailable
from triggerfish.runtime.attribute_values import (
    Item,
    Value,
    check_size,
    from_attributes,
    key_attributes,
    to_attributes,
)
from triggerfish.runtime.aws import calling, error_code, error_message, translate
from triggerfish.runtime.conditions import (
    Absent,
    And,
    AtMost,
    Condition,
    Equals,
    Expression,
    Lacks,
    OneOf,
    Or,
    Present,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from botocore.exceptions import ClientError
    from types_boto3_dynamodb import DynamoDBClient

__all__ = [
    "CALLS",
    "Absent",
    "And",
    "AtMost",
    "Check",
    "Condition",
    "ConditionFailed",
    "Delete",
    "DynamoTable",
    "Equals",
    "Item",
    "Lacks",
    "OneOf",
    "Or",
    "Present",
    "Put",
    "Table",
    "Update",
    "Value",
    "Write",
]

MAX_TRANSACTION_WRITES = 100
MAX_ATTEMPTS = 6
FIRST_DELAY_S = 0.05
MAX_DELAY_S = 1.0
_CONTENDED = {
    "None",
    "TransactionConflict",
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
}
_BUSY = {"TransactionConflictException", "TransactionInProgressException"}

CALLS = tuple(
    Call(f"dynamodb:{action}", "${StateTable.Arn}")
    for action in (
        "ConditionCheckItem",
        "DeleteItem",
        "GetItem",
        "PutItem",
        "Query",
        "UpdateItem",
    )
)
"""A transaction needs the permissions of its parts and none of its own."""


class Put(Struct, frozen=True):
    """Make `item`, which holds its `pk` and `sk`, the whole item."""

    item: Mapping[str, Value]
    condition: Condition | None = None


class Update(Struct, frozen=True):
    """Change some attributes and keep the rest. Makes the item where there is none.

    `add` adds to a number, from 0 where there is none.
    """

    pk: str
    sk: str
    set: Mapping[str, Value] = {}
    remove: Sequence[str] = ()
    add: Mapping[str, int] = {}
    condition: Condition | None = None

    def __post_init__(self) -> None:
        names = [*self.set, *self.remove, *self.add]
        if not names or len(names) != len({*names} - {"pk", "sk"}):
            raise ValueError(f"an update names each attribute once, and no key: found {names}")


class Delete(Struct, frozen=True):
    """Remove the item; nothing happens where there is none."""

    pk: str
    sk: str
    condition: Condition | None = None


class Check(Struct, frozen=True):
    """Change nothing, but let the transaction happen only if this holds."""

    pk: str
    sk: str
    condition: Condition


SingleWrite: TypeAlias = "Put | Update | Delete"
Write: TypeAlias = "Put | Update | Delete | Check"


class ConditionFailed(Conflict):
    """One or more conditions did not hold, and nothing was written.

    `failed` are the positions of the writes whose condition failed. `current` has one entry for
    each write: the item as it is now where the condition failed and there is one, else None.
    """

    def __init__(
        self, writes: Sequence[Write], failed: Sequence[int], current: Sequence[Item | None]
    ) -> None:
        where = ", ".join(" ".join(map(repr, key_of(writes[position]))) for position in failed)
        super().__init__(f"somebody else changed the state first: {where}")
        self.failed = tuple(failed)
        self.current = tuple(current)


class Table(Protocol):
    def get(self, pk: str, sk: str) -> Item | None:
        """Read one item as it is now."""

    def query(self, pk: str, sk_prefix: str = "") -> list[Item]:
        """Read all items of `pk` whose `sk` begins with the prefix, in order of `sk`."""

    def write(self, write: SingleWrite) -> None:
        """Write one item. Raises ConditionFailed."""

    def transact(self, writes: Sequence[Write]) -> None:
        """Write all or nothing; up to 100 writes, one an item. Raises ConditionFailed."""


def key_of(write: Write) -> tuple[object, object]:
    match write:
        case Put(item):
            return item.get("pk"), item.get("sk")
        case Update(pk, sk) | Delete(pk, sk) | Check(pk, sk):
            return pk, sk


def check_transaction(writes: Sequence[Write]) -> None:
    """Raise ValueError for what DynamoDB never takes: these are mistakes in the program."""
    if len(writes) > MAX_TRANSACTION_WRITES:
        raise ValueError(f"{len(writes)} writes, a transaction takes {MAX_TRANSACTION_WRITES}")
    keys = [key_of(write) for write in writes]
    if len(set(keys)) != len(keys):
        raise ValueError("a transaction writes one item twice")


class DynamoTable:
    def __init__(
        self,
        client: DynamoDBClient,
        name: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._name = name
        self._sleep = sleep
        self._random = random

    def get(self, pk: str, sk: str) -> Item | None:
        key = key_attributes(pk, sk)
        with calling("dynamodb:GetItem", f"{pk} {sk}"):
            answer = self._client.get_item(TableName=self._name, Key=key, ConsistentRead=True)
        item = answer.get("Item")
        return None if item is None else from_attributes(item)

    def query(self, pk: str, sk_prefix: str = "") -> list[Item]:
        request = self._query_request(pk, sk_prefix)
        items: list[Item] = []
        while True:
            with calling("dynamodb:Query", f"{pk} {sk_prefix}".rstrip()):
                answer = self._client.query(**request)
            items.extend(from_attributes(item) for item in answer["Items"])
            if not answer.get("LastEvaluatedKey"):
                return items
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _query_request(self, pk: str, sk_prefix: str) -> dict[str, Any]:
        values = {":pk": key_attributes(pk, "-")["pk"]}
        condition = "pk = :pk"
        if sk_prefix:
            values[":sk"] = key_attributes(pk, sk_prefix)["sk"]
            condition = "pk = :pk AND begins_with(sk, :sk)"
        return {
            "TableName": self._name,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ConsistentRead": True,
        }

    def write(self, write: SingleWrite) -> None:
        request = _request(self._name, write)
        match write:
            case Put():
                self._send("dynamodb:PutItem", [write], lambda: self._client.put_item(**request))
            case Update():
                self._send(
                    "dynamodb:UpdateItem", [write], lambda: self._client.update_item(**request)
                )
            case Delete():
                self._send(
                    "dynamodb:DeleteItem", [write], lambda: self._client.delete_item(**request)
                )

    def transact(self, writes: Sequence[Write]) -> None:
        check_transaction(writes)
        match writes:
            case []:
                return
            case [Put() | Update() | Delete() as write]:  # half the price of a transaction of one
                self.write(write)
            case _:
                items: Any = [{_action(write): _request(self._name, write)} for write in writes]
                self._send(
                    "dynamodb:TransactWriteItems",
                    writes,
                    lambda: self._client.transact_write_items(TransactItems=items),
                )

    def _send(self, call: str, writes: Sequence[Write], send: Callable[[], object]) -> None:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - only where AWS is called

        for attempt in range(MAX_ATTEMPTS):
            if attempt:
                self._sleep(self._random() * min(MAX_DELAY_S, FIRST_DELAY_S * 2**attempt))
            try:
                with calling(
                    call, f"{len(writes)} write(s) to {self._name}", pass_client_errors=True
                ):
                    send()
            except ClientError as error:
                if failure := _failure(error, call, writes):
                    raise failure from error
            else:
                return
        raise Unavailable(f"{call}: the items stayed contended through {MAX_ATTEMPTS} attempts")


def _action(write: Write) -> str:
    return "ConditionCheck" if isinstance(write, Check) else type(write).__name__


def _request(table: str, write: Write) -> dict[str, Any]:
    """Build the request of one write; the same members serve alone and in a transaction."""
    expression = Expression()
    key = key_attributes(*key_of(write))
    request: dict[str, Any] = {"TableName": table}
    if isinstance(write, Put):
        request["Item"] = to_attributes(write.item)
        check_size(request["Item"])
    else:
        request["Key"] = key
    if isinstance(write, Update):
        request["UpdateExpression"] = _update_expression(write, expression)
    if write.condition is not None:
        request["ConditionExpression"] = expression.condition(write.condition)
        request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    if expression.names:
        request["ExpressionAttributeNames"] = expression.names
    if expression.values:
        request["ExpressionAttributeValues"] = expression.values
    return request


def _update_expression(update: Update, expression: Expression) -> str:
    name, value = expression.name, expression.value
    clauses = {
        "SET": [f"{name(key)} = {value(key, new)}" for key, new in update.set.items()],
        "REMOVE": [name(key) for key in update.remove],
        "ADD": [f"{name(key)} {value(key, number)}" for key, number in update.add.items()],
    }
    return " ".join(f"{word} {', '.join(parts)}" for word, parts in clauses.items() if parts)


def _failure(error: ClientError, call: str, writes: Sequence[Write]) -> Error | None:
    """Say what a failed write means; None means contended, worth another attempt now."""
    code = error_code(error)
    response: Mapping[str, Any] = error.response
    if code == "ConditionalCheckFailedException":
        return ConditionFailed(writes, [0], [_current(response)])
    if code in _BUSY:
        return None
    if code == "TransactionCanceledException":
        return _cancellation(response.get("CancellationReasons", []), call, writes)
    if _too_large(error_message(error)):
        return InputError(f"{call}: {error_message(error)}")
    return translate(error, f"{call} {key_of(writes[0])}")


def _cancellation(
    reasons: Sequence[Mapping[str, Any]], call: str, writes: Sequence[Write]
) -> Error | None:
    codes = [reason.get("Code") or "None" for reason in reasons]
    failed = [at for at, code in enumerate(codes) if code == "ConditionalCheckFailed"]
    if failed:
        return ConditionFailed(writes, failed, [_current(reason) for reason in reasons])
    for reason, code in zip(reasons, codes, strict=True):
        if code not in _CONTENDED:
            text = f"{call}: {code}: {reason.get('Message')}"
            return InputError(text) if _too_large(text) else Refused(text)
    return None


def _current(response: Mapping[str, Any]) -> Item | None:
    item = response.get("Item")
    return from_attributes(item) if item else None


def _too_large(message: str) -> bool:
    return "item size" in message.lower()
