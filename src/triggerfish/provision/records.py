"""A records in a private zone, changed only from what we know them to hold.

Route 53 has no conditional write, but a DELETE must repeat the record's exact value and a CREATE
fails where a record is, and a batch is all or nothing. DELETE with CREATE is therefore a
compare-and-swap, and neither an old owner nor a stranger's record is ever overwritten.
https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from triggerfish.blueprint import Call
from triggerfish.errors import Unavailable
from triggerfish.runtime.aws import calling, error_code, error_message, translate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from types_boto3_route53 import Route53Client
    from types_boto3_route53.type_defs import ChangeTypeDef, ResourceRecordSetOutputTypeDef

    from triggerfish.provision.ports import RecordChange

ELEMENTS_A_REQUEST = 1000
"""ChangeResourceRecordSets takes 1,000 ResourceRecord elements; CREATE and DELETE are one each."""

TRIES = 3

LOOKED_UP_ALONE = 10
"""Route 53 takes 10 requests a second: a page of 300 records is cheaper than more look-ups."""


def record_calls(zone_parameters: Sequence[str]) -> tuple[Call, ...]:
    """`zone_parameters` are the template parameters that hold the zones' ids."""
    return tuple(
        Call(f"route53:{action}", f"arn:${{AWS::Partition}}:route53:::hostedzone/${{{parameter}}}")
        for parameter in zone_parameters
        for action in ("ChangeResourceRecordSets", "ListResourceRecordSets")
    )


class Route53Records:
    def __init__(self, client: Route53Client, zone_ids: Mapping[str, str]) -> None:
        """`zone_ids` maps a zone's name to its hosted zone id."""
        self._client = client
        self._zone_ids = zone_ids

    def change(
        self, zone: str, changes: Sequence[RecordChange], *, ttl_s: int
    ) -> dict[str, str | None]:
        """Make the changes. Raises Unavailable while another change of the zone is under way."""
        zone_id = self._zone_ids[zone]
        left_alone: dict[str, str | None] = {}
        for at in range(0, len(changes), ELEMENTS_A_REQUEST // 2):
            some = changes[at : at + ELEMENTS_A_REQUEST // 2]
            left_alone |= self._change_some(zone_id, some, ttl_s)
        return left_alone

    def _change_some(
        self, zone_id: str, changes: Sequence[RecordChange], ttl_s: int
    ) -> dict[str, str | None]:
        parts = {change.domain: _changes(change, ttl_s, ttl_s) for change in changes}
        left_alone: dict[str, str | None] = {}
        for _ in range(TRIES):
            conflict = self._send(zone_id, [part for some in parts.values() for part in some])
            if conflict is None:
                return left_alone
            # A record isn't as we knew it. Look at the names AWS named, and keep to what is ours.
            named = [change for change in changes if change.domain.lower() in conflict.lower()]
            found = self._records(zone_id, [change.domain for change in named or changes])
            for change in named or changes:
                record = found.get(change.domain.lower())
                holds = _address(record)
                left_alone.pop(change.domain, None)
                if holds not in {None, change.previous, change.address}:
                    left_alone[change.domain] = holds
                parts[change.domain] = _from_there(change, record, holds, ttl_s)
        raise Unavailable("route53:ChangeResourceRecordSets: the records change while we look")

    def _send(self, zone_id: str, parts: Sequence[ChangeTypeDef]) -> str | None:
        """Send the batch; gives AWS's words when a record didn't hold what the batch said."""
        if not parts:
            return None
        from botocore.exceptions import ClientError  # noqa: PLC0415 - after a client was made

        try:
            with calling(
                "route53:ChangeResourceRecordSets", f"zone {zone_id}", pass_client_errors=True
            ):
                self._client.change_resource_record_sets(
                    HostedZoneId=zone_id, ChangeBatch={"Changes": list(parts)}
                )
        except ClientError as error:
            if error_code(error) == "InvalidChangeBatch":
                return error_message(error)
            raise translate(error, f"route53:ChangeResourceRecordSets, zone {zone_id}") from error
        return None

    def _records(
        self, zone_id: str, domains: Sequence[str]
    ) -> dict[str, ResourceRecordSetOutputTypeDef]:
        """The records of these names, in lower case: one by one while few, else the whole zone."""
        if len(domains) <= LOOKED_UP_ALONE:
            each = ((domain.lower(), self._record(zone_id, domain)) for domain in domains)
            return {domain: record for domain, record in each if record is not None}
        wanted = {domain.lower() for domain in domains}
        pages = self._client.get_paginator("list_resource_record_sets").paginate(
            HostedZoneId=zone_id
        )
        with calling("route53:ListResourceRecordSets", f"zone {zone_id}"):
            return {
                name: record
                for page in pages
                for record in page["ResourceRecordSets"]
                if record["Type"] in {"A", "CNAME"}
                and (name := record["Name"].rstrip(".").lower()) in wanted
            }

    def _record(self, zone_id: str, domain: str) -> ResourceRecordSetOutputTypeDef | None:
        """The record of exactly this name that an A record can't stand beside, or is.

        The API lists from a name on, so check what came.
        """
        with calling("route53:ListResourceRecordSets", f"{domain} in zone {zone_id}"):
            answer = self._client.list_resource_record_sets(
                HostedZoneId=zone_id,
                StartRecordName=domain,
                StartRecordType="A",
                MaxItems="1",
            )
        for record in answer["ResourceRecordSets"]:
            if (
                record["Type"] in {"A", "CNAME"}
                and record["Name"].rstrip(".").lower() == domain.lower()
            ):
                return record
        return None


def _changes(change: RecordChange, ttl_s: int, previous_ttl_s: int) -> list[ChangeTypeDef]:
    parts: list[ChangeTypeDef] = []
    if change.previous is not None:
        parts.append(_change("DELETE", change.domain, change.previous, previous_ttl_s))
    if change.address is not None:
        parts.append(_change("CREATE", change.domain, change.address, ttl_s))
    return parts


def _change(action: str, domain: str, address: str, ttl_s: int) -> ChangeTypeDef:
    return {
        "Action": action,  # type: ignore[typeddict-item]  # CREATE or DELETE
        "ResourceRecordSet": {
            "Name": domain,
            "Type": "A",
            "TTL": ttl_s,
            "ResourceRecords": [{"Value": address}],
        },
    }


def _from_there(
    change: RecordChange,
    record: ResourceRecordSetOutputTypeDef | None,
    holds: str | None,
    ttl_s: int,
) -> list[ChangeTypeDef]:
    """What leads from what the record holds to what is wanted; nothing where it isn't ours."""
    if holds == change.address or holds not in {None, change.previous}:
        return []
    real_ttl_s = int(record.get("TTL", ttl_s)) if record else ttl_s
    return _changes(replace(change, previous=holds), ttl_s, real_ttl_s)


def _address(record: ResourceRecordSetOutputTypeDef | None) -> str | None:
    """What an A record holds; several values, or an alias, in words nobody's address equals."""
    if record is None:
        return None
    values = [value["Value"] for value in record.get("ResourceRecords", [])]
    return ", ".join(values) if values else "an alias"
