"""IAM policies, derived from the calls a function's code declares and from how it is wired.

Nothing here is written by hand for one function: a permission is there because a `Call` is, or
because Lambda needs it to run the function (its log group, its queue, its network interfaces).
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from triggerfish.blueprint import Call, QueueSource
from triggerfish.deploy.references import expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from triggerfish.blueprint import Function

    Conditions = tuple[tuple[str, str, tuple[str, ...]], ...]

NO_RESOURCE_LEVEL = frozenset(
    {
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeAutoScalingInstances",
        "autoscaling:DescribeLifecycleHooks",
        "autoscaling:DescribeWarmPool",
        "autoscaling:DescribeNotificationConfigurations",
        "autoscaling:DescribeScalingActivities",
        "ec2:DescribeInstanceStatus",
        "ec2:DescribeInstances",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DescribeTags",
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
        "route53:ListHostedZones",
        "route53:ListHostedZonesByName",
        "ses:GetSuppressedDestination",
        "sts:GetCallerIdentity",
    }
)
"""The actions we may use for which AWS wants no resource, so that only `*` can be granted.

Source: Service Authorization Reference, docs.aws.amazon.com/service-authorization, 2026-11. A test
holds this table against the copy of that reference which cfn-lint carries.
"""

NETWORK_INTERFACE_ACTIONS = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
)
"""What Lambda does with the function's role to reach a VPC, beside the two reads below.

Source: docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html, execution role permissions: the
same six as AWSLambdaVPCAccessExecutionRole v3 without its log permissions, 2026-11.
"""
NETWORK_READ_ACTIONS = ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets")

_ANY_INTERFACE = "arn:${AWS::Partition}:ec2:${AWS::Region}:*:*/*"
"""Every account: a subnet shared from another account has its owner's in its ARN."""

_ACTION = re.compile(r"[a-z0-9-]+:[A-Za-z]+")


def statements(calls: Iterable[Call]) -> list[dict[str, object]]:
    """The fewest `Allow` statements that grant exactly `calls`, in an order that never varies.

    Raises:
        ValueError: a call that no policy should or could hold.

    """
    actions_of: defaultdict[tuple[str, Conditions], set[str]] = defaultdict(set)
    for call in calls:
        _refuse_loose(call)
        actions_of[call.resource, call.conditions].add(call.action)
    resources_of: defaultdict[tuple[tuple[str, ...], Conditions], list[str]] = defaultdict(list)
    for (resource, conditions), actions in sorted(actions_of.items()):
        resources_of[tuple(sorted(actions)), conditions].append(resource)
    return [
        _statement(actions, resources, conditions)
        for (actions, conditions), resources in sorted(resources_of.items())
    ]


def function_statements(
    function: Function, dead_letters: Sequence[str] = ()
) -> list[dict[str, object]]:
    """All that `function`'s role may do.

    `dead_letters` are the logical ids of the queues to which Lambda sends what it gave up on.
    """
    calls = [*function.calls, *_wiring_calls(function)]
    calls += [Call("sqs:SendMessage", f"${{{queue}.Arn}}") for queue in dead_letters]
    granted = statements(calls)
    return [*granted, _network_denial(function)] if function.vpc else granted


def policy(entries: Sequence[dict[str, object]]) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": list(entries)}


def trust(service: str, conditions: dict[str, object] | None = None) -> dict[str, object]:
    """The policy that lets an AWS service take on a role."""
    entry: dict[str, object] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    return policy([entry | {"Condition": conditions} if conditions else entry])


def _wiring_calls(function: Function) -> list[Call]:
    """What Lambda needs to log, to poll and to reach the VPC in this function's name."""
    log_group = f"${{{function.id}LogGroup.Arn}}"  # its Arn ends in ":*": every stream of the group
    calls = [Call(f"logs:{verb}", log_group) for verb in ("CreateLogStream", "PutLogEvents")]
    for source in function.sources:
        if isinstance(source, QueueSource):
            queue = f"${{{source.queue}Queue.Arn}}"
            # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
            verbs = ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage")
            calls += [Call(f"sqs:{verb}", queue) for verb in verbs]
    if function.vpc:
        calls += [Call(action, _ANY_INTERFACE) for action in NETWORK_INTERFACE_ACTIONS]
        calls += [Call(action, "*") for action in NETWORK_READ_ACTIONS]
    return calls


def _network_denial(function: Function) -> dict[str, object]:
    """Lambda may manage interfaces with this role, the function's own code may not.

    Source: docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html, security best practices:
    `lambda:SourceFunctionArn` is present only in calls made from inside the function.
    """
    declared = {call.action for call in function.calls}
    denied = sorted({*NETWORK_INTERFACE_ACTIONS, *NETWORK_READ_ACTIONS} - declared)
    return {
        "Effect": "Deny",
        "Action": denied,
        "Resource": "*",
        "Condition": {"ArnEquals": {"lambda:SourceFunctionArn": expand(function_arn(function))}},
    }


def function_arn(function: Function) -> str:
    """The function's ARN by its name, for its role, which can't refer to what refers to it."""
    home = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}"
    return f"{home}:function:{function.name}"


def _refuse_loose(call: Call) -> None:
    where = f"call {call.action!r} on {call.resource!r}"
    if not _ACTION.fullmatch(call.action):
        raise ValueError(f"{where}: an action is written 'service:Name', without wildcards")
    if call.resource == "*" and call.action not in NO_RESOURCE_LEVEL:
        raise ValueError(f"{where}: name the resource, or list the action in NO_RESOURCE_LEVEL")
    if call.resource != "*" and call.action in NO_RESOURCE_LEVEL:
        raise ValueError(f"{where}: AWS grants this action on '*' only; an ARN would never match")
    if call.resource != "*" and not call.resource.startswith(("arn:", "${")):
        raise ValueError(f"{where}: a resource is an ARN")


def _statement(
    actions: tuple[str, ...], resources: list[str], conditions: Conditions
) -> dict[str, object]:
    expanded = [expand(resource) for resource in resources]
    entry: dict[str, object] = {
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": expanded if len(expanded) > 1 else expanded[0],
    }
    if conditions:
        entry["Condition"] = _condition(conditions)
    return entry


def _condition(conditions: Conditions) -> dict[str, dict[str, object]]:
    block: dict[str, dict[str, object]] = {}
    for operator, key, values in conditions:
        expanded = [expand(value) for value in values]
        block.setdefault(operator, {})[key] = expanded if len(expanded) > 1 else expanded[0]
    return block
