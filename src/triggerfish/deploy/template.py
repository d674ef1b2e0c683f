"""The CloudFormation template, as plain data, from the triggers' blueprints.

One template serves every stage: between the local cloud and AWS only parameter values differ.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from triggerfish.blueprint import ScheduleSource
from triggerfish.deploy.compute import (
    CODE_BUCKET,
    SCHEDULE_GROUP,
    code_key_parameter,
    function_resources,
    schedule_group,
)
from triggerfish.deploy.messaging import queue_resources, topic_resources
from triggerfish.deploy.references import expand, reference
from triggerfish.deploy.storage import (
    bucket_events_rule,
    bucket_resources,
    bucket_sender,
    event_rule_resources,
    rule_sender,
)
from triggerfish.deploy.validate import validate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from triggerfish.blueprint import Blueprint, EventRule, Parameter, Topic
    from triggerfish.deploy.compute import FunctionSettings

    Section = dict[str, dict[str, object]]

STATE_TABLE = "StateTable"


def build_template(
    blueprints: Sequence[tuple[str, Blueprint]], *, stack: str, functions: FunctionSettings
) -> dict[str, object]:
    """The template of `stack`; equal blueprints give byte-equal JSON.

    Raises:
        ValueError: the blueprints don't fit together: a name used twice, or nowhere defined.

    """
    plans = [blueprint for _, blueprint in blueprints]
    resources: Section = {STATE_TABLE: _state_table(stack)}
    if any(_has_schedule(blueprint) for blueprint in plans):
        resources[SCHEDULE_GROUP] = schedule_group(stack)
    for trigger, blueprint in blueprints:
        _add(resources, _trigger_resources(blueprint, functions), trigger)
    outputs: Section = {
        "StateTableName": {
            "Description": "The table that holds all state",
            "Value": reference(STATE_TABLE),
        }
    }
    for trigger, blueprint in blueprints:
        _add(
            outputs, {name: {"Value": expand(value)} for name, value in blueprint.outputs}, trigger
        )
    template: dict[str, object] = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Triggerfish: {', '.join(name for name, _ in blueprints)} ({stack})",
        "Parameters": _parameters(blueprints),
        "Resources": resources,
        "Outputs": outputs,
    }
    validate(template)
    return template


def _state_table(stack: str) -> dict[str, object]:
    """Kept when the stack goes or replaces it, yet not when the deploy that made it fails.

    A table left over from a failed first deploy would hold its name against the next.
    """
    return {
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "RetainExceptOnCreate",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "TableName": f"{stack}-state",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "SSESpecification": {"SSEEnabled": True},
        },
    }


def _trigger_resources(blueprint: Blueprint, functions: FunctionSettings) -> Section:
    resources: Section = {}
    subscribed: defaultdict[str, list[Topic]] = defaultdict(list)
    for topic in blueprint.topics:
        subscribed[topic.queue].append(topic)
    rules = [*blueprint.event_rules, *map(bucket_events_rule, blueprint.bucket_events)]
    for queue in blueprint.queues:
        senders = partial(_senders, blueprint, rules, queue.id)
        _add(resources, queue_resources(queue, subscribed[queue.id], senders), queue.id)
    for topic in blueprint.topics:
        _add(resources, topic_resources(topic), topic.id)
    for bucket in blueprint.buckets:
        _add(resources, bucket_resources(bucket), bucket.id)
    for rule in rules:
        _add(resources, event_rule_resources(rule), rule.id)
    for function in blueprint.functions:
        _add(resources, function_resources(function, functions), function.id)
    return resources


def _senders(
    blueprint: Blueprint, rules: Sequence[EventRule], queue_id: str, logical_id: str
) -> list[dict[str, object]]:
    """Who beside topics may send to the queue `queue_id`, of which `logical_id` is a part."""
    from_rules = [rule_sender(rule, logical_id) for rule in rules if rule.queue == queue_id]
    events = (each for each in blueprint.bucket_events if each.queue == queue_id)
    return [*from_rules, *(bucket_sender(each, logical_id) for each in events)]


def _parameters(blueprints: Iterable[tuple[str, Blueprint]]) -> Section:
    parameters: Section = {
        CODE_BUCKET: {"Type": "String", "Description": "The bucket that holds the artifacts"}
    }
    for trigger, blueprint in blueprints:
        keys: Section = {
            code_key_parameter(function.id): {
                "Type": "String",
                "Description": f"The key of the artifact of {function.name}",
            }
            for function in blueprint.functions
        }
        _add(parameters, keys, trigger)
        _add(parameters, {item.id: _parameter(item) for item in blueprint.parameters}, trigger)
    return parameters


def _parameter(parameter: Parameter) -> dict[str, object]:
    declared: dict[str, object] = {"Type": parameter.type, "Description": parameter.description}
    return declared if parameter.default is None else declared | {"Default": parameter.default}


def _has_schedule(blueprint: Blueprint) -> bool:
    return any(
        isinstance(source, ScheduleSource)
        for function in blueprint.functions
        for source in function.sources
    )


def _add(section: Section, more: Section, owner: str) -> None:
    twice = sorted(section.keys() & more.keys())
    if twice:
        raise ValueError(f"{owner}: the template has {', '.join(twice)} already")
    section |= more
