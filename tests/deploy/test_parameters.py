from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.deploy.samples import ZONE, make_blueprint
from triggerfish.blueprint import Blueprint, Parameter
from triggerfish.deploy.parameters import resolve
from triggerfish.errors import Refused

if TYPE_CHECKING:
    from triggerfish.runtime.aws import Clients

URL = Parameter(
    id="JenkinsMain", description="Where Jenkins is", default="http://jenkins.example.com"
)
NAME = Parameter(id="Nickname", description="What to call it")


class Route53:
    """Knows zones as (name, id, private)."""

    def __init__(self, *zones: tuple[str, str, bool]) -> None:
        self._zones = zones
        self.route53 = self

    def list_hosted_zones_by_name(self, **asked: str) -> dict[str, Any]:
        assert asked == {"DNSName": "internal.example.com.", "MaxItems": "100"}
        return {
            "HostedZones": [
                {"Id": f"/hostedzone/{zone_id}", "Name": name, "Config": {"PrivateZone": private}}
                for name, zone_id, private in self._zones
            ]
        }


def values(*zones: tuple[str, str, bool], **given: str) -> dict[str, str]:
    blueprints = [("sample", Blueprint(parameters=(ZONE, URL)))]
    return resolve(blueprints, given, cast("Clients", Route53(*zones)))


def test_a_zone_is_found_by_its_name_and_a_default_is_left_to_the_template() -> None:
    zones = (
        ("internal.example.com.", "Z1PUBLIC", False),
        ("internal.example.com.", "Z2PRIVATE", True),
        ("internal.example.org.", "Z3OTHER", True),
    )

    assert values(*zones) == {"ZoneInternal": "Z2PRIVATE"}


def test_a_given_value_wins() -> None:
    assert values(ZoneInternal="Z9", JenkinsMain="http://127.0.0.1:8080") == {
        "ZoneInternal": "Z9",
        "JenkinsMain": "http://127.0.0.1:8080",
    }


@pytest.mark.parametrize(
    ("zones", "message"),
    [
        (
            [],
            (
                "zone internal.example.com: found none in Route 53, wanted a private hosted zone\n"
                "hint: create it for the VPC the servers are in, "
                "or correct `zone` in triggerfish.toml"
            ),
        ),
        (
            [("internal.example.com.", "Z1", False)],
            (
                "zone internal.example.com: found a public one only in Route 53, "
                "wanted a private hosted zone\n"
                "hint: create it for the VPC the servers are in, "
                "or correct `zone` in triggerfish.toml"
            ),
        ),
        (
            [("internal.example.com.", "Z2", True), ("internal.example.com.", "Z1", True)],
            (
                "zone internal.example.com: found 2 private hosted zones (Z1, Z2), wanted one\n"
                "hint: one name in several VPCs can't be told apart: "
                "give the groups' zone its own name"
            ),
        ),
    ],
    ids=["none", "public", "two"],
)
def test_a_zone_that_can_not_be_told_is_refused(
    zones: list[tuple[str, str, bool]], message: str
) -> None:
    with pytest.raises(Refused) as refused:
        values(*zones)

    assert str(refused.value) == message


def test_every_parameter_without_a_value_is_told() -> None:
    blueprints = [("sample", Blueprint(parameters=(NAME, ZONE)))]

    with pytest.raises(Refused) as refused:
        resolve(blueprints, {}, cast("Clients", Route53()))

    assert str(refused.value).splitlines()[:2] == [
        "parameter Nickname has no value: What to call it",
        "zone internal.example.com: found none in Route 53, wanted a private hosted zone",
    ]


def test_an_unknown_way_to_resolve_is_a_programming_error() -> None:
    odd = Parameter(id="Odd", description="", resolve=("stars", "x"))

    with pytest.raises(ValueError, match=r"^parameter Odd: nothing resolves 'stars'$"):
        resolve([("sample", Blueprint(parameters=(odd,)))], {}, cast("Clients", Route53()))


@pytest.mark.cloud
def test_a_zone_is_found_in_the_emulator(clients: Clients) -> None:
    made = clients.route53.create_hosted_zone(
        Name="internal.example.com",
        VPC={"VPCRegion": "eu-west-1", "VPCId": "vpc-11111111"},
        CallerReference="one",
    )["HostedZone"]["Id"]

    with contextlib.ExitStack() as cleaned:
        cleaned.callback(clients.route53.delete_hosted_zone, Id=made)
        found = resolve([("sample", make_blueprint())], {}, clients)

    assert found == {"ZoneInternal": made.removeprefix("/hostedzone/")}
