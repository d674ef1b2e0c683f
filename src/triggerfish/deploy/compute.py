"""Functions with their roles, logs and sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, assert_never

from triggerfish.blueprint import Call, LogSource, QueueSource, ScheduleSource
from triggerfish.deploy.messaging import dead_letter_queue, queue_policy
from triggerfish.deploy.permissions import (
    function_statements,
    policy,
    statements,
    trust,
)
from triggerfish.deploy.references import expand, reference

if TYPE_CHECKING:
    from triggerfish.blueprint import Function

    Resources = dict[str, dict[str, object]]

SCHEDULE_GROUP = "ScheduleGroup"
CODE_BUCKET = "CodeBucket"
"""The template parameter that names the bucket the artifacts are in."""

LOG_RETENTION_DAYS = 30

_SCHEDULE_RETRIES = {"MaximumEventAgeInSeconds": 300, "MaximumRetryAttempts": 3}
"""For handing the event to Lambda, should Lambda not take it."""


class FunctionSettings(Protocol):
    """What all functions of a stack have in common."""

    @property
    def runtime(self) -> str: ...
    @property
    def architecture(self) -> str: ...


def function_resources(function: Function, settings: FunctionSettings) -> Resources:
    """`function` and everything that exists only for it."""
    schedules = [source for source in function.sources if isinstance(source, ScheduleSource)]
    dead = _dead_letters_of_schedules(function) if schedules else None
    resources: Resources = {
        f"{function.id}LogGroup": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {
                "LogGroupName": f"/aws/lambda/{function.name}",
                "RetentionInDays": LOG_RETENTION_DAYS,
            },
        },
        f"{function.id}Role": _role(function, dead),
        f"{function.id}Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": _function_properties(function, settings),
        },
    }
    if dead is not None:
        resources |= _schedule_wiring(function, dead)
    for source in function.sources:
        match source:
            case QueueSource():
                resources[f"{function.id}{source.queue}Mapping"] = _mapping(function, source)
            case ScheduleSource():
                resources[f"{source.id}Schedule"] = _schedule(function, source, dead or "")
            case LogSource():
                resources |= _log_subscription(function, source)
            case _:
                assert_never(source)
    return resources


def code_key_parameter(function_id: str) -> str:
    """The template parameter that holds the S3 key of the function's artifact."""
    return f"{function_id}CodeKey"


def schedule_group(stack: str) -> dict[str, object]:
    """The group all schedules of a stack are in, by which their roles know them."""
    return {"Type": "AWS::Scheduler::ScheduleGroup", "Properties": {"Name": stack}}


def _function_properties(function: Function, settings: FunctionSettings) -> dict[str, object]:
    properties: dict[str, object] = {
        "FunctionName": function.name,
        "Description": function.description,
        "Runtime": settings.runtime,
        "Architectures": [settings.architecture],
        "Handler": function.handler,
        "Role": reference(f"{function.id}Role.Arn"),
        "Code": {
            "S3Bucket": reference(CODE_BUCKET),
            "S3Key": reference(code_key_parameter(function.id)),
        },
        "MemorySize": function.memory_mb,
        "Timeout": function.timeout_s,
        "EphemeralStorage": {"Size": function.tmp_mb},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": reference(f"{function.id}LogGroup")},
    }
    if function.environment:
        variables = {name: expand(value) for name, value in sorted(function.environment)}
        properties["Environment"] = {"Variables": variables}
    if function.reserved_concurrency is not None:
        properties["ReservedConcurrentExecutions"] = function.reserved_concurrency
    if function.wakes_itself:
        properties["RecursiveLoop"] = "Allow"
    if function.vpc:
        properties["VpcConfig"] = {
            "SubnetIds": list(function.vpc.subnets),
            "SecurityGroupIds": list(function.vpc.security_groups),
        }
    return properties


def _role(function: Function, dead: str | None) -> dict[str, object]:
    entries = function_statements(function, [dead] if dead else [])
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "Description": f"What {function.name} may do",
            "AssumeRolePolicyDocument": trust("lambda.amazonaws.com"),
            "Policies": [{"PolicyName": "calls", "PolicyDocument": policy(entries)}],
        },
    }


def _mapping(function: Function, source: QueueSource) -> dict[str, object]:
    properties: dict[str, object] = {
        "FunctionName": reference(f"{function.id}Function"),
        "EventSourceArn": reference(f"{source.queue}Queue.Arn"),
        "BatchSize": source.batch_size,
        "MaximumBatchingWindowInSeconds": source.batching_window_s,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    }
    if source.maximum_concurrency is not None:
        properties["ScalingConfig"] = {"MaximumConcurrency": source.maximum_concurrency}
    return {"Type": "AWS::Lambda::EventSourceMapping", "Properties": properties}


def _log_subscription(function: Function, source: LogSource) -> Resources:
    """CloudWatch Logs calls the function with every event of this group, and may for no other.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
    """
    home = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}"
    permission = f"{source.id}LogPermission"
    return {
        permission: {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": reference(f"{function.id}Function"),
                "Principal": "logs.amazonaws.com",
                "SourceAccount": reference("AWS::AccountId"),
                "SourceArn": expand(f"{home}:log-group:{source.group}:*"),
            },
        },
        f"{source.id}LogFilter": {
            "Type": "AWS::Logs::SubscriptionFilter",
            # CloudWatch Logs tries the function when it is subscribed.
            "DependsOn": [permission],
            "Properties": {
                "DestinationArn": reference(f"{function.id}Function.Arn"),
                "FilterName": function.name,
                "FilterPattern": "",
                "LogGroupName": source.group,
            },
        },
    }


def _dead_letters_of_schedules(function: Function) -> str:
    """Where a failed scheduled run goes: the dead letters of the function's queue if it has one."""
    for source in function.sources:
        if isinstance(source, QueueSource):
            return f"{source.queue}DeadLetterQueue"
    return f"{function.id}ScheduleDeadLetterQueue"


def _schedule_wiring(function: Function, dead: str) -> Resources:
    """What a function with schedules needs once: the role that calls it, the end of failed runs."""
    resources: Resources = {}
    if dead == f"{function.id}ScheduleDeadLetterQueue":
        resources[dead] = dead_letter_queue(f"{function.name}-schedule-dead", source=None)
        resources[f"{dead}Policy"] = queue_policy(dead, topics=())
    resources[f"{function.id}ScheduleRole"] = _schedule_role(function, dead)
    # Scheduler invokes asynchronously. A run that raises isn't repeated: the next one recomputes
    # everything. That it failed is kept.
    resources[f"{function.id}InvokeConfig"] = {
        "Type": "AWS::Lambda::EventInvokeConfig",
        "Properties": {
            "FunctionName": reference(f"{function.id}Function"),
            "Qualifier": "$LATEST",
            "MaximumEventAgeInSeconds": 300,
            "MaximumRetryAttempts": 0,
            "DestinationConfig": {"OnFailure": {"Destination": reference(f"{dead}.Arn")}},
        },
    }
    return resources


def _schedule_role(function: Function, dead: str) -> dict[str, object]:
    """The role Scheduler takes on to call `function`, for schedules of this stack's group only.

    The source ARN is the schedule group's, never a schedule's. Source:
    docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
    """
    conditions: dict[str, object] = {
        "StringEquals": {
            "aws:SourceAccount": reference("AWS::AccountId"),
            "aws:SourceArn": reference(f"{SCHEDULE_GROUP}.Arn"),
        }
    }
    calls = (
        Call("lambda:InvokeFunction", f"${{{function.id}Function.Arn}}"),
        Call("sqs:SendMessage", f"${{{dead}.Arn}}"),
    )
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "Description": f"Calls {function.name} on schedule",
            "AssumeRolePolicyDocument": trust("scheduler.amazonaws.com", conditions),
            "Policies": [{"PolicyName": "calls", "PolicyDocument": policy(statements(calls))}],
        },
    }


def _schedule(function: Function, source: ScheduleSource, dead: str) -> dict[str, object]:
    return {
        "Type": "AWS::Scheduler::Schedule",
        # Until then a failed run would be retried by Lambda and then forgotten.
        "DependsOn": [f"{function.id}InvokeConfig"],
        "Properties": {
            "Name": source.id,
            "GroupName": reference(SCHEDULE_GROUP),
            "ScheduleExpression": source.expression,
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": reference(f"{function.id}Function.Arn"),
                "RoleArn": reference(f"{function.id}ScheduleRole.Arn"),
                "Input": source.input,
                "RetryPolicy": dict(_SCHEDULE_RETRIES),
                "DeadLetterConfig": {"Arn": reference(f"{dead}.Arn")},
            },
        },
    }
