from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.emulator import kit

if TYPE_CHECKING:
    from tests.local.emulator.kit import Emulator

pytestmark = pytest.mark.cloud

ZONE = "internal.example.com."


class Zone:
    def __init__(self, client: Any) -> None:
        self.client = client
        made = client.create_hosted_zone(
            Name=ZONE,
            CallerReference=kit.name(),
            VPC={"VPCRegion": "eu-west-1", "VPCId": f"vpc-{kit.name()}"},
        )
        self.id: str = made["HostedZone"]["Id"]

    def change(self, *changes: tuple[str, dict[str, Any]]) -> Any:
        batch = {"Changes": [{"Action": a, "ResourceRecordSet": r} for a, r in changes]}
        return self.client.change_resource_record_sets(HostedZoneId=self.id, ChangeBatch=batch)

    def refused(self, *changes: tuple[str, dict[str, Any]]) -> tuple[str, str]:
        with pytest.raises(self.client.exceptions.ClientError) as caught:
            self.change(*changes)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    def addresses(self) -> dict[str, str]:
        found = self.client.list_resource_record_sets(HostedZoneId=self.id)
        return {
            each["Name"]: each["ResourceRecords"][0]["Value"]
            for each in found["ResourceRecordSets"]
            if each["Type"] == "A"
        }


def record(host: str = "web-1", address: str = "192.0.2.1", **changes: Any) -> dict[str, Any]:
    return {
        "Name": f"{host}.{ZONE}",
        "Type": "A",
        "TTL": 60,
        "ResourceRecords": [{"Value": address}],
        **changes,
    }


@pytest.fixture
def zone(emulator: Emulator) -> Zone:
    return Zone(emulator.client("route53", retries={"max_attempts": 8, "mode": "standard"}))


def test_creating_what_exists_is_refused(zone: Zone) -> None:
    zone.change(("CREATE", record()))
    assert zone.refused(("CREATE", record(address="192.0.2.9"))) == (
        "InvalidChangeBatch",
        (
            "[Tried to create resource record set [name='web-1.internal.example.com.', type='A'] "
            "but it already exists]"
        ),
    )


def test_deleting_other_values_is_refused(zone: Zone) -> None:
    zone.change(("CREATE", record()))
    assert zone.refused(("DELETE", record(address="192.0.2.9"))) == (
        "InvalidChangeBatch",
        (
            "[Tried to delete resource record set [name='web-1.internal.example.com.', type='A'] "
            "but the values provided do not match the current values]"
        ),
    )


def test_deleting_what_is_not_there_is_refused(zone: Zone) -> None:
    assert zone.refused(("DELETE", record())) == (
        "InvalidChangeBatch",
        (
            "[Tried to delete resource record set [name='web-1.internal.example.com.', type='A'] "
            "but it was not found]"
        ),
    )


def test_a_batch_is_applied_whole_or_not_at_all(zone: Zone) -> None:
    zone.change(("CREATE", record("web-1")))
    code, message = zone.refused(
        ("CREATE", record("web-2")), ("CREATE", record("web-1")), ("DELETE", record("web-3"))
    )
    assert code == "InvalidChangeBatch"
    assert message == (
        "[Tried to create resource record set [name='web-1.internal.example.com.', type='A'] but "
        "it already exists, Tried to delete resource record set "
        "[name='web-3.internal.example.com.', type='A'] but it was not found]"
    )
    assert zone.addresses() == {"web-1.internal.example.com.": "192.0.2.1"}


def test_a_record_is_replaced_within_one_batch(zone: Zone) -> None:
    zone.change(("CREATE", record()))
    zone.change(("DELETE", record()), ("CREATE", record(address="192.0.2.2")))
    assert zone.addresses() == {"web-1.internal.example.com.": "192.0.2.2"}


def test_a_record_is_changed_once_in_a_batch(zone: Zone) -> None:
    assert zone.refused(("UPSERT", record()), ("UPSERT", record(address="192.0.2.2"))) == (
        "InvalidChangeBatch",
        (
            "[The request contains an invalid set of changes for a resource record set "
            "'A web-1.internal.example.com.']"
        ),
    )


def test_a_record_outside_the_zone_is_refused(zone: Zone) -> None:
    assert zone.refused(("UPSERT", {**record(), "Name": "web-1.example.net"})) == (
        "InvalidChangeBatch",
        "[RRSet with DNS name web-1.example.net. is not permitted in zone internal.example.com.]",
    )
    assert zone.refused(("UPSERT", {**record(), "Name": "notinternal.example.com"}))[0] == (
        "InvalidChangeBatch"
    )


def test_an_address_that_is_none_is_refused(zone: Zone) -> None:
    assert zone.refused(("CREATE", record(address="192.0.2.256"))) == (
        "InvalidChangeBatch",
        (
            "[Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a "
            "valid IPv4 address) encountered with '192.0.2.256'']"
        ),
    )


def test_a_record_without_time_to_live_is_refused(zone: Zone) -> None:
    without = record()
    del without["TTL"]
    assert zone.refused(("CREATE", without)) == (
        "InvalidInput",
        (
            "Invalid request: Missing field 'TTL' in Change with [Action=CREATE, "
            "Name=web-1.internal.example.com., Type=A, SetIdentifier=null]"
        ),
    )


def test_names_are_kept_in_lower_case(zone: Zone) -> None:
    zone.change(("CREATE", record("WEB-1")))
    assert zone.addresses() == {"web-1.internal.example.com.": "192.0.2.1"}
    assert zone.refused(("CREATE", record("web-1")))[0] == "InvalidChangeBatch"


@pytest.mark.parametrize(
    ("action", "most"), [("CREATE", 1000), ("UPSERT", 500)], ids=["CREATE", "UPSERT twice"]
)
def test_a_batch_holds_a_thousand_records(zone: Zone, action: str, most: int) -> None:
    changes = [(action, record(f"web-{n}", f"192.0.2.{n % 250}")) for n in range(most + 1)]
    assert zone.refused(*changes) == (
        "InvalidChangeBatch",
        "[Number of records limit of 1000 exceeded.]",
    )
    zone.change(*changes[:-1])


def test_a_zone_that_is_not_there(zone: Zone) -> None:
    zone.id = "Z0000000000000"
    assert zone.refused(("CREATE", record())) == (
        "NoSuchHostedZone",
        "No hosted zone found with ID: Z0000000000000",
    )


def test_a_change_is_pending_and_then_in_sync(zone: Zone) -> None:
    change = zone.change(("CREATE", record()))["ChangeInfo"]
    assert change["Status"] == "PENDING"
    kit.until(lambda: zone.client.get_change(Id=change["Id"])["ChangeInfo"]["Status"] == "INSYNC")


def test_more_requests_than_its_rate_are_throttled(alone: Emulator) -> None:
    """A burst of 50, then 10 a second: 400 Throttling, which the SDKs retry."""
    client = alone.client("route53")
    codes = []
    for _ in range(80):
        try:
            client.list_hosted_zones()
            codes.append("ok")
        except client.exceptions.ClientError as error:
            told = error.response
            codes.append(f"{told['ResponseMetadata']['HTTPStatusCode']} {told['Error']['Code']}")
            message = told["Error"]["Message"]
    assert codes[:50] == ["ok"] * 50
    assert set(codes[50:]) <= {"ok", "400 Throttling"}
    assert "400 Throttling" in codes
    assert message == "Rate exceeded"


def test_a_zone_of_a_template_with_vpcs_is_private(emulator: Emulator) -> None:
    stack = kit.name("zone")
    vpc = {"VPCId": f"vpc-{stack}", "VPCRegion": "eu-west-1"}
    resources = {
        "Private": {
            "Type": "AWS::Route53::HostedZone",
            "Properties": {"Name": "internal.example.com", "VPCs": [vpc]},
        },
        "Public": {"Type": "AWS::Route53::HostedZone", "Properties": {"Name": "example.com"}},
        "Inside": {
            "Type": "AWS::Route53::RecordSet",
            "Properties": {
                "HostedZoneId": {"Ref": "Private"},
                "Name": "a.internal.example.com",
                "Type": "A",
                "TTL": "60",
                "ResourceRecords": ["192.0.2.1"],
            },
        },
    }
    outputs = {key: {"Value": {"Ref": key}} for key in ("Private", "Public")}
    found = kit.deploy(emulator, stack, resources, Outputs=outputs)
    assert found["StackStatus"] == "CREATE_COMPLETE"
    ids = {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}
    route53 = emulator.client("route53", retries={"max_attempts": 8})
    private = route53.get_hosted_zone(Id=ids["Private"])
    assert private["HostedZone"]["Config"]["PrivateZone"] is True
    assert private["VPCs"] == [vpc]
    public = route53.get_hosted_zone(Id=ids["Public"])
    assert public["HostedZone"]["Config"]["PrivateZone"] is False


def test_a_template_cannot_delete_a_zone_that_holds_records(emulator: Emulator) -> None:
    stack = kit.name("zone")
    resources = {
        "Zone": {"Type": "AWS::Route53::HostedZone", "Properties": {"Name": "internal.example.com"}}
    }
    outputs = {"Zone": {"Value": {"Ref": "Zone"}}}
    found = kit.deploy(emulator, stack, resources, Outputs=outputs)
    route53 = emulator.client("route53", retries={"max_attempts": 8})
    route53.change_resource_record_sets(
        HostedZoneId=found["Outputs"][0]["OutputValue"],
        ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": record()}]},
    )
    emulator.client("cloudformation").delete_stack(StackName=stack)
    assert kit.settled(emulator, stack)["StackStatus"] == "DELETE_FAILED"
    assert kit.reasons(emulator, stack)["Zone"] == (
        "The specified hosted zone contains non-required resource record sets and so cannot be "
        "deleted. (Service: Route53, Status Code: 400)"
    )
