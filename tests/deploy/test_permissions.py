from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cfnlint
import pytest

from tests.deploy.samples import VPC, make_function
from triggerfish.blueprint import Call
from triggerfish.deploy.permissions import (
    NETWORK_INTERFACE_ACTIONS,
    NETWORK_READ_ACTIONS,
    NO_RESOURCE_LEVEL,
    function_statements,
    statements,
)

INTERFACES = {"Fn::Sub": "arn:${AWS::Partition}:ec2:${AWS::Region}:*:*/*"}
SAMPLE = [
    {
        "Effect": "Allow",
        "Action": ["dynamodb:GetItem", "dynamodb:PutItem"],
        "Resource": {"Fn::GetAtt": ["StateTable", "Arn"]},
    },
    {
        "Effect": "Allow",
        "Action": ["ec2:CreateTags"],
        "Resource": {
            "Fn::Sub": "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:instance/*"
        },
        "Condition": {"StringEquals": {"aws:ResourceTag/aws:autoscaling:groupName": ["web", "es"]}},
    },
    {"Effect": "Allow", "Action": ["ec2:DescribeInstances"], "Resource": "*"},
    {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": {"Fn::GetAtt": ["SampleLogGroup", "Arn"]},
    },
    {
        "Effect": "Allow",
        "Action": ["route53:ChangeResourceRecordSets"],
        "Resource": {"Fn::Sub": "arn:${AWS::Partition}:route53:::hostedzone/${ZoneInternal}"},
    },
    {
        "Effect": "Allow",
        "Action": [
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
            "sqs:SendMessage",
        ],
        "Resource": {"Fn::GetAtt": ["SampleQueue", "Arn"]},
    },
    {
        "Effect": "Allow",
        "Action": ["sqs:SendMessage"],
        "Resource": {"Fn::GetAtt": ["SampleDeadLetterQueue", "Arn"]},
    },
]


def test_a_function_may_do_its_calls_and_what_its_wiring_needs_and_nothing_else() -> None:
    assert function_statements(make_function(), ["SampleDeadLetterQueue"]) == SAMPLE


def test_a_function_in_a_vpc_lets_lambda_but_not_its_own_code_manage_interfaces() -> None:
    function = make_function(vpc=VPC, calls=(Call("ec2:DescribeSubnets", "*"),), sources=())

    assert function_statements(function) == [
        {
            "Effect": "Allow",
            "Action": [
                "ec2:AssignPrivateIpAddresses",
                "ec2:CreateNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:UnassignPrivateIpAddresses",
            ],
            "Resource": INTERFACES,
        },
        {
            "Effect": "Allow",
            "Action": ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"],
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": {"Fn::GetAtt": ["SampleLogGroup", "Arn"]},
        },
        {
            "Effect": "Deny",
            "Action": [
                "ec2:AssignPrivateIpAddresses",
                "ec2:CreateNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:DescribeNetworkInterfaces",
                "ec2:UnassignPrivateIpAddresses",
            ],
            "Resource": "*",
            "Condition": {
                "ArnEquals": {
                    "lambda:SourceFunctionArn": {
                        "Fn::Sub": (
                            "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}"
                            ":function:shop-local-sample"
                        )
                    }
                }
            },
        },
    ]


def test_equal_actions_on_several_resources_are_one_statement() -> None:
    calls = [Call("sqs:SendMessage", "${B.Arn}"), Call("sqs:SendMessage", "${A.Arn}")]

    assert statements([*calls, *calls]) == [
        {
            "Effect": "Allow",
            "Action": ["sqs:SendMessage"],
            "Resource": [{"Fn::GetAtt": ["A", "Arn"]}, {"Fn::GetAtt": ["B", "Arn"]}],
        }
    ]


def test_calls_with_different_conditions_stay_apart() -> None:
    condition = (("ArnEquals", "ecs:cluster", ("${Cluster.Arn}",)),)
    calls = [
        Call("ecs:RunTask", "arn:aws:ecs:::x"),
        Call("ecs:RunTask", "arn:aws:ecs:::x", condition),
    ]

    assert statements(calls) == [
        {"Effect": "Allow", "Action": ["ecs:RunTask"], "Resource": "arn:aws:ecs:::x"},
        {
            "Effect": "Allow",
            "Action": ["ecs:RunTask"],
            "Resource": "arn:aws:ecs:::x",
            "Condition": {"ArnEquals": {"ecs:cluster": {"Fn::GetAtt": ["Cluster", "Arn"]}}},
        },
    ]


def test_the_order_of_calls_makes_no_difference() -> None:
    calls = make_function().calls

    assert statements(reversed(calls)) == statements(calls)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            Call("sqs:*", "${A.Arn}"),
            "call 'sqs:*' on '${A.Arn}': an action is written 'service:Name', without wildcards",
        ),
        (
            Call("*", "*"),
            "call '*' on '*': an action is written 'service:Name', without wildcards",
        ),
        (
            Call("sqs:SendMessage", "*"),
            (
                "call 'sqs:SendMessage' on '*': "
                "name the resource, or list the action in NO_RESOURCE_LEVEL"
            ),
        ),
        (
            Call("ec2:DescribeInstances", "${A.Arn}"),
            (
                "call 'ec2:DescribeInstances' on '${A.Arn}': "
                "AWS grants this action on '*' only; an ARN would never match"
            ),
        ),
        (
            Call("sqs:SendMessage", "A"),
            "call 'sqs:SendMessage' on 'A': a resource is an ARN",
        ),
    ],
    ids=["service wildcard", "all", "loose resource", "useless resource", "no ARN"],
)
def test_a_loose_call_is_refused(call: Call, message: str) -> None:
    with pytest.raises(ValueError, match=r"^call ") as refused:
        statements([call])

    assert str(refused.value) == message


def test_the_actions_without_resource_level_are_those_of_awss_own_reference() -> None:
    reference = authorization_reference()

    having = {action for action in NO_RESOURCE_LEVEL if resources_of(action, reference)}

    # Its one resource, a tenant, is optional: a request that names none is on everything.
    assert having == {"ses:GetSuppressedDestination"}


def test_the_network_interface_actions_exist_and_are_split_by_their_resource_level() -> None:
    reference = authorization_reference()

    assert all(resources_of(action, reference) for action in NETWORK_INTERFACE_ACTIONS)
    assert not any(resources_of(action, reference) for action in NETWORK_READ_ACTIONS)


def authorization_reference() -> dict[str, Any]:
    folder = Path(cfnlint.__file__).parent
    found: dict[str, Any] = json.loads(
        (folder / "data" / "AdditionalSpecs" / "Policies.json").read_text()
    )
    return found


def resources_of(action: str, reference: dict[str, Any]) -> list[str]:
    service, _, name = action.partition(":")
    actions = {key.lower(): value for key, value in reference[service]["Actions"].items()}
    resources: list[str] = actions[name.lower()].get("Resources", [])
    return resources
