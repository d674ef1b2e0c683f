"""The function, called as Lambda calls it: on the emulator, a fleet and a Jenkins of this process.

It finds them as any function does, by its environment and its baked settings.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.events import event, text
from tests.local.emulator import kit
from tests.local.fleet.harness import Local, make_local
from tests.local.jenkins.standing import TOKEN, USER, Running, standing
from tests.provision.world import make_group
from triggerfish.codec import encode
from triggerfish.errors import ConfigError, Refused, Unavailable
from triggerfish.provision import handler as function
from triggerfish.provision.aws import AwsAutoScaling
from triggerfish.provision.config import Jenkins, ProvisionSettings
from triggerfish.provision.events import wake_message
from triggerfish.provision.store import GroupStore
from triggerfish.runtime.clock import SystemClock
from triggerfish.runtime.lease import Lease
from triggerfish.runtime.table import DynamoTable
from triggerfish.secret_reference import SecretReference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.local.emulator.kit import Emulator
    from triggerfish.provision.members import Member
    from triggerfish.provision.observation import GroupView

pytestmark = pytest.mark.cloud

GROUP = event("autoscaling/launch")["AutoScalingGroupName"]
DONE: dict[str, list[object]] = {"batchItemFailures": []}


@dataclass
class Context:
    aws_request_id: str = field(default_factory=kit.name)
    remaining_ms: int = 50_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


@dataclass
class Deployed:
    emulator: Emulator
    fleet: Local
    jenkins: Running
    table: DynamoTable
    queue: str
    dead: str
    sqs: Any

    def invoke(self, event: object, context: Context | None = None) -> Any:
        return function.handler(event, context or Context())

    def messages(self, *bodies: str) -> Any:
        return self.invoke(batch(*bodies))

    def sweep(self) -> Any:
        return self.invoke({"schedule": "provision-sweep", "time": "2026-11-24T12:00:00Z"})

    def members(self, group: str = GROUP) -> list[Member]:
        return list(GroupStore(self.table, group, SystemClock()).read().members.values())

    def take(self, queue: str) -> list[tuple[str, dict[str, str]]]:
        """Bodies and attributes of the messages in a queue."""
        answer = self.sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return [
            (
                one["Body"],
                {
                    name: value["StringValue"]
                    for name, value in one.get("MessageAttributes", {}).items()
                },
            )
            for one in answer.get("Messages", [])
        ]

    def delayed(self) -> int:
        answer = self.sqs.get_queue_attributes(
            QueueUrl=self.queue, AttributeNames=["ApproximateNumberOfMessagesDelayed"]
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessagesDelayed"])


def batch(*bodies: str) -> dict[str, object]:
    """A batch of SQS as the sample has it, with other bodies."""
    (sample,) = event("sqs/sns_launch")["Records"]
    return {
        "Records": [
            {**sample, "messageId": f"m-{n}", "body": body} for n, body in enumerate(bodies, 1)
        ]
    }


def notified(message: str) -> str:
    """A message in the envelope that SNS puts around it."""
    (sample,) = event("sqs/sns_launch")["Records"]
    return json.dumps({**json.loads(sample["body"]), "Message": message})


def changed(name: str = "autoscaling/launch", **changes: object) -> str:
    return json.dumps({**event(name), **changes})


def make_table(emulator: Emulator) -> str:
    name = kit.name("state")
    client = emulator.client("dynamodb")
    client.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    client.close()
    return name


def make_zone(emulator: Emulator) -> str:
    client = emulator.client("route53", retries={"max_attempts": 8, "mode": "standard"})
    made = client.create_hosted_zone(
        Name="internal.example.com",
        CallerReference=kit.name(),
        VPC={"VPCRegion": "eu-west-1", "VPCId": f"vpc-{kit.name()}"},
    )
    client.close()
    zone: str = made["HostedZone"]["Id"].rpartition("/")[2]
    return zone


def settings() -> ProvisionSettings:
    """A group that is there, and one that is not."""
    token = SecretReference.parse("env:JENKINS_TOKEN")
    common: dict[str, Any] = {"jobs": ("infra/provision",), "finish": "built"}
    return ProvisionSettings(
        groups=(make_group(group="absent", **common), make_group(group=GROUP, **common)),
        jenkins={"main": Jenkins(url="http://127.0.0.1:1", user=USER, token=token)},
    )


class Silent(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """The test says what it needs to."""


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[tuple[Local, str]]:
    local = make_local(tmp_path)
    local.make_group(name=GROUP)
    server = make_server("127.0.0.1", 0, local.service, threaded=True, request_handler=Silent)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield local, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    local.service.journal.stop()


@pytest.fixture
def deployed(
    emulator: Emulator,
    fleet: tuple[Local, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Deployed]:
    local, fleet_url = fleet
    table = make_table(emulator)
    queue, _ = kit.make_queue(emulator, kit.name("provision"))
    dead, _ = kit.make_queue(emulator, kit.name("dead"))
    (tmp_path / "triggerfish_settings.json").write_bytes(encode(settings()))
    with standing(tmp_path / "jenkins") as jenkins:
        declared = ["REQUEST_ID", "INSTANCE_ID", "NUMBER"]
        jenkins.job("infra/provision", parameters=declared, duration_s=0)
        parameters = {
            "zone internal.example.com": make_zone(emulator),
            "jenkins main": jenkins.url,
        }
        environment = {
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": kit.REGION,
            "AWS_ENDPOINT_URL": emulator.url,
            "AWS_ENDPOINT_URL_AUTO_SCALING": fleet_url,
            "AWS_ENDPOINT_URL_EC2": fleet_url,
            "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2": fleet_url,
            "LAMBDA_TASK_ROOT": str(tmp_path),
            "JENKINS_TOKEN": TOKEN,
            "TRIGGERFISH_TABLE": table,
            "TRIGGERFISH_QUEUE_URL": queue,
            "TRIGGERFISH_DEAD_LETTER_QUEUE_URL": dead,
            "TRIGGERFISH_PARAMETERS": json.dumps(parameters),
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        function.assembly.cache_clear()
        function.dead_letters.cache_clear()
        dynamodb, sqs = emulator.client("dynamodb"), emulator.client("sqs")
        yield Deployed(emulator, local, jenkins, DynamoTable(dynamodb, table), queue, dead, sqs)
        close(dynamodb, sqs)


def close(*clients: Any) -> None:
    for client in clients:
        client.close()
    if function.assembly.cache_info().currsize:
        made = function.assembly()
        made._clients.close()
        made.jenkins(made.groups[GROUP])._http.clear()
    if function.dead_letters.cache_info().currsize:
        function.dead_letters()._sqs.close()
    function.assembly.cache_clear()
    function.dead_letters.cache_clear()


class Away(AwsAutoScaling):
    def view(self, group: str) -> GroupView:
        raise Unavailable("autoscaling:DescribeAutoScalingGroups: Throttling: Rate exceeded")


def launch(deployed: Deployed, count: int = 1) -> None:
    deployed.fleet.call(
        "autoscaling",
        "SetDesiredCapacity",
        AutoScalingGroupName=GROUP,
        DesiredCapacity=count,
    )
    deployed.fleet.pass_s(1)


# --- messages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("envelope", [notified, str], ids=["in SNS's envelope", "raw"])
def test_a_launch_is_numbered_and_its_build_asked_for(deployed: Deployed, envelope: Any) -> None:
    launch(deployed)
    assert deployed.messages(envelope(text("autoscaling/launch"))) == DONE
    (member,) = deployed.members()
    assert (member.number, member.name, member.phase) == (1, "web-01", "building")
    assert member.builds[0].queue_id is not None
    assert deployed.take(deployed.dead) == []


def test_what_a_launch_sets_going_comes_to_its_end(deployed: Deployed) -> None:
    launch(deployed, 3)

    def ready() -> bool:
        assert deployed.messages(wake_message(GROUP)) == DONE
        return [member.phase for member in deployed.members()] == ["ready"] * 3

    kit.until(ready)
    assert sorted(member.number or 0 for member in deployed.members()) == [1, 2, 3]
    described = deployed.fleet.call("ec2", "DescribeInstances")["Reservations"]
    names = {
        tag["Value"]
        for one in described
        for tag in one["Instances"][0]["Tags"]
        if tag["Key"] == "Name"
    }
    assert names == {"web-01", "web-02", "web-03"}


def test_while_a_member_is_on_its_way_the_function_wakes_itself(deployed: Deployed) -> None:
    launch(deployed)
    deployed.messages(text("autoscaling/launch"), text("autoscaling/launch"))
    assert deployed.delayed() == 1
    kit.until(lambda: deployed.delayed() == 0)
    assert [body for body, _ in deployed.take(deployed.queue)] == [wake_message(GROUP)]


def test_an_event_ahead_of_what_aws_shows_is_looked_into_again(deployed: Deployed) -> None:
    deployed.messages(text("autoscaling/launch"))
    assert deployed.members() == []
    assert deployed.delayed() == 1


def test_a_late_end_of_nobody_is_nothing_to_come_back_for(deployed: Deployed) -> None:
    assert deployed.messages(text("autoscaling/terminate")) == DONE
    assert deployed.delayed() == 0
    assert deployed.take(deployed.dead) == []


def test_a_malformed_message_is_kept_with_its_reason_and_the_rest_goes_on(
    deployed: Deployed,
) -> None:
    launch(deployed)
    bad = '{"Event": "s3:ObjectCreated:Put"}'
    assert deployed.messages("not JSON", text("autoscaling/launch"), bad) == DONE
    assert len(deployed.members()) == 1
    kept = {body: attributes["reason"] for body, attributes in deployed.take(deployed.dead)}
    assert kept == {
        "not JSON": "the message is not JSON: Expecting value: line 1 column 1 (char 0)",
        bad: "no event of Auto Scaling: Event is 's3:ObjectCreated:Put'",
    }


def test_tests_and_events_of_other_groups_are_nothing_to_do(deployed: Deployed) -> None:
    """They must not come again, nor lie among the dead letters."""
    others = changed(AutoScalingGroupName="somebody-elses")
    answer = deployed.messages(
        text("autoscaling/test_notification"), text("autoscaling/hook_test_notification"), others
    )
    assert answer == DONE
    assert deployed.take(deployed.dead) == []
    assert deployed.table.query(f"group#{GROUP}") == []


def test_a_launch_that_failed_is_told_to_people(deployed: Deployed) -> None:
    message = changed("autoscaling/launch_error", AutoScalingGroupName=GROUP)
    assert deployed.messages(message) == DONE
    (notice,) = deployed.table.query("notices")
    assert notice["title"] == f"{GROUP} could not launch an instance"
    assert notice["sk"] == f"provision/{GROUP}/launch-error"


def test_a_message_about_a_group_that_is_not_there_is_kept_with_the_reason(
    deployed: Deployed,
) -> None:
    launch(deployed)
    answer = deployed.messages(wake_message("absent"), text("autoscaling/launch"))
    assert answer == DONE
    ((_, attributes),) = deployed.take(deployed.dead)
    assert attributes["reason"].startswith("there is no Auto Scaling group absent in this region")
    assert len(deployed.members()) == 1


def test_messages_come_again_while_aws_is_away(deployed: Deployed) -> None:
    made = function.assembly()
    made.ports = replace(made.ports, auto_scaling=Away(made._clients.autoscaling))
    assert deployed.messages(text("autoscaling/launch"), wake_message(GROUP)) == {
        "batchItemFailures": [{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-2"}]
    }


def test_messages_come_again_when_there_is_no_time_for_them(deployed: Deployed) -> None:
    answer = deployed.invoke(batch(wake_message(GROUP)), Context(remaining_ms=3_000))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}


def test_a_run_that_finds_the_group_taken_is_done_and_its_holder_looks_again(
    deployed: Deployed,
) -> None:
    launch(deployed)
    holder = Lease(deployed.table, f"group#{GROUP}", "holder", SystemClock())
    assert holder.take()
    assert deployed.messages(text("autoscaling/launch")) == DONE
    assert deployed.members() == []
    assert not holder.end()


def test_a_return_from_standby_is_counted_and_not_built_again(deployed: Deployed) -> None:
    launch(deployed)

    def ready() -> bool:
        deployed.messages(wake_message(GROUP))
        return [member.phase for member in deployed.members()] == ["ready"]

    kit.until(ready)
    (member,) = deployed.members()
    returned = changed(
        "autoscaling/exit_standby", AutoScalingGroupName=GROUP, EC2InstanceId=member.instance
    )
    assert deployed.messages(returned, returned) == DONE
    assert deployed.messages(returned) == DONE
    (member,) = deployed.members()
    assert (member.phase, member.standby_returns, len(member.builds)) == ("ready", 1, 1)


# --- the sweep ---------------------------------------------------------------------------------


def test_a_launch_that_no_event_announced_is_found_by_the_sweep(deployed: Deployed) -> None:
    launch(deployed)
    deployed.sweep()
    assert [member.number for member in deployed.members()] == [1]


def test_a_group_that_is_wrong_keeps_no_other_from_being_swept(deployed: Deployed) -> None:
    launch(deployed)
    answer = deployed.sweep()
    assert answer == {
        "groups": 2,
        "failed": {"absent": "there is no Auto Scaling group absent in this region and account"},
    }
    assert len(deployed.members()) == 1


# --- what it is not for ------------------------------------------------------------------------


def test_an_event_of_another_kind_is_kept_with_the_reason(deployed: Deployed) -> None:
    answer = deployed.invoke(event("s3/put"))
    reason = "the provision function takes no S3Batch"
    assert answer == {"error": {"type": "InputError", "message": reason}}
    ((body, attributes),) = deployed.take(deployed.dead)
    assert json.loads(body) == event("s3/put")
    assert attributes["reason"] == reason


def test_a_function_without_its_settings_says_so(deployed: Deployed, tmp_path: Path) -> None:
    (tmp_path / "triggerfish_settings.json").unlink()
    with pytest.raises(ConfigError, match="no such file"):
        deployed.sweep()


def test_what_cannot_be_kept_is_raised_so_that_it_comes_again(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIGGERFISH_DEAD_LETTER_QUEUE_URL", f"{deployed.dead}-gone")
    with pytest.raises(Refused, match="NonExistentQueue"):
        deployed.invoke(event("s3/put"))
    answer = deployed.messages("not JSON")
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
