"""`triggerfish send`: make a real event happen, through the API that anyone would use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from triggerfish.cli.app import new_app
from triggerfish.cli.context import Context

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from triggerfish.cli.stage import OpenStage

Group = Annotated[str, typer.Option("--group", help="The Auto Scaling group.", show_default=False)]
Count = Annotated[int, typer.Option("--count", help="How many servers.", min=1, max=1000)]
Instance = Annotated[
    list[str] | None,
    typer.Option("--instance", help="This server; repeat for more.", show_default=False),
]


def register(app: typer.Typer) -> None:
    events = new_app(help="Make a real event happen (default: locally).", no_args_is_help=True)
    for command in (launch, terminate, standby, attach, duplicate):
        events.command()(command)
    app.add_typer(events, name="send")


def launch(ctx: typer.Context, *, group: Group, count: Count = 1) -> None:
    """Scale the group out."""
    from triggerfish.local.fleet import actions  # noqa: PLC0415  `--help` doesn't pay for it

    stage = _open(ctx, group)
    with _calling("launch", group):
        launched = actions.launch(stage.clients.autoscaling, group, count)
    _tell(ctx, launched, "launched")


def terminate(
    ctx: typer.Context, *, group: Group, count: Count = 1, instance: Instance = None
) -> None:
    """Kill members as a failing host would; the group replaces them."""
    from triggerfish.local.fleet import actions  # noqa: PLC0415  `--help` doesn't pay for it

    clients = _open(ctx, group).clients
    with _calling("terminate", group):
        killed = actions.terminate(
            clients.ec2, clients.autoscaling, group, count, tuple(instance or ())
        )
    _tell(ctx, killed, "terminated")


def standby(ctx: typer.Context, *, group: Group, count: Count = 1) -> None:
    """Put members into standby and bring them back."""
    from triggerfish.local.fleet import actions  # noqa: PLC0415  `--help` doesn't pay for it

    stage = _open(ctx, group)
    with _calling("standby", group):
        rested = actions.standby(stage.clients.autoscaling, group, count)
    _tell(ctx, rested, "went to standby and back")


def attach(ctx: typer.Context, *, group: Group, count: Count = 1) -> None:
    """Start servers outside of the group and attach them."""
    from triggerfish.local.fleet import actions  # noqa: PLC0415  `--help` doesn't pay for it

    clients = _open(ctx, group).clients
    with _calling("attach", group):
        attached = actions.attach(clients.ec2, clients.autoscaling, group, count)
    _tell(ctx, attached, "attached")


def duplicate(ctx: typer.Context, *, group: Group, count: Count = 1) -> None:
    """Publish the group's last launch notification again. Local stage only."""
    from triggerfish.errors import Refused  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.local.fleet import actions  # noqa: PLC0415

    stage = _open(ctx, group)
    if "fleet" not in stage.addresses:
        raise Refused("only the local stage repeats a notification; AWS does so by itself")
    again = actions.duplicate(stage.addresses["fleet"], group, count)
    _tell(ctx, again, "announced again")


def _open(ctx: typer.Context, group: str) -> OpenStage:
    from triggerfish.cli.stage import open_stage  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.provision.commands import known_groups  # noqa: PLC0415

    context = Context.of(ctx)
    known_groups(context, group)
    return open_stage(context)


def _calling(event: str, group: str) -> AbstractContextManager[None]:
    from triggerfish.runtime.aws import calling  # noqa: PLC0415  `--help` doesn't pay for it

    return calling(f"send {event}", f"group {group}")


def _tell(ctx: typer.Context, instances: tuple[str, ...], what: str) -> None:
    context = Context.of(ctx)
    if context.json:
        context.print_data({"instances": list(instances)})
        return
    for instance in instances:
        typer.echo(f"{instance} {what}")
