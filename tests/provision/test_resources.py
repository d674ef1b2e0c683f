from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.provision.world import make_group
from triggerfish.blueprint import (
    Blueprint,
    Call,
    Function,
    Parameter,
    Queue,
    QueueSource,
    ScheduleSource,
    Topic,
    Vpc,
)
from triggerfish.codec import decode
from triggerfish.provision.config import Jenkins, ProvisionGroup, ProvisionSettings
from triggerfish.provision.resources import blueprint, jenkins_parameters
from triggerfish.secret_reference import SecretReference


def make_jenkins(**changes: Any) -> Jenkins:
    settings: dict[str, Any] = {
        "url": "https://jenkins.internal.example.com",
        "user": "triggerfish",
        "token": SecretReference.parse("ssm:/shop/jenkins-token"),
        **changes,
    }
    return Jenkins(**settings)


@dataclass
class Functions:
    memory: int | None = None


@dataclass
class Config:
    name: str = "shop"
    functions: Functions = field(default_factory=Functions)
    provision: tuple[ProvisionGroup, ...] = (make_group(),)
    jenkins: dict[str, Jenkins] = field(default_factory=lambda: {"main": make_jenkins()})
    notices: object | None = None


def function(config: Config) -> Function:
    (made,) = blueprint(config, "local").functions
    return made


def calls(config: Config | None = None) -> dict[str, set[str]]:
    """The resources of each action."""
    found: dict[str, set[str]] = {}
    for call in function(config or Config()).calls:
        found.setdefault(call.action, set()).add(call.resource)
    return found


def test_notices_go_to_their_queue_where_people_are_to_be_told() -> None:
    config = Config(notices=object())
    assert dict(function(config).environment)["TRIGGERFISH_NOTICES_QUEUE_URL"] == "${NoticesQueue}"
    assert "${NoticesQueue.Arn}" in calls(config)["sqs:SendMessage"]
    assert "TRIGGERFISH_NOTICES_QUEUE_URL" not in dict(function(Config()).environment)


def test_without_groups_nothing_is_needed() -> None:
    assert blueprint(Config(provision=()), "local") == Blueprint()


def test_groups_tell_a_topic_that_feeds_a_queue() -> None:
    made = blueprint(Config(), "prod")
    assert made.topics == (
        Topic(
            id="Provision",
            name="shop-prod-provision",
            queue="Provision",
            publishers=("autoscaling.amazonaws.com",),
        ),
    )
    assert made.queues == (
        Queue(id="Provision", name="shop-prod-provision", visibility_timeout_s=360),
    )


def test_the_function_is_woken_by_the_queue_and_every_minute() -> None:
    queue, schedule = function(Config()).sources
    assert queue == QueueSource(queue="Provision", batch_size=10, maximum_concurrency=10)
    assert isinstance(schedule, ScheduleSource)
    assert (schedule.id, schedule.expression) == ("ProvisionSweep", "rate(1 minute)")
    assert json.loads(schedule.input)["schedule"] == "provision-sweep"


def test_the_function_gets_the_configured_memory_or_what_it_needs() -> None:
    assert function(Config()).memory_mb == 256
    assert function(Config(functions=Functions(memory=512))).memory_mb == 512


def test_the_function_wakes_itself_on_purpose() -> None:
    """Lambda stops what looks like a loop between a function and its own queue."""
    assert function(Config()).wakes_itself is True


def test_a_message_is_hidden_for_six_times_as_long_as_the_function_may_take() -> None:
    """AWS's advice for a queue that feeds a function."""
    made = blueprint(Config(), "local")
    assert made.queues[0].visibility_timeout_s == 6 * made.functions[0].timeout_s


def test_settings_hold_the_groups_and_only_the_jenkins_servers_they_name() -> None:
    config = Config(jenkins={"main": make_jenkins(), "other": make_jenkins(user="nobody")})
    baked = decode(function(config).settings, ProvisionSettings)
    assert baked == ProvisionSettings(groups=(make_group(),), jenkins={"main": make_jenkins()})


def test_the_token_itself_is_nowhere_in_the_function() -> None:
    made = function(Config())
    assert b"ssm:/shop/jenkins-token" in made.settings
    assert "token" not in json.dumps(dict(made.environment))


def test_the_environment_says_where_everything_is() -> None:
    environment = dict(function(Config()).environment)
    parameters = json.loads(environment.pop("TRIGGERFISH_PARAMETERS"))
    assert environment == {
        "TRIGGERFISH_STAGE": "local",
        "TRIGGERFISH_STACK": "shop-local",
        "TRIGGERFISH_TABLE": "${StateTable}",
        "TRIGGERFISH_QUEUE_URL": "${ProvisionQueue}",
        "TRIGGERFISH_DEAD_LETTER_QUEUE_URL": "${ProvisionDeadLetterQueue}",
    }
    assert parameters == {
        "zone internal.example.com": "${ZoneInternalExampleCom}",
        "jenkins main": "${JenkinsMainUrl}",
    }


def test_a_stage_gives_the_zone_its_id_and_jenkins_its_address() -> None:
    assert blueprint(Config(), "local").parameters == (
        Parameter(
            id="ZoneInternalExampleCom",
            description="The private hosted zone internal.example.com.",
            type="AWS::Route53::HostedZone::Id",
            resolve=("hosted-zone", "internal.example.com"),
        ),
        Parameter(
            id="JenkinsMainUrl",
            description="The address of the Jenkins called main.",
            default="https://jenkins.internal.example.com",
        ),
    )


def test_zones_and_servers_of_nearly_one_name_have_parameters_of_their_own() -> None:
    """Else records would be written into the wrong zone."""
    zones = ("a-b.example.com", "a.b.example.com")
    groups = tuple(make_group(group=zone, zone=zone, jenkins=f"{zone[1]}x") for zone in zones)
    config = Config(provision=groups, jenkins={"-x": make_jenkins(), ".x": make_jenkins()})
    made = blueprint(config, "local")
    assert len({parameter.id for parameter in made.parameters}) == 4
    environment = dict(function(config).environment)
    assert len(set(json.loads(environment["TRIGGERFISH_PARAMETERS"]).values())) == 4


def test_a_zone_that_several_groups_use_has_one_parameter() -> None:
    config = Config(provision=(make_group(), make_group(group="api")))
    assert len(blueprint(config, "local").parameters) == 2


def test_another_address_of_jenkins_is_a_parameter_of_the_stage() -> None:
    urls = {"main": "http://127.0.0.1:8080", "unused": "http://127.0.0.1:9"}
    assert jenkins_parameters(Config(), urls) == {"JenkinsMainUrl": "http://127.0.0.1:8080"}


def test_the_function_stands_where_jenkins_can_be_reached() -> None:
    near = make_jenkins(subnets=("subnet-2", "subnet-1"), security_groups=("sg-1",))
    far = make_jenkins(subnets=("subnet-2",), security_groups=("sg-2",))
    config = Config(
        provision=(make_group(), make_group(group="api", jenkins="far")),
        jenkins={"main": near, "far": far},
    )
    assert function(config).vpc == Vpc(
        subnets=("subnet-1", "subnet-2"), security_groups=("sg-1", "sg-2")
    )
    assert function(Config()).vpc is None


# --- permissions -------------------------------------------------------------------------------

ARN = "arn:${AWS::Partition}"


def test_the_function_may_change_its_own_groups_only() -> None:
    config = Config(provision=(make_group(), make_group(group="api")))
    groups = {
        f"{ARN}:autoscaling:${{AWS::Region}}:${{AWS::AccountId}}:autoScalingGroup:*"
        f":autoScalingGroupName/{name}"
        for name in ("web", "api")
    }
    found = calls(config)
    for action in (
        "CompleteLifecycleAction",
        "RecordLifecycleActionHeartbeat",
        "TerminateInstanceInAutoScalingGroup",
    ):
        assert found[f"autoscaling:{action}"] == groups


def test_the_function_may_tag_the_instances_of_its_groups_only() -> None:
    config = Config(provision=(make_group(), make_group(group="api")))
    (call,) = (call for call in function(config).calls if call.action == "ec2:CreateTags")
    assert call == Call(
        "ec2:CreateTags",
        f"{ARN}:ec2:${{AWS::Region}}:${{AWS::AccountId}}:instance/*",
        (("StringEquals", "aws:ResourceTag/aws:autoscaling:groupName", ("web", "api")),),
    )


def test_the_function_may_change_its_own_zones_only() -> None:
    zone = {f"{ARN}:route53:::hostedzone/${{ZoneInternalExampleCom}}"}
    found = calls()
    assert found["route53:ChangeResourceRecordSets"] == zone
    assert found["route53:ListResourceRecordSets"] == zone


def test_the_function_may_read_the_secret_it_uses_and_no_other() -> None:
    found = calls()
    assert found["ssm:GetParameter"] == {
        f"{ARN}:ssm:${{AWS::Region}}:${{AWS::AccountId}}:parameter/shop/jenkins-token"
    }
    assert "secretsmanager:GetSecretValue" not in found


def test_the_function_may_send_to_its_own_queues_only() -> None:
    assert calls()["sqs:SendMessage"] == {
        "${ProvisionQueue.Arn}",
        "${ProvisionDeadLetterQueue.Arn}",
    }


def test_everything_is_the_resource_only_of_what_describes() -> None:
    anything = {action for action, resources in calls().items() if "*" in resources}
    assert anything == {
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeLifecycleHooks",
        "autoscaling:DescribeWarmPool",
        "ec2:DescribeInstances",
        "elasticloadbalancing:DescribeTargetHealth",
    }
