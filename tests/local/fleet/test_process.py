"""The fleet as the child process it is: over sockets, through boto3, killed and started again."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.local.fleet.harness import EVERYTHING, TOPIC
from tests.local.fleet.recorder import Recorder, eventually
from triggerfish.errors import InputError, Refused, Unavailable
from triggerfish.local.fleet import actions
from triggerfish.local.fleet.world import WorldGroup, ensure_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.cloud


class Child:
    def __init__(self, state: Path, sns_url: str, region: str = "eu-west-1") -> None:
        started = time.monotonic()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "triggerfish.local.fleet", "--port", "0"),
                *("--state", str(state), "--sns-url", sns_url, "--region", region),
                *("--account", "123456789012"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], 20)
        assert ready, "the fleet said nothing for 20 s"
        said = json.loads(self.process.stdout.readline())
        assert said["ready"] is True
        self.url: str = said["url"]
        self.start_s = time.monotonic() - started
        self._clients: list[Any] = []

    def client(self, service: Any) -> Any:
        client = boto3.client(
            service,
            endpoint_url=self.url,
            region_name="eu-west-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(retries={"total_max_attempts": 1}),
        )
        self._clients.append(client)
        return client

    def describe(self) -> dict[str, Any]:
        return actions.control(self.url, "describe")

    def in_service(self, count: int) -> bool:
        members = self.describe()["groups"][0]["members"]
        return [one["lifecycle"] for one in members] == ["InService"] * count

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.end()

    def end(self) -> tuple[int, str]:
        """Close its standard input, as a parent that dies; its exit code and its complaints."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        complaints = self.process.communicate(timeout=10)[1]
        return self.process.returncode, complaints


@contextmanager
def running(state: Path, sns_url: str, region: str = "eu-west-1") -> Iterator[Child]:
    child = Child(state, sns_url, region)
    try:
        yield child
    finally:
        child.end()


@pytest.fixture
def sns() -> Iterator[Recorder]:
    with Recorder() as recorder:
        yield recorder


def notify(child: Child, group: str = "shop") -> None:
    child.client("autoscaling").put_notification_configuration(
        AutoScalingGroupName=group, TopicARN=TOPIC, NotificationTypes=EVERYTHING
    )


def launched(sns: Recorder) -> list[str]:
    bodies = [json.loads(message) for message in sns.messages]
    return [
        body["EC2InstanceId"]
        for body in bodies
        if body["Event"] == "autoscaling:EC2_INSTANCE_LAUNCH"
    ]


def test_a_world_is_made_once(tmp_path: Path, sns: Recorder) -> None:
    groups = [
        WorldGroup(name="shop", maximum=600),
        WorldGroup(name="search_nodes", maximum=3, hook="provision", target_group=False),
        WorldGroup(name="api", desired=1, zones=("b",)),
    ]
    with running(tmp_path, sns.url) as child:
        world = ensure_world(child.url, "eu-west-1", groups)
        assert ensure_world(child.url, "eu-west-1", groups) == world
        assert sorted(world.subnets) == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
        assert sorted(world.groups) == ["api", "search_nodes", "shop"]
        assert world.groups["search_nodes"].target_group is None
        found = {group["name"]: group for group in child.describe()["groups"]}
        assert (found["shop"]["max"], found["shop"]["desired"]) == (600, 0)
        assert found["search_nodes"]["hooks"] == ["provision"]
        subnets = child.client("ec2").describe_subnets(SubnetIds=list(world.subnets.values()))
        assert [one["CidrBlock"] for one in subnets["Subnets"]] == [
            "10.0.0.0/20",
            "10.0.16.0/20",
            "10.0.32.0/20",
        ]


@pytest.mark.parametrize(
    ("region", "zones"),
    [
        ("us-west-1", ["us-west-1a", "us-west-1b"]),
        ("eu-south-2", ["eu-south-2a", "eu-south-2b", "eu-south-2c"]),
        ("ap-northeast-1", ["ap-northeast-1a", "ap-northeast-1c", "ap-northeast-1d"]),
    ],
)
def test_a_world_uses_the_zones_its_region_has(
    tmp_path: Path, sns: Recorder, region: str, zones: list[str]
) -> None:
    with running(tmp_path, sns.url, region) as child:
        world = ensure_world(child.url, region, [WorldGroup(name="shop", desired=1)])
        assert list(world.subnets) == zones
        eventually(lambda: child.in_service(1))
        with pytest.raises(InputError, match=f"no such zone: {region}z; wanted some of {zones[0]}"):
            ensure_world(child.url, region, [WorldGroup(name="shop", zones=("z",))])


def test_no_group_is_a_world_too(tmp_path: Path, sns: Recorder) -> None:
    with running(tmp_path, sns.url) as child:
        world = ensure_world(child.url, "eu-west-1", [])
        assert (world.groups, world.load_balancer) == ({}, None)


def test_a_burst_of_five_hundred_is_told_once_each(tmp_path: Path, sns: Recorder) -> None:
    with running(tmp_path, sns.url) as child:
        ensure_world(child.url, "eu-west-1", [WorldGroup(name="shop")])
        notify(child)
        child.client("autoscaling").set_desired_capacity(
            AutoScalingGroupName="shop", DesiredCapacity=500
        )
        eventually(lambda: len(launched(sns)) == 500)
        assert len(set(launched(sns))) == 500
        eventually(lambda: child.describe()["notifications"]["undelivered"] == 0)


def test_every_action_makes_its_event_happen(tmp_path: Path, sns: Recorder) -> None:
    with running(tmp_path, sns.url) as child:
        ensure_world(child.url, "eu-west-1", [WorldGroup(name="shop")])
        notify(child)
        autoscaling, ec2 = child.client("autoscaling"), child.client("ec2")
        first, second = actions.launch(autoscaling, "shop", 2)
        eventually(lambda: child.in_service(2))
        (rested,) = actions.standby(autoscaling, "shop")
        eventually(lambda: child.in_service(2))
        (attached,) = actions.attach(ec2, autoscaling, "shop")
        eventually(lambda: child.in_service(3))
        assert actions.duplicate(child.url, "shop", 2) == (attached,)
        assert actions.terminate(ec2, autoscaling, "shop", instances=[first]) == (first,)
        eventually(lambda: "EC2_INSTANCE_TERMINATE" in "".join(sns.messages))
        eventually(lambda: child.in_service(3))
        eventually(lambda: len(launched(sns)) == 7)
        assert sorted(launched(sns)[:2]) == sorted([first, second])
        assert launched(sns).count(attached) == 3
        assert launched(sns).count(rested) == 2
        (killed,) = actions.terminate(ec2, autoscaling, "shop")
        assert killed != first


def test_an_action_that_cannot_be_done_says_why(tmp_path: Path, sns: Recorder) -> None:
    with running(tmp_path, sns.url) as child:
        ensure_world(child.url, "eu-west-1", [WorldGroup(name="shop")])
        autoscaling = child.client("autoscaling")
        with pytest.raises(InputError, match="there is no Auto Scaling group none"):
            actions.launch(autoscaling, "none", 1)
        with pytest.raises(InputError, match="group shop has 0 members InService, wanted 1"):
            actions.standby(autoscaling, "shop")
        with pytest.raises(Refused, match="group shop has published no launch yet"):
            actions.duplicate(child.url, "shop")
        url = child.url
    with pytest.raises(Unavailable, match="can't be reached"):
        actions.control(url, "describe")


def test_tags_beyond_a_hundred_at_once_are_throttled(tmp_path: Path, sns: Recorder) -> None:
    with running(tmp_path, sns.url) as child:
        ensure_world(child.url, "eu-west-1", [WorldGroup(name="shop", desired=1)])
        eventually(lambda: child.in_service(1))
        ec2 = child.client("ec2")
        instance = child.describe()["instances"][0]["instance"]

        def tag_often() -> None:
            for number in range(400):
                tags = [{"Key": "Name", "Value": str(number)}]
                ec2.create_tags(Resources=[instance], Tags=tags)

        with pytest.raises(ClientError) as refused:
            tag_often()
        assert refused.value.response["Error"] == {
            "Code": "RequestLimitExceeded",
            "Message": "Request limit exceeded.",
        }
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, sns: Recorder) -> None:
    child = Child(tmp_path, sns.url)
    ensure_world(child.url, "eu-west-1", [WorldGroup(name="shop", desired=2)])
    eventually(lambda: child.in_service(2))
    instance = child.describe()["instances"][0]["instance"]
    child.client("ec2").create_tags(
        Resources=[instance], Tags=[{"Key": "Name", "Value": "shop-01"}]
    )
    actions.control(child.url, "provisioned", {"instance": instance})
    before = child.describe()
    child.kill()
    with running(tmp_path, sns.url) as again:
        after = again.describe()
        assert after["instances"] == before["instances"]
        assert after["instances"][0]["tags"]["Name"] == "shop-01"
        assert [group["members"][0]["instance"] for group in after["groups"]] == [instance]


def test_a_burst_goes_on_after_a_kill_and_every_launch_is_told(
    tmp_path: Path, sns: Recorder
) -> None:
    child = Child(tmp_path, sns.url)
    ensure_world(child.url, "eu-west-1", [WorldGroup(name="shop")])
    notify(child)
    child.client("autoscaling").set_desired_capacity(
        AutoScalingGroupName="shop", DesiredCapacity=200
    )
    eventually(lambda: len(sns.requests) > 20)
    child.kill()
    with running(tmp_path, sns.url) as again:
        eventually(lambda: again.in_service(200))
        eventually(lambda: len(set(launched(sns))) == 200)
        members = {one["instance"] for one in again.describe()["groups"][0]["members"]}
        assert set(launched(sns)) == members


def test_messages_wait_for_an_sns_that_is_away(tmp_path: Path) -> None:
    with Recorder() as sns:
        url = sns.url
    with running(tmp_path, url) as child:
        ensure_world(child.url, "eu-west-1", [WorldGroup(name="shop")])
        notify(child)
        child.client("autoscaling").set_desired_capacity(
            AutoScalingGroupName="shop", DesiredCapacity=1
        )
        eventually(lambda: child.in_service(1))
        assert child.describe()["notifications"] == {"published": 0, "undelivered": 2}


def test_an_unreadable_snapshot_is_set_aside_and_said(tmp_path: Path, sns: Recorder) -> None:
    (tmp_path / "fleet.snapshot").write_bytes(b"nonsense")
    child = Child(tmp_path, sns.url)
    assert child.describe()["groups"] == []
    code, complaints = child.end()
    assert code == 0
    assert "starting empty" in complaints
    assert (tmp_path / "fleet.unread").read_bytes() == b"nonsense"


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path: Path, sns: Recorder, sent: signal.Signals) -> None:
    child = Child(tmp_path, sns.url)
    child.describe()
    child.process.send_signal(sent)
    assert child.end() == (0, "")


def test_it_leaves_with_its_parent_having_written_everything(tmp_path: Path, sns: Recorder) -> None:
    child = Child(tmp_path, sns.url)
    ensure_world(child.url, "eu-west-1", [WorldGroup(name="shop")])
    started = time.monotonic()
    assert child.end() == (0, "")
    assert time.monotonic() - started < 2
    with running(tmp_path, sns.url) as again:
        assert [group["name"] for group in again.describe()["groups"]] == ["shop"]


def test_it_does_nothing_while_nothing_happens(tmp_path: Path, sns: Recorder) -> None:
    with running(tmp_path, sns.url) as child:
        ensure_world(child.url, "eu-west-1", [WorldGroup(name="shop", desired=5)])
        eventually(lambda: child.in_service(5))
        time.sleep(0.5)  # what follows a launch settles
        before = _cpu_s(child.process.pid)
        time.sleep(1)  # the interval that is measured
        assert _cpu_s(child.process.pid) - before <= 0.05


def _cpu_s(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123 - not a path of ours
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
