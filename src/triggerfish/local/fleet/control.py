"""The fleet's own endpoints, under `/_fleet/`: look, provision servers, make things go wrong."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING

from triggerfish.local.fleet import messages, outbox, snapshot
from triggerfish.local.fleet.state import Delays, Failure, NotificationFaults
from triggerfish.local.fleet.throttle import Limit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from triggerfish.local.fleet.compute import ServerInstance
    from triggerfish.local.fleet.fleet import Fleet
    from triggerfish.local.fleet.groups import Group, Member

Body = dict[str, object]


class NotFoundError(Exception):
    """There is no such thing."""


class BadRequestError(Exception):
    """The body isn't what the endpoint takes."""


def parse(sent: bytes) -> Body:
    try:
        return _object(json.loads(sent) if sent else {})
    except ValueError as error:
        raise BadRequestError(f"wanted JSON: {error}") from error


def describe(fleet: Fleet, _: Body) -> Body:
    faults = fleet.state.faults
    return {
        "account": fleet.account,
        "region": fleet.region,
        "groups": [_group(fleet, group) for group in fleet.scaling.groups],
        "instances": [_instance(fleet, server) for server in fleet.ec2.servers.values()],
        "notifications": {
            "published": fleet.state.published,
            "undelivered": len(fleet.state.outbox),
        },
        "faults": asdict(faults),
        "delays": asdict(fleet.delays),
        "timers": len(fleet.state.timers),
    }


def _group(fleet: Fleet, group: Group) -> Body:
    return {
        "name": group.name,
        "min": group.min_size,
        "max": group.max_size,
        "desired": group.desired,
        "topics": group.topics,
        "hooks": sorted(group.hooks),
        "suspended": sorted(one["ProcessName"] for one in group.suspended_processes),
        "members": [_member(fleet, group, member) for member in group.members],
    }


def _member(fleet: Fleet, group: Group, member: Member) -> Body:
    name = member.server.id
    return {
        "instance": name,
        "lifecycle": member.lifecycle_state,
        "health": member.health_status,
        "zone": member.server.availability_zone,
        "address": member.server.private_ip_address,
        "state": member.server.state,
        "held_by": [action.hook.name for action in member.actions],
        "targets": [pool.health(name)[0] for pool in fleet.scaling.pools(group)],
    }


def _instance(fleet: Fleet, server: ServerInstance) -> Body:
    found = fleet.scaling.find(server.id)
    return {
        "instance": server.id,
        "state": server.state,
        "group": found[0].name if found else None,
        "address": server.private_ip_address,
        "zone": server.availability_zone,
        "provisioned": server.id in fleet.state.provisioned_at,
        "tags": dict(fleet.ec2.tags.get(server.id, {})),
    }


def provisioned(fleet: Fleet, body: Body) -> Body:
    """A job has provisioned an instance: its targets become healthy.

    Takes `{"instance": ID}`, or what the Jenkins stand-in sends after a build:
    `{"job", "build", "parameters": {"INSTANCE_ID": ID}}`.
    """
    server = _server(fleet, body)
    fleet.state.provisioned_at[server.id] = fleet.seconds()
    return {"provisioned": server.id}


def health(fleet: Fleet, body: Body) -> Body:
    """`{"instance", "healthy": bool}`: break a provisioned server, or mend it."""
    server = _server(fleet, body)
    if body.get("healthy"):
        fleet.state.provisioned_at[server.id] = fleet.seconds()
    else:
        fleet.state.provisioned_at.pop(server.id, None)
        fleet.later(fleet.delays.health_s, "elb-check", server.id)
    return {"instance": server.id, "healthy": bool(body.get("healthy"))}


def _server(fleet: Fleet, body: Body) -> ServerInstance:
    parameters = body.get("parameters")
    name = body.get("instance")
    if name is None and isinstance(parameters, dict):
        name = parameters.get("INSTANCE_ID")
    if not isinstance(name, str) or not name:
        raise BadRequestError('wanted {"instance": ID} or {"parameters": {"INSTANCE_ID": ID}}')
    server = fleet.ec2.servers.get(name)
    if server is None:
        raise NotFoundError(f"no instance {name}")
    return server


def faults(fleet: Fleet, body: Body) -> Body:
    """Set what the body names; the rest stays.

    `launch_error` and `terminate_error`: `{"group", "count": 1, "reason": null}`.
    `describe_lag_s`: seconds. `throttle`: `{ACTION: {"capacity", "refill_per_s"} or null}`.
    `delays`: any of `state.Delays`, until the fleet restarts.
    """
    for name, value in body.items():
        setting = FAULTS.get(name)
        if setting is None:
            raise BadRequestError(f"unknown fault {name}: wanted one of {sorted(FAULTS)}")
        setting(fleet, value)
    return {"faults": asdict(fleet.state.faults), "delays": asdict(fleet.delays)}


def _launch_error(fleet: Fleet, value: object) -> None:
    _add_failure(fleet, fleet.state.faults.launch, value)


def _terminate_error(fleet: Fleet, value: object) -> None:
    _add_failure(fleet, fleet.state.faults.terminate, value)


def _add_failure(fleet: Fleet, failures: dict[str, Failure], value: object) -> None:
    wanted = _object(value)
    group = str(wanted.get("group"))
    if group not in fleet.scaling.autoscaling_groups:
        raise NotFoundError(f"no group {group}")
    reason = wanted.get("reason")
    failures[group] = Failure(
        count=int(_number(wanted.get("count", 1))), reason=None if reason is None else str(reason)
    )


def _describe_lag(fleet: Fleet, value: object) -> None:
    fleet.state.faults.describe_lag_s = _number(value)


def _throttle(fleet: Fleet, value: object) -> None:
    limits = fleet.state.faults.limits
    for action, limit in _object(value).items():
        if limit is None:
            limits.pop(action, None)
            continue
        wanted = _object(limit)
        limits[action] = Limit(
            capacity=_number(wanted.get("capacity")),
            refill_per_s=_number(wanted.get("refill_per_s")),
        )


def _delays(fleet: Fleet, value: object) -> None:
    known = {field.name for field in fields(Delays)}
    wanted = {name: _number(one) for name, one in _object(value).items()}
    if unknown := wanted.keys() - known:
        raise BadRequestError(f"unknown delays {sorted(unknown)}: wanted some of {sorted(known)}")
    fleet.delays = replace(fleet.delays, **wanted)


FAULTS: Mapping[str, Callable[[Fleet, object], None]] = {
    "launch_error": _launch_error,
    "terminate_error": _terminate_error,
    "describe_lag_s": _describe_lag,
    "throttle": _throttle,
    "delays": _delays,
}


def notifications(fleet: Fleet, body: Body) -> Body:
    """How SNS misbehaves from now on; what the body leaves out goes back to normal.

    `duplicate`: how often each message comes. `shuffle`: true, or seconds within which messages are
    mixed. `drop`: a probability. `delay_s`: seconds.
    """
    known = {"duplicate", "shuffle", "drop", "delay_s"}
    if unknown := body.keys() - known:
        raise BadRequestError(f"unknown settings {sorted(unknown)}: wanted some of {sorted(known)}")
    shuffle = body.get("shuffle", False)
    fleet.state.faults.notifications = NotificationFaults(
        duplicate=int(_number(body.get("duplicate", 1))),
        shuffle_s=float(shuffle) if isinstance(shuffle, bool) else _number(shuffle),
        drop=_number(body.get("drop", 0)),
        delay_s=_number(body.get("delay_s", 0)),
    )
    return asdict(fleet.state.faults.notifications)


def duplicate(fleet: Fleet, body: Body) -> Body:
    """`{"group", "count": 1}`: publish the group's last LAUNCH again, word for word."""
    name = str(body.get("group"))
    last = fleet.state.last_launch.get(name, ())
    if not last:
        raise NotFoundError(f"group {name} has published no launch yet")
    for _ in range(int(_number(body.get("count", 1)))):
        for message in last:
            outbox.put(fleet, message)
    instances = {json.loads(message.body)["EC2InstanceId"] for message in last}
    return {"event": messages.LAUNCH, "instances": sorted(instances)}


def reset(fleet: Fleet, _: Body) -> Body:
    """Forget everything: groups, instances, messages, faults."""
    snapshot.empty(fleet)
    return {}


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise BadRequestError(f"wanted an object, found {json.dumps(value)}")
    return {str(name): one for name, one in value.items()}


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise BadRequestError(f"wanted a number, zero or more, found {json.dumps(value)}")
    return float(value)


Endpoint = tuple[str, "Callable[[Fleet, Body], Body]"]

ENDPOINTS: Mapping[str, Endpoint] = {
    "describe": ("GET", describe),
    "provisioned": ("POST", provisioned),
    "health": ("POST", health),
    "faults": ("POST", faults),
    "notifications": ("POST", notifications),
    "duplicate": ("POST", duplicate),
    "reset": ("POST", reset),
}
