"""DescribeInstances as XML, written directly.

moto's serializer walks botocore's model for every field: 1 ms an instance, under the lock everybody
waits for. This takes 20 microseconds, and leaves out what no server here has (volumes, addresses
from the internet, spot requests).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moto.ec2.models.instances import Instance, Reservation

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15"


def describe_instances(reservations: Sequence[Reservation], next_token: str | None) -> str:
    token = f"<nextToken>{next_token}</nextToken>" if next_token else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<DescribeInstancesResponse xmlns="{NAMESPACE}">'
        "<requestId>request-id</requestId><reservationSet>"
        + "".join(_reservation(one) for one in reservations)
        + f"</reservationSet>{token}</DescribeInstancesResponse>"
    )


def _reservation(reservation: Reservation) -> str:
    return (
        f"<item><reservationId>{reservation.id}</reservationId>"
        f"<ownerId>{reservation.owner_id}</ownerId><groupSet/><instancesSet>"
        + "".join(_instance(one) for one in reservation.instances)
        + "</instancesSet></item>"
    )


def _instance(instance: Instance) -> str:
    state = instance.instance_state
    address = instance.private_ip_address
    key = f"<keyName>{escape(instance.key_name)}</keyName>" if instance.key_name else ""
    return (
        f"<item><instanceId>{instance.id}</instanceId><imageId>{instance.image_id}</imageId>"
        f"<instanceState><code>{state.code}</code><name>{state.name}</name></instanceState>"
        f"<privateDnsName>{instance.private_dns_name if address else ''}</privateDnsName>"
        f"<dnsName/><reason>{escape(instance.state_transition_reason or '')}</reason>{key}"
        f"<amiLaunchIndex>{instance.ami_launch_index}</amiLaunchIndex><productCodes/>"
        f"<instanceType>{instance.instance_type}</instanceType>"
        f"<launchTime>{instance.launch_time:%Y-%m-%dT%H:%M:%S}.000Z</launchTime>"
        f"<placement><availabilityZone>{instance.availability_zone}</availabilityZone>"
        "<groupName/><tenancy>default</tenancy></placement>"
        f"<monitoring><state>{instance.monitoring_state}</state></monitoring>"
        + (_network(instance, address) if address else "")
        + _state_reason(instance)
        + "<architecture>x86_64</architecture><rootDeviceType>ebs</rootDeviceType>"
        f"<rootDeviceName>{instance.root_device_name}</rootDeviceName><blockDeviceMapping/>"
        "<virtualizationType>hvm</virtualizationType><hypervisor>xen</hypervisor>"
        + _tags(instance)
        + _groups(instance)
        + "<sourceDestCheck>true</sourceDestCheck><ebsOptimized>false</ebsOptimized></item>"
    )


def _network(instance: Instance, address: str) -> str:
    where = f"<subnetId>{instance.subnet_id}</subnetId><vpcId>{instance.vpc_id}</vpcId>"
    interfaces = "".join(
        f"<item><networkInterfaceId>{one.id}</networkInterfaceId>{where}"
        f"<status>{one.status}</status><macAddress>{one.mac_address}</macAddress>"
        f"<privateIpAddress>{one.private_ip_address}</privateIpAddress></item>"
        for one in instance.network_interfaces
    )
    return (
        f"<privateIpAddress>{address}</privateIpAddress>{where}"
        f"<networkInterfaceSet>{interfaces}</networkInterfaceSet>"
    )


def _state_reason(instance: Instance) -> str:
    reason = instance.state_reason
    if not reason.code:
        return ""
    return (
        f"<stateReason><code>{escape(reason.code)}</code>"
        f"<message>{escape(reason.message)}</message></stateReason>"
    )


def _tags(instance: Instance) -> str:
    items = "".join(
        f"<item><key>{escape(tag['key'])}</key><value>{escape(tag['value'])}</value></item>"
        for tag in instance.get_tags()
    )
    return f"<tagSet>{items}</tagSet>" if items else ""


def _groups(instance: Instance) -> str:
    items = "".join(
        f"<item><groupId>{group.id}</groupId><groupName>{escape(group.name)}</groupName></item>"
        for group in instance.security_groups
    )
    return f"<groupSet>{items}</groupSet>"
