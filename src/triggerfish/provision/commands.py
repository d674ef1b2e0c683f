"""What the command line shows of the provision trigger: members, their stories, the override."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triggerfish.cli.context import Context

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from triggerfish.cli.stage import OpenStage
    from triggerfish.provision.advice import Advice
    from triggerfish.provision.assembly import Assembly
    from triggerfish.provision.members import Member
    from triggerfish.provision.store import GroupStore

GroupArgument = Annotated[str, typer.Argument(help="The Auto Scaling group.", metavar="GROUP")]


def register(app: typer.Typer) -> None:
    app.command()(members)
    app.command()(explain)
    app.command()(release)
    app.command(name="next")(next_steps)


def members(
    ctx: typer.Context,
    group: Annotated[
        str | None, typer.Argument(help="Only this group.", metavar="GROUP", show_default=False)
    ] = None,
    *,
    gone: Annotated[bool, typer.Option("--gone", help="Also those that have gone.")] = False,
) -> None:
    """List the members of the groups: number, name, address, phase, build."""
    from triggerfish.provision import report  # noqa: PLC0415  `--help` doesn't pay for it

    context = Context.of(ctx)
    found: list[Member] = []
    for store in _stores(context, group):
        found += store.read().members.values()
        if gone:
            found += store.gone()
    found = report.in_order(found)
    now_ms = int(time.time() * 1000)
    context.show(
        [report.member_data(member) for member in found],
        columns=report.MEMBER_COLUMNS,
        rows=[report.member_row(member, now_ms) for member in found],
    )


def explain(
    ctx: typer.Context,
    instance: Annotated[str, typer.Argument(help="An instance id.", metavar="INSTANCE")],
) -> None:
    """Tell an instance's story: every transition, with its time and its cause."""
    from triggerfish.cli.stage import open_stage  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.errors import InputError  # noqa: PLC0415
    from triggerfish.provision import report  # noqa: PLC0415
    from triggerfish.provision.store import history  # noqa: PLC0415

    context = Context.of(ctx)
    entries = history(open_stage(context).table, instance)
    if not entries:
        raise InputError(
            f"{instance} was never a member of a group here",
            hint="`triggerfish members --gone` lists those that were",
        )
    context.show(
        {"instance": instance, "transitions": report.history_data(entries)},
        columns=("TIME", "PHASE", "CAUSE"),
        rows=[(report.clock_time(entry.at_ms), entry.to_phase, entry.cause) for entry in entries],
    )


def release(
    ctx: typer.Context,
    group: GroupArgument,
    number: Annotated[int, typer.Argument(help="The number to free.", min=1, metavar="NUMBER")],
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Although its holder may be alive. It's recorded.")
    ] = False,
) -> None:
    """Free a number by hand, when no proof of its holder's death will ever come."""
    import getpass  # noqa: PLC0415  `--help` doesn't pay for it
    import socket  # noqa: PLC0415

    from triggerfish.provision import report  # noqa: PLC0415
    from triggerfish.provision.release import release as release_number  # noqa: PLC0415

    context = Context.of(ctx)
    (store,) = _stores(context, group)
    member = release_number(
        store,
        number,
        who=f"{getpass.getuser()}@{socket.gethostname()}",
        force=force,
        now_ms=int(time.time() * 1000),
    )
    context.say(f"number {number} of {group} is free; {member.instance} has none any more")
    if context.json:
        context.print_data(report.member_data(member))


def next_steps(ctx: typer.Context, group: GroupArgument) -> None:
    """Say what the trigger would do for a group now, and do nothing."""
    import sys  # noqa: PLC0415  `--help` doesn't pay for it
    from contextlib import redirect_stdout  # noqa: PLC0415

    from triggerfish.provision.describe import describe  # noqa: PLC0415  as above
    from triggerfish.provision.reconcile import dry_run  # noqa: PLC0415

    context = Context.of(ctx)
    (name,) = known_groups(context, group)
    assembly, _ = _assembly(context)
    with redirect_stdout(sys.stderr):  # what the trigger logs is talk here
        plan = dry_run(assembly.groups[name], assembly.ports)
    steps = [describe(instruction) for instruction in plan.instructions]
    if context.json:
        context.print_data({"group": group, "steps": steps, "look_again_s": plan.wake_s})
        return
    for step in steps or ["nothing to do"]:
        context.print_line(step)


def status(context: Context, stage: OpenStage) -> dict[str, object]:
    """The trigger's part of `triggerfish status`."""
    from triggerfish.provision import report  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.provision.store import GroupStore  # noqa: PLC0415
    from triggerfish.runtime.clock import SystemClock  # noqa: PLC0415

    stores = [GroupStore(stage.table, g.group, SystemClock()) for g in context.config.provision]
    return {
        "groups": [
            report.summary(store.group, list(store.read().members.values())) for store in stores
        ],
        "notices": [
            report.notice_data(item) for item in stage.table.query("notices", "provision/")
        ],
    }


def status_lines(part: Mapping[str, Any]) -> Iterator[str]:
    """The same for a person: each group, who failed, and what people were told."""
    for group in part["groups"]:
        failed = group["failed"]
        yield (
            f"{group['group']}: {group['ready']} of {group['members']} ready,"
            f" {group['on_the_way']} on the way, {len(failed)} failed"
        )
        for member in failed:
            yield f"  {member['instance']} ({member['name'] or 'no name'}): {member['reason']}"
    for notice in part["notices"]:
        reason = dict(notice["facts"] or ()).get("Reason")
        why = f": {reason}" if reason else ""
        yield f"notice {str(notice['at'])[:19]}  {notice['title']}{why}"


def advice(context: Context) -> Sequence[Advice]:
    """What `check --aws` says of the groups as they are in AWS."""
    from triggerfish.provision.advice import advise  # noqa: PLC0415  `--help` doesn't pay for it

    assembly, stage = _assembly(context)
    return advise(
        context.config.provision,
        stage.clients,
        lambda group, job: assembly.jenkins(group).parameter_names(job),
        stage.stack,
    )


def _assembly(context: Context) -> tuple[Assembly, OpenStage]:
    from triggerfish.cli.stage import open_stage  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.provision.assembly import Assembly  # noqa: PLC0415
    from triggerfish.provision.resources import settings_of  # noqa: PLC0415
    from triggerfish.runtime.clock import SystemClock  # noqa: PLC0415

    stage = open_stage(context)
    assembly = Assembly(
        settings_of(context.config),
        stage.clients,
        stage.table,
        SystemClock(),
        queue_url="",
        parameters=stage.parameters,
    )
    return assembly, stage


def _stores(context: Context, group: str | None) -> list[GroupStore]:
    from triggerfish.cli.stage import open_stage  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.provision.store import GroupStore  # noqa: PLC0415
    from triggerfish.runtime.clock import SystemClock  # noqa: PLC0415

    names = known_groups(context, group)
    stage = open_stage(context)
    return [GroupStore(stage.table, name, SystemClock()) for name in names]


def known_groups(context: Context, group: str | None) -> list[str]:
    """The configured groups, or the one that is asked for. Raises InputError for another name."""
    from difflib import get_close_matches  # noqa: PLC0415  `--help` doesn't pay for it

    from triggerfish.errors import InputError  # noqa: PLC0415

    names = [each.group for each in context.config.provision]
    if group is None:
        return names
    if group not in names:
        near = get_close_matches(group, names, 1)
        raise InputError(
            f"{context.config_file.name} has no group {group}; it has {', '.join(names)}",
            hint=f"did you mean {near[0]}?" if near else None,
        )
    return [group]
