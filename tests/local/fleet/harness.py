"""A fleet inside the test: a clock that is set by hand, and AWS calls without a socket.

Parameters are written and answers are read by botocore, as boto3 does it, so what a test sees is
what a client sees.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

import botocore.session
from botocore import parsers, serialize

from triggerfish.local.fleet import lean_moto, mending, snapshot
from triggerfish.local.fleet.fleet import Fleet
from triggerfish.local.fleet.service import Service
from triggerfish.local.fleet.state import Delays

if TYPE_CHECKING:
    from pathlib import Path

    from botocore.model import ServiceModel, Shape

    from triggerfish.local.fleet.groups import Group, Member
    from triggerfish.local.fleet.messages import Message

assert lean_moto.__doc__  # before whatever imports moto

ACCOUNT, REGION, TOPIC = "123456789012", "eu-west-1", "arn:aws:sns:eu-west-1:123456789012:changes"
EVERYTHING = [
    "autoscaling:EC2_INSTANCE_LAUNCH",
    "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
    "autoscaling:EC2_INSTANCE_TERMINATE",
    "autoscaling:EC2_INSTANCE_TERMINATE_ERROR",
]
SIGNING = {"elbv2": "elasticloadbalancing"}
START = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


class ManualClock:
    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at


class ApiError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


@cache
def model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


@dataclass
class Local:
    fleet: Fleet
    service: Service
    clock: ManualClock
    target_group: str = ""

    def call(self, service: str, action: str, **parameters: object) -> dict[str, Any]:
        operation = model(service).operation_model(action)
        protocol = model(service).protocol
        request = serialize.create_serializer(protocol).serialize_to_request(parameters, operation)
        scope = f"Credential=x/20260102/{REGION}/{SIGNING.get(service, service)}/aws4_request"
        body = urlencode(request["body"]).encode()
        headers = {
            "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=x",
            "CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8",
        }
        status, answer = self.http("POST", "/", body, headers)
        response = {"status_code": status, "headers": {}, "body": answer, "context": {}}
        parser = parsers.create_parser(protocol)
        parsed: dict[str, Any] = parser.parse(response, cast("Shape", operation.output_shape))
        if status != 200:
            raise ApiError(status, parsed["Error"]["Code"], parsed["Error"]["Message"])
        return parsed

    def control(
        self, name: str, body: object = None, method: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        sent = b"" if body is None else json.dumps(body).encode()
        chosen = method or ("GET" if body is None else "POST")
        status, answer = self.http(chosen, f"/_fleet/{name}", sent, {})
        return status, json.loads(answer)

    def http(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "1",
            "HTTP_HOST": "127.0.0.1:1",
            "wsgi.url_scheme": "http",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            **headers,
        }
        statuses: list[str] = []

        def start(status: str, _: object, exc_info: object = None, /) -> Any:
            del exc_info
            statuses.append(status)

        answer = b"".join(self.service(environ, start))
        return int(statuses[0].split()[0]), answer

    def pass_s(self, seconds: float) -> None:
        """Let time go by, in steps small enough that things happen in their order."""
        end = self.clock.at + timedelta(seconds=seconds)
        while True:
            with self.fleet.lock:
                while self.fleet.run_due():
                    self.fleet.changed()
                due = self.fleet.state.timers.next_due()
            if due is None or due > end.timestamp():
                break
            self.clock.at = max(self.clock.at, datetime.fromtimestamp(due, UTC))
            self.clock.at += timedelta(microseconds=1)
        self.clock.at = end

    @property
    def sent(self) -> list[Message]:
        return [one.message for one in self.fleet.state.outbox.values()]

    def take(self) -> list[dict[str, Any]]:
        """The bodies of all messages since the last call."""
        bodies = [json.loads(message.body) for message in self.sent]
        self.fleet.state.outbox.clear()
        return bodies

    def group(self, name: str = "shop") -> Group:
        return self.fleet.scaling.group(name)

    def member(self, instance: str) -> Member:
        return self.fleet.scaling.owner(instance)[1]

    def states(self) -> list[str]:
        return sorted(member.lifecycle_state for member in self.group().members)

    def in_service(self) -> list[str]:
        return [one.server.id for one in self.group().members if one.lifecycle_state == "InService"]

    def health(self, instance: str) -> tuple[str, str | None]:
        found = self.call(
            "elbv2",
            "DescribeTargetHealth",
            TargetGroupArn=self.target_group,
            Targets=[{"Id": instance}],
        )["TargetHealthDescriptions"][0]["TargetHealth"]
        return found["State"], found.get("Reason")

    def make_group(self, desired: int = 0, *, name: str = "shop", **changes: object) -> None:
        """A group in three zones, with a target group behind a load balancer, and a topic."""
        vpc = self.call("ec2", "CreateVpc", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            self.call(
                "ec2",
                "CreateSubnet",
                VpcId=vpc,
                CidrBlock=f"10.0.{16 * number}.0/20",
                AvailabilityZone=f"{REGION}{letter}",
            )["Subnet"]["SubnetId"]
            for number, letter in enumerate("abc")
        ]
        template = self.call(
            "ec2",
            "CreateLaunchTemplate",
            LaunchTemplateName=name,
            LaunchTemplateData={"ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.micro"},
        )["LaunchTemplate"]["LaunchTemplateId"]
        self.target_group = self._make_target_group(vpc, subnets, name)
        self.call(
            "autoscaling",
            "CreateAutoScalingGroup",
            **{
                "AutoScalingGroupName": name,
                "LaunchTemplate": {"LaunchTemplateId": template},
                "MinSize": 0,
                "MaxSize": 1000,
                "DesiredCapacity": desired,
                "VPCZoneIdentifier": ",".join(subnets),
                "TargetGroupARNs": [self.target_group],
                **changes,
            },
        )
        self.call(
            "autoscaling",
            "PutNotificationConfiguration",
            AutoScalingGroupName=name,
            TopicARN=TOPIC,
            NotificationTypes=EVERYTHING,
        )
        self.fleet.state.outbox.clear()

    def _make_target_group(self, vpc: str, subnets: list[str], name: str) -> str:
        target_group: str = self.call(
            "elbv2", "CreateTargetGroup", Name=name, Protocol="HTTP", Port=8080, VpcId=vpc
        )["TargetGroups"][0]["TargetGroupArn"]
        balancer = self.call(
            "elbv2", "CreateLoadBalancer", Name=name, Subnets=subnets, Scheme="internal"
        )["LoadBalancers"][0]["LoadBalancerArn"]
        self.call(
            "elbv2",
            "CreateListener",
            LoadBalancerArn=balancer,
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}],
        )
        return target_group

    def make_serving(self, desired: int, **changes: Any) -> list[str]:
        """A group whose members all serve; what it said so far is forgotten."""
        self.make_group(desired, **changes)
        self.pass_s(1)
        self.fleet.state.outbox.clear()
        return self.in_service()

    def set_desired(self, desired: int) -> None:
        self.call(
            "autoscaling",
            "SetDesiredCapacity",
            AutoScalingGroupName="shop",
            DesiredCapacity=desired,
        )


def make_local(state: Path, **delays: float) -> Local:
    """A fleet whose journal runs, while its timers and its publisher are driven by the test."""
    clock = ManualClock()
    fleet = Fleet(account=ACCOUNT, region=REGION, clock=clock, delays=Delays(**delays), seed=1)
    mending.install(fleet)
    assert snapshot.restore(fleet, state / "fleet.snapshot") is None
    service = Service(fleet, state=state, sns_url="http://127.0.0.1:1")
    service.journal.durable = fleet.version
    service.journal.start()
    return Local(fleet=fleet, service=service, clock=clock)
