"""The values of a template's parameters: what only the account itself can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.errors import Refused
from triggerfish.runtime.aws import calling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from triggerfish.blueprint import Blueprint, Parameter
    from triggerfish.runtime.aws import Clients


def resolve(
    blueprints: Sequence[tuple[str, Blueprint]], given: Mapping[str, str], clients: Clients
) -> dict[str, str]:
    """A value for every parameter of `blueprints` that has no default, or a better one than that.

    `given` are values known already; they win.

    Raises:
        Refused: a value can't be found, with every reason.

    """
    values: dict[str, str] = {}
    problems: list[str] = []
    for parameter in (item for _, blueprint in blueprints for item in blueprint.parameters):
        try:
            value = given.get(parameter.id) or _look_up(parameter, clients)
        except Refused as error:
            problems.append(str(error))
            continue
        if value is not None:
            values[parameter.id] = value
    if problems:
        raise Refused("\n".join(problems))
    return values


def _look_up(parameter: Parameter, clients: Clients) -> str | None:
    match parameter.resolve:
        case ("hosted-zone", zone):
            return private_zone_id(zone, clients)
        case None if parameter.default is not None:
            return None
        case None:
            raise Refused(f"parameter {parameter.id} has no value: {parameter.description}")
        case (how, _):
            raise ValueError(f"parameter {parameter.id}: nothing resolves {how!r}")


def private_zone_id(name: str, clients: Clients) -> str:
    """The id of the one private hosted zone with this name."""
    wanted = f"{name.rstrip('.')}."
    with calling("route53:ListHostedZonesByName", f"zone {name}"):
        answer = clients.route53.list_hosted_zones_by_name(DNSName=wanted, MaxItems="100")
    named = [zone for zone in answer["HostedZones"] if zone["Name"] == wanted]
    private = [zone for zone in named if zone.get("Config", {}).get("PrivateZone")]
    if len(private) == 1:
        return private[0]["Id"].removeprefix("/hostedzone/")
    if private:
        ids = ", ".join(sorted(zone["Id"].removeprefix("/hostedzone/") for zone in private))
        raise Refused(
            f"zone {name}: found {len(private)} private hosted zones ({ids}), wanted one",
            hint="one name in several VPCs can't be told apart: give the groups' zone its own name",
        )
    found = "a public one only" if named else "none"
    raise Refused(
        f"zone {name}: found {found} in Route 53, wanted a private hosted zone",
        hint="create it for the VPC the servers are in, or correct `zone` in triggerfish.toml",
    )
