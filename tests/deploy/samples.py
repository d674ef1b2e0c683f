"""A small trigger, as blueprints say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from triggerfish.blueprint import (
    Blueprint,
    Call,
    Function,
    Parameter,
    Queue,
    QueueSource,
    ScheduleSource,
    Topic,
    Vpc,
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    runtime: str = "python3.13"
    architecture: str = "arm64"


QUEUE = Queue(id="Sample", name="shop-local-sample", visibility_timeout_s=360)
TOPIC = Topic(
    id="Sample",
    name="shop-local-sample",
    queue="Sample",
    publishers=("autoscaling.amazonaws.com",),
)
VPC = Vpc(subnets=("subnet-11111111", "subnet-22222222"), security_groups=("sg-11111111",))
ZONE = Parameter(
    id="ZoneInternal",
    description="The private zone internal.example.com",
    type="AWS::Route53::HostedZone::Id",
    resolve=("hosted-zone", "internal.example.com"),
)
CALLS = (
    Call("dynamodb:GetItem", "${StateTable.Arn}"),
    Call("dynamodb:PutItem", "${StateTable.Arn}"),
    Call("ec2:DescribeInstances", "*"),
    Call(
        "ec2:CreateTags",
        "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:instance/*",
        (("StringEquals", "aws:ResourceTag/aws:autoscaling:groupName", ("web", "es")),),
    ),
    Call(
        "route53:ChangeResourceRecordSets",
        "arn:${AWS::Partition}:route53:::hostedzone/${ZoneInternal}",
    ),
    Call("sqs:SendMessage", "${SampleQueue.Arn}"),
)


def make_function(**changes: Any) -> Function:
    function: dict[str, Any] = {
        "id": "Sample",
        "name": "shop-local-sample",
        "handler": "triggerfish.runtime.clock.handler",
        "description": "A sample",
        "memory_mb": 256,
        "timeout_s": 60,
        "calls": CALLS,
        "sources": (
            QueueSource(queue="Sample", batch_size=10, maximum_concurrency=4),
            ScheduleSource(id="SampleSweep", expression="rate(1 minute)", input='{"sweep":true}'),
        ),
        "settings": b'{"groups":[]}',
        "environment": (
            ("TRIGGERFISH_TABLE", "${StateTable}"),
            ("TRIGGERFISH_QUEUE_URL", "${SampleQueue}"),
            ("TRIGGERFISH_PARAMETERS", '{"zone internal.example.com":"${ZoneInternal}"}'),
            ("TRIGGERFISH_STAGE", "local"),
        ),
    }
    return Function(**(function | changes))


def make_blueprint(*, function: Function | None = None, **changes: Any) -> Blueprint:
    blueprint: dict[str, Any] = {
        "functions": (function or make_function(),),
        "queues": (QUEUE,),
        "topics": (TOPIC,),
        "parameters": (ZONE,),
        "outputs": (("SampleTopicArn", "${SampleTopic}"),),
    }
    return Blueprint(**(blueprint | changes))
