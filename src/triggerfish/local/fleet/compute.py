"""EC2, mended: servers that take time to boot and to die, and lookups that hold at 600 instances.

moto starts instances as `running` and ends them as `terminated` at once, asks every tag of the
account for each instance it describes, pages by reservation with a default page of 100, and tags
instances that don't exist.
"""

from __future__ import annotations

import base64
import binascii
import copy
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from moto.ec2.exceptions import (
    EC2ClientError,
    InvalidInstanceIdError,
    InvalidParameterCombination,
)
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Instance, InstanceState, Reservation, StateReason
from moto.ec2.responses import EC2Response
from moto.ec2.utils import passes_filter_dict

from triggerfish.local.fleet import rendering

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

INSTANCE = "i-"
GONE_STATES = frozenset({"shutting-down", "terminated"})
MIN_PAGE, MAX_PAGE = 5, 1000


class InstanceWatcher(Protocol):
    """What the fleet wants to hear from EC2."""

    def instance_created(self, instance: ServerInstance) -> None: ...
    def instance_stopping(self, instance: ServerInstance) -> None: ...
    def is_visible(self, instance: ServerInstance) -> bool: ...


class ServerInstance(Instance):
    watcher: ClassVar[InstanceWatcher]

    def __init__(self, ec2_backend: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(ec2_backend, *args, **kwargs)
        self.created_at = 0.0
        self._state = InstanceState("pending", 0)
        ec2_backend.servers[self.id] = self
        self.watcher.instance_created(self)

    def setup_defaults(self) -> None:
        """No root volume: nothing here looks at one, and it doubles the cost of a launch."""

    def get_tags(self) -> list[dict[str, str]]:
        return [
            {"resource_id": self.id, "key": key, "value": value, "resource_type": "instance"}
            for key, value in self.ec2_backend.tags.get(self.id, {}).items()
        ]

    @property
    def private_ip_address(self) -> str | None:
        """AWS forgets the address of an instance that has gone."""
        return None if self.state == "terminated" else super().private_ip_address

    def boot(self) -> bool:
        if self.state != "pending":
            return False
        self._state = InstanceState("running", 16)
        return True

    def terminate(self) -> InstanceState:
        previous = copy.copy(self._state)
        if self.state not in GONE_STATES:
            self._state = InstanceState("shutting-down", 32)
            self.state_reason = StateReason(
                "Client.UserInitiatedShutdown: User initiated shutdown",
                "Client.UserInitiatedShutdown",
            )
            self.watcher.instance_stopping(self)
        return previous

    def stop(self) -> InstanceState:
        previous = super().stop()
        self.watcher.instance_stopping(self)
        return previous

    def finish_terminating(self) -> bool:
        if self.state != "shutting-down":
            return False
        super().terminate()
        return True


class ServerBackend(EC2Backend):
    def __init__(self, region_name: str, account_id: str) -> None:
        self.servers: dict[str, ServerInstance] = {}
        super().__init__(region_name, account_id)

    def get_instance_by_id(self, instance_id: str) -> Instance | None:
        return self.servers.get(instance_id)

    def visible_server(self, instance_id: str) -> ServerInstance:
        instance = self.servers.get(instance_id)
        if instance is None or not instance.watcher.is_visible(instance):
            raise InvalidInstanceIdError(instance_id)
        return instance

    def get_multi_instances_by_id(
        self, instance_ids: Sequence[str], filters: Any = None
    ) -> list[Instance]:
        found: list[Instance] = [self.visible_server(instance_id) for instance_id in instance_ids]
        return [instance for instance in found if not filters or instance.applies(filters)]

    def do_resources_exist(self, resource_ids: list[str]) -> bool:
        for resource_id in resource_ids:
            if resource_id.startswith(INSTANCE):
                self.visible_server(resource_id)
        return super().do_resources_exist(resource_ids)

    def describe_tags(self, filters: dict[str, list[str]] | None = None) -> list[dict[str, str]]:
        wanted = (filters or {}).get("resource-id")
        if not wanted or any("*" in name or "?" in name for name in wanted):
            return super().describe_tags(filters)
        everything = self.tags
        self.tags = {name: everything[name] for name in wanted if name in everything}
        try:
            return super().describe_tags(filters)
        finally:
            self.tags = everything

    def run_instances(self, *args: Any, **kwargs: Any) -> Reservation:
        """In moto a missing template is an IndexError, and a full subnet a StopIteration."""
        template = (kwargs.get("launch_template") or {}).get("LaunchTemplateId")
        if template and template not in self.launch_templates:
            raise EC2ClientError(
                "InvalidLaunchTemplateId.NotFoundException",
                f"The specified launch template, with template ID {template}, does not exist.",
            )
        try:
            return super().run_instances(*args, **kwargs)
        except (StopIteration, RuntimeError) as error:
            raise EC2ClientError(
                "InsufficientFreeAddressesInSubnet",
                f"There are not enough free addresses in subnet '{kwargs.get('subnet_id')}' to "
                "satisfy the requested number of instances.",
            ) from error

    def forget(self, instance_id: str) -> None:
        """Drop a terminated instance from view, and give its address back."""
        instance = self.servers.pop(instance_id, None)
        if instance is None:
            return
        self.tags.pop(instance_id, None)
        for address in instance._private_ips:  # noqa: SLF001 - where moto keeps them
            self.get_subnet(instance.subnet_id or "").del_subnet_ip(address)
        for name, reservation in list(self.reservations.items()):
            reservation.instances = [one for one in reservation.instances if one.id != instance_id]
            if not reservation.instances:
                del self.reservations[name]

    def select(
        self, instance_ids: Sequence[str], filters: Mapping[str, Sequence[str]]
    ) -> Iterable[Reservation]:
        """Reservations holding only what was asked for, oldest first, as copies."""
        wanted = {self.visible_server(instance_id).id for instance_id in instance_ids}
        for reservation in self.reservations.values():
            chosen: list[Instance] = [
                one
                for one in reservation.instances
                if (not wanted or one.id in wanted)
                and isinstance(one, ServerInstance)
                and one.watcher.is_visible(one)
                and passes_filter_dict(one, dict(filters))
            ]
            if chosen:
                found = copy.copy(reservation)
                found.instances = chosen
                yield found


def page(
    reservations: Iterable[Reservation], limit: int, after: int
) -> tuple[list[Reservation], int | None]:
    """At most `limit` instances, starting behind the first `after`; where the next page starts."""
    taken: list[Reservation] = []
    count = position = 0
    for reservation in reservations:
        start = max(0, after - position)
        position += len(reservation.instances)
        rest = reservation.instances[start:]
        if not rest:
            continue
        if count == limit:
            return taken, after + count
        if len(rest) > limit - count:
            reservation.instances = rest[: limit - count]
            taken.append(reservation)
            return taken, after + limit
        reservation.instances = rest
        taken.append(reservation)
        count += len(rest)
    return taken, None


class ServerResponse(EC2Response):
    def _authenticate_and_authorize_normal_action(self, resource: str = "*") -> None:
        """Nobody is refused here; moto would import all of IAM to find that out."""

    def describe_instances(self) -> str:  # type: ignore[override]
        """Moto takes text as well as its own results."""
        self.error_on_dryrun()
        instance_ids = self._get_param("InstanceIds", [])
        limit: int | None = self._get_int_param("MaxResults")
        if instance_ids and limit is not None:
            raise InvalidParameterCombination(
                "The parameter instancesSet cannot be used with the parameter maxResults"
            )
        if limit is not None and not MIN_PAGE <= limit <= MAX_PAGE:
            bound = f"greater than {MIN_PAGE}" if limit < MIN_PAGE else f"less than {MAX_PAGE}"
            raise EC2ClientError(
                "InvalidParameterValue",
                f"Value ( {limit} ) for parameter maxResults is invalid. "
                f"Expecting a value {bound}.",
            )
        found = self.ec2_backend.select(instance_ids, self._filters_from_querystring())
        after = _position(self._get_param("NextToken"))
        reservations, following = page(found, limit or MAX_PAGE, after)
        return rendering.describe_instances(reservations, _token(following))


def _token(position: int | None) -> str | None:
    return None if position is None else base64.b64encode(b"%d" % position).decode()


def _position(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.b64decode(token, validate=True))
    except (ValueError, binascii.Error):
        raise EC2ClientError("InvalidNextToken", "The token is invalid.") from None
