"""Records of a private zone, on the emulator's Route 53 and, for odd answers, on scripted ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.stub import Stubber

from tests.local.emulator import kit
from triggerfish.errors import Refused, Unavailable
from triggerfish.provision.ports import RecordChange
from triggerfish.provision.records import Route53Records, record_calls
from triggerfish.runtime.aws import Clients, Credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.local.emulator.kit import Emulator

ZONE = "internal.example.com"
ONE, TWO = "web-01.internal.example.com", "web-02.internal.example.com"


class Zone:
    """A zone of its own, and every request that was made of it."""

    def __init__(self, client: Any) -> None:
        self.client = client
        made = client.create_hosted_zone(
            Name=ZONE,
            CallerReference=kit.name(),
            VPC={"VPCRegion": "eu-west-1", "VPCId": f"vpc-{kit.name()}"},
        )
        self.id: str = made["HostedZone"]["Id"].rpartition("/")[2]
        self.records = Route53Records(client, {ZONE: self.id})
        self.requests: list[str] = []
        self.before_change: Callable[[], None] | None = None
        client.meta.events.register("before-call.route53", self._note)

    def _note(self, model: Any, **_: object) -> None:
        self.requests.append(model.name)
        happen, self.before_change = self.before_change, None
        if happen is not None:
            happen()

    def change(self, *changes: RecordChange, ttl_s: int = 60) -> dict[str, str | None]:
        return self.records.change(ZONE, changes, ttl_s=ttl_s)

    def put(self, name: str, *values: str, kind: str = "A", ttl_s: int = 60, **more: Any) -> None:
        """A record that somebody else makes."""
        found = {"Name": name, "Type": kind, "TTL": ttl_s, **more}
        if values:
            found["ResourceRecords"] = [{"Value": value} for value in values]
        batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": found}]}
        self.client.change_resource_record_sets(HostedZoneId=self.id, ChangeBatch=batch)
        self.requests.clear()

    def held(self) -> dict[str, tuple[int, list[str]]]:
        pages = self.client.get_paginator("list_resource_record_sets").paginate(
            HostedZoneId=self.id
        )
        return {
            each["Name"].rstrip("."): (
                each["TTL"],
                [value["Value"] for value in each["ResourceRecords"]],
            )
            for page in pages
            for each in page["ResourceRecordSets"]
            if each["Type"] in {"A", "CNAME"}
        }


def point(
    domain: str = ONE, address: str = "192.0.2.4", previous: str | None = None
) -> RecordChange:
    return RecordChange(domain=domain, previous=previous, address=address)


def unpoint(domain: str = ONE, previous: str = "192.0.2.4") -> RecordChange:
    return RecordChange(domain=domain, previous=previous, address=None)


@pytest.fixture
def zone(emulator: Emulator) -> Iterator[Zone]:
    client = emulator.client("route53", retries={"max_attempts": 8, "mode": "standard"})
    yield Zone(client)
    client.close()


# --- making and removing -----------------------------------------------------------------------


@pytest.mark.cloud
def test_a_burst_is_named_in_one_request(zone: Zone) -> None:
    changes = [point(f"web-{n}.{ZONE}", f"10.0.{n // 250}.{n % 250 + 1}") for n in range(1, 501)]
    assert zone.change(*changes) == {}
    assert zone.requests == ["ChangeResourceRecordSets"]
    assert len(zone.held()) == 500
    assert zone.held()[f"web-500.{ZONE}"] == (60, ["10.0.2.1"])


@pytest.mark.cloud
def test_more_than_a_request_may_hold_is_made_in_several(zone: Zone) -> None:
    changes = [point(f"web-{n}.{ZONE}", "192.0.2.4", "192.0.2.3") for n in range(501)]
    for at in range(0, 501, 250):
        batch = [
            {
                "Action": "CREATE",
                "ResourceRecordSet": {
                    "Name": change.domain,
                    "Type": "A",
                    "TTL": 60,
                    "ResourceRecords": [{"Value": "192.0.2.3"}],
                },
            }
            for change in changes[at : at + 250]
        ]
        zone.client.change_resource_record_sets(
            HostedZoneId=zone.id, ChangeBatch={"Changes": batch}
        )
    zone.requests.clear()
    assert zone.change(*changes) == {}
    assert zone.requests == ["ChangeResourceRecordSets"] * 2
    assert {values[0] for _, values in zone.held().values()} == {"192.0.2.4"}


@pytest.mark.cloud
def test_names_are_made_moved_and_removed_in_one_batch(zone: Zone) -> None:
    zone.put(ONE, "192.0.2.3")
    zone.put(TWO, "192.0.2.5")
    made = point(f"web-03.{ZONE}", "192.0.2.6")
    assert zone.change(point(previous="192.0.2.3"), unpoint(TWO, "192.0.2.5"), made) == {}
    assert zone.held() == {ONE: (60, ["192.0.2.4"]), f"web-03.{ZONE}": (60, ["192.0.2.6"])}


@pytest.mark.cloud
def test_a_record_gets_the_configured_ttl(zone: Zone) -> None:
    zone.change(point(), ttl_s=17)
    assert zone.held() == {ONE: (17, ["192.0.2.4"])}


@pytest.mark.cloud
def test_a_name_is_the_same_in_upper_case(zone: Zone) -> None:
    zone.put(ONE, "192.0.2.3")
    assert zone.change(point("WEB-01.internal.example.com", previous="192.0.2.3")) == {}
    assert zone.held() == {ONE: (60, ["192.0.2.4"])}


# --- never taken from somebody else ------------------------------------------------------------


@pytest.mark.cloud
@pytest.mark.parametrize("previous", [None, "192.0.2.3"])
def test_a_record_of_somebody_else_is_left_alone(zone: Zone, previous: str | None) -> None:
    zone.put(ONE, "203.0.113.7")
    assert zone.change(point(previous=previous), point(TWO, "192.0.2.5")) == {ONE: "203.0.113.7"}
    assert zone.held() == {ONE: (60, ["203.0.113.7"]), TWO: (60, ["192.0.2.5"])}


@pytest.mark.cloud
def test_a_record_with_more_addresses_than_ours_is_somebody_elses(zone: Zone) -> None:
    zone.put(ONE, "192.0.2.4", "203.0.113.7")
    assert zone.change(unpoint()) == {ONE: "192.0.2.4, 203.0.113.7"}
    assert zone.change(point(previous="192.0.2.4")) == {ONE: "192.0.2.4, 203.0.113.7"}


@pytest.mark.cloud
def test_a_record_that_moved_on_is_not_removed(zone: Zone) -> None:
    zone.put(ONE, "192.0.2.9")
    assert zone.change(unpoint()) == {ONE: "192.0.2.9"}
    assert zone.held() == {ONE: (60, ["192.0.2.9"])}


@pytest.mark.cloud
def test_a_record_that_somebody_takes_while_we_look_is_left_alone(zone: Zone) -> None:
    """It is free when we look after the first try, and somebody's at the second."""
    zone.put(TWO, "203.0.113.7")

    def taken() -> None:
        zone.put(ONE, "203.0.113.8")

    def look_then_taken() -> None:
        zone.before_change = taken

    zone.before_change = look_then_taken
    assert zone.change(point(), point(TWO)) == {ONE: "203.0.113.8", TWO: "203.0.113.7"}


# --- after a crash -----------------------------------------------------------------------------


@pytest.mark.cloud
def test_a_change_that_was_made_before_a_crash_is_done(zone: Zone) -> None:
    zone.put(ONE, "192.0.2.4")
    assert zone.change(point()) == {}
    assert zone.change(point(previous="192.0.2.3")) == {}
    assert zone.held() == {ONE: (60, ["192.0.2.4"])}


@pytest.mark.cloud
def test_a_removal_that_was_made_before_a_crash_is_done(zone: Zone) -> None:
    assert zone.change(unpoint()) == {}
    assert zone.held() == {}


@pytest.mark.cloud
def test_a_name_that_should_have_held_an_address_and_holds_none_is_made(zone: Zone) -> None:
    assert zone.change(point(previous="192.0.2.3")) == {}
    assert zone.held() == {ONE: (60, ["192.0.2.4"])}


@pytest.mark.cloud
def test_a_record_made_under_another_ttl_is_still_ours(zone: Zone) -> None:
    zone.put(ONE, "192.0.2.3", ttl_s=300)
    assert zone.change(point(previous="192.0.2.3"), ttl_s=60) == {}
    assert zone.held() == {ONE: (60, ["192.0.2.4"])}


@pytest.mark.cloud
def test_only_the_names_that_aws_names_are_looked_at(zone: Zone) -> None:
    zone.put(f"web-7.{ZONE}", "203.0.113.7")
    zone.change(*(point(f"web-{n}.{ZONE}", f"192.0.2.{n}") for n in range(1, 10)))
    assert zone.requests == [
        "ChangeResourceRecordSets",
        "ListResourceRecordSets",
        "ChangeResourceRecordSets",
    ]


# --- odd answers -------------------------------------------------------------------------------


@pytest.fixture
def route53() -> Iterator[Any]:
    clients = Clients(
        region="eu-west-1",
        endpoints={"route53": "http://127.0.0.1:1"},
        credentials=Credentials("local", "local"),
    )
    yield clients.route53
    clients.close()


@pytest.fixture
def scripted(route53: Any) -> Iterator[Stubber]:
    with Stubber(route53) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def conflict(stubber: Stubber, message: str) -> None:
    stubber.add_client_error(
        "change_resource_record_sets", "InvalidChangeBatch", message, http_status_code=400
    )


def listed(stubber: Stubber, **record: Any) -> None:
    stubber.add_response(
        "list_resource_record_sets",
        {
            "ResourceRecordSets": [record] if record else [],
            "IsTruncated": False,
            "MaxItems": "1",
        },
    )


def test_an_alias_is_somebody_elses(route53: Any, scripted: Stubber) -> None:
    conflict(scripted, f"[Tried to create resource record set [name='{ONE}.', type='A'] but ...]")
    target = {"HostedZoneId": "Z1", "DNSName": "x.example.com.", "EvaluateTargetHealth": False}
    listed(scripted, Name=f"{ONE}.", Type="A", AliasTarget=target)
    records = Route53Records(route53, {ZONE: "Z123"})
    assert records.change(ZONE, [point()], ttl_s=60) == {ONE: "an alias"}


def test_a_cname_is_somebody_elses(route53: Any, scripted: Stubber) -> None:
    """No A record can stand beside it; the rest of the batch must not wait for that."""
    conflict(
        scripted,
        f"[RRSet of type A with DNS name {ONE}. is not permitted as it conflicts with other "
        "records with the same DNS name in zone internal.example.com.]",
    )
    record = {"TTL": 60, "ResourceRecords": [{"Value": "lb.example.com"}]}
    listed(scripted, Name=f"{ONE}.", Type="CNAME", **record)
    records = Route53Records(route53, {ZONE: "Z123"})
    assert records.change(ZONE, [point()], ttl_s=60) == {ONE: "lb.example.com"}


def test_the_record_after_the_name_is_not_the_record(route53: Any, scripted: Stubber) -> None:
    """The API lists from a name on; who takes the first that comes deletes a neighbour's."""
    conflict(scripted, f"[Tried to delete resource record set [name='{ONE}.', type='A'] but ...]")
    record = {"TTL": 60, "ResourceRecords": [{"Value": "192.0.2.4"}]}
    listed(scripted, Name=f"{TWO}.", Type="A", **record)
    records = Route53Records(route53, {ZONE: "Z123"})
    assert records.change(ZONE, [unpoint()], ttl_s=60) == {}


def test_records_that_change_while_we_look_are_tried_again_later(
    route53: Any, scripted: Stubber
) -> None:
    for _ in range(3):
        conflict(scripted, "[something else]")
        listed(scripted)
    records = Route53Records(route53, {ZONE: "Z123"})
    with pytest.raises(Unavailable, match="the records change while we look"):
        records.change(ZONE, [point()], ttl_s=60)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("PriorRequestNotComplete", Unavailable),
        ("Throttling", Unavailable),
        ("NoSuchHostedZone", Refused),
        ("AccessDenied", Refused),
    ],
)
def test_what_aws_refuses_is_said_in_its_words(
    route53: Any, scripted: Stubber, code: str, kind: type[Exception]
) -> None:
    scripted.add_client_error("change_resource_record_sets", code, "words", http_status_code=400)
    records = Route53Records(route53, {ZONE: "Z123"})
    with pytest.raises(kind) as refused:
        records.change(ZONE, [point()], ttl_s=60)
    assert str(refused.value) == (f"route53:ChangeResourceRecordSets, zone Z123: {code}: words")


def test_nothing_to_change_asks_for_nothing(route53: Any, scripted: Stubber) -> None:
    assert Route53Records(route53, {ZONE: "Z123"}).change(ZONE, [], ttl_s=60) == {}


def test_the_calls_are_those_on_the_zones() -> None:
    assert {call.action for call in record_calls(["ZoneX"])} == {
        "route53:ChangeResourceRecordSets",
        "route53:ListResourceRecordSets",
    }
