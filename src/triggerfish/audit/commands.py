"""What the command line shows of the audit trigger: a scan, findings, a backtest, the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from triggerfish.cli.context import Context

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date, datetime

    from triggerfish.audit.assembly import Assembly
    from triggerfish.audit.config import AuditSettings
    from triggerfish.audit.offline import Log, Offline
    from triggerfish.cli.stage import OpenStage

Since = Annotated[
    str | None,
    typer.Option("--since", help="From then: a day or 7d, 12h.", metavar="WHEN"),
]
Until = Annotated[
    str | None, typer.Option("--until", help="Up to then, itself not.", metavar="WHEN")
]


def register(app: typer.Typer) -> None:
    app.command()(scan)
    app.command()(findings)
    app.command()(backtest)
    app.command()(report)
    app.command()(connect)


def scan(
    ctx: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(help="Audit logs, plain or gz; - is standard input.", metavar="FILE..."),
    ],
    *,
    stats: Annotated[bool, typer.Option("--stats", help="Also say how fast it was.")] = False,
    config: Annotated[
        str | None,
        typer.Option("--config", help="Use the rules of this triggerfish.toml.", metavar="FILE"),
    ] = None,
) -> None:
    """Find what is in audit logs, here: no AWS and no config needed.

    Exit code 1: a file could not be opened or read.
    """
    from triggerfish.audit import offline  # noqa: PLC0415  `--help` doesn't pay for it

    context = Context.of(ctx)
    made = offline.scan(_settings_from(config), files, complain=context.say)
    context.show(offline.scan_data(made), columns=offline.COLUMNS, rows=offline.scan_rows(made))
    if not context.json:
        for line in offline.scan_lines(made):
            context.say(line)
    if stats:
        context.say(offline.speed(made))
    if made.failed:
        raise typer.Exit(1)


def findings(
    ctx: typer.Context,
    *,
    since: Since = "7d",
    until: Until = None,
    severity: Annotated[
        str | None, typer.Option("--severity", help="Only as severe as this, or more.")
    ] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="Only this rule's.")] = None,
) -> None:
    """List what was found, by when it happened."""
    from triggerfish.audit import offline  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.audit.notify import FINDING_COLUMNS, finding_row, kept_data  # noqa: PLC0415
    from triggerfish.notice import rank  # noqa: PLC0415

    context = Context.of(ctx)
    least = rank(offline.severity(severity)) if severity else 0
    begin, end = offline.period(since, until)
    found = [
        each
        for each in _assembly(context).found(begin, end)
        if rank(each.finding.severity) >= least and rule in {None, each.finding.rule}
    ]
    context.show(
        [kept_data(each) for each in found],
        columns=FINDING_COLUMNS,
        rows=[finding_row(each.finding) for each in found],
    )


def backtest(
    ctx: typer.Context,
    sources: Annotated[
        list[str],
        typer.Argument(help="Files, folders, or BUCKET/PREFIX.", metavar="BUCKET/PREFIX|FILE..."),
    ],
    *,
    since: Since = None,
    until: Until = None,
) -> None:
    """Say what this config would have told of logs that are there. Nothing is sent."""
    from triggerfish.audit import backtest as pure  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.audit import offline  # noqa: PLC0415

    context = Context.of(ctx)
    begin, end = offline.period(since, until) if since or until else (None, None)
    runner = offline.Offline(_settings(context), complain=context.say)
    logs = sorted(_logs(context, runner, sources, begin, end), key=offline.order_of)
    made, kinds = offline.backtest(runner, logs, offline.terms(context.config), begin, end)
    context.show(made, columns=pure.COLUMNS, rows=[pure.row(rule) for rule in made.rules])
    if not context.json:
        context.say(pure.summary(made, kinds))
    if runner.failed:
        raise typer.Exit(1)


def report(
    ctx: typer.Context,
    *,
    since: Annotated[
        str | None, typer.Option("--since", help="The first day.", metavar="DAY")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="The day after the last.", metavar="DAY")
    ] = None,
) -> None:
    """Show what was read and found: the evidence of a week (default: the last seven days)."""
    from triggerfish.audit import report as pure  # noqa: PLC0415  `--help` doesn't pay for it

    context = Context.of(ctx)
    first, last = _days(since, until)
    made = _assembly(context).report(first, last)
    if context.json:
        context.print_data(pure.report_data(made))
        return
    from triggerfish.cli.output import plain  # noqa: PLC0415  as above

    typer.echo(plain(pure.text(made), keep="\n"))


def connect(ctx: typer.Context) -> None:
    """Have the audit bucket announce its logs; what it announces to others stays as it is."""
    from triggerfish.audit.s3 import S3Objects  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.cli.stage import open_stage  # noqa: PLC0415
    from triggerfish.errors import Refused  # noqa: PLC0415

    context = Context.of(ctx)
    audit = context.config.audit
    if audit is None or audit.bucket is None:
        raise Refused(
            f"{context.config_file.name} names no audit bucket",
            hint='write `bucket = "..."` below [audit]',
        )
    changed = S3Objects(open_stage(context).clients.client("s3")).announce(audit.bucket)
    if context.json:
        context.print_data({"bucket": audit.bucket, "changed": changed})
        return
    does = "announces its objects to EventBridge now" if changed else "announced its objects before"
    context.say(f"{audit.bucket} {does}")


def status(context: Context, stage: OpenStage) -> dict[str, object]:
    """The trigger's part of `triggerfish status`: what waits, and what was found today."""
    if context.config.audit is None:
        return {}
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415  `--help` doesn't pay for it

    from triggerfish.audit.ledger import Ledger  # noqa: PLC0415
    from triggerfish.audit.notify import kept_data  # noqa: PLC0415
    from triggerfish.audit.store import FindingStore  # noqa: PLC0415
    from triggerfish.runtime.clock import SystemClock  # noqa: PLC0415

    ledger = Ledger(stage.table, SystemClock(), retention_s=0)
    store = FindingStore(stage.table, retention_s=0)
    now = datetime.now(UTC)
    recent = [
        each
        for day in (now - timedelta(days=1), now)
        for each in store.day(day.date().isoformat())
        if each.finding.severity in {"high", "critical"}
    ]
    return {
        "waiting": sum(len(ledger.waiting(cluster)) for cluster in ledger.partitions()),
        "clusters": ledger.clusters(),
        "notices": [
            {**kept_data(each), "title": f"{each.finding.severity}: {each.finding.title}"}
            for each in recent[-10:]
        ],
    }


def status_lines(part: Mapping[str, Any]) -> Iterator[str]:
    """The same for a person."""
    clusters = part.get("clusters") or {}
    yield f"{len(clusters)} clusters, {part.get('waiting', 0)} files wait to be read"
    for notice in part.get("notices", ()):
        yield f"{str(notice['at'])[:19]}  {notice['title']}"


def advice(context: Context) -> Iterator[object]:
    """What `check --aws` says of the audit bucket as it is in AWS."""
    audit = context.config.audit
    if audit is None or audit.bucket is None:
        return
    from triggerfish.audit.advice import advise  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.audit.s3 import S3Objects  # noqa: PLC0415
    from triggerfish.cli.stage import open_stage  # noqa: PLC0415

    yield from advise(audit, S3Objects(open_stage(context).clients.client("s3")))


def _settings(context: Context) -> AuditSettings:
    from triggerfish.audit.config import Audit  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.audit.resources import settings_of  # noqa: PLC0415

    return settings_of(context.config.audit or Audit())


def _settings_from(config: str | None) -> AuditSettings:
    """The rules as a triggerfish.toml has them; the built-in ones without."""
    from pathlib import Path  # noqa: PLC0415  `--help` doesn't pay for it

    from triggerfish.audit.config import Audit  # noqa: PLC0415
    from triggerfish.audit.resources import settings_of  # noqa: PLC0415

    if config is None:
        return settings_of(Audit())
    from triggerfish.config.load import load  # noqa: PLC0415  a scan needs no config

    return settings_of(load(Path(config)).audit or Audit())


def _assembly(context: Context) -> Assembly:
    from triggerfish.audit.assembly import Assembly  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.cli.stage import open_stage  # noqa: PLC0415
    from triggerfish.errors import Refused  # noqa: PLC0415
    from triggerfish.runtime.clock import SystemClock  # noqa: PLC0415

    if context.config.audit is None:
        raise Refused(
            f"{context.config_file.name} has no [audit]",
            hint="`triggerfish scan FILE...` needs none",
        )
    stage = open_stage(context)
    return Assembly(
        _settings(context),
        stage.clients,
        stage.table,
        SystemClock(),
        stack=stage.stack,
        own_bucket=_own_bucket(stage),
    )


def _own_bucket(stage: OpenStage) -> str:
    """CloudFormation gave it a name; the stack's outputs say which."""
    from triggerfish.errors import Refused  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.runtime.aws import calling  # noqa: PLC0415

    with calling("cloudformation:DescribeStacks", stage.stack):
        answer = stage.clients.client("cloudformation").describe_stacks(StackName=stage.stack)
    for output in answer["Stacks"][0].get("Outputs", []):
        if output["OutputKey"] == "AuditReports":
            return str(output["OutputValue"])
    raise Refused(
        f"stack {stage.stack} has no audit function yet",
        hint="[audit] was written after the last deploy: deploy again",
    )


def _logs(
    context: Context,
    runner: Offline,
    sources: Sequence[str],
    since: datetime | None,
    until: datetime | None,
) -> Iterator[Log]:
    from pathlib import Path  # noqa: PLC0415  `--help` doesn't pay for it

    for source in sources:
        path = Path(source)
        if source == "-" or path.exists():
            yield from runner.files_in(path)
        else:
            yield from _objects(context, runner, source, since, until)


def _objects(
    context: Context,
    runner: Offline,
    source: str,
    since: datetime | None,
    until: datetime | None,
) -> Iterator[Log]:
    from triggerfish.audit.s3 import S3Objects  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.cli.stage import open_stage  # noqa: PLC0415

    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    objects = S3Objects(open_stage(context).clients.client("s3"))
    yield from runner.objects_in(objects, bucket, prefix, since, until)


def _days(since: str | None, until: str | None) -> tuple[date, date]:
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415  `--help` doesn't pay for it

    from triggerfish.audit.offline import day  # noqa: PLC0415
    from triggerfish.errors import InputError  # noqa: PLC0415

    last = day(until) if until else datetime.now(UTC).date() + timedelta(days=1)
    first = day(since) if since else last - timedelta(days=7)
    if first >= last:
        raise InputError(f"--since {first} is not before --until {last}")
    return first, last
