from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local.fleet.harness import ApiError

if TYPE_CHECKING:
    from tests.local.fleet.harness import Local


def listed(local: Local, **parameters: object) -> tuple[list[str], list[int]]:
    """Ids over all pages, and the size of each page."""
    ids: list[str] = []
    sizes = []
    while True:
        page = local.call("ec2", "DescribeInstances", **parameters)
        found = [one["InstanceId"] for it in page["Reservations"] for one in it["Instances"]]
        ids += found
        sizes.append(len(found))
        if "NextToken" not in page:
            return ids, sizes
        parameters["NextToken"] = page["NextToken"]


def by(name: str, *values: str) -> list[dict[str, object]]:
    return [{"Name": name, "Values": list(values)}]


def test_six_hundred_instances_come_in_pages_of_the_size_asked_for(local: Local) -> None:
    instances = local.make_serving(600)
    assert listed(local) == (instances, [600])
    assert listed(local, MaxResults=250) == (instances, [250, 250, 100])
    some = instances[100:400]
    assert listed(local, Filters=by("instance-id", *some), MaxResults=200) == (some, [200, 100])


def test_a_reservation_of_many_is_parted_between_pages(local: Local) -> None:
    local.make_group()
    local.call("ec2", "RunInstances", ImageId="ami-0123456789abcdef0", MinCount=12, MaxCount=12)
    local.call("ec2", "RunInstances", ImageId="ami-0123456789abcdef0", MinCount=3, MaxCount=3)
    everything, sizes = listed(local, MaxResults=5)
    assert sizes == [5, 5, 5]
    assert len(set(everything)) == 15


def test_instances_are_filtered_by_id_tag_state_and_place(local: Local) -> None:
    first, second, third = local.make_serving(3)
    local.call("ec2", "CreateTags", Resources=[second], Tags=[{"Key": "Name", "Value": "shop-02"}])
    local.call("ec2", "TerminateInstances", InstanceIds=[third])
    assert listed(local, Filters=by("tag:Name", "shop-02"))[0] == [second]
    assert listed(local, Filters=by("tag-key", "Name"))[0] == [second]
    assert listed(local, Filters=by("instance-state-name", "running"))[0] == [first, second]
    assert listed(local, Filters=by("instance-state-name", "shutting-down"))[0] == [third]
    assert listed(local, Filters=by("availability-zone", "eu-west-1a"))[0] == [first]
    assert listed(local, Filters=by("tag:aws:autoscaling:groupName", "shop"))[0] == [
        first,
        second,
        third,
    ]
    assert listed(local, InstanceIds=[first])[0] == [first]


def test_an_instance_shows_what_a_client_needs(local: Local) -> None:
    (instance,) = local.make_serving(1)
    local.call(
        "ec2", "CreateTags", Resources=[instance], Tags=[{"Key": "Name", "Value": "<shop> & co"}]
    )
    (reservation,) = local.call("ec2", "DescribeInstances")["Reservations"]
    (found,) = reservation["Instances"]
    server = local.fleet.ec2.servers[instance]
    assert reservation["OwnerId"] == "123456789012"
    assert found["State"] == {"Code": 16, "Name": "running"}
    assert found["PrivateIpAddress"] == "10.0.0.4"
    assert found["PrivateDnsName"] == "ip-10-0-0-4.eu-west-1.compute.internal"
    assert found["SubnetId"] == server.subnet_id
    assert found["VpcId"] == server.vpc_id
    assert found["Placement"]["AvailabilityZone"] == "eu-west-1a"
    assert found["ImageId"] == "ami-0123456789abcdef0"
    assert found["InstanceType"] == "t3.micro"
    assert str(found["LaunchTime"]) == str(server.launch_time.replace(microsecond=0)) + "+00:00"
    assert {"Key": "Name", "Value": "<shop> & co"} in found["Tags"]
    assert found["NetworkInterfaces"][0]["PrivateIpAddress"] == "10.0.0.4"


def test_an_instance_can_have_a_key_and_a_security_group(local: Local) -> None:
    local.make_group()
    local.call(
        "ec2",
        "RunInstances",
        ImageId="ami-0123456789abcdef0",
        KeyName="ops",
        SecurityGroups=["default"],
        MinCount=1,
        MaxCount=1,
    )
    found = local.call("ec2", "DescribeInstances")["Reservations"][0]["Instances"][0]
    assert found["KeyName"] == "ops"
    assert [group["GroupName"] for group in found["SecurityGroups"]] == ["default"]


def test_a_terminated_instance_stays_visible_without_its_address_and_is_then_forgotten(
    local: Local,
) -> None:
    instance, other = local.make_serving(2)
    address = local.fleet.ec2.servers[instance].private_ip_address
    local.set_desired(1)
    local.pass_s(2)
    gone = ({instance, other} - set(local.in_service())).pop()
    found = local.call("ec2", "DescribeInstances", InstanceIds=[gone])
    terminated = found["Reservations"][0]["Instances"][0]
    assert terminated["State"] == {"Code": 48, "Name": "terminated"}
    assert "PrivateIpAddress" not in terminated
    assert terminated["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert address is not None
    local.pass_s(3600)
    with pytest.raises(ApiError) as refused:
        local.call("ec2", "DescribeInstances", InstanceIds=[gone])
    assert refused.value.code == "InvalidInstanceID.NotFound"
    assert refused.value.message == f"The instance ID '{gone}' does not exist"


def test_terminating_twice_changes_nothing(local: Local) -> None:
    (instance,) = local.make_serving(1)
    for _ in range(2):
        answer = local.call("ec2", "TerminateInstances", InstanceIds=[instance])
        (change,) = answer["TerminatingInstances"]
        assert change["CurrentState"] == {"Code": 32, "Name": "shutting-down"}


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"MaxResults": 4}, "InvalidParameterValue"),
        ({"MaxResults": 1001}, "InvalidParameterValue"),
        ({"MaxResults": 5, "InstanceIds": ["i-0123456789abcdef0"]}, "InvalidParameterCombination"),
        ({"NextToken": "not a token"}, "InvalidNextToken"),
        ({"InstanceIds": ["i-0123456789abcdef0"]}, "InvalidInstanceID.NotFound"),
        ({"Filters": [{"Name": "colour", "Values": ["blue"]}]}, "InternalFailure"),
    ],
    ids=["too few", "too many", "both", "token", "unknown", "filter"],
)
def test_a_wrong_question_is_refused_as_ec2_does(
    local: Local, parameters: dict[str, object], code: str
) -> None:
    local.make_serving(1)
    with pytest.raises(ApiError) as refused:
        local.call("ec2", "DescribeInstances", **parameters)
    assert refused.value.code == code


def test_a_tag_on_an_instance_that_is_not_there_is_refused(local: Local) -> None:
    with pytest.raises(ApiError) as refused:
        local.call(
            "ec2",
            "CreateTags",
            Resources=["i-0123456789abcdef0"],
            Tags=[{"Key": "Name", "Value": "x"}],
        )
    assert refused.value.code == "InvalidInstanceID.NotFound"


def test_tags_are_described_by_resource_and_by_pattern(local: Local) -> None:
    first, second = local.make_serving(2)
    for instance in (first, second):
        tags = [{"Key": "Name", "Value": instance}]
        local.call("ec2", "CreateTags", Resources=[instance], Tags=tags)
    exact = local.call("ec2", "DescribeTags", Filters=by("resource-id", first))["Tags"]
    assert {one["ResourceId"] for one in exact} == {first}
    names = local.call(
        "ec2", "DescribeTags", Filters=[*by("resource-id", "i-*"), *by("key", "Name")]
    )["Tags"]
    assert {one["ResourceId"] for one in names} == {first, second}
    local.call("ec2", "DeleteTags", Resources=[first], Tags=[{"Key": "Name"}])
    assert "Name" not in local.fleet.ec2.tags[first]


def test_a_new_instance_can_lag_behind_its_message(local: Local) -> None:
    local.make_group()
    assert local.control("faults", {"describe_lag_s": 5})[0] == 200
    local.set_desired(1)
    local.pass_s(1)
    (body,) = local.take()
    instance = body["EC2InstanceId"]
    assert listed(local) == ([], [0])
    assert listed(local, Filters=by("instance-id", instance)) == ([], [0])
    with pytest.raises(ApiError, match=f"The instance ID '{instance}' does not exist"):
        local.call("ec2", "DescribeInstances", InstanceIds=[instance])
    with pytest.raises(ApiError, match="does not exist"):
        local.call("ec2", "CreateTags", Resources=[instance], Tags=[{"Key": "a", "Value": "b"}])
    local.pass_s(5)
    assert listed(local) == ([instance], [1])


def test_create_tags_is_throttled_by_default_in_the_words_of_ec2(local: Local) -> None:
    (instance,) = local.make_serving(1)
    tag = {"Resources": [instance], "Tags": [{"Key": "a", "Value": "b"}]}
    for _ in range(100):
        local.call("ec2", "CreateTags", **tag)
    with pytest.raises(ApiError) as refused:
        local.call("ec2", "CreateTags", **tag)
    assert (refused.value.status, refused.value.code) == (503, "RequestLimitExceeded")
    assert refused.value.message == "Request limit exceeded."
    local.pass_s(1)
    for _ in range(10):
        local.call("ec2", "CreateTags", **tag)
    with pytest.raises(ApiError, match="Request limit exceeded"):
        local.call("ec2", "CreateTags", **tag)


def test_throttling_is_changed_while_it_runs(local: Local) -> None:
    (instance,) = local.make_serving(1)
    local.control(
        "faults",
        {"throttle": {"CreateTags": None, "DescribeInstances": {"capacity": 1, "refill_per_s": 1}}},
    )
    for _ in range(150):
        local.call("ec2", "CreateTags", Resources=[instance], Tags=[{"Key": "a", "Value": "b"}])
    local.call("ec2", "DescribeInstances")
    with pytest.raises(ApiError, match="Request limit exceeded"):
        local.call("ec2", "DescribeInstances")
