"""Queues, topics and their policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.deploy.permissions import policy
from triggerfish.deploy.references import expand, reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from triggerfish.blueprint import Queue, Topic

    Resources = dict[str, dict[str, object]]
    Senders = Callable[[str], Sequence[dict[str, object]]]

DEAD_LETTER_RETENTION_S = 14 * 24 * 3600
"""The longest SQS keeps a message: what failed for good waits for a person."""

_SERVICE_LINKED_ROLES = {
    "autoscaling.amazonaws.com": "autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling*",
}
"""Publishers that act in this account by their service-linked role and not as a service.

Auto Scaling publishes with the `sns:Publish` of AutoScalingServiceRolePolicy (SNSManagement, v10),
and PutNotificationConfiguration fails with ServiceLinkedRoleFailure where the role isn't ready.
The `*` is for roles with a custom suffix, which a group may name. Source, 2026-11:
docs.aws.amazon.com/aws-managed-policy/latest/reference/AutoScalingServiceRolePolicy.html
docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutNotificationConfiguration.html
"""


def queue_resources(
    queue: Queue, topics: Sequence[Topic], senders: Senders = lambda _: ()
) -> Resources:
    """`queue`, its dead-letter queue, and who may send to them: the topics it subscribes to.

    `senders` gives, for the logical id of either queue, the statements that let others send.
    """
    main, dead = f"{queue.id}Queue", f"{queue.id}DeadLetterQueue"
    return {
        dead: dead_letter_queue(f"{queue.name}-dead", source=queue.name),
        main: {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "QueueName": queue.name,
                "VisibilityTimeout": queue.visibility_timeout_s,
                "MessageRetentionPeriod": queue.retention_s,
                "SqsManagedSseEnabled": True,
                "RedrivePolicy": {
                    "deadLetterTargetArn": reference(f"{dead}.Arn"),
                    "maxReceiveCount": queue.max_receive_count,
                },
            },
        },
        f"{main}Policy": queue_policy(main, topics, senders(main)),
        f"{dead}Policy": queue_policy(dead, topics, senders(dead)),
    }


def dead_letter_queue(name: str, source: str | None) -> dict[str, object]:
    """A queue for what failed for good; `source` names the only queue that redrives into it."""
    allowed: dict[str, object] = {"redrivePermission": "denyAll"}
    if source is not None:
        arn = f"arn:${{AWS::Partition}}:sqs:${{AWS::Region}}:${{AWS::AccountId}}:{source}"
        allowed = {"redrivePermission": "byQueue", "sourceQueueArns": [expand(arn)]}
    return {
        "Type": "AWS::SQS::Queue",
        "Properties": {
            "QueueName": name,
            "MessageRetentionPeriod": DEAD_LETTER_RETENTION_S,
            "SqsManagedSseEnabled": True,
            "RedriveAllowPolicy": allowed,
        },
    }


def queue_policy(
    queue: str, topics: Sequence[Topic], senders: Sequence[dict[str, object]] = ()
) -> dict[str, object]:
    """Only these sources of this account may send from outside, and nobody without TLS."""
    arn = reference(f"{queue}.Arn")
    entries: list[dict[str, object]] = [
        {
            "Sid": f"{topic.id}Topic",
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {
                "ArnEquals": {"aws:SourceArn": reference(f"{topic.id}Topic")},
                "StringEquals": {"aws:SourceAccount": reference("AWS::AccountId")},
            },
        }
        for topic in topics
    ]
    entries += senders
    entries.append(_without_tls("sqs:*", arn))
    return {
        "Type": "AWS::SQS::QueuePolicy",
        "Properties": {"Queues": [reference(queue)], "PolicyDocument": policy(entries)},
    }


def topic_resources(topic: Topic) -> Resources:
    """`topic`, who may publish to it, and its delivery into its queue.

    No key encrypts it: Auto Scaling's role can't use `alias/aws/sns`, whose policy is fixed, and
    the messages say no more than that a group changed.
    """
    logical = f"{topic.id}Topic"
    queue, dead = f"{topic.queue}Queue", f"{topic.queue}DeadLetterQueue"
    entries = [_publisher(service, logical) for service in topic.publishers]
    entries.append(_without_tls("sns:Publish", reference(logical)))
    return {
        logical: {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": topic.name}},
        f"{logical}Policy": {
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {"Topics": [reference(logical)], "PolicyDocument": policy(entries)},
        },
        f"{topic.id}Subscription": {
            "Type": "AWS::SNS::Subscription",
            # Messages published before the queue lets them in would be lost.
            "DependsOn": [f"{queue}Policy", f"{dead}Policy"],
            "Properties": {
                "TopicArn": reference(logical),
                "Protocol": "sqs",
                "Endpoint": reference(f"{queue}.Arn"),
                "RawMessageDelivery": False,
                "RedrivePolicy": {"deadLetterTargetArn": reference(f"{dead}.Arn")},
            },
        },
    }


def _publisher(service: str, topic: str) -> dict[str, object]:
    """Lets `service` publish, only for this account."""
    entry: dict[str, object] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sns:Publish",
        "Resource": reference(topic),
        "Condition": {"StringEquals": {"aws:SourceAccount": reference("AWS::AccountId")}},
    }
    role = _SERVICE_LINKED_ROLES.get(service)
    if role is None:
        return entry
    arn = f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/aws-service-role/{role}"
    # The account is the principal and the role a condition: SNS refuses a policy whose principal is
    # a role that doesn't exist yet, as in an account that never had a group.
    return entry | {
        "Principal": {"AWS": expand("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")},
        "Condition": {"ArnLike": {"aws:PrincipalArn": expand(arn)}},
    }


def _without_tls(action: str, resource: object) -> dict[str, object]:
    return {
        "Sid": "RefuseWithoutTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
