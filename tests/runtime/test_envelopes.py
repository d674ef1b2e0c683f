from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.events import NAMES, event, text
from triggerfish.errors import InputError
from triggerfish.runtime.envelopes import (
    EventBridgeEvent,
    HttpRequest,
    S3Batch,
    S3Object,
    ScheduledEvent,
    SnsBatch,
    SnsNotification,
    SqsBatch,
    SqsRecord,
    event_bridge_event,
    parse_event,
    s3_in_sqs,
    schedule_input,
    sns_in_sqs,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ENVELOPES = [name for name in NAMES if not name.startswith("autoscaling/")]


def records(name: str) -> tuple[SqsRecord, ...]:
    batch = parse_event(event(name))
    assert isinstance(batch, SqsBatch)
    return batch.records


@pytest.mark.parametrize("name", ENVELOPES)
def test_every_sample_is_parsed(name: str) -> None:
    folder = name.partition("/")[0]
    kinds: dict[str, type | tuple[type, ...]] = {
        "sns": SnsBatch,
        "sqs": SqsBatch,
        "s3": S3Batch,
        "http": HttpRequest,
        "eventbridge": (EventBridgeEvent, ScheduledEvent),
    }
    assert isinstance(parse_event(event(name)), kinds[folder])


def test_an_sqs_record() -> None:
    assert records("sqs/sns_raw_launch") == (
        SqsRecord(
            message_id="059f36b4-87a3-44ab-83d2-661975830a07",
            receipt_handle="AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a==",
            body=text("autoscaling/launch"),
            attributes={
                "ApproximateReceiveCount": "1",
                "SentTimestamp": "1733434055612",
                "SenderId": "AIDAIT2UOQQY3AUEKVGXU",
                "ApproximateFirstReceiveTimestamp": "1733434055649",
            },
            receive_count=1,
            message_attributes={"team": "ops", "raw": b"\x00\xff"},
            queue_arn="arn:aws:sqs:ap-southeast-2:123456789012:shop-prod-provision",
            sent_at=datetime(2024, 12, 5, 21, 27, 35, 612000, tzinfo=UTC),
        ),
    )


def test_receive_counts_are_numbers() -> None:
    assert [record.receive_count for record in records("sqs/sns_batch")] == [1, 2, 1, 1, 1]


def test_sns_invoking_the_function() -> None:
    assert parse_event(event("sns/launch")) == SnsBatch(
        (
            SnsNotification(
                topic_arn="arn:aws:sns:ap-southeast-2:123456789012:shop-prod-provision",
                message_id="95df01b4-ee98-5cb9-9903-4c221d41eb5e",
                subject='Auto Scaling: launch for group "my-asg"',
                message=text("autoscaling/launch"),
                attributes={},
                sent_at=datetime(2024, 12, 5, 21, 27, 35, 575000, tzinfo=UTC),
            ),
        )
    )


def test_sns_attributes_and_an_absent_subject() -> None:
    batch = parse_event(event("sns/with_attributes"))
    assert isinstance(batch, SnsBatch)
    assert batch.notifications[0].attributes == {"team": "ops", "raw": b"\x00\xff"}
    assert batch.notifications[0].subject is None


def test_sns_in_sqs() -> None:
    assert sns_in_sqs(records("sqs/sns_launch")[0]) == SnsNotification(
        topic_arn="arn:aws:sns:ap-southeast-2:123456789012:shop-prod-provision",
        message_id="95df01b4-ee98-5cb9-9903-4c221d41eb5e",
        subject='Auto Scaling: launch for group "my-asg"',
        message=text("autoscaling/launch"),
        attributes={},
        sent_at=datetime(2024, 12, 5, 21, 27, 35, 575000, tzinfo=UTC),
    )


def test_a_raw_delivery_is_its_own_content() -> None:
    assert sns_in_sqs(records("sqs/sns_raw_launch")[0]) == SnsNotification(
        topic_arn=None,
        message_id="059f36b4-87a3-44ab-83d2-661975830a07",
        subject=None,
        message=text("autoscaling/launch"),
        attributes={"team": "ops", "raw": b"\x00\xff"},
        sent_at=datetime(2024, 12, 5, 21, 27, 35, 612000, tzinfo=UTC),
    )


def test_a_raw_delivery_may_be_any_text() -> None:
    assert sns_in_sqs(records("sqs/not_json")[0]).message == "Hello, world\n"


def test_a_broken_sns_envelope_says_what_is_missing() -> None:
    record = make_record(
        '{"Type": "Notification", "TopicArn": "arn:aws:sns:::t", "MessageId": "m"}'
    )
    with pytest.raises(InputError) as failure:
        sns_in_sqs(record)
    assert str(failure.value) == (
        "SNS notification in SQS: Object missing required field `Message`"
    )


def test_s3_objects_have_decoded_keys() -> None:
    assert parse_event(event("s3/several")) == S3Batch(
        (
            S3Object(
                bucket="audit-logs",
                key="in/a b+c é.csv",
                size=73400320,
                etag="3858f62230ac3c915f300c664312c11f-9",
                version_id=None,
                sequencer="0055AED6DCD90281E6",
                event_name="ObjectCreated:CompleteMultipartUpload",
                at=datetime(2026, 11, 24, 12, 53, 1, 214000, tzinfo=UTC),
            ),
            S3Object(
                bucket="audit-logs",
                key="in/old.csv",
                size=None,
                etag=None,
                version_id=None,
                sequencer="0055AED6DCD90281E7",
                event_name="ObjectRemoved:Delete",
                at=datetime(2026, 11, 24, 12, 53, 1, 214000, tzinfo=UTC),
            ),
        )
    )


AUDIT_LOG = (
    "AWSLogs/123456789012/redshift/us-east-1/2026/11/24/"
    "123456789012_redshift_us-east-1_shop_userlog_2026-11-24T12:53.gz"
)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("sqs/s3_put", [AUDIT_LOG]),
        ("sqs/sns_s3_put", [AUDIT_LOG]),
        ("sqs/eventbridge_s3", ["AWSLogs/123456789012/redshift/us-east-1/2026/11/24/a+b c:00.gz"]),
        ("sqs/s3_test", []),
    ],
)
def test_s3_in_sqs(name: str, keys: list[str]) -> None:
    assert [each.key for each in s3_in_sqs(records(name)[0])] == keys


def test_s3_through_eventbridge_keeps_its_other_fields() -> None:
    (found,) = s3_in_sqs(records("sqs/eventbridge_s3")[0])
    assert (found.size, found.version_id, found.event_name, found.at) == (
        16770,
        "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
        "Object Created",
        datetime(2026, 11, 24, 12, 53, 2, tzinfo=UTC),
    )


@pytest.mark.parametrize("body", ["Hello", "[]", text("autoscaling/launch"), schedule_input("s")])
def test_what_is_not_an_s3_event_is_an_input_error(body: str) -> None:
    with pytest.raises(InputError):
        s3_in_sqs(make_record(body))


def test_s3_test_event_is_an_empty_batch() -> None:
    assert parse_event(event("s3/test")) == S3Batch(())


def test_an_eventbridge_event() -> None:
    parsed = parse_event(event("eventbridge/lifecycle_action"))
    assert parsed == EventBridgeEvent(
        id="6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        source="aws.autoscaling",
        detail_type="EC2 Instance-launch Lifecycle Action",
        resources=(
            (
                "arn:aws:autoscaling:ap-southeast-2:123456789012:autoScalingGroup:"
                "8dc6c859-0f5e-4a4e-9f2a-6f1c2d3e4f50:autoScalingGroupName/my-asg"
            ),
        ),
        detail={
            "LifecycleActionToken": "71514b9d-6a40-4b26-8523-05e7eeca5e1a",
            "AutoScalingGroupName": "my-asg",
            "LifecycleHookName": "provision",
            "EC2InstanceId": "i-01918b2230392f631",
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
            "NotificationMetadata": '{"role":"web"}',
            "Origin": "EC2",
            "Destination": "AutoScalingGroup",
        },
        time=datetime(2024, 12, 5, 21, 27, 35, tzinfo=UTC),
        region="ap-southeast-2",
        account="123456789012",
    )


@pytest.mark.parametrize(
    ("name", "scheduled"),
    [
        (
            "eventbridge/rule_schedule",
            ScheduledEvent(
                name="every-minute",
                at=datetime(2026, 11, 24, 12, 0, tzinfo=UTC),
                id="89d1a02d-5ec7-412e-82f5-13505f849b41",
            ),
        ),
        (
            "eventbridge/scheduler_default",
            ScheduledEvent(
                name="every-minute",
                at=datetime(2026, 11, 24, 12, 30, tzinfo=UTC),
                id="37666ae6-48cf-4285-b4c6-a3320b38824a",
            ),
        ),
        (
            "eventbridge/scheduler_input",
            ScheduledEvent(
                name="sweep",
                at=datetime(2026, 11, 24, 12, 31, tzinfo=UTC),
                id="d32c5kddcf5bb8c3",
            ),
        ),
        ("eventbridge/scheduler_input_unfilled", ScheduledEvent(name="sweep", at=None, id=None)),
    ],
)
def test_schedules(name: str, scheduled: ScheduledEvent) -> None:
    assert parse_event(event(name)) == scheduled


def test_our_schedule_input_asks_for_the_scheduled_time() -> None:
    assert schedule_input("sweep") == (
        '{"schedule": "sweep", "time": "<aws.scheduler.scheduled-time>", '
        '"id": "<aws.scheduler.execution-id>"}'
    )


def test_an_event_of_another_schedule_like_detail_type_is_not_a_schedule() -> None:
    changed = event("eventbridge/rule_schedule") | {"source": "com.example"}
    assert isinstance(parse_event(changed), EventBridgeEvent)


@pytest.mark.parametrize("detail", ["[]", "not JSON", "1"])
def test_a_detail_that_is_no_object_is_refused(detail: str) -> None:
    with pytest.raises(InputError, match="EventBridge event: detail is not"):
        event_bridge_event({"source": "s", "detail-type": "d", "detail": detail})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "an event is a JSON object, found NoneType"),
        ([], "an event is a JSON object, found list"),
        ({}, "an event of no known kind; its keys are none"),
        ({"hello": 1}, "an event of no known kind; its keys are 'hello'"),
        ({"Records": []}, "Records of one known source are wanted; their sources are none"),
        ({"Records": 1}, "Records: Expected `array`, got `int`"),
        (
            {"Records": [{"eventSource": "aws:kinesis"}]},
            "Records of one known source are wanted; their sources are aws:kinesis",
        ),
        (
            {"Records": [{"eventSource": "aws:sqs"}, {"EventSource": "aws:sns"}]},
            "Records of one known source are wanted; their sources are aws:sns, aws:sqs",
        ),
        (
            {"Records": [{"eventSource": "aws:sqs", "messageId": "m"}]},
            "SQS records: Object missing required field `body` - at `$[0]`",
        ),
        (
            {"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": {}}]},
            "SQS records: Expected `str`, got `object` - at `$[0].body`",
        ),
        (
            {
                "Records": [
                    {
                        "eventSource": "aws:sqs",
                        "messageId": "m",
                        "body": "",
                        "attributes": {"ApproximateReceiveCount": "often"},
                    }
                ]
            },
            "SQS records: ApproximateReceiveCount is not a number",
        ),
        (
            {
                "Records": [
                    {
                        "eventSource": "aws:sqs",
                        "messageId": "m",
                        "body": "",
                        "messageAttributes": {"a": {"binaryValue": "*"}},
                    }
                ]
            },
            "message attribute 'a' is not base64",
        ),
        ({"schedule": 5}, "schedule: Expected `str`, got `int` - at `$.schedule`"),
        (
            {"detail-type": "x"},
            "EventBridge event: Object missing required field `source`",
        ),
    ],
)
def test_malformed_events_are_input_errors_with_the_reason(bad: object, message: str) -> None:
    with pytest.raises(InputError) as failure:
        parse_event(bad)
    assert str(failure.value) == message


# ---- whatever comes, it is parsed or an InputError ----

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(JSON)
def test_any_json_is_parsed_or_an_input_error(value: object) -> None:
    parsed_or_refused(lambda: parse_event(value))


@given(st.data())
def test_any_sample_with_anything_changed_is_parsed_or_an_input_error(data: st.DataObject) -> None:
    sample = event(data.draw(st.sampled_from(ENVELOPES)))
    for _ in range(data.draw(st.integers(1, 3))):
        _change_something(data, sample)
    parsed_or_refused(lambda: parse_event(sample))


def _change_something(data: st.DataObject, sample: dict[str, object]) -> None:
    place: dict[str, object] = sample
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        inner = place[key]
        if isinstance(inner, list) and inner:
            inner = inner[0]
        if not isinstance(inner, dict) or not inner or data.draw(st.booleans()):
            break
        place = inner
    if data.draw(st.booleans()):
        place[key] = data.draw(JSON)
    elif len(place) > 1:
        del place[key]


BODIES = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=30),
    JSON.map(json.dumps),
    st.sampled_from(["[" * 100_000, '{"a":' * 100_000, '"\\ud800"', "NaN", "\x00"]),
)


@given(BODIES)
def test_any_body_is_parsed_or_an_input_error(body: str) -> None:
    record = make_record(body)
    parsed_or_refused(lambda: sns_in_sqs(record))
    parsed_or_refused(lambda: s3_in_sqs(record))


def parsed_or_refused(parse: Callable[[], object]) -> None:
    try:
        parse()
    except InputError as error:
        assert error.message  # noqa: PT017 - the type is the test, the message must not be empty


def make_record(body: str = "", **changes: object) -> SqsRecord:
    fields: dict[str, object] = {
        "message_id": "m-1",
        "receipt_handle": "r",
        "body": body,
        "attributes": {},
        "receive_count": 1,
        "message_attributes": {},
        "queue_arn": "arn:aws:sqs:eu-west-1:123456789012:q",
        "sent_at": None,
    }
    return SqsRecord(**{**fields, **changes})  # type: ignore[arg-type]
