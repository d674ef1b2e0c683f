"""Route 53's change batches, as the service judges them, and its throttles.

MiniStack stops at a batch's first fault with words of its own, takes records outside the zone,
bad addresses, repeated changes and batches of any size, makes every zone of a template public,
deletes a zone that holds records, and never throttles.

Sources: the ChangeResourceRecordSets reference, and "Throttling for Route 53 API requests" (2026):
10 requests a second after a burst of 50; 100 changes a second after 1,500, an UPSERT counting
twice.
"""

# ruff: noqa: SLF001  what MiniStack calls private is what is mended here

from __future__ import annotations

import contextlib
import ipaddress
import time
from typing import TYPE_CHECKING, Any

from . import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RecordSet = dict[str, Any]
Change = tuple[str, RecordSet]

RECORDS_IN_BATCH = 1000
CHARACTERS_IN_BATCH = 32_000


class Bucket:
    """A token bucket: `burst` at once, then `per_second`."""

    def __init__(self, burst: int, per_second: int, clock: Callable[[], float]) -> None:
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._left = float(burst)
        self._at = clock()

    def take(self, wanted: int) -> bool:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < wanted:
            return False
        self._left -= wanted
        return True


def mend() -> None:
    from ministack.services import route53  # noqa: PLC0415
    from ministack.services.cloudformation import provisioners  # noqa: PLC0415

    changes = Bucket(1500, 100, time.monotonic)
    _mend_changes(route53, changes)
    _mend_requests(route53, Bucket(50, 10, time.monotonic))
    _mend_template(route53, provisioners)


def _mend_requests(route53: Any, requests: Bucket) -> None:
    handle = guard.replace(
        route53,
        "handle_request",
        ("method", "path", "headers", "body", "query_params"),
        lambda *_: None,
        gap="Route 53 answers 400 Throttling to more than its rate",
    )

    async def handle_request(*request: Any) -> Any:
        if not requests.take(1):
            return route53._error_response("Throttling", "Rate exceeded", 400)
        return await handle(*request)

    route53.handle_request = handle_request


def _mend_changes(route53: Any, tokens: Bucket) -> None:
    gap = "a change batch is judged whole, with AWS's words for each fault"
    for name in ("_parse_body", "_find", "_findall", "_text", "_parse_record_set", "_new_change"):
        guard.attribute(route53, name, gap)

    def change_resource_record_sets(zone_id: str, body: bytes) -> Any:
        root = route53._parse_body(body)
        batch = route53._find(root, "ChangeBatch") if root is not None else None
        listed = route53._find(batch, "Changes") if batch is not None else None
        if listed is None:
            return route53._error_response("InvalidInput", "Missing or invalid request body.")
        with route53._lock:
            zone = route53._zones.get(zone_id)
            if not zone:
                told = f"No hosted zone found with ID: {zone_id}"
                return route53._error_response("NoSuchHostedZone", told, 404)
            changes = [_parse(route53, element) for element in route53._findall(listed, "Change")]
            refused = malformed(changes)
            if refused is not None:
                return route53._error_response("InvalidInput", refused)
            faults, records = apply(changes, route53._records[zone_id], zone["name"])
            if faults:
                return route53._error_response("InvalidChangeBatch", f"[{', '.join(faults)}]")
            if not tokens.take(weight(changes)):
                return route53._error_response("Throttling", "Rate exceeded", 400)
            route53._records[zone_id] = records
            change = route53._new_change(route53._text(batch, "Comment"))
        return route53._xml_response(
            "ChangeResourceRecordSetsResponse",
            lambda answer: route53._build_change_info_el(answer, change),
        )

    guard.replace(
        route53,
        "_change_resource_record_sets",
        ("zone_id", "body"),
        change_resource_record_sets,
        gap=gap,
    )


def _parse(route53: Any, element: Any) -> Change:
    record = route53._parse_record_set(route53._find(element, "ResourceRecordSet"))
    record["Name"] = record["Name"].lower()
    return route53._text(element, "Action"), record


def weight(changes: Sequence[Change]) -> int:
    return sum(2 if action == "UPSERT" else 1 for action, _ in changes)


def malformed(changes: Sequence[Change]) -> str | None:
    """What is wrong with the request before it is looked at as a batch."""
    for action, record in changes:
        kinds = [record.get("AliasTarget") is not None, bool(record.get("ResourceRecords"))]
        where = (
            f"[Action={action}, Name={record['Name']}, Type={record['Type']}, "
            f"SetIdentifier={record.get('SetIdentifier') or 'null'}]"
        )
        if sum(kinds) != 1:
            found = "none" if not any(kinds) else "more than one"
            return (
                "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and "
                f"ResourceRecords], or TrafficPolicyInstanceId], but found {found} in Change with "
                f"{where}"
            )
        if kinds[1] and record.get("TTL") is None:
            return f"Invalid request: Missing field 'TTL' in Change with {where}"
    return None


def apply(
    changes: Sequence[Change], records: Sequence[RecordSet], zone: str
) -> tuple[list[str], list[RecordSet]]:
    """Every fault of the batch, or none and the zone's records after it."""
    size = _size_fault(changes)
    if size:
        return [size], list(records)
    faults = []
    current = {_key(record): record for record in records}
    seen: dict[tuple[str, str, str], str] = {}
    for action, record in changes:
        key = _key(record)
        named = f"resource record set [name='{record['Name']}', type='{record['Type']}']"
        repeated = key in seen and (seen[key], action) != ("DELETE", "CREATE")
        seen[key] = action
        fault = _fault(action, record, current.get(key), zone, named)
        if repeated:
            fault = (
                "The request contains an invalid set of changes for a resource record set "
                f"'{record['Type']} {record['Name']}'"
            )
        if fault:
            faults.append(fault)
        elif action == "DELETE":
            del current[key]
        else:
            current[key] = record
    return faults, list(current.values())


def _size_fault(changes: Sequence[Change]) -> str | None:
    values = [
        (2 if action == "UPSERT" else 1, record.get("ResourceRecords") or [""])
        for action, record in changes
    ]
    if sum(times * len(listed) for times, listed in values) > RECORDS_IN_BATCH:
        return f"Number of records limit of {RECORDS_IN_BATCH} exceeded."
    if sum(times * sum(map(len, listed)) for times, listed in values) > CHARACTERS_IN_BATCH:
        return f"Number of characters limit of {CHARACTERS_IN_BATCH} exceeded."
    return None


def _key(record: RecordSet) -> tuple[str, str, str]:
    return record["Name"].lower(), record["Type"], record.get("SetIdentifier", "")


def _fault(
    action: str, record: RecordSet, existing: RecordSet | None, zone: str, named: str
) -> str | None:
    name = record["Name"]
    if name != zone and not name.endswith(f".{zone}"):
        return f"RRSet with DNS name {name} is not permitted in zone {zone}"
    match action:
        case "CREATE" if existing is not None:
            return f"Tried to create {named} but it already exists"
        case "DELETE" if existing is None:
            return f"Tried to delete {named} but it was not found"
        case "DELETE" if existing is not None and _values(existing) != _values(record):
            return (
                f"Tried to delete {named} but the values provided do not match the current values"
            )
        case "CREATE" | "UPSERT":
            return _bad_address(record)
        case _:
            return None


def _values(record: RecordSet) -> RecordSet:
    values = {k: v for k, v in record.items() if k not in {"Name", "Type", "SetIdentifier"}}
    if "ResourceRecords" in values:
        values["ResourceRecords"] = sorted(values["ResourceRecords"])
    return values


def _bad_address(record: RecordSet) -> str | None:
    kind = {"A": (4, "ARRDATA"), "AAAA": (6, "AAAARRDATA")}.get(record["Type"])
    if kind is None:
        return None
    version, label = kind
    for value in record.get("ResourceRecords") or []:
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(value).version == version:
                continue
        return (
            f"Invalid Resource Record: 'FATAL problem: {label}IllegalIPv{version}Address (Value is "
            f"not a valid IPv{version} address) encountered with '{value}''"
        )
    return None


def _mend_template(route53: Any, provisioners: Any) -> None:
    gap = "a hosted zone of a template that names VPCs is private"
    handlers = guard.attribute(provisioners, "_RESOURCE_HANDLERS", gap)["AWS::Route53::HostedZone"]
    create = guard.replace(
        provisioners,
        "_r53_hosted_zone_create",
        ("logical_id", "props", "stack_name"),
        lambda *_: None,
        gap=gap,
    )
    delete = guard.replace(
        provisioners, "_r53_hosted_zone_delete", ("physical_id", "props"), lambda *_: None, gap=gap
    )
    update = guard.attribute(provisioners, "_r53_hosted_zone_update", gap)
    _mend_record_sets(route53, provisioners)

    def place(zone_id: str, props: RecordSet) -> None:
        vpcs = props.get("VPCs") or []
        zone = route53._zones[zone_id]
        zone["private"] = bool(vpcs)
        zone["vpcs"] = [{"VPCRegion": v["VPCRegion"], "VPCId": v["VPCId"]} for v in vpcs]

    def create_zone(logical_id: str, props: RecordSet, stack_name: str) -> Any:
        made = create(logical_id, props, stack_name)
        place(made[0], props)
        return made

    def update_zone(
        physical_id: str, old: RecordSet, new: RecordSet, stack_name: str, *rest: Any
    ) -> Any:
        made = update(physical_id, old, new, stack_name, *rest)
        place(made[0], new)
        return made

    def delete_zone(physical_id: str, props: RecordSet) -> None:
        kept = [r for r in route53._records.get(physical_id, []) if r["Type"] not in {"SOA", "NS"}]
        if kept:
            raise ValueError(
                "The specified hosted zone contains non-required resource record sets and so "
                "cannot be deleted. (Service: Route53, Status Code: 400)"
            )
        delete(physical_id, props)

    provisioners._r53_hosted_zone_create = create_zone
    provisioners._r53_hosted_zone_delete = delete_zone
    handlers.update(create=create_zone, update=update_zone, delete=delete_zone)


def _mend_record_sets(route53: Any, provisioners: Any) -> None:
    gap = "a template's record outside its zone is refused"
    handlers = guard.attribute(provisioners, "_RESOURCE_HANDLERS", gap)["AWS::Route53::RecordSet"]
    create = guard.attribute(provisioners, "_r53_record_set_create", gap)

    def create_record(logical_id: str, props: RecordSet, stack_name: str) -> Any:
        zone = route53._zones.get(provisioners._r53_resolve_hosted_zone_id(props))
        record = provisioners._r53_record_set_build_rs(props)
        if zone is not None:
            fault = _fault("UPSERT", record, None, zone["name"], "")
            if fault:
                raise ValueError(f"[{fault}] (Service: Route53, Status Code: 400)")
        return create(logical_id, props, stack_name)

    handlers["create"] = create_record
