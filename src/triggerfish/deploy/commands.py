"""`triggerfish template` and `triggerfish package`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import typer  # noqa: TC002 - typer reads the annotations

from triggerfish.cli.context import Context

if TYPE_CHECKING:
    from pathlib import Path

    from triggerfish.deploy.package import Artifact, Target

CACHE = ".triggerfish/cache"
"""Built artifacts and requirements, in the project's folder."""


def register(app: typer.Typer) -> None:
    app.command()(template)
    app.command()(package)


def template(ctx: typer.Context) -> None:
    """Print the CloudFormation template of the stage."""
    from triggerfish.deploy import blueprints, limits  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.deploy.template import build_template  # noqa: PLC0415

    context = Context.of(ctx)
    plans = blueprints.collect(context.config, context.stage)
    for _, blueprint in plans:
        limits.refuse(limits.blueprint_problems(blueprint, {}))
    made = build_template(
        plans,
        stack=blueprints.stack_name(context.config, context.stage),
        functions=context.config.functions,
    )
    sys.stdout.write(json.dumps(made, indent=2) + "\n")


def package(ctx: typer.Context) -> None:
    """Build each function's artifact and show what is in it."""
    from triggerfish.deploy import blueprints  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.deploy import package as packaging  # noqa: PLC0415

    context = Context.of(ctx)
    functions = [
        function
        for _, blueprint in blueprints.collect(context.config, context.stage)
        for function in blueprint.functions
    ]
    target = _target(context)
    artifacts = packaging.package(functions, target, cache=context.project / CACHE)
    if not all(artifact.compiled for artifact in artifacts):
        context.say(
            f"no Python {target.python} on this machine: the artifacts hold sources only, "
            "which Lambda compiles at every cold start"
        )
    context.show(
        {artifact.function: _sizes(artifact) for artifact in artifacts},
        columns=("FUNCTION", "ZIPPED", "UNZIPPED", "LARGEST", "PATH"),
        rows=[_row(artifact) for artifact in artifacts],
    )


def _target(context: Context) -> Target:
    """Lambda for every stage but the local one, whose functions run here."""
    from triggerfish.deploy.package import Target  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.local.environments import lambda_python  # noqa: PLC0415

    functions = context.config.functions
    if context.is_local:
        python = lambda_python(functions.runtime)
        return Target.of_this_machine(python.path, python.version)
    return Target.of_lambda(functions, _compiler(functions.runtime))


def _compiler(runtime: str) -> Path | None:
    """The runtime's own Python among those the local cloud keeps, if it is there."""
    from triggerfish.errors import Unavailable  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.local.environments import lambda_python  # noqa: PLC0415

    try:
        python = lambda_python(runtime)
    except Unavailable:
        return None
    return python.path if python.exact else None


def _sizes(artifact: Artifact) -> dict[str, object]:
    return {
        "zip_bytes": artifact.zip_bytes,
        "unzipped_bytes": artifact.unzipped_bytes,
        "largest": [{"package": name, "bytes": size} for name, size in artifact.largest],
    }


def _row(artifact: Artifact) -> tuple[str, str, str, str, str]:
    largest = ", ".join(f"{name} {_kib(size)}" for name, size in artifact.largest[:3])
    return (
        artifact.function,
        _kib(artifact.zip_bytes),
        _kib(artifact.unzipped_bytes),
        largest,
        str(artifact.path),
    )


def _kib(size_bytes: int) -> str:
    return f"{size_bytes / 1024:,.0f} KiB"
