"""Makes real events happen in a group, through the API anyone would use. For `triggerfish send`.

Each returns the ids of the instances it concerned, as soon as they are known: what happens to them
afterwards is what one wants to watch.
"""

from __future__ import annotations

import http.client
import json
import time
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from triggerfish.errors import InputError, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from types_boto3_autoscaling import AutoScalingClient
    from types_boto3_autoscaling.type_defs import AutoScalingGroupTypeDef
    from types_boto3_ec2 import EC2Client

T = TypeVar("T")

LONGEST_WAIT_S = 60.0
LOOK_EVERY_S = 0.05
MOST_AT_ONCE = 20
"""Standby, attach and detach take 20 instances a call."""


def launch(autoscaling: AutoScalingClient, group: str, count: int) -> tuple[str, ...]:
    """Raise the desired capacity by `count`; the instances that came for it."""
    before = _group(autoscaling, group)
    known = set(_members(before))
    autoscaling.set_desired_capacity(
        AutoScalingGroupName=group, DesiredCapacity=before["DesiredCapacity"] + count
    )

    def came() -> tuple[str, ...] | None:
        new = tuple(one for one in _members(_group(autoscaling, group)) if one not in known)
        return new if len(new) >= count else None

    return _wait(came, f"group {group} to launch {count}")


def terminate(
    ec2: EC2Client,
    autoscaling: AutoScalingClient,
    group: str,
    count: int = 1,
    instances: Sequence[str] = (),
) -> tuple[str, ...]:
    """Kill members in EC2, as a failing host would: the group finds out and replaces them."""
    chosen = tuple(instances) or _in_state(autoscaling, group, "InService", count)
    strangers = set(chosen) - _members(_group(autoscaling, group)).keys()
    if strangers:
        raise InputError(f"{', '.join(sorted(strangers))} is not in group {group}")
    ec2.terminate_instances(InstanceIds=list(chosen))
    return chosen


def standby(autoscaling: AutoScalingClient, group: str, count: int = 1) -> tuple[str, ...]:
    """Put members in Standby, wait until they are, and bring them back."""
    chosen = _in_state(autoscaling, group, "InService", count)
    for some in _batches(chosen):
        autoscaling.enter_standby(
            AutoScalingGroupName=group,
            InstanceIds=some,
            ShouldDecrementDesiredCapacity=True,
        )

    def resting() -> bool | None:
        states = _members(_group(autoscaling, group))
        return all(states.get(one) == "Standby" for one in chosen) or None

    _wait(resting, f"{', '.join(chosen)} to reach Standby")
    for some in _batches(chosen):
        autoscaling.exit_standby(AutoScalingGroupName=group, InstanceIds=some)
    return chosen


def attach(
    ec2: EC2Client, autoscaling: AutoScalingClient, group: str, count: int = 1
) -> tuple[str, ...]:
    """Start instances outside the group, from its launch template, and attach them."""
    found = _group(autoscaling, group)
    template = found.get("LaunchTemplate", {}).get("LaunchTemplateId")
    subnet = found.get("VPCZoneIdentifier", "").split(",")[0]
    if not template or not subnet:
        raise InputError(f"group {group} has no launch template or no subnet to start from")
    started = ec2.run_instances(
        LaunchTemplate={"LaunchTemplateId": template},
        SubnetId=subnet,
        MinCount=count,
        MaxCount=count,
    )["Instances"]
    chosen = tuple(one["InstanceId"] for one in started)

    def running() -> bool | None:
        pages = ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": list(chosen)}])
        states = [
            one["State"]["Name"] for found in pages["Reservations"] for one in found["Instances"]
        ]
        return states == ["running"] * count or None

    _wait(running, f"{', '.join(chosen)} to run")
    for some in _batches(chosen):
        autoscaling.attach_instances(AutoScalingGroupName=group, InstanceIds=some)
    return chosen


def duplicate(endpoint: str, group: str, count: int = 1) -> tuple[str, ...]:
    """Have the group's last LAUNCH message published again, word for word. Local fleet only."""
    answer = control(endpoint, "duplicate", {"group": group, "count": count})
    instances = answer.get("instances", [])
    return tuple(str(one) for one in instances) if isinstance(instances, list) else ()


def control(
    endpoint: str, name: str, body: Mapping[str, object] | None = None
) -> dict[str, object]:
    """Call the fleet's own `/_fleet/NAME`: GET without a body, POST with one."""
    parts = urlsplit(endpoint)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        if body is None:
            connection.request("GET", f"/_fleet/{name}")
        else:
            connection.request("POST", f"/_fleet/{name}", json.dumps(body))
        response = connection.getresponse()
        text = response.read()
    except OSError as error:
        raise Unavailable(f"the local fleet at {endpoint} can't be reached: {error}") from error
    finally:
        connection.close()
    answer = json.loads(text)
    if not isinstance(answer, dict) or response.status != 200:
        raise Refused(f"the local fleet refused {name}: {answer.get('error', response.status)}")
    return {str(key): value for key, value in answer.items()}


def _group(autoscaling: AutoScalingClient, name: str) -> AutoScalingGroupTypeDef:
    groups = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    if not groups["AutoScalingGroups"]:
        raise InputError(f"there is no Auto Scaling group {name}")
    return groups["AutoScalingGroups"][0]


def _members(group: AutoScalingGroupTypeDef) -> dict[str, str]:
    return {one["InstanceId"]: one["LifecycleState"] for one in group.get("Instances", [])}


def _in_state(
    autoscaling: AutoScalingClient, group: str, state: str, count: int
) -> tuple[str, ...]:
    members = _members(_group(autoscaling, group))
    found = [instance for instance, now in members.items() if now == state]
    if len(found) < count:
        raise InputError(f"group {group} has {len(found)} members {state}, wanted {count}")
    return tuple(found[:count])


def _batches(instances: Sequence[str]) -> list[list[str]]:
    starts = range(0, len(instances), MOST_AT_ONCE)
    return [list(instances[start : start + MOST_AT_ONCE]) for start in starts]


def _wait(look: Callable[[], T | None], what: str) -> T:
    deadline = time.monotonic() + LONGEST_WAIT_S
    while True:
        seen = look()
        if seen is not None:
            return seen
        if time.monotonic() > deadline:
            raise Unavailable(f"waited {LONGEST_WAIT_S:.0f} s for {what}")
        time.sleep(LOOK_EVERY_S)
