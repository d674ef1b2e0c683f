"""The function from what wakes it to what is told, with the rules that come with it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.audit.world import BUCKET, key_of
from tests.events import event, text
from triggerfish.audit import handler
from triggerfish.audit.assembly import Assembly
from triggerfish.audit.config import Audit
from triggerfish.audit.resources import settings_of
from triggerfish.errors import InputError
from triggerfish.local.fakes.clock import ManualClock
from triggerfish.local.fakes.table import MemoryTable

if TYPE_CHECKING:
    from triggerfish.notice import Notice

OWN = "shop-own"
QUEUE = "https://sqs.example.com/shop-audit"
PID, XID = 1073742045, 245578
GROUP = "/aws/redshift/analytics/connectionlog"


def failed(second: int, user: str = "awsuser") -> str:
    return (
        f"authentication failure |Tue, 24 Nov 2026 10:00:{second:02}:177|::ffff:198.51.100.23"
        f" |50443 |{PID - second - 1}|dev |{user} |password |0|TLSv1.2 |ECDHE |0| | | |psql"
        " |Linux |libpq |none |0|da9edc00-a1e6-44e0-8274-000000000001\n"
    )


LOGIN = (
    failed(30).replace("authentication failure", "authenticated").replace(str(PID - 31), str(PID))
)
CONNECTIONS = "".join(failed(second) for second in range(12)) + LOGIN
CHANGES = f"101|bob | |drop |0|0|0|9223372036854775807|{PID}|{XID}|Tue, 24 Nov 2026 10:01:00:695\n"
STATEMENTS = (
    f"'2026-11-24T10:01:00Z UTC [ db=dev user=awsuser pid={PID} userid=100 xid={XID} ]' LOG:"
    " DROP USER bob\n"
)


class S3:
    """Buckets in memory."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}

    def get_object(self, **request: Any) -> dict[str, Any]:
        data = self.objects.get((request["Bucket"], request["Key"]))
        if data is None:
            raise _error("NoSuchKey")
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return {"ETag": f'"{etag}"', "ContentLength": len(data), "Body": io.BytesIO(data)}

    def put_object(self, **request: Any) -> dict[str, Any]:
        place = request["Bucket"], request["Key"]
        if "IfNoneMatch" in request and place in self.objects:
            raise _error("PreconditionFailed")
        self.objects[place] = request["Body"]
        return self.head_object(**request)

    def head_object(self, **request: Any) -> dict[str, Any]:
        data = self.objects[request["Bucket"], request["Key"]]
        return {"ETag": f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'}

    def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        bucket, prefix = request["Bucket"], request["Prefix"]
        keys = [key for b, key in sorted(self.objects) if b == bucket and key.startswith(prefix)]
        if "Delimiter" in request:
            rests = {key.removeprefix(prefix).partition("/")[0] for key in keys}
            return {"CommonPrefixes": [{"Prefix": f"{prefix}{rest}/"} for rest in sorted(rests)]}
        heads = {key: self.head_object(Bucket=bucket, Key=key)["ETag"] for key in keys}
        contents = [
            {"Key": key, "ETag": etag, "Size": 1, "LastModified": datetime.now(UTC)}
            for key, etag in heads.items()
        ]
        return {"Contents": contents}


def _error(code: str) -> ClientError:
    details: Any = {"Error": {"Code": code, "Message": "no"}}
    return ClientError(details, "any")


class Sqs:
    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send_message(self, **request: Any) -> None:
        self.sent.append(request)


class Clients:
    def __init__(self) -> None:
        self.s3 = S3()
        self.sqs = Sqs()

    def client(self, name: str) -> Any:
        return {"s3": self.s3}[name]


class Context:
    aws_request_id = "run-1"

    def __init__(self, left_ms: int = 300_000) -> None:
        self.left_ms = left_ms

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms


class Told:
    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def send(self, notice: Notice) -> None:
        self.notices.append(notice)


class Buried:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def send(self, record: object, reason: str) -> None:
        self.reasons.append(reason)

    def send_event(self, event: object, reason: str) -> None:
        self.reasons.append(reason)


class Stack:
    """The function with everything around it in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.clients = Clients()
        self.clock = ManualClock()
        self.table = MemoryTable()
        self.told = Told()
        self.buried = Buried()
        audit = Audit(**{"bucket": BUCKET, **settings})
        self.assembly = Assembly(
            settings_of(audit),
            self.clients,  # type: ignore[arg-type]
            self.table,
            self.clock,
            stack="shop-local",
            own_bucket=OWN,
            queue_url=QUEUE,
            notices=self.told,
            dead_letters=self.buried,
        )
        monkeypatch.setattr(handler, "assembly", lambda: self.assembly)
        monkeypatch.setattr(handler, "dead_letters", lambda: self.buried)
        monkeypatch.setenv("AWS_REGION", "eu-central-1")

    def put(self, kind: str, content: str) -> str:
        key = key_of(kind)
        self.clients.s3.objects[BUCKET, key] = gzip.compress(content.encode(), mtime=0)
        return key

    def announce(self, *keys: str, left_ms: int = 300_000) -> Any:
        return handler.handle(sqs(*(created(key) for key in keys)), Context(left_ms))

    def sweep(self) -> Any:
        return handler.handle(event("eventbridge/scheduler_input"), Context())

    def rules_told(self) -> list[str]:
        day = self.assembly.findings.day("2026-11-24")
        return sorted({each.finding.rule for each in day})


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Stack:
    return Stack(monkeypatch)


def created(key: str) -> str:
    bridged = json.loads(text("sqs/eventbridge_s3"))["Records"][0]["body"]
    content = json.loads(bridged)
    content["detail"]["bucket"]["name"] = BUCKET
    content["detail"]["object"] = {"key": key, "size": 1}
    return json.dumps(content)


def sqs(*bodies: str) -> dict[str, Any]:
    envelope = event("sqs/s3_put")
    (record,) = envelope["Records"]
    records = [{**record, "messageId": f"m-{n}", "body": body} for n, body in enumerate(bodies)]
    return {"Records": records}


OK: dict[str, list[object]] = {"batchItemFailures": []}


def test_logs_that_land_together_name_the_actor_in_one_notice(stack: Stack) -> None:
    keys = [
        stack.put("userlog", CHANGES),
        stack.put("connectionlog", CONNECTIONS),
        stack.put("useractivitylog", STATEMENTS),
    ]
    assert stack.announce(*keys) == OK
    assert "brute-force-success" in stack.rules_told()
    (notice,) = stack.told.notices
    assert notice.severity == "critical"
    assert dict(notice.facts)["From"] == "198.51.100.23"
    assert dict(notice.facts)["Who"] == "awsuser"
    assert notice.evidence == ("DROP USER bob",)


def test_logs_in_the_worst_order_complete_the_finding_later(stack: Stack) -> None:
    stack.announce(stack.put("userlog", CHANGES))
    (first,) = stack.told.notices
    assert first.title == "shop: A database user was dropped"
    assert "Who" not in dict(first.facts)
    stack.clock.advance(60)
    stack.announce(stack.put("useractivitylog", STATEMENTS))
    stack.clock.advance(60)
    stack.announce(stack.put("connectionlog", CONNECTIONS))
    (dropped,) = [
        each.finding
        for each in stack.assembly.findings.day("2026-11-24")
        if each.finding.rule == "user-changed"
    ]
    assert (dropped.actor, dropped.source, dropped.statement) == (
        "awsuser",
        "198.51.100.23",
        "DROP USER bob",
    )
    assert dropped.file.endswith(key_of("userlog"))


def test_the_same_message_again_tells_nothing(stack: Stack) -> None:
    key = stack.put("connectionlog", CONNECTIONS)
    stack.announce(key)
    stack.announce(key, key)
    assert len(stack.told.notices) == 1


def test_a_test_message_and_a_deletion_are_nothing_to_do(stack: Stack) -> None:
    assert handler.handle(event("sqs/s3_test"), Context()) == OK
    assert stack.told.notices == []


def test_a_message_that_is_none_goes_to_the_dead_letters_and_the_rest_is_read(
    stack: Stack,
) -> None:
    key = stack.put("connectionlog", CONNECTIONS)
    assert handler.handle(sqs("{}", created(key)), Context()) == OK
    assert len(stack.buried.reasons) == 1
    assert len(stack.told.notices) == 1


def test_a_log_that_was_deleted_is_told(stack: Stack) -> None:
    stack.announce(key_of())
    (notice,) = stack.told.notices
    assert notice.title == "shop: An audit log could not be read"


def test_a_truncated_log_is_read_to_its_end_and_told(stack: Stack) -> None:
    key = stack.put("connectionlog", CONNECTIONS)
    stack.clients.s3.objects[BUCKET, key] = stack.clients.s3.objects[BUCKET, key][:-20]
    stack.announce(key)
    assert {"failed-login", "unreadable-record"} <= set(stack.rules_told())


def test_without_time_a_new_invocation_goes_on(stack: Stack) -> None:
    key = stack.put("connectionlog", CONNECTIONS)
    assert stack.announce(key, left_ms=15_000) == OK
    assert stack.told.notices == []
    (sent,) = stack.clients.sqs.sent
    assert sent == {
        "QueueUrl": QUEUE,
        "MessageBody": '{"go_on_with_cluster": "shop"}',
        "DelaySeconds": 1,
    }
    assert handler.handle(sqs(sent["MessageBody"]), Context()) == OK
    assert len(stack.told.notices) == 1


def test_other_events_are_refused(stack: Stack) -> None:
    with pytest.raises(InputError, match="takes no SnsBatch"):
        handler.handle(event("sns/launch"), Context())


# ---- CloudTrail ----


def call(name: str, **parameters: str) -> str:
    detail = {
        "eventID": "7c1b6e0a",
        "eventName": name,
        "eventSource": "redshift.amazonaws.com",
        "eventTime": "2026-11-24T11:00:00Z",
        "sourceIPAddress": "203.0.113.9",
        "userIdentity": {"arn": "arn:aws:iam::123456789012:user/eve"},
        "requestParameters": {"clusterIdentifier": "shop", **parameters},
    }
    return json.dumps(
        {"detail-type": "AWS API Call via CloudTrail", "source": "aws.redshift", "detail": detail}
    )


def test_auditing_that_is_switched_off_is_told_once(stack: Stack) -> None:
    body = call("DisableLogging")
    assert handler.handle(sqs(body), Context()) == OK
    assert handler.handle(sqs(body), Context()) == OK
    (notice,) = stack.told.notices
    assert (notice.severity, notice.title) == ("critical", "shop: Audit logging was switched off")
    assert dict(notice.facts)["From"] == "203.0.113.9"


def test_a_call_that_changes_nothing_is_nothing(stack: Stack) -> None:
    handler.handle(sqs(call("EnableLogging", bucketName=BUCKET)), Context())
    assert stack.told.notices == []


# ---- CloudWatch Logs ----


def batch(*lines: str, group: str = GROUP, kind: str = "DATA_MESSAGE") -> dict[str, Any]:
    at = int(datetime(2026, 11, 24, 10, 1, tzinfo=UTC).timestamp() * 1000)
    content = {
        "messageType": kind,
        "owner": "123456789012",
        "logGroup": group,
        "logStream": "s",
        "logEvents": [
            {"id": str(n), "timestamp": at, "message": line} for n, line in enumerate(lines)
        ],
    }
    data = base64.b64encode(gzip.compress(json.dumps(content).encode())).decode()
    return {"awslogs": {"data": data}}


def test_lines_of_cloudwatch_pass_the_same_rules_and_are_kept(stack: Stack) -> None:
    lines = CONNECTIONS.splitlines()
    assert handler.handle(batch(*lines), Context()) == {}
    (notice,) = stack.told.notices
    assert notice.title.startswith("analytics: ")
    (kept,) = [key for bucket, key in stack.clients.s3.objects if bucket == OWN]
    assert kept.startswith("cloudwatch/2026/11/24/")
    assert kept.endswith(
        "/123456789012_redshift_eu-central-1_analytics_connectionlog_2026-11-24T10:01.gz"
    )
    assert gzip.decompress(stack.clients.s3.objects[OWN, kept]).decode() == CONNECTIONS


def test_a_batch_that_comes_again_tells_nothing(stack: Stack) -> None:
    lines = CONNECTIONS.splitlines()
    handler.handle(batch(*lines), Context())
    handler.handle(batch(*lines), Context())
    assert len(stack.told.notices) == 1


def test_the_test_of_a_subscription_is_nothing_to_do(stack: Stack) -> None:
    assert handler.handle(batch("x", kind="CONTROL_MESSAGE"), Context()) == {}
    assert stack.clients.s3.objects == {}


@pytest.mark.parametrize(
    ("logs", "message"),
    [
        ({"awslogs": {}}, "the log batch has no data"),
        ({"awslogs": {"data": "!"}}, "can't be unpacked"),
        ({"awslogs": {"data": base64.b64encode(b"x").decode()}}, "can't be unpacked"),
        (batch("x", group="/aws/lambda/x"), "isn't one of Redshift's audit logs"),
        (
            {"awslogs": {"data": base64.b64encode(gzip.compress(bytes(65 * 2**20))).decode()}},
            "unpacks to more than",
        ),
    ],
    ids=["none", "no base64", "no gzip", "another group", "bomb"],
)
def test_a_batch_that_cannot_be_read_is_refused(
    stack: Stack, logs: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        handler.handle(logs, Context())


# ---- every hour ----


def test_the_sweep_reads_what_no_event_announced(stack: Stack) -> None:
    stack.put("connectionlog", CONNECTIONS)
    assert stack.sweep() == {"unannounced": 1, "failed": {}}
    assert "brute-force-success" in stack.rules_told()
    assert stack.sweep() == {"unannounced": 0, "failed": {}}


def test_the_sweep_tells_a_silence_once(stack: Stack) -> None:
    stack.announce(stack.put("connectionlog", failed(1)))
    before = len(stack.told.notices)
    for _ in range(3):
        stack.clock.advance(3600 * 2)
        stack.sweep()
    silent = {notice.id for notice in stack.told.notices[before:] if "missing" in notice.title}
    assert len(silent) == 1


def test_the_weekly_report_is_made_once_kept_and_told(stack: Stack) -> None:
    stack.announce(stack.put("connectionlog", CONNECTIONS))
    stack.sweep()
    before = len(stack.told.notices)
    stack.clock.advance(timedelta(days=6).total_seconds())
    stack.sweep()
    stack.sweep()
    reports = [n for n in stack.told.notices[before:] if n.key.startswith("audit/report/")]
    assert [n.key for n in reports] == ["audit/report/2026-11-30"]
    assert reports[0].severity == "info"
    kept = [key for bucket, key in stack.clients.s3.objects if bucket == OWN]
    assert kept[-2:] == ["reports/2026-11-30.json", "reports/2026-11-30.txt"]
    data = stack.clients.s3.objects[OWN, "reports/2026-11-30.json"]
    assert dict(reports[0].facts)["SHA-256"] == hashlib.sha256(data).hexdigest()
    assert json.loads(data)["clusters"][0]["logs"][0]["files_read"] == 1


def test_what_is_wrong_with_one_part_of_the_sweep_stops_no_other(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise _error("AccessDenied")

    monkeypatch.setattr(stack.clients.s3, "list_objects_v2", fail)
    done = stack.sweep()
    assert list(done["failed"]) == ["listing"]
