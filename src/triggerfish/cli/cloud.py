"""`triggerfish up` and `demo`: the local cloud; `mail`: what reached people in it."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from triggerfish.cli.context import Context
from triggerfish.cli.output import plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from triggerfish.local.cloud import LocalCloud
    from triggerfish.local.follow import Follower

LOOK_EVERY_S = 0.2


def register(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(demo)
    app.command()(mail)


def up(
    ctx: typer.Context,
    *,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget the state of earlier runs first.")
    ] = False,
) -> None:
    """Run the local cloud with the stack deployed, and follow what happens. Ctrl-C stops it."""
    from triggerfish.errors import Refused  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.local.cloud import LocalCloud  # noqa: PLC0415
    from triggerfish.local.follow import Follower  # noqa: PLC0415
    from triggerfish.local.project import LocalProject  # noqa: PLC0415

    context = Context.of(ctx)
    if not context.is_local:
        raise Refused(
            f"`up` runs the local stage, not {context.stage}",
            hint="leave out --stage",
        )
    stop = _stop_signals()
    cloud = LocalCloud(
        project=LocalProject(context.project), config=context.config, say=context.say, fresh=fresh
    )
    follower = Follower(cloud.function_logs)
    follower.skip()
    with cloud:
        _say_where(context, cloud)
        fallen = _follow(context, cloud, follower, stop)
        context.say("stopping")
    if fallen is not None:
        raise Refused(
            f"{fallen} ended by itself, so the local cloud was stopped",
            hint=f"its last words are in {cloud.children[fallen].log}",
        )
    context.say("stopped")


def demo(ctx: typer.Context) -> None:
    """Show the main job on a local cloud: servers launch, rest, die, and are replaced."""
    from triggerfish.local.demo import run_demo  # noqa: PLC0415  `--help` doesn't pay for it

    context = Context.of(ctx)
    _stop_signals()
    shown = run_demo(context.say)
    if context.json:
        context.print_data(shown.data)
        return
    for line in shown.lines:
        context.print_line(line)


def mail(ctx: typer.Context) -> None:
    """List every mail that was sent in the local cloud."""
    from triggerfish.cli.stage import open_stage  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.errors import Refused  # noqa: PLC0415
    from triggerfish.local.mailbox import Mailbox  # noqa: PLC0415

    context = Context.of(ctx)
    if not context.is_local:
        raise Refused(
            f"mail of {context.stage} goes to people; only the local stage keeps it",
            hint="leave out --stage",
        )
    mails = Mailbox(open_stage(context).addresses["aws"]).read()
    context.show(
        list(mails),
        columns=("TIME", "TO", "SUBJECT"),
        rows=[(m.at.strftime("%H:%M:%S"), ", ".join(m.to), m.subject) for m in mails],
    )


def _stop_signals() -> threading.Event:
    """Have SIGTERM, and the terminal's hang-up, stop us as Ctrl-C does: in order."""
    stop = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup(1) wants no hang-up
            signal.signal(number, interrupt)
    return stop


def _say_where(context: Context, cloud: LocalCloud) -> None:
    timings = cloud.timings
    took = f" in {timings.ready_s + timings.deploy_s:.1f} s" if timings else ""
    context.say(f"stack {cloud.stack} is up{took}")
    for name, url in cloud.addresses.items():
        context.say(f"  {name:<14} {url}")
    context.say(f"  {'logs':<14} {cloud.project.logs}")
    context.say("from another terminal: triggerfish send launch --group GROUP, members, status")
    context.say("Ctrl-C stops everything")


def _follow(
    context: Context, cloud: LocalCloud, follower: Follower, stop: threading.Event
) -> str | None:
    """Print what the functions do until Ctrl-C, or until a part of the local cloud falls."""
    try:
        while not stop.wait(LOOK_EVERY_S):
            for told in follower.read():
                line = event_line(told)
                if line is not None:
                    context.say(line)
            fallen = cloud.fallen()
            if fallen is not None:
                return fallen
    except KeyboardInterrupt:
        return None
    return None


def event_line(told: Mapping[str, object]) -> str | None:
    """A log line as one line of `up`; None for what only the log needs."""
    time = str(told.get("time", ""))[11:19]
    match told.get("message"):
        case "member":
            number = told.get("number")
            who = f"{told.get('group')} {number if number is not None else '-'}"
            phase = told.get("phase")
            # The number says who it is; the instance is told once, where they meet.
            instance = f" ({told.get('instance')})" if phase in ("seen", "numbered") else ""
            return plain(f"{time} {who:<10} {phase!s:<9} {told.get('cause')}{instance}")
        case "notice":
            return plain(f"{time} NOTICE {told.get('title')}")
        case message if told.get("level") in ("warning", "error"):
            reason = told.get("reason") or _error_message(told.get("error")) or ""
            return plain(f"{time} {told.get('level')}: {message} {reason}".rstrip())
        case _:
            return None


def _error_message(error: object) -> str | None:
    return str(error.get("message")) if isinstance(error, dict) else None
