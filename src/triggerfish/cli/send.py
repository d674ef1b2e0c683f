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
    for command in (launch, terminate, standby, attach, duplicate, notice, log):
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


def notice(
    ctx: typer.Context,
    *,
    severity: Annotated[
        str, typer.Option("--severity", help="info, low, medium, warning, high or critical.")
    ] = "info",
    title: Annotated[
        str, typer.Option("--title", help="What to tell.", metavar="TEXT")
    ] = "This is a test",
    key: Annotated[
        str, typer.Option("--key", help="The matter: its repeats become a digest.", metavar="KEY")
    ] = "notices/test",
) -> None:
    """Tell people something, through the queue and every channel: a test from end to end."""
    from triggerfish.cli.stage import open_stage  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.errors import InputError, Refused  # noqa: PLC0415
    from triggerfish.faults import one_of  # noqa: PLC0415
    from triggerfish.notice import SEVERITIES  # noqa: PLC0415
    from triggerfish.notices.canary import trial  # noqa: PLC0415
    from triggerfish.runtime.notices import NoticeQueue  # noqa: PLC0415

    context = Context.of(ctx)
    if context.config.notices is None:
        raise Refused(
            f"{context.config_file.name} has no [notices]: nobody is to be told",
            hint="docs/notices.md says what to write",
        )
    found = next((each for each in SEVERITIES if each == severity), None)
    if found is None:
        raise InputError(f"--severity {severity}: wanted {one_of(SEVERITIES)}")
    stage = open_stage(context)
    told = trial(stage.stack, key=key, severity=found, title=title)
    NoticeQueue(stage.clients.sqs, stage.queue_url("notices")).send(told)
    if context.json:
        context.print_data({"key": told.key, "severity": told.severity, "title": told.title})
        return
    context.say(f"handed over: {told.title} ({told.severity}, {told.key})")


def log(
    ctx: typer.Context,
    files: Annotated[list[str], typer.Argument(help="Audit logs, plain or gz.", metavar="FILE...")],
    *,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", help="Whose log it is, when its name doesn't say."),
    ] = None,
) -> None:
    """Put audit logs where Redshift would put them."""
    from datetime import UTC, datetime  # noqa: PLC0415  `--help` doesn't pay for it
    from pathlib import Path  # noqa: PLC0415

    from triggerfish.cli.stage import open_stage  # noqa: PLC0415
    from triggerfish.errors import InputError, Refused  # noqa: PLC0415
    from triggerfish.local.audit import land, landing  # noqa: PLC0415

    context = Context.of(ctx)
    config = context.config
    if config.audit is None:
        raise Refused(
            f"{context.config_file.name} has no [audit]: there is no place for logs",
            hint="docs/audit.md says what to write",
        )
    name = cluster or next(iter(config.audit.clusters), config.name)
    region = config.region_in(context.stage)
    logs = []
    for file in files:
        try:
            data = Path(file).read_bytes()
        except OSError as error:
            raise InputError(f"{file}: {error.strerror}") from error
        logs.append(landing(file, data, cluster=name, region=region, now=datetime.now(UTC)))
    clients = open_stage(context).clients
    landed = [land(clients, config.audit, each) for each in logs]
    if context.json:
        context.print_data({"landed": landed})
        return
    for place in landed:
        typer.echo(f"{place} landed")


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
