"""Objects read piece by piece, and what their ends in S3 become."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from triggerfish.audit.s3 import ObjectForbidden, ObjectGone, S3Objects
from triggerfish.errors import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

LOG = bytes(range(256)) * 10


def failure(code: str, status: int = 400) -> ClientError:
    details: Any = {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(details, "GetObject")


class Client:
    """S3 as far as reading needs it, which fails as it is told to."""

    def __init__(self, data: bytes = LOG, *, etag: str = "abc", version: str | None = None) -> None:
        self.data = data
        self.etag = etag
        self.version = version
        self.requests: list[dict[str, Any]] = []
        self.fails: list[Exception] = []
        self.notifications: dict[str, Any] = {}
        self.put: list[dict[str, Any]] = []

    def get_object(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        if self.fails:
            raise self.fails.pop(0)
        answer: dict[str, Any] = {"ETag": f'"{self.etag}"', "ContentLength": len(self.data)}
        if self.version:
            answer["VersionId"] = self.version
        if request.get("IfMatch") not in {None, f'"{self.etag}"'}:
            raise failure("PreconditionFailed", 412)
        if "Range" not in request:
            return {**answer, "Body": io.BytesIO(self.data)}
        first, last = map(int, request["Range"].removeprefix("bytes=").split("-"))
        if first >= len(self.data):
            raise failure("InvalidRange", 416)
        piece = self.data[first : last + 1]
        answer["ContentRange"] = f"bytes {first}-{first + len(piece) - 1}/{len(self.data)}"
        return {**answer, "ContentLength": len(piece), "Body": io.BytesIO(piece)}

    def put_object(self, **request: Any) -> dict[str, Any]:
        if self.fails:
            raise self.fails.pop(0)
        self.put.append(request)
        return {"ETag": '"new"', "VersionId": "v2"}

    def head_object(self, **request: Any) -> dict[str, Any]:
        return {"ETag": f'"{self.etag}"', "VersionId": "v1"}

    def get_bucket_notification_configuration(self, **request: Any) -> dict[str, Any]:
        return {**self.notifications, "ResponseMetadata": {}}

    def put_bucket_notification_configuration(self, **request: Any) -> None:
        self.put.append(request)


def objects(client: Client, piece_bytes: int = 1000) -> S3Objects:
    return S3Objects(client, piece_bytes=piece_bytes)  # type: ignore[arg-type]


def whole(reader: Any, size: int = 300) -> bytes:
    pieces = iter(lambda: reader.read(size), b"")
    return b"".join(pieces)


@pytest.mark.parametrize("piece_bytes", [1, 100, 999, 2559, 2560, 2561, 10_000])
@pytest.mark.parametrize("size", [1, 300, 100_000])
def test_an_object_is_its_pieces_in_order(piece_bytes: int, size: int) -> None:
    reader = objects(Client(), piece_bytes).open("b", "k")
    assert (reader.etag, reader.version, reader.size) == ("abc", "", 2560)
    assert whole(reader, size) == LOG


def test_no_more_than_a_piece_is_in_memory() -> None:
    client = Client()
    reader = objects(client).open("b", "k")
    assert len(client.requests) == 1
    assert len(reader.read(10_000)) == 1000
    assert len(client.requests) == 1


def test_every_piece_is_of_the_object_that_was_opened() -> None:
    client = Client()
    reader = objects(client).open("b", "k")
    client.etag = "def"
    with pytest.raises(Unavailable, match=r"^b/k was replaced while it was read$"):
        whole(reader)
    assert client.requests[1]["IfMatch"] == '"abc"'


def test_one_version_is_read_when_one_is_asked_for() -> None:
    client = Client(version="v7")
    reader = objects(client).open("b", "k", "v7")
    assert client.requests[0]["VersionId"] == "v7"
    assert reader.version == "v7"


def test_an_object_of_no_bytes_is_read_too() -> None:
    reader = objects(Client(b"")).open("b", "k")
    assert (reader.size, reader.read(10)) == (0, b"")


def test_a_version_from_before_versioning_is_none() -> None:
    assert objects(Client(version="null")).open("b", "k").version == ""


def test_a_connection_that_breaks_is_opened_again() -> None:
    client = Client()
    client.fails = [ReadTimeoutError(endpoint_url="https://s3"), failure("SlowDown", 503)]
    assert whole(objects(client).open("b", "k")) == LOG


def test_a_connection_that_keeps_breaking_is_for_later() -> None:
    client = Client()
    client.fails = [failure("SlowDown", 503)] * 4
    with pytest.raises(Unavailable):
        objects(client).open("b", "k")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (failure("NoSuchKey", 404), ObjectGone, "b/k was deleted before it was read"),
        (failure("NoSuchVersion", 404), ObjectGone, "b/k was deleted before it was read"),
        (failure("MethodNotAllowed", 405), ObjectGone, "b/k was deleted before it was read"),
        (failure("AccessDenied", 403), ObjectForbidden, "b/k may not be read: AccessDenied"),
        (
            failure("InvalidObjectState", 403),
            ObjectForbidden,
            "b/k may not be read: InvalidObjectState",
        ),
        (failure("NoSuchBucket", 404), Refused, "s3:GetObject, b/k: NoSuchBucket: no"),
    ],
    ids=["key", "version", "delete marker", "denied", "archived", "bucket"],
)
def test_what_cannot_be_read_says_why(error: ClientError, kind: type, message: str) -> None:
    client = Client()
    client.fails = [error]
    with pytest.raises(Refused) as raised:
        objects(client).open("b", "k")
    assert type(raised.value) is kind
    assert raised.value.message == message


# ---- writing ----


def test_a_batch_is_written_unless_it_is_there() -> None:
    client = Client()
    assert objects(client).keep("b", "k", b"x") == ("new", "v2")
    assert client.put == [{"Bucket": "b", "Key": "k", "Body": b"x", "IfNoneMatch": "*"}]


def test_a_batch_that_is_there_is_what_it_was() -> None:
    client = Client()
    client.fails = [failure("PreconditionFailed", 412)]
    assert objects(client).keep("b", "k", b"x") == ("abc", "v1")


def test_a_batch_that_may_not_be_written_is_refused() -> None:
    client = Client()
    client.fails = [failure("AccessDenied", 403)]
    with pytest.raises(Refused, match="AccessDenied"):
        objects(client).keep("b", "k", b"x")


# ---- the bucket's switch ----

QUEUES = {"QueueConfigurations": [{"QueueArn": "arn:aws:sqs:x", "Events": ["s3:ObjectCreated:*"]}]}


def test_the_switch_is_added_to_what_others_have_set_up() -> None:
    client = Client()
    client.notifications = dict(QUEUES)
    assert objects(client).announce("b") is True
    assert client.put == [
        {
            "Bucket": "b",
            "NotificationConfiguration": {**QUEUES, "EventBridgeConfiguration": {}},
            "SkipDestinationValidation": True,
        }
    ]


def test_a_switch_that_is_on_is_left_alone() -> None:
    client = Client()
    client.notifications = {"EventBridgeConfiguration": {}}
    assert objects(client).announces("b")
    assert objects(client).announce("b") is False
    assert client.put == []


# ---- listing ----


def paged(pages: list[dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def list_objects_v2(**request: Any) -> dict[str, Any]:
        return pages[int(request.get("ContinuationToken", 0))]

    return list_objects_v2


def test_a_listing_goes_through_all_pages() -> None:
    client: Any = Client()
    item = {"ETag": '"e"', "Size": 1, "LastModified": None}
    client.list_objects_v2 = paged(
        [
            {
                "Contents": [{"Key": "a", **item}],
                "CommonPrefixes": [{"Prefix": "x/"}],
                "IsTruncated": True,
                "NextContinuationToken": "1",
            },
            {"Contents": [{"Key": "b", **item}], "CommonPrefixes": [{"Prefix": "y/"}]},
        ]
    )
    assert [(each.key, each.etag) for each in objects(client).listing("b", "")] == [
        ("a", "e"),
        ("b", "e"),
    ]
    assert objects(client).folders("b", "") == ["x/", "y/"]
