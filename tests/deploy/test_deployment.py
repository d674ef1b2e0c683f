"""A deploy into the emulator, from a blueprint to a stack with code in it."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.deploy.samples import Settings, make_blueprint, make_function
from triggerfish.blueprint import Blueprint, Parameter
from triggerfish.deploy import limits
from triggerfish.deploy.apply import Event, Stack
from triggerfish.deploy.deployment import Plan, deploy, plan
from triggerfish.deploy.package import Target
from triggerfish.deploy.validate import render
from triggerfish.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from triggerfish.runtime.aws import Clients

pytestmark = pytest.mark.cloud

HERE = Target.of_this_machine(Path(sys.executable), f"3.{sys.version_info.minor}")
GIVEN = {"ZoneInternal": "Z0123456789ABCDEFGHIJ"}


@pytest.fixture
def stack(clients: Clients) -> Iterator[str]:
    name = "shop-local"
    yield name
    Stack(clients, name).delete()
    clients.dynamodb.delete_table(TableName=f"{name}-state")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def make_plan(stack: str, cache: Path, blueprint: Blueprint | None = None) -> Plan:
    return plan(
        [("sample", blueprint or make_blueprint())],
        stack=stack,
        functions=Settings(),
        target=HERE,
        cache=cache,
    )


def test_a_first_deploy_makes_the_stack_and_a_second_finds_nothing_to_change(
    clients: Clients, stack: str, cache: Path
) -> None:
    unique = make_blueprint(function=make_function(settings=str(cache).encode()))
    made = make_plan(stack, cache, unique)
    told: list[Event] = []

    first = deploy(made, clients, region="eu-west-1", given=GIVEN, progress=told.append)
    second = deploy(make_plan(stack, cache, unique), clients, region="eu-west-1", given=GIVEN)

    (artifact,) = made.artifacts
    assert first.applied.outcome == "created"
    assert dict(first.applied.outputs) == {
        "SampleTopicArn": "arn:aws:sns:eu-west-1:123456789012:shop-local-sample",
        "StateTableName": "shop-local-state",
    }
    assert first.uploaded == (artifact.key,)
    assert told[-1].resource == stack
    assert told[-1].status == "CREATE_COMPLETE"
    assert {event.resource for event in told} >= {"StateTable", "SampleFunction"}
    assert second.applied.outcome == "unchanged"
    assert second.applied.outputs == first.applied.outputs
    assert second.uploaded == ()


def test_the_function_runs_the_artifact_with_its_environment_resolved(
    clients: Clients, stack: str, cache: Path
) -> None:
    made = make_plan(stack, cache)
    deploy(made, clients, region="eu-west-1", account="123456789012", given=GIVEN)

    found = clients.client("lambda").get_function_configuration(FunctionName="shop-local-sample")
    content = made.artifacts[0].path.read_bytes()
    stored = (
        clients.client("s3")
        .get_object(Bucket="triggerfish-123456789012-eu-west-1", Key=made.artifacts[0].key)["Body"]
        .read()
    )
    assert hashlib.sha256(stored).hexdigest() == hashlib.sha256(content).hexdigest()
    assert found["CodeSize"] == len(content)
    variables = found["Environment"]["Variables"]
    assert variables.pop("TRIGGERFISH_QUEUE_URL").endswith("/123456789012/shop-local-sample")
    assert variables == {
        "TRIGGERFISH_TABLE": "shop-local-state",
        "TRIGGERFISH_PARAMETERS": '{"zone internal.example.com":"Z0123456789ABCDEFGHIJ"}',
        "TRIGGERFISH_STAGE": "local",
    }


def test_a_change_updates_the_stack(clients: Clients, stack: str, cache: Path) -> None:
    deploy(make_plan(stack, cache), clients, region="eu-west-1", given=GIVEN)
    changed = make_blueprint(function=make_function(memory_mb=512, settings=b"{}"))

    done = deploy(make_plan(stack, cache, changed), clients, region="eu-west-1", given=GIVEN)

    found = clients.client("lambda").get_function_configuration(FunctionName="shop-local-sample")
    assert done.applied.outcome == "updated"
    assert done.applied.stack == stack
    assert found["MemorySize"] == 512


def test_a_failing_update_tells_the_cause_and_leaves_everything_as_it_was(
    clients: Clients, stack: str, cache: Path
) -> None:
    deploy(make_plan(stack, cache), clients, region="eu-west-1", given=GIVEN)
    changed = make_plan(
        stack, cache, make_blueprint(function=make_function(memory_mb=512, settings=b"{}"))
    )
    lost = Stack(clients, stack)
    values = GIVEN | {
        "CodeBucket": "triggerfish-123456789012-eu-west-1",
        "SampleCodeKey": "functions/nowhere.zip",
    }

    with pytest.raises(Refused) as refused:
        lost.apply(body=render(changed.template), parameters=values)

    found = clients.client("lambda").get_function_configuration(FunctionName="shop-local-sample")
    assert str(refused.value).startswith(
        "stack shop-local is UPDATE_ROLLBACK_COMPLETE:\nSampleFunction (AWS::Lambda::Function): "
    )
    assert "functions/nowhere.zip" in str(refused.value) or "NoSuchKey" in str(refused.value)
    assert refused.value.hint == "everything is as it was before; correct this and deploy again"
    assert found["MemorySize"] == 256


def test_a_failed_first_deploy_is_cleared_away_by_the_next(
    clients: Clients, stack: str, cache: Path
) -> None:
    broken = make_plan(stack, cache)
    broken.template["Resources"]["Broken"] = {  # type: ignore[index]
        "Type": "AWS::Lambda::EventInvokeConfig",
        "Properties": {"FunctionName": "nowhere", "Qualifier": "$LATEST"},
    }
    with pytest.raises(Refused) as refused:
        deploy(broken, clients, region="eu-west-1", given=GIVEN)

    done = deploy(make_plan(stack, cache), clients, region="eu-west-1", given=GIVEN)

    assert str(refused.value) == (
        "stack shop-local is ROLLBACK_COMPLETE:\n"
        "Broken (AWS::Lambda::EventInvokeConfig): Lambda function not found: nowhere\n"
        "hint: everything is as it was before; correct this and deploy again"
    )
    assert done.applied.outcome == "created"


def test_a_template_too_large_to_be_sent_is_read_from_s3(
    clients: Clients, stack: str, cache: Path
) -> None:
    description = "x" * 250
    many = tuple(
        Parameter(id=f"Extra{number}", description=description, default="x")
        for number in range(190)
    )
    blueprint = make_blueprint()
    large = dataclasses.replace(blueprint, parameters=(*blueprint.parameters, *many))
    made = make_plan(stack, cache, large)
    assert len(render(made.template)) > limits.TEMPLATE_INLINE_BYTES

    done = deploy(made, clients, region="eu-west-1", given=GIVEN)

    assert done.applied.outcome == "created"


def test_deleting_a_stack_that_is_not_there_is_done(clients: Clients) -> None:
    Stack(clients, "nowhere").delete()
