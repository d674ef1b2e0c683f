"""Auto Scaling, EC2 and ELBv2: on the fleet in this process and, for odd answers, on scripts."""

from __future__ import annotations

import io
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders
from botocore.stub import Stubber

from tests.local.fleet.harness import Local, make_local
from triggerfish.errors import Refused, Unavailable
from triggerfish.provision.aws import AwsAutoScaling, AwsBalancers, AwsMachines
from triggerfish.provision.observation import GroupView, HookView, Listed, Machine
from triggerfish.runtime.aws import Clients, Credentials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Body(io.BytesIO):
    """What botocore reads an answer from."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    made = make_local(tmp_path)
    yield made
    made.service.journal.stop()


@pytest.fixture
def clients() -> Iterator[Clients]:
    """Clients that reach nobody."""
    made = Clients(
        region="eu-west-1",
        endpoints={"*": "http://127.0.0.1:1"},
        credentials=Credentials("local", "local"),
    )
    yield made
    made.close()


def joined(client: Any, local: Local) -> Any:
    """The client, with the fleet at its other end instead of a socket."""

    def answer(request: Any, **_: object) -> AWSResponse:
        headers = {
            "HTTP_AUTHORIZATION": _text(request.headers["Authorization"]),
            "CONTENT_TYPE": _text(request.headers["Content-Type"]),
        }
        path = urlsplit(request.url).path
        status, body = local.http("POST", path, _bytes(request.body), headers)
        received = HTTPHeaders.from_pairs([("Content-Type", "text/xml")])
        return AWSResponse(request.url, status, received, Body(body))

    client.meta.events.register("before-send", answer)
    return client


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


@pytest.fixture
def scaling(clients: Clients, local: Local) -> AwsAutoScaling:
    return AwsAutoScaling(joined(clients.autoscaling, local))


@pytest.fixture
def machines(clients: Clients, local: Local) -> AwsMachines:
    return AwsMachines(joined(clients.ec2, local))


@pytest.fixture
def balancers(clients: Clients, local: Local) -> AwsBalancers:
    return AwsBalancers(joined(clients.elbv2, local))


def make_hook(local: Local, timeout_s: int = 300) -> None:
    local.call(
        "autoscaling",
        "PutLifecycleHook",
        AutoScalingGroupName="shop",
        LifecycleHookName="provision",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        HeartbeatTimeout=timeout_s,
    )


# --- the group ---------------------------------------------------------------------------------


def test_a_group_is_seen_with_its_instances_and_target_groups(
    local: Local, scaling: AwsAutoScaling
) -> None:
    instances = local.make_serving(3)
    view = scaling.view("shop")
    assert view.desired == 3
    assert view.target_groups == (local.target_group,)
    assert set(view.instances) == set(instances)
    assert {listed.lifecycle for listed in view.instances.values()} == {"InService"}
    assert {listed.zone for listed in view.instances.values()} == {
        "eu-west-1a",
        "eu-west-1b",
        "eu-west-1c",
    }


def test_an_instance_in_standby_is_seen_and_not_desired(
    local: Local, scaling: AwsAutoScaling
) -> None:
    first, _ = local.make_serving(2)
    local.call(
        "autoscaling",
        "EnterStandby",
        AutoScalingGroupName="shop",
        InstanceIds=[first],
        ShouldDecrementDesiredCapacity=True,
    )
    local.pass_s(1)
    view = scaling.view("shop")
    assert view.desired == 1
    assert view.instances[first].lifecycle == "Standby"


def test_a_group_that_is_not_there_is_refused_with_what_to_do(scaling: AwsAutoScaling) -> None:
    with pytest.raises(Refused) as refused:
        scaling.view("shop")
    assert str(refused.value) == (
        "there is no Auto Scaling group shop in this region and account\n"
        "hint: check `group` in triggerfish.toml, and the stage's region"
    )


GROUP: dict[str, Any] = {
    "AutoScalingGroupName": "shop",
    "MinSize": 0,
    "MaxSize": 9,
    "DesiredCapacity": 1,
    "DefaultCooldown": 300,
    "AvailabilityZones": ["eu-west-1a"],
    "HealthCheckType": "EC2",
    "CreatedTime": datetime(2026, 1, 2, tzinfo=UTC),
    "Instances": [],
}


def instance(name: str, lifecycle: str) -> dict[str, Any]:
    return {
        "InstanceId": name,
        "AvailabilityZone": "eu-west-1a",
        "LifecycleState": lifecycle,
        "HealthStatus": "Healthy",
        "ProtectedFromScaleIn": False,
    }


def test_the_warm_pool_belongs_to_the_group_page_by_page(clients: Clients) -> None:
    group = {**GROUP, "WarmPoolConfiguration": {}, "Instances": [instance("i-1", "InService")]}
    with Stubber(clients.autoscaling) as scripted:
        scripted.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": [group]})
        scripted.add_response(
            "describe_warm_pool",
            {"Instances": [instance("i-2", "Warmed:Stopped")], "NextToken": "more"},
            {"AutoScalingGroupName": "shop"},
        )
        scripted.add_response(
            "describe_warm_pool",
            {"Instances": [instance("i-3", "Warmed:Pending")]},
            {"AutoScalingGroupName": "shop", "NextToken": "more"},
        )
        assert AwsAutoScaling(clients.autoscaling).view("shop") == GroupView(
            desired=1,
            instances={
                "i-1": Listed("InService", "eu-west-1a"),
                "i-2": Listed("Warmed:Stopped", "eu-west-1a"),
                "i-3": Listed("Warmed:Pending", "eu-west-1a"),
            },
        )
        scripted.assert_no_pending_responses()


def test_target_groups_attached_either_way_count_once(clients: Clients) -> None:
    group = {
        **GROUP,
        "TargetGroupARNs": ["arn:a"],
        "TrafficSources": [
            {"Identifier": "arn:a", "Type": "elbv2"},
            {"Identifier": "arn:b", "Type": "elbv2"},
            {"Identifier": "arn:c"},
            {"Identifier": "arn:lattice", "Type": "vpc-lattice"},
            {"Identifier": "classic", "Type": "elb"},
        ],
    }
    with Stubber(clients.autoscaling) as scripted:
        scripted.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": [group]})
        view = AwsAutoScaling(clients.autoscaling).view("shop")
    assert view.target_groups == ("arn:a", "arn:b", "arn:c")


@pytest.mark.parametrize(("code", "kind"), [("Throttling", Unavailable), ("AccessDenied", Refused)])
def test_what_aws_answers_instead_is_said_with_the_call(
    clients: Clients, code: str, kind: type[Exception]
) -> None:
    with Stubber(clients.autoscaling) as scripted:
        scripted.add_client_error("describe_auto_scaling_groups", code, "words")
        with pytest.raises(kind) as refused:
            AwsAutoScaling(clients.autoscaling).view("shop")
    assert str(refused.value) == (
        f"autoscaling:DescribeAutoScalingGroups, group shop: {code}: words"
    )


# --- the hook ----------------------------------------------------------------------------------


def test_a_hook_is_seen_with_its_timer(local: Local, scaling: AwsAutoScaling) -> None:
    local.make_group()
    make_hook(local, 120)
    assert scaling.hook("shop", "provision") == HookView(heartbeat_timeout_s=120)


def test_a_hook_that_is_not_there_is_none(local: Local, scaling: AwsAutoScaling) -> None:
    local.make_group()
    assert scaling.hook("shop", "provision") is None


def waiting(local: Local) -> str:
    """An instance held by the launch hook."""
    local.make_group()
    make_hook(local, 30)
    local.set_desired(1)
    local.pass_s(1)
    (member,) = local.group().members
    assert member.lifecycle_state == "Pending:Wait"
    name: str = member.server.id
    return name


def test_heartbeats_keep_an_instance_that_the_hook_would_have_given_up(
    local: Local, scaling: AwsAutoScaling
) -> None:
    name = waiting(local)
    for _ in range(4):
        local.pass_s(20)
        scaling.beat("shop", "provision", name)
    assert local.member(name).lifecycle_state == "Pending:Wait"


def test_continue_puts_an_instance_into_service(local: Local, scaling: AwsAutoScaling) -> None:
    name = waiting(local)
    scaling.complete("shop", "provision", name, "CONTINUE")
    local.pass_s(1)
    assert local.in_service() == [name]


def test_abandon_gives_an_instance_up(local: Local, scaling: AwsAutoScaling) -> None:
    name = waiting(local)
    scaling.complete("shop", "provision", name, "ABANDON")
    local.pass_s(1)
    assert name not in {member.server.id for member in local.group().members}


def test_an_action_that_is_over_already_is_done(local: Local, scaling: AwsAutoScaling) -> None:
    """Completed twice, or timed out: "No active Lifecycle Action found"."""
    (name,) = local.make_serving(1)
    make_hook(local)
    scaling.complete("shop", "provision", name, "CONTINUE")
    scaling.complete("shop", "provision", name, "ABANDON")
    scaling.beat("shop", "provision", name)
    assert local.in_service() == [name]


@pytest.mark.parametrize(
    "message",
    [
        "No active Lifecycle Action found with token 0fc62a4b-0000-0000-0000-000000000000",
        "No active Lifecycle Action found with instance ID i-0123456789abcdef0",
    ],
)
def test_an_action_that_is_over_already_is_done_in_either_wording(
    clients: Clients, message: str
) -> None:
    scaling = AwsAutoScaling(clients.autoscaling)
    with Stubber(clients.autoscaling) as scripted:
        scripted.add_client_error("complete_lifecycle_action", "ValidationError", message)
        scripted.add_client_error("record_lifecycle_action_heartbeat", "ValidationError", message)
        scaling.complete("shop", "provision", "i-1", "CONTINUE")
        scaling.beat("shop", "provision", "i-1")


def test_another_fault_of_an_action_is_no_end(clients: Clients) -> None:
    scaling = AwsAutoScaling(clients.autoscaling)
    with Stubber(clients.autoscaling) as scripted:
        scripted.add_client_error("complete_lifecycle_action", "ResourceContention", "busy")
        scripted.add_client_error(
            "record_lifecycle_action_heartbeat", "ValidationError", "Lifecycle hook not found"
        )
        with pytest.raises(Unavailable) as later:
            scaling.complete("shop", "provision", "i-1", "CONTINUE")
        with pytest.raises(Refused) as refused:
            scaling.beat("shop", "provision", "i-1")
    assert str(later.value) == (
        "autoscaling:CompleteLifecycleAction, instance i-1: ResourceContention: busy"
    )
    assert str(refused.value) == (
        "autoscaling:RecordLifecycleActionHeartbeat, instance i-1: "
        "ValidationError: Lifecycle hook not found"
    )


def test_terminating_lets_the_group_launch_another(local: Local, scaling: AwsAutoScaling) -> None:
    (name,) = local.make_serving(1)
    scaling.terminate(name)
    local.pass_s(2)
    assert len(local.in_service()) == 1
    assert local.in_service() != [name]


def test_an_auto_scaling_that_cannot_be_reached_is_tried_later(clients: Clients) -> None:
    """Nobody listens at this address."""
    from botocore.config import Config  # noqa: PLC0415 - this client alone must not retry
    from botocore.session import Session  # noqa: PLC0415

    client: Any = Session().create_client(
        "autoscaling",
        region_name="eu-west-1",
        endpoint_url="http://127.0.0.1:1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(Unavailable, match="EndpointConnectionError"):
        AwsAutoScaling(client).complete("shop", "provision", "i-1", "CONTINUE")
    client.close()


# --- EC2 ---------------------------------------------------------------------------------------


def test_instances_are_described(local: Local, machines: AwsMachines) -> None:
    (name,) = local.make_serving(1)
    found = machines.describe([name])[name]
    server = local.fleet.ec2.servers[name]
    assert found == Machine(
        state="running",
        address=server.private_ip,
        zone=found.zone,
        launched_ms=found.launched_ms,
        tags=found.tags,
    )
    assert found.zone.startswith("eu-west-1")
    assert found.tags["aws:autoscaling:groupName"] == "shop"
    assert abs(time.time() * 1000 - found.launched_ms) < 60_000


def test_instances_that_ec2_does_not_show_are_left_out(local: Local, machines: AwsMachines) -> None:
    """Asked for by id, one unknown instance would fail the question for all."""
    (name,) = local.make_serving(1)
    assert list(machines.describe([name, "i-0123456789abcdef0"])) == [name]
    assert machines.describe([]) == {}


def test_a_new_instance_that_ec2_does_not_show_yet_is_left_out(
    local: Local, machines: AwsMachines
) -> None:
    local.control("faults", {"describe_lag_s": 40})
    (name,) = local.make_serving(1)
    assert machines.describe([name]) == {}
    local.pass_s(40)
    assert list(machines.describe([name])) == [name]


def test_a_terminated_instance_is_shown_as_such_and_without_address(
    local: Local, machines: AwsMachines
) -> None:
    (name,) = local.make_serving(1)
    local.set_desired(0)
    local.pass_s(2)
    found = machines.describe([name])[name]
    assert (found.state, found.address) == ("terminated", None)


def test_a_burst_is_described_200_ids_a_request(local: Local, machines: AwsMachines) -> None:
    """EC2 takes 200 values a filter."""
    names = local.make_serving(201)
    asked: list[int] = []
    machines._client.meta.events.register(
        "provide-client-params.ec2.DescribeInstances",
        lambda params, **_: asked.append(len(params["Filters"][0]["Values"])),
    )
    assert sorted(machines.describe(names)) == sorted(names)
    assert asked == [200, 1]


def test_an_instance_is_tagged_and_keeps_its_other_tags(
    local: Local, machines: AwsMachines
) -> None:
    (name,) = local.make_serving(1)
    machines.tag(name, {"Name": "shop-01", "triggerfish:member": "shop/1"})
    machines.tag(name, {"Name": "shop-02"})
    tags = machines.describe([name])[name].tags
    assert (tags["Name"], tags["triggerfish:member"]) == ("shop-02", "shop/1")
    assert tags["aws:autoscaling:groupName"] == "shop"


def test_an_instance_that_is_not_there_cannot_be_tagged(
    local: Local, machines: AwsMachines
) -> None:
    with pytest.raises(Refused, match=r"^ec2:CreateTags, instance i-0123456789abcdef0: Invalid"):
        machines.tag("i-0123456789abcdef0", {"Name": "shop-01"})


# --- health ------------------------------------------------------------------------------------


def test_health_is_the_state_in_each_target_group(local: Local, balancers: AwsBalancers) -> None:
    first, second = local.make_serving(2)
    local.control("provisioned", {"instance": first})
    local.pass_s(1)
    group = local.target_group
    assert balancers.health([group], [first, second]) == {
        first: ("healthy",),
        second: ("unhealthy",),
    }
    assert balancers.health([group, group], [first]) == {first: ("healthy", "healthy")}


def test_an_instance_that_no_target_group_knows_has_no_state(
    local: Local, balancers: AwsBalancers
) -> None:
    local.make_serving(1)
    assert balancers.health([local.target_group], ["i-0123456789abcdef0"]) == {
        "i-0123456789abcdef0": ()
    }


def test_a_target_group_that_is_gone_is_said(local: Local, balancers: AwsBalancers) -> None:
    arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/none/0123456789abcdef"
    with pytest.raises(Refused, match="TargetGroupNotFound"):
        balancers.health([arn], ["i-0123456789abcdef0"])
