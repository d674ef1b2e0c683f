"""A deploy from beginning to end: the one call behind `up` and, later, `deploy`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from triggerfish.deploy import limits, parameters
from triggerfish.deploy.apply import Applied, Event, Stack
from triggerfish.deploy.compute import CODE_BUCKET, code_key_parameter
from triggerfish.deploy.package import Artifact, Target, package
from triggerfish.deploy.template import build_template
from triggerfish.deploy.upload import CodeBucket, needs_bucket
from triggerfish.deploy.validate import render
from triggerfish.runtime.aws import calling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from triggerfish.blueprint import Blueprint
    from triggerfish.deploy.compute import FunctionSettings
    from triggerfish.runtime.aws import Clients


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that has to be known to deploy, none of it read from AWS."""

    stack: str
    template: dict[str, object]
    artifacts: tuple[Artifact, ...]
    blueprints: tuple[tuple[str, Blueprint], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    applied: Applied
    artifacts: tuple[Artifact, ...]
    uploaded: tuple[str, ...]
    """The keys of the artifacts that weren't in the bucket yet."""


def plan(
    blueprints: Sequence[tuple[str, Blueprint]],
    *,
    stack: str,
    functions: FunctionSettings,
    target: Target,
    cache: Path,
) -> Plan:
    """Build template and artifacts, and check every limit.

    Raises:
        Refused: Lambda wouldn't take it, with every reason.

    """
    _check_limits(blueprints, {})
    template = build_template(blueprints, stack=stack, functions=functions)
    wanted = [function for _, blueprint in blueprints for function in blueprint.functions]
    return Plan(
        stack=stack,
        template=template,
        artifacts=tuple(package(wanted, target, cache=cache)),
        blueprints=tuple(blueprints),
    )


def deploy(
    plan: Plan,
    clients: Clients,
    *,
    region: str,
    account: str | None = None,
    given: Mapping[str, str] | None = None,
    progress: Callable[[Event], None] = lambda _: None,
) -> Deployed:
    """Carry `plan` out. `given` are parameters whose values are known and needn't be looked up.

    Raises:
        Refused: a parameter can't be resolved, or CloudFormation fails, with the cause.
        Unavailable: AWS can't be reached, or isn't done after half an hour.

    """
    values = parameters.resolve(plan.blueprints, given or {}, clients)
    limits.refuse(
        [
            p
            for _, blueprint in plan.blueprints
            for p in limits.blueprint_problems(blueprint, values)
        ]
    )
    bucket = CodeBucket(clients, account=account or _account(clients), region=region)
    uploaded = bucket.upload(plan.artifacts)
    values[CODE_BUCKET] = bucket.name
    values |= {code_key_parameter(artifact.id): artifact.key for artifact in plan.artifacts}
    text = render(plan.template)
    applied = Stack(clients, plan.stack).apply(
        body=text,
        url=bucket.template_url(text) if needs_bucket(text) else None,
        parameters=values,
        progress=progress,
    )
    return Deployed(applied=applied, artifacts=plan.artifacts, uploaded=tuple(uploaded))


def _check_limits(blueprints: Sequence[tuple[str, Blueprint]], values: Mapping[str, str]) -> None:
    problems: list[str] = []
    for _, blueprint in blueprints:
        problems += limits.blueprint_problems(blueprint, values)
    limits.refuse(problems)


def _account(clients: Clients) -> str:
    with calling("sts:GetCallerIdentity", "the account"):
        return str(clients.client("sts").get_caller_identity()["Account"])
