"""Clients of a local cloud at known addresses: all that a command needs to speak to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.runtime.aws import ANY_SERVICE, Clients, Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

CREDENTIALS = Credentials("test", "test")

FLEET_SERVICES = {
    "autoscaling": "AUTO_SCALING",
    "ec2": "EC2",
    "elbv2": "ELASTIC_LOAD_BALANCING_V2",
}
"""Services the fleet answers, as boto3 and as the AWS_ENDPOINT_URL_ variables name them."""


def clients_of(addresses: Mapping[str, str], region: str) -> Clients:
    """Clients of the local cloud at these addresses, and of nothing else."""
    endpoints = {ANY_SERVICE: addresses["aws"], **dict.fromkeys(FLEET_SERVICES, addresses["fleet"])}
    return Clients(region=region, endpoints=endpoints, credentials=CREDENTIALS)
