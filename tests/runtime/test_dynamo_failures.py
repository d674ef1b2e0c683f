"""What DynamoTable makes of the ways DynamoDB fails, with a client that fails as told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from triggerfish.errors import InputError, Refused, Unavailable
from triggerfish.runtime.table import Absent, ConditionFailed, DynamoTable, Put

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class FailingClient:
    """Raises each of the given errors once, then succeeds; keeps what it was sent."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.requests: list[dict[str, Any]] = []

    def put_item(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        if self._errors:
            raise self._errors.pop(0)
        return {}

    transact_write_items = get_item = query = put_item


def failed(code: str, message: str = "", **response: object) -> ClientError:
    body: Any = {"Error": {"Code": code, "Message": message}, **response}
    return ClientError(body, "PutItem")


def cancelled(*codes: str, message: str = "m") -> ClientError:
    reasons = [{"Code": code, "Message": message} for code in codes]
    return failed("TransactionCanceledException", CancellationReasons=reasons)


def table(client: FailingClient, slept: list[float] | None = None) -> DynamoTable:
    return DynamoTable(
        cast("DynamoDBClient", client),
        "state",
        sleep=(slept if slept is not None else []).append,
        random=lambda: 0.5,
    )


ONE = Put({"pk": "p", "sk": "1"}, Absent())
TWO = Put({"pk": "p", "sk": "2"})


@pytest.mark.parametrize(
    "contended",
    [
        cancelled("TransactionConflict", "None"),
        cancelled("ThrottlingError", "TransactionConflict"),
        cancelled("ProvisionedThroughputExceeded", "None"),
        failed("TransactionInProgressException"),
    ],
    ids=str,
)
def test_a_contended_transaction_is_tried_again(contended: ClientError) -> None:
    client, slept = FailingClient(contended, contended), list[float]()
    table(client, slept).transact([ONE, TWO])
    assert len(client.requests) == 3
    assert slept == [0.05, 0.1]


def test_a_write_contended_by_a_transaction_is_tried_again() -> None:
    client = FailingClient(failed("TransactionConflictException"))
    table(client).write(ONE)
    assert len(client.requests) == 2


def test_lasting_contention_is_unavailable() -> None:
    client, slept = FailingClient(*[cancelled("TransactionConflict", "None")] * 6), list[float]()
    with pytest.raises(Unavailable) as failure:
        table(client, slept).transact([ONE, TWO])
    assert type(failure.value) is Unavailable
    assert str(failure.value) == (
        "dynamodb:TransactWriteItems: the items stayed contended through 6 attempts"
    )
    assert slept == [0.05, 0.1, 0.2, 0.4, 0.5]


def test_a_failed_condition_outweighs_contention() -> None:
    client = FailingClient(cancelled("TransactionConflict", "ConditionalCheckFailed"))
    with pytest.raises(ConditionFailed) as failure:
        table(client).transact([ONE, TWO])
    assert failure.value.failed == (1,)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            failed("ValidationException", "Item size has exceeded the maximum allowed size"),
            InputError,
        ),
        (failed("ValidationException", "Type mismatch for attribute"), Refused),
        (failed("ResourceNotFoundException"), Refused),
        (failed("AccessDeniedException"), Refused),
        (failed("ThrottlingException"), Unavailable),
        (failed("InternalServerError"), Unavailable),
        (ReadTimeoutError(endpoint_url="http://192.0.2.1"), Unavailable),
    ],
    ids=lambda value: str(value)[:60],
)
def test_other_failures_of_a_write(error: Exception, kind: type[Exception]) -> None:
    client = FailingClient(error)
    with pytest.raises(kind) as failure:
        table(client).write(ONE)
    assert type(failure.value) is kind
    assert len(client.requests) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            cancelled("None", "ValidationError", message="Item size to update has exceeded"),
            InputError,
        ),
        (cancelled("ValidationError", "None", message="wrong type"), Refused),
        (cancelled("ItemCollectionSizeLimitExceeded", "None"), Refused),
    ],
    ids=str,
)
def test_other_failures_of_a_transaction(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind) as failure:
        table(FailingClient(error)).transact([ONE, TWO])
    assert type(failure.value) is kind


def test_a_failed_read_is_translated() -> None:
    with pytest.raises(Unavailable) as failure:
        table(FailingClient(failed("ThrottlingException", "slow down"))).get("p", "1")
    assert str(failure.value) == "dynamodb:GetItem, p 1: ThrottlingException: slow down"
    with pytest.raises(Refused) as refused:
        table(FailingClient(failed("AccessDeniedException", "no"))).query("p", "1")
    assert str(refused.value) == "dynamodb:Query, p 1: AccessDeniedException: no"


def test_a_read_is_consistent() -> None:
    client = FailingClient()
    assert table(client).get("p", "1") is None
    assert client.requests == [
        {
            "TableName": "state",
            "Key": {"pk": {"S": "p"}, "sk": {"S": "1"}},
            "ConsistentRead": True,
        }
    ]


def test_names_and_values_are_never_expression_text() -> None:
    client = FailingClient()
    table(client).write(Put({"pk": "p", "sk": "1", "status": "x"}, Absent()))
    assert client.requests == [
        {
            "TableName": "state",
            "Item": {"pk": {"S": "p"}, "sk": {"S": "1"}, "status": {"S": "x"}},
            "ConditionExpression": "attribute_not_exists(#n0)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            "ExpressionAttributeNames": {"#n0": "pk"},
        }
    ]
