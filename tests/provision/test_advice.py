"""What `check --aws` finds in a group that will hurt some day, and what it leaves alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from tests.provision.world import make_group
from triggerfish.durations import Duration
from triggerfish.errors import Refused, Unavailable
from triggerfish.provision.advice import Advice, advise, shape_advice, soa_advice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from types_boto3_autoscaling.type_defs import AutoScalingGroupTypeDef

    from triggerfish.provision.config import ProvisionGroup
    from triggerfish.runtime.aws import Clients

TOPIC = "arn:aws:sns:eu-west-1:123456789012:shop-prod-provision"
BOTH = ("autoscaling:EC2_INSTANCE_LAUNCH", "autoscaling:EC2_INSTANCE_TERMINATE")
LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
SOA = "ns.example.com. admin.example.com. 1 7200 900 1209600 60"


def described(**changes: object) -> AutoScalingGroupTypeDef:
    """A group that gives no cause for advice."""
    group: dict[str, object] = {
        "AutoScalingGroupName": "web",
        "MinSize": 0,
        "MaxSize": 3,
        "TerminationPolicies": ["NewestInstance"],
        "AvailabilityZones": ["eu-west-1a", "eu-west-1b"],
        "SuspendedProcesses": [{"ProcessName": "AZRebalance"}],
        "HealthCheckType": "ELB",
        "HealthCheckGracePeriod": 1800,
        "TargetGroupARNs": ["arn:target-group"],
        **changes,
    }
    return cast("AutoScalingGroupTypeDef", group)


class World:
    """What AWS and Jenkins say; every field may be changed by a test."""

    def __init__(self) -> None:
        self.groups = [described()]
        self.notifications = {TOPIC: BOTH}
        self.hooks = [{"LifecycleHookName": "provision", "LifecycleTransition": LAUNCHING}]
        self.zones: list[dict[str, object]] = [
            {
                "Id": "/hostedzone/Z1",
                "Name": "internal.example.com.",
                "Config": {"PrivateZone": True},
            }
        ]
        self.records: list[dict[str, object]] = [
            {"Type": "SOA", "TTL": 900, "ResourceRecords": [{"Value": SOA}]},
            {"Type": "NS", "TTL": 900, "ResourceRecords": [{"Value": "ns.example.com."}]},
        ]
        self.parameters: Callable[[str], Sequence[str]] = lambda _: ("REQUEST_ID", "HOST")
        self.failure: Exception | None = None

    @property
    def clients(self) -> Clients:
        autoscaling = SimpleNamespace(
            describe_auto_scaling_groups=self._answer(lambda: {"AutoScalingGroups": self.groups}),
            describe_notification_configurations=self._answer(
                lambda: {
                    "NotificationConfigurations": [
                        {"TopicARN": arn, "NotificationType": kind}
                        for arn, kinds in self.notifications.items()
                        for kind in kinds
                    ]
                }
            ),
            describe_lifecycle_hooks=self._answer(lambda: {"LifecycleHooks": self.hooks}),
        )
        route53 = SimpleNamespace(
            list_hosted_zones_by_name=self._answer(lambda: {"HostedZones": self.zones}),
            list_resource_record_sets=self._answer(lambda: {"ResourceRecordSets": self.records}),
        )
        return cast("Clients", SimpleNamespace(autoscaling=autoscaling, route53=route53))

    def _answer(self, give: Callable[[], Mapping[str, object]]) -> Callable[..., Any]:
        def call(**_: object) -> Mapping[str, object]:
            if self.failure is not None:
                raise self.failure
            return give()

        return call

    def advice(self, **changes: object) -> list[Advice]:
        return advise(
            [make_group(**changes)],
            self.clients,
            lambda _group, job: self.parameters(job),
            "shop-prod",
        )


@pytest.fixture
def world() -> World:
    return World()


def only(found: Sequence[Advice]) -> tuple[str, str, str]:
    assert len(found) == 1, found
    return found[0].severity, found[0].where, found[0].found


def stateful(**changes: object) -> ProvisionGroup:
    return make_group(mode="stateful", size=3, **changes)


def test_group_without_fault_gets_no_advice(world: World) -> None:
    assert world.advice() == []
    assert world.advice(mode="stateful", size=3, hook="provision") == []


@pytest.mark.parametrize(
    ("group", "changes", "found"),
    [
        (make_group(), {"TerminationPolicies": ["Default"]}, "termination policies Default"),
        (make_group(), {"TerminationPolicies": []}, "termination policies Default"),
        (stateful(), {"SuspendedProcesses": []}, "AZRebalance is active"),
        (
            make_group(timeout=Duration(3600)),
            {"HealthCheckGracePeriod": 300},
            "health check grace period 300 s, timeout 1h",
        ),
        (
            make_group(),
            {"TargetGroupARNs": []},
            'finish = "healthy", and the group has no target group',
        ),
        (stateful(), {"MaxSize": 4}, "maximum size 4, size 3"),
    ],
    ids=["newest", "no-policy", "rebalance", "grace", "no-target-group", "maximum"],
)
def test_settings_of_a_group_that_will_hurt(
    group: ProvisionGroup, changes: dict[str, object], found: str
) -> None:
    assert only(list(shape_advice(group, described(**changes)))) == ("warning", "group web", found)


@pytest.mark.parametrize(
    ("group", "changes"),
    [
        (stateful(), {"TerminationPolicies": ["OldestInstance"]}),
        (make_group(), {"SuspendedProcesses": []}),
        (stateful(), {"SuspendedProcesses": [], "AvailabilityZones": ["eu-west-1a"]}),
        (make_group(), {"HealthCheckGracePeriod": 0, "HealthCheckType": "EC2"}),
        (make_group(hook="provision"), {"HealthCheckGracePeriod": 0}),
        (make_group(finish="built"), {"TargetGroupARNs": []}),
        (make_group(), {"TargetGroupARNs": [], "TrafficSources": [{"Identifier": "arn"}]}),
        (make_group(), {"MaxSize": 1000}),
        (make_group(), {"TerminationPolicies": ["OldestLaunchTemplate", "NewestInstance"]}),
    ],
    ids=[
        *("stateful-policy", "elastic-rebalance", "one-zone", "ec2-check", "hook", "built"),
        *("traffic-source", "elastic-maximum", "second-policy"),
    ],
)
def test_settings_that_do_not_matter_for_the_group(
    group: ProvisionGroup, changes: dict[str, object]
) -> None:
    assert list(shape_advice(group, described(**changes))) == []


def test_group_that_is_not_there(world: World) -> None:
    world.groups = []
    assert only(world.advice()) == (
        "error",
        "group web",
        "no such Auto Scaling group in this region and account",
    )


@pytest.mark.parametrize(
    ("notifications", "missing"),
    [
        ({}, "autoscaling:EC2_INSTANCE_LAUNCH, autoscaling:EC2_INSTANCE_TERMINATE"),
        ({TOPIC: BOTH[:1]}, "autoscaling:EC2_INSTANCE_TERMINATE"),
        (
            {"arn:aws:sns:eu-west-1:123456789012:other": BOTH},
            "autoscaling:EC2_INSTANCE_LAUNCH, autoscaling:EC2_INSTANCE_TERMINATE",
        ),
        (
            {f"{TOPIC}-dead": BOTH},
            "autoscaling:EC2_INSTANCE_LAUNCH, autoscaling:EC2_INSTANCE_TERMINATE",
        ),
    ],
    ids=["none", "half", "other-topic", "longer-name"],
)
def test_group_that_does_not_notify_the_stack(
    world: World, notifications: dict[str, tuple[str, ...]], missing: str
) -> None:
    world.notifications = notifications  # type: ignore[assignment]
    found = world.advice()
    assert only(found) == (
        "warning",
        "group web",
        f"no notification of {missing} to topic shop-prod-provision",
    )
    assert found[0].do.startswith("aws autoscaling put-notification-configuration")


@pytest.mark.parametrize(
    ("hooks", "found"),
    [
        ([], "no launch hook provision; hooks: none"),
        (
            [{"LifecycleHookName": "other", "LifecycleTransition": LAUNCHING}],
            "no launch hook provision; hooks: other",
        ),
        (
            [
                {
                    "LifecycleHookName": "provision",
                    "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
                }
            ],
            "no launch hook provision; hooks: provision",
        ),
    ],
    ids=["none", "other", "terminating"],
)
def test_hook_that_is_not_there(world: World, hooks: list[dict[str, str]], found: str) -> None:
    world.hooks = hooks
    assert only(world.advice(hook="provision")) == ("error", "group web", found)
    assert world.advice() == []


def test_job_that_does_not_declare_the_request_id(world: World) -> None:
    world.parameters = lambda job: ("HOST", "ROLE") if job == "app/deploy" else ("REQUEST_ID",)
    assert only(world.advice()) == ("error", "job app/deploy", "parameters HOST, ROLE")
    world.parameters = lambda job: () if job == "app/deploy" else ("REQUEST_ID",)
    assert only(world.advice()) == ("error", "job app/deploy", "parameters none")


def test_job_that_jenkins_refuses_to_show(world: World) -> None:
    def refuse(job: str) -> Sequence[str]:
        raise Refused(f"{job}: there is no such job", hint="did you mean app/deploy?")

    world.parameters = refuse
    found = world.advice(jobs=("app/deplyo", "app/deplyo"))
    assert only(found) == ("error", "job app/deplyo", "app/deplyo: there is no such job")
    assert found[0].do == "did you mean app/deploy?"


def test_jenkins_that_cannot_be_reached_from_here_is_no_error(world: World) -> None:
    def away(job: str) -> Sequence[str]:
        raise Unavailable("jenkins.internal.example.com does not answer")

    world.parameters = away
    found = world.advice(jobs=("app/deploy",))
    assert only(found) == (
        "warning",
        "job app/deploy",
        "jenkins.internal.example.com does not answer",
    )


@pytest.mark.parametrize(
    "zones",
    [
        [],
        [{"Id": "Z", "Name": "internal.example.com.", "Config": {"PrivateZone": False}}],
        [{"Id": "Z", "Name": "internal.example.com."}],
        [{"Id": "Z", "Name": "a.internal.example.com.", "Config": {"PrivateZone": True}}],
    ],
    ids=["none", "public", "unsaid", "other-name"],
)
def test_zone_that_is_not_there(world: World, zones: list[dict[str, object]]) -> None:
    world.zones = zones
    assert only(world.advice()) == (
        "error",
        "zone internal.example.com",
        "no private hosted zone of that name",
    )


@pytest.mark.parametrize(
    ("minimum", "ttl_s", "remembered_s"),
    [("86400", 900, 900), ("300", 900, 300), ("61", 61, 61)],
)
def test_zone_whose_absent_names_are_remembered_for_long(
    minimum: str, ttl_s: int, remembered_s: int
) -> None:
    value = f"ns.example.com. admin.example.com. 1 7200 900 1209600 {minimum}"
    record = {"TTL": ttl_s, "ResourceRecords": [{"Value": value}]}
    assert only(list(soa_advice("example.com", record))) == (
        "warning",
        "zone example.com",
        f"absent names are cached for {remembered_s} s (SOA minimum {minimum}, TTL {ttl_s})",
    )


@pytest.mark.parametrize(
    "record",
    [
        {"TTL": 60, "ResourceRecords": [{"Value": f"{SOA[:-2]}86400"}]},
        {"TTL": 900, "ResourceRecords": [{"Value": SOA}]},
        {"TTL": 900, "ResourceRecords": []},
        {"TTL": 900},
        {"TTL": 900, "ResourceRecords": [{"Value": "nonsense"}]},
        {"ResourceRecords": [{"Value": f"{SOA[:-2]}86400"}]},
    ],
    ids=["short-ttl", "short-minimum", "empty", "none", "nonsense", "no-ttl"],
)
def test_zone_that_forgets_soon_or_says_nothing(record: dict[str, object]) -> None:
    assert list(soa_advice("example.com", record)) == []


def test_errors_come_before_warnings(world: World) -> None:
    world.groups = [described(TerminationPolicies=["Default"], TargetGroupARNs=[])]
    world.zones = []
    found = [(one.severity, one.where) for one in world.advice()]
    assert found == [
        ("error", "zone internal.example.com"),
        ("warning", "group web"),
        ("warning", "group web"),
    ]


def test_every_piece_says_why_and_what_to_do(world: World) -> None:
    world.groups = [described(TerminationPolicies=[], TargetGroupARNs=[], HealthCheckGracePeriod=0)]
    world.notifications, world.hooks, world.zones = {}, [], []
    world.parameters = lambda _: ()
    found = world.advice()
    assert len(found) == 7
    assert all(one.why and one.do for one in found)


def test_aws_that_says_no_ends_the_check_in_words(world: World) -> None:
    denied: Any = {"Error": {"Code": "AccessDenied", "Message": "not authorized"}}
    world.failure = ClientError(denied, "DescribeAutoScalingGroups")
    with pytest.raises(Refused) as caught:
        world.advice()
    assert caught.value.message == (
        "autoscaling:DescribeAutoScalingGroups, group web: AccessDenied: not authorized"
    )
