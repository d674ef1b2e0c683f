"""The one place where moto is changed: which classes it builds, and whom they tell.

moto makes its objects by names in its own modules, so a subclass is put in the place of each:

=====================================  ==============================  ======================
moto                                   here                            mends
=====================================  ==============================  ======================
ec2.models.instances.Instance          compute.ServerInstance          boot and shutdown times
ec2 EC2Backend, EC2Response            compute.Server{Backend,Response}  lookups, paging
elbv2.models.FakeTargetGroup           balancing.PooledTargetGroup     health, draining
elbv2 ELBv2Backend, ELBV2Response      balancing.Balancing{...}        as above
autoscaling.models.FakeAutoScalingGroup  groups.Group                  hooks, topics, causes
autoscaling AutoScalingBackend         groups.ScalingBackend           errors, registration
autoscaling AutoScalingResponse        scaling_api.ScalingResponse     13 actions moto lacks
=====================================  ==============================  ======================

`install` gives them the fleet they report to. moto's registries are global, so one process has one
fleet; a test may install another after it.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from moto.autoscaling import models as autoscaling_models
from moto.core import responses as core_responses
from moto.core.utils import (
    camelcase_to_underscores,
    get_service_model,
    method_names_from_class,
)
from moto.ec2 import models as ec2_models
from moto.ec2.models import instances as instance_models
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend, Zone
from moto.elbv2 import models as elbv2_models
from moto.sts.responses import TokenResponse

from triggerfish.local.fleet import snapshot
from triggerfish.local.fleet.balancing import BalancingBackend, BalancingResponse, PooledTargetGroup
from triggerfish.local.fleet.compute import ServerBackend, ServerInstance, ServerResponse
from triggerfish.local.fleet.groups import Group, ScalingBackend
from triggerfish.local.fleet.scaling_api import ScalingResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moto.core.responses import BaseResponse

    from triggerfish.local.fleet.fleet import Fleet


class IdentityResponse(TokenResponse):
    def _authenticate_and_authorize_normal_action(self, resource: str = "*") -> None:
        """Nobody is refused here; moto would import all of IAM to find that out."""


SERVICES: Mapping[str, type[BaseResponse]] = {
    "autoscaling": ScalingResponse,
    "ec2": ServerResponse,
    "elasticloadbalancing": BalancingResponse,
    "sts": IdentityResponse,
}
"""By signing name."""


@functools.cache
def _method_names(response: object) -> list[str]:
    return method_names_from_class(response)


def _know_region(region: str) -> None:
    """A region newer than moto is given three zones."""
    os.environ["MOTO_ALLOW_NONEXISTENT_REGION"] = "true"
    if region not in RegionsAndZonesBackend.zones:
        RegionsAndZonesBackend.zones[region] = [
            Zone(f"{region}{letter}", region, f"{region}-az{number}")
            for number, letter in enumerate("abc", 1)
        ]


def install(fleet: Fleet) -> None:
    """Put our classes in place, and start empty."""
    os.environ["MOTO_ACCOUNT_ID"] = fleet.account
    _know_region(fleet.region)
    # moto looks through all 700 methods of a response class for each request: 1 ms.
    vars(core_responses)["method_names_from_class"] = _method_names
    instance_models.Instance = ServerInstance  # type: ignore[misc]
    elbv2_models.FakeTargetGroup = PooledTargetGroup  # type: ignore[misc]
    autoscaling_models.FakeAutoScalingGroup = Group  # type: ignore[misc]
    ec2_models.ec2_backends.backend = ServerBackend
    elbv2_models.elbv2_backends.backend = BalancingBackend
    autoscaling_models.autoscaling_backends.backend = ScalingBackend
    for registry in snapshot.REGISTRIES.values():
        registry.clear()
    ServerInstance.watcher = fleet
    PooledTargetGroup.watcher = fleet
    Group.watcher = fleet
    ScalingBackend.watcher = fleet
    ScalingResponse.fleet = fleet


def method_name(action: str) -> str:
    """The name of the method with which moto's responses answer an action."""
    return camelcase_to_underscores(action) if action else " "


def warm_up() -> None:
    """Load the service models now: EC2's takes 0.1 s, which the first caller would wait for."""
    for service in ("ec2", "autoscaling", "elbv2"):
        get_service_model(service)
