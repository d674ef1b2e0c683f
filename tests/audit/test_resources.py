"""What the audit trigger needs in AWS, and no more."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from tests.deploy.samples import Settings
from tests.deploy.test_cfn_lint import findings
from triggerfish.audit.config import Audit, AuditSettings
from triggerfish.audit.resources import blueprint
from triggerfish.blueprint import (
    Blueprint,
    Bucket,
    BucketEvents,
    Call,
    Function,
    LogSource,
    Queue,
    QueueSource,
    ScheduleSource,
)
from triggerfish.codec import decode
from triggerfish.deploy.template import build_template
from triggerfish.notices.config import Notices
from triggerfish.notices.resources import blueprint as notices_blueprint

ARN = "arn:${AWS::Partition}"


@dataclass
class Functions:
    memory: int | None = None
    runtime: str = "python3.13"
    architecture: str = "arm64"


@dataclass
class Config:
    name: str = "shop"
    functions: Functions = field(default_factory=Functions)
    audit: Audit | None = field(default_factory=lambda: Audit(bucket="example-audit-logs"))
    notices: Notices | None = None


def function(config: Config | None = None) -> Function:
    (made,) = blueprint(config or Config(), "local").functions
    return made


def calls(config: Config | None = None) -> dict[str, set[str]]:
    """The resources of each action."""
    found: dict[str, set[str]] = {}
    for call in function(config).calls:
        found.setdefault(call.action, set()).add(call.resource)
    return found


def test_without_the_table_nothing_is_needed() -> None:
    assert blueprint(Config(audit=None), "local") == Blueprint()


def test_logs_wake_a_queue_and_reports_have_a_bucket() -> None:
    made = blueprint(Config(audit=Audit(bucket="example-audit-logs", prefix="redshift")), "prod")
    assert made.queues == (Queue(id="Audit", name="shop-prod-audit", visibility_timeout_s=1800),)
    assert made.buckets == (Bucket(id="Audit"),)
    assert made.bucket_events == (
        BucketEvents(
            id="AuditLogs",
            name="shop-prod-audit-logs",
            bucket="example-audit-logs",
            prefix="redshift/",
            queue="Audit",
        ),
    )


def test_calls_that_switch_auditing_off_come_from_cloudtrail() -> None:
    (rule,) = blueprint(Config(), "prod").event_rules
    pattern = json.loads(rule.pattern)
    assert pattern["detail-type"] == ["AWS API Call via CloudTrail"]
    assert "redshift.amazonaws.com" in pattern["detail"]["eventSource"]
    assert {"DisableLogging", "ModifyClusterParameterGroup"} <= set(pattern["detail"]["eventName"])


def test_the_function_is_woken_by_the_queue_every_hour_and_by_log_groups() -> None:
    group = "/aws/redshift/shop/connectionlog"
    queue, schedule, logs = function(Config(audit=Audit(log_groups=(group,)))).sources
    assert queue == QueueSource(
        queue="Audit", batch_size=10, batching_window_s=5, maximum_concurrency=5
    )
    assert isinstance(schedule, ScheduleSource)
    assert (schedule.id, schedule.expression) == ("AuditSweep", "rate(1 hour)")
    assert logs == LogSource(id="Audit1", group=group)


def test_the_function_has_a_processor_of_its_own_unless_configured() -> None:
    assert function().memory_mb == 1769
    assert function(Config(functions=Functions(memory=512))).memory_mb == 512


def test_hyperscan_is_left_out_where_there_is_none() -> None:
    assert function().requirements == ("msgspec", "isal", "hyperscan")
    old = Functions(runtime="python3.11")
    assert function(Config(functions=old)).requirements == ("msgspec", "isal")
    zone = Audit(bucket="example-audit-logs", timezone="Europe/Berlin")
    assert "tzdata" in function(Config(audit=zone)).requirements


def test_the_rules_are_baked_into_the_function() -> None:
    baked = decode(function().settings, AuditSettings)
    assert baked.audit == Audit(bucket="example-audit-logs")
    assert len(baked.rules) == 25


def test_the_environment_says_where_everything_is() -> None:
    assert dict(function(Config(notices=Notices(sender="a@example.com"))).environment) == {
        "TRIGGERFISH_STAGE": "local",
        "TRIGGERFISH_STACK": "shop-local",
        "TRIGGERFISH_TABLE": "${StateTable}",
        "TRIGGERFISH_QUEUE_URL": "${AuditQueue}",
        "TRIGGERFISH_DEAD_LETTER_QUEUE_URL": "${AuditDeadLetterQueue}",
        "TRIGGERFISH_AUDIT_BUCKET": "${AuditBucket}",
        "TRIGGERFISH_NOTICES_QUEUE_URL": "${NoticesQueue}",
    }
    assert "TRIGGERFISH_NOTICES_QUEUE_URL" not in dict(function().environment)


# ---- permissions ----


def test_the_function_may_read_the_logs_below_the_prefix_and_nothing_else_there() -> None:
    config = Config(audit=Audit(bucket="example-audit-logs", prefix="redshift"))
    found = [call for call in function(config).calls if "example-audit-logs" in call.resource]
    bucket = f"{ARN}:s3:::example-audit-logs"
    assert found == [
        Call("s3:GetObject", f"{bucket}/redshift/*"),
        Call("s3:GetObjectVersion", f"{bucket}/redshift/*"),
        Call("s3:ListBucket", bucket, (("StringLike", "s3:prefix", ("redshift/*",)),)),
    ]


def test_the_function_may_write_its_batches_and_reports_and_never_delete() -> None:
    found = calls()
    assert found["s3:PutObject"] == {
        "${AuditBucket.Arn}/cloudwatch/*",
        "${AuditBucket.Arn}/reports/*",
    }
    assert not any(action.startswith("s3:Delete") for action in found)


def test_the_function_may_send_to_its_own_queues_and_to_notices() -> None:
    own = {"${AuditQueue.Arn}", "${AuditDeadLetterQueue.Arn}"}
    assert calls()["sqs:SendMessage"] == own
    told = Config(notices=Notices(sender="a@example.com", to=("b@example.com",)))
    assert calls(told)["sqs:SendMessage"] == {*own, "${NoticesQueue.Arn}"}


def test_everything_is_the_resource_of_nothing() -> None:
    assert not any("*" in resources for resources in calls().values())


def test_cfn_lint_finds_nothing_to_say() -> None:
    audit = Audit(
        bucket="example-audit-logs",
        prefix="redshift",
        log_groups=("/aws/redshift/shop/connectionlog", "/aws/redshift/shop/userlog"),
    )
    config = Config(audit=audit, notices=Notices(sender="a@example.com", to=("b@example.com",)))
    blueprints = [
        ("audit", blueprint(config, "prod")),
        ("notices", notices_blueprint(config, "prod")),
    ]
    template = build_template(blueprints, stack="shop-prod", functions=Settings())
    assert findings(json.dumps(template)) == []
