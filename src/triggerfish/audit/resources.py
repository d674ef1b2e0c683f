"""What the audit trigger needs in AWS, and which calls it makes there.

bucket -----EventBridge--> queue --> function <-- every hour: listing, silence, the weekly report
CloudTrail --EventBridge-----^        ^   |
CloudWatch Logs ----------------------'   +--> findings, and notices; reports in a bucket of its own

The audit bucket is not the stack's: Redshift writes to it, before and after this stack lives. So
CloudFormation must not own its notifications, which S3 knows only as a whole: it would replace what
others have set up there, and remove all of it with the stack. The rule is the stack's own instead;
on the bucket only one switch is thrown (`triggerfish connect`), which takes nothing from anybody.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

from triggerfish.audit.config import Audit, AuditSettings, LoadedAudit
from triggerfish.audit.rules import CallMatch, in_force
from triggerfish.audit.s3 import BUCKET_VARIABLE, own_calls, read_calls
from triggerfish.audit.trail import SOURCES
from triggerfish.blueprint import (
    Blueprint,
    Bucket,
    BucketEvents,
    Call,
    EventRule,
    Function,
    LogSource,
    Queue,
    QueueSource,
    ScheduleSource,
)
from triggerfish.codec import encode
from triggerfish.runtime.dead_letters import dead_letter_calls
from triggerfish.runtime.event_bridge import schedule_input
from triggerfish.runtime.notices import CALLS as NOTICE_CALLS
from triggerfish.runtime.notices import QUEUE_VARIABLE
from triggerfish.runtime.table import CALLS as TABLE_CALLS

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY_MB = 1769
"""One whole vCPU: reading is computing. A usual file takes a tenth of a second of it.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
"""
TIMEOUT_S = 300
"""A reading that needs longer goes on in the next invocation."""


GATHER_S = 5
"""How long messages are gathered: the three logs of an hour land together, and read together they
name the actor at once and make one notice."""


class FunctionPart(Protocol):
    @property
    def runtime(self) -> str: ...
    @property
    def architecture(self) -> str: ...
    @property
    def memory(self) -> int | None: ...


class ConfigPart(Protocol):
    """The part of the config that this trigger reads."""

    @property
    def name(self) -> str: ...
    @property
    def functions(self) -> FunctionPart: ...
    @property
    def audit(self) -> Audit | None: ...
    @property
    def notices(self) -> object | None: ...


def settings_of(audit: Audit) -> AuditSettings:
    """What is baked into the function: rule files are read here, and never by the function."""
    from triggerfish.audit.rule_files import rules_of  # noqa: PLC0415 - functions don't read files

    own = audit.own_rules if isinstance(audit, LoadedAudit) else ()
    plain = Audit(**{name: getattr(audit, name) for name in Audit.__struct_fields__})
    return AuditSettings(audit=plain, rules=tuple(each.rule() for each in rules_of(own)))


def blueprint(config: ConfigPart, stage: str) -> Blueprint:
    """Everything for reading the logs; nothing where `[audit]` isn't written."""
    audit = config.audit
    if audit is None:
        return Blueprint()
    stack = f"{config.name}-{stage}"
    settings = settings_of(audit)
    return Blueprint(
        functions=(_function(config, settings, stack, stage),),
        queues=(Queue(id="Audit", name=f"{stack}-audit", visibility_timeout_s=6 * TIMEOUT_S),),
        buckets=(Bucket(id="Audit"),),
        bucket_events=tuple(_bucket_events(audit, stack)),
        event_rules=tuple(_call_events(settings, stack)),
        outputs=(("AuditQueue", "${AuditQueue}"), ("AuditReports", "${AuditBucket}")),
    )


def _bucket_events(audit: Audit, stack: str) -> Iterator[BucketEvents]:
    if audit.bucket is not None:
        prefix = f"{audit.prefix}/" if audit.prefix else ""
        yield BucketEvents(
            id="AuditLogs",
            name=f"{stack}-audit-logs",
            bucket=audit.bucket,
            prefix=prefix,
            queue="Audit",
        )


def _call_events(settings: AuditSettings, stack: str) -> Iterator[EventRule]:
    """The calls to AWS that a rule asks after, as CloudTrail hands them to EventBridge.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
    """
    calls = {
        call
        for rule in in_force(settings.rules, settings.audit)
        for match in rule.match
        if isinstance(match, CallMatch)
        for call in match.calls
    }
    if calls:
        pattern = {
            "detail-type": ["AWS API Call via CloudTrail"],
            "detail": {"eventSource": sorted(SOURCES), "eventName": sorted(calls)},
        }
        yield EventRule(
            id="AuditCalls",
            name=f"{stack}-audit-calls",
            description="Calls to AWS that the auditing itself hangs on",
            pattern=json.dumps(pattern),
            queue="Audit",
        )


def _function(config: ConfigPart, settings: AuditSettings, stack: str, stage: str) -> Function:
    audit = settings.audit
    told = ((QUEUE_VARIABLE, "${NoticesQueue}"),) if config.notices is not None else ()
    return Function(
        id="Audit",
        name=f"{stack}-audit",
        handler="triggerfish.audit.handler.handler",
        description="Reads Redshift's audit logs and finds who did what.",
        memory_mb=config.functions.memory or MEMORY_MB,
        timeout_s=TIMEOUT_S,
        calls=tuple(_calls(config, audit)),
        sources=(
            QueueSource(
                queue="Audit",
                batch_size=10,
                batching_window_s=GATHER_S,
                maximum_concurrency=5,
            ),
            ScheduleSource(
                id="AuditSweep",
                expression="rate(1 hour)",
                input=schedule_input("audit-sweep"),
            ),
            *(
                LogSource(id=f"Audit{position}", group=group)
                for position, group in enumerate(audit.log_groups, start=1)
            ),
        ),
        settings=encode(settings),
        requirements=_requirements(config.functions, audit),
        environment=(
            ("TRIGGERFISH_STAGE", stage),
            ("TRIGGERFISH_STACK", stack),
            ("TRIGGERFISH_TABLE", "${StateTable}"),
            ("TRIGGERFISH_QUEUE_URL", "${AuditQueue}"),
            ("TRIGGERFISH_DEAD_LETTER_QUEUE_URL", "${AuditDeadLetterQueue}"),
            (BUCKET_VARIABLE, "${AuditBucket}"),
            *told,
        ),
        wakes_itself=True,
    )


def _requirements(functions: FunctionPart, audit: Audit) -> tuple[str, ...]:
    """Without hyperscan the findings are the same, and take longer on large files.

    There is none for the C library of Python 3.11's runtime on arm64. Not every runtime of Lambda
    has the time zones.
    """
    zones = () if audit.timezone == "UTC" else ("tzdata",)
    if (functions.runtime, functions.architecture) == ("python3.11", "arm64"):
        return ("msgspec", "isal", *zones)
    return ("msgspec", "isal", "hyperscan", *zones)


def _calls(config: ConfigPart, audit: Audit) -> Iterator[Call]:
    yield from TABLE_CALLS
    yield Call("sqs:SendMessage", "${AuditQueue.Arn}")
    yield from dead_letter_calls("Audit")
    if audit.bucket is not None:
        yield from read_calls(audit.bucket, audit.prefix)
    yield from own_calls("Audit")
    if config.notices is not None:
        yield from NOTICE_CALLS
