"""What Auto Scaling says happened: descriptions and causes, word for word.

Source: activity histories and SNS bodies published by users of Auto Scaling, 2012 to 2024. Clauses
of one cause are parted by two spaces; times in a cause have no fraction, times in a message have
three digits of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

EC2_DEAD = "an EC2 health check indicating it has been terminated or stopped"
ELB_FAILED = "an ELB system health check failure"
USER_SAYS_UNHEALTHY = "a user health-check"

NO_CAPACITY = (
    "We currently do not have sufficient {instance_type} capacity in the Availability Zone you "
    "requested ({zone}). Our system will be working on provisioning additional capacity. "
    "Launching EC2 instance failed."
)
ABANDONED = (
    "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token {token} was "
    "abandoned: {why}"
)
COMPLETED_WITH_ABANDON = "Lifecycle Action Completed with ABANDON Result"
HEARTBEAT_TIMEOUT = "Heartbeat Timeout"
DIED_WHILE_PENDING = (
    "Instance became unhealthy while waiting for instance to be in InService state. Termination "
    "Reason: Client.UserInitiatedShutdown: User initiated shutdown"
)


def second(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def millisecond(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def clauses(*parts: str) -> str:
    return "  ".join(part for part in parts if part)


def launching(instance: str) -> str:
    return f"Launching a new EC2 instance: {instance}"


def launch_failed(instance: str, reason: str) -> str:
    start = launching(instance) if instance else "Launching a new EC2 instance"
    return f"{start}. Status Reason: {reason}"


def terminating(instance: str) -> str:
    return f"Terminating EC2 instance: {instance}"


def terminate_failed(instance: str, reason: str) -> str:
    return f"{terminating(instance)}. Status Reason: {reason}"


def attaching(instance: str) -> str:
    return f"Attaching an existing EC2 instance: {instance}"


def detaching(instance: str) -> str:
    return f"Detaching EC2 instance: {instance}"


def entering_standby(instance: str) -> str:
    return f"Moving EC2 instance to Standby: {instance}"


def leaving_standby(instance: str) -> str:
    return f"Moving EC2 instance out of Standby: {instance}"


def group_created(at: datetime, desired: int) -> str:
    return (
        f"At {second(at)} a user request created an AutoScalingGroup changing the desired capacity "
        f"from 0 to {desired}."
    )


def capacity_set(at: datetime, before: int, after: int) -> str:
    return (
        f"At {second(at)} a user request explicitly set group desired capacity changing the "
        f"desired capacity from {before} to {after}."
    )


def constraints_updated(
    at: datetime, *, minimum: int, maximum: int, desired: int, before: int
) -> str:
    return (
        f"At {second(at)} a user request update of AutoScalingGroup constraints to min: "
        f"{minimum}, max: {maximum}, desired: {desired} changing the desired capacity from "
        f"{before} to {desired}."
    )


def started(at: datetime, before: int, after: int) -> str:
    return (
        f"At {second(at)} an instance was started in response to a difference between desired and "
        f"actual capacity, increasing the capacity from {before} to {after}."
    )


def replacing(at: datetime) -> str:
    return (
        f"At {second(at)} an instance was launched in response to an unhealthy instance needing to "
        "be replaced."
    )


def shrinking(at: datetime, before: int, after: int) -> str:
    return (
        f"At {second(at)} an instance was taken out of service in response to a difference between "
        f"desired and actual capacity, shrinking the capacity from {before} to {after}."
    )


def selected(at: datetime, instance: str) -> str:
    return f"At {second(at)} instance {instance} was selected for termination."


def taken_out(at: datetime, why: str) -> str:
    return f"At {second(at)} an instance was taken out of service in response to {why}."


def by_user(at: datetime, instance: str, what: str, change: tuple[int, int] | None) -> str:
    """`what` is "taken out of service", "moved to standby" or "detached"."""
    tail = f", shrinking the capacity from {change[0]} to {change[1]}." if change else "."
    return f"At {second(at)} instance {instance} was {what} in response to a user request{tail}"


def left_standby(at: datetime, instance: str, before: int, after: int) -> str:
    return (
        f"At {second(at)} instance {instance} was moved out of standby in response to a user "
        f"request, increasing the capacity from {before} to {after}."
    )


def attached(at: datetime, desired: int) -> str:
    return (
        f"At {second(at)} an instance was added in response to user request. Keeping the capacity "
        f"at the new {desired}."
    )
