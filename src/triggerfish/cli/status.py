"""`triggerfish status`: one screen, every trigger, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer  # noqa: TC002 - typer reads the annotations

from triggerfish.cli.context import Context
from triggerfish.triggers import TRIGGERS, room

if TYPE_CHECKING:
    from triggerfish.runtime.aws import Clients


def register(app: typer.Typer) -> None:
    app.command()(status)


def status(ctx: typer.Context) -> None:
    """Show all triggers on one screen, and what is wrong.

    Each trigger says its part: `status` the data, `status_lines` the same as a person reads it.
    """
    from triggerfish.cli.stage import open_stage  # noqa: PLC0415  `--help` doesn't pay for it

    context = Context.of(ctx)
    stage = open_stage(context)
    used = [name for name in TRIGGERS if getattr(context.config, name)]
    dead = {name: _dead_letters(stage.clients, f"{stage.stack}-{name}-dead") for name in used}
    parts = {name: room(name, "commands").status(context, stage) for name in used}
    if context.json:
        context.print_data({"stack": stage.stack, "dead_letters": dead, **parts})
        return
    context.print_line(f"stack {stage.stack}")
    for name, part in parts.items():
        context.print_line("")
        context.print_line(f"{name}: {dead[name]} dead letters")
        for line in room(name, "commands").status_lines(part):
            context.print_line(f"  {line}")


def _dead_letters(clients: Clients, queue: str) -> int:
    from triggerfish.runtime.aws import calling  # noqa: PLC0415  as above

    with calling("sqs:GetQueueAttributes", queue):
        url = clients.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        found = clients.sqs.get_queue_attributes(
            QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
        )
    return int(found["Attributes"]["ApproximateNumberOfMessages"])
