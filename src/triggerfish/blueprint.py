"""The words in which a trigger says what it needs in AWS.

A trigger's `resources.py` returns a `Blueprint`; `triggerfish.deploy` turns it into CloudFormation.
The calls a module makes stand beside the code that makes them, as `CALLS`; permissions are derived
from them. Pure data: nothing here talks to AWS.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Call:
    """One AWS API call a module makes.

    `action` is the IAM action (`dynamodb:Query`). `resource` is the ARN it is made on, in which
    `${...}` is a CloudFormation pseudo parameter (`${AWS::Region}`), the logical id of a resource
    of this stack with an optional attribute (`${StateTable.Arn}`), or a template parameter's name.
    `"*"` only where the service authorization reference lists no resource type for the action.
    `conditions` is an IAM condition block as plain data.
    """

    action: str
    resource: str
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """Triples of operator, key and values: ("StringEquals", "aws:ResourceTag/x", ("a", "b"))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """An SQS queue with its dead-letter queue: `<id>Queue` and `<id>DeadLetterQueue`."""

    id: str
    name: str
    visibility_timeout_s: int
    max_receive_count: int = 5
    retention_s: int = 4 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """An SNS topic delivering into a queue. Logical id is `<id>Topic`."""

    id: str
    name: str
    queue: str
    """The `id` of the `Queue` that subscribes."""
    publishers: tuple[str, ...]
    """Service principals allowed to publish (`autoscaling.amazonaws.com`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """An S3 bucket of the stack's own: `<id>Bucket`. It is private, versioned, and outlives it.

    It has no name of its own: CloudFormation gives it one that nobody else has.
    """

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketEvents:
    """What is created in a bucket that somebody else owns, as messages in a queue: `<id>Rule`.

    The stack can't set up a foreign bucket: EventBridge has to be switched on there, once. S3 may
    also be told to send to the queue itself. Either way the message holds an S3 event.
    """

    id: str
    name: str
    """The rule's."""
    bucket: str
    """The bucket's name."""
    prefix: str
    """Only keys that begin with it; all where it is empty."""
    queue: str
    """The `id` of the `Queue`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """Events of EventBridge's default bus, as messages in a queue: `<id>Rule`."""

    id: str
    name: str
    description: str
    pattern: str
    """As JSON: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html"""
    queue: str
    """The `id` of the `Queue`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSource:
    """An SQS event source mapping with partial batch responses."""

    queue: str
    batch_size: int
    batching_window_s: int = 0
    maximum_concurrency: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSource:
    """An EventBridge Scheduler schedule invoking the function with a constant input."""

    id: str
    expression: str
    input: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSource:
    """All events of a CloudWatch log group that is there already: `<id>LogFilter`."""

    id: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Vpc:
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A Lambda function: `<id>Function`, with its role `<id>Role` and log group `<id>LogGroup`.

    `environment` values may use `${...}` as in `Call.resource`. `requirements` are distributions
    packaged with it beyond our own code; boto3 is the runtime's. `settings` is baked into the
    artifact as `triggerfish_settings.json` and read by `triggerfish.runtime.settings`.
    """

    id: str
    name: str
    handler: str
    description: str
    memory_mb: int
    timeout_s: int
    calls: tuple[Call, ...]
    sources: tuple[QueueSource | ScheduleSource | LogSource, ...]
    settings: bytes
    environment: tuple[tuple[str, str], ...] = ()
    requirements: tuple[str, ...] = ()
    reserved_concurrency: int | None = None
    tmp_mb: int = 512
    wakes_itself: bool = False
    """It sends messages to its own queue on purpose: Lambda's loop detection must let it.

    Lambda stops a chain of about 16 invocations through SQS otherwise.
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
    """
    vpc: Vpc | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A template parameter: what a stage resolves at deploy time (a zone's id, an address)."""

    id: str
    description: str
    type: Literal["String", "AWS::Route53::HostedZone::Id"] = "String"
    default: str | None = None
    resolve: tuple[str, str] | None = None
    """How deploy finds the value: ("hosted-zone", "internal.example.com"); None: the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """All that one trigger needs in AWS."""

    functions: tuple[Function, ...] = ()
    queues: tuple[Queue, ...] = ()
    topics: tuple[Topic, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    bucket_events: tuple[BucketEvents, ...] = ()
    event_rules: tuple[EventRule, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    outputs: tuple[tuple[str, str], ...] = field(default=())
    """Pairs of output name and `${...}` value."""
