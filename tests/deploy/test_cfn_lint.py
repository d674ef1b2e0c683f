"""cfn-lint knows CloudFormation's schemas and IAM's actions: it finds nothing to say."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest
from cfnlint.api import lint_all

from tests.deploy.samples import QUEUE, VPC, Settings, make_blueprint, make_function
from triggerfish.blueprint import Blueprint, Call, Function, Parameter, QueueSource, ScheduleSource
from triggerfish.deploy.template import build_template

if TYPE_CHECKING:
    from collections.abc import Sequence

HOOK = Call(
    "autoscaling:CompleteLifecycleAction",
    "arn:${AWS::Partition}:autoscaling:${AWS::Region}:${AWS::AccountId}"
    ":autoScalingGroup:*:autoScalingGroupName/web",
)
SECRET = Call(
    "secretsmanager:GetSecretValue",
    "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:jenkins-??????",
)
URL = Parameter(
    id="JenkinsMain", description="Where Jenkins is", default="http://jenkins.example.com"
)


def second(**changes: object) -> Function:
    function = make_function(
        id="Other",
        name="shop-local-other",
        sources=(ScheduleSource(id="Daily", expression="cron(0 6 * * ? *)", input="{}"),),
    )
    return dataclasses.replace(function, **changes)  # type: ignore[arg-type]


BLUEPRINTS = {
    "plain": make_blueprint(),
    "in a VPC": make_blueprint(function=make_function(vpc=VPC)),
    "with a hook and a secret": make_blueprint(function=make_function(calls=(HOOK, SECRET))),
    "with a parameter that has a default": Blueprint(
        parameters=(URL,),
        functions=(make_function(sources=(), calls=(), environment=(("URL", "${JenkinsMain}"),)),),
    ),
    "with a schedule alone": make_blueprint(functions=(make_function(), second())),
    "with large batches and reserved concurrency": make_blueprint(
        function=make_function(
            reserved_concurrency=2,
            tmp_mb=1024,
            sources=(QueueSource(queue="Sample", batch_size=100, batching_window_s=5),),
        ),
    ),
    "with a queue nobody publishes to": make_blueprint(
        topics=(), outputs=(), queues=(dataclasses.replace(QUEUE, max_receive_count=3),)
    ),
    "without environment": make_blueprint(function=make_function(environment=())),
}


@pytest.mark.parametrize("blueprint", BLUEPRINTS.values(), ids=BLUEPRINTS.keys())
def test_cfn_lint_finds_no_error_and_no_warning(blueprint: Blueprint) -> None:
    template = build_template([("sample", blueprint)], stack="shop-local", functions=Settings())

    assert findings(json.dumps(template)) == []


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
@pytest.mark.parametrize("runtime", ["python3.12", "python3.13", "python3.14"])
def test_every_runtime_and_architecture_is_known(runtime: str, architecture: str) -> None:
    template = build_template(
        [("sample", make_blueprint())],
        stack="shop-local",
        functions=Settings(runtime=runtime, architecture=architecture),
    )

    assert findings(json.dumps(template)) == []


def findings(template: str) -> Sequence[str]:
    return [
        f"{match.rule.id} {match.message} at {'/'.join(str(part) for part in match.path or [])}"
        for match in lint_all(template)
        if match.rule.id[0] in "EW"
    ]
