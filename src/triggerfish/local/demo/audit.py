"""The audit act: a password is guessed, a superuser is made, a user dropped; people are told once.

The logs are in Redshift's own format, and land as Redshift writes them: three of one hour.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from triggerfish.audit.notify import finding_data
from triggerfish.audit.store import FindingStore
from triggerfish.errors import Unavailable
from triggerfish.local.audit import LOGS, land, landing
from triggerfish.local.demo.provision import Act
from triggerfish.local.mailbox import Mailbox
from triggerfish.runtime.table import DynamoTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from triggerfish.audit.records import Finding, LogKind
    from triggerfish.local.cloud import LocalCloud
    from triggerfish.local.mailbox import Mail

T = TypeVar("T")

PATIENCE_S = 60.0
LOOK_EVERY_S = 0.1
ATTACKER = "198.51.100.23"
FAILURES = 12
SHOWN = ("brute-force-success", "superuser-granted", "user-changed")
"""The rules whose findings the act shows: who got in, whom they made, whom they removed."""
DROPPED = "bob"


def play(cloud: LocalCloud, say: Callable[[str], None]) -> Act:
    """Play the act and tell what was found."""
    audit = cloud.config.audit
    if audit is None:
        raise AssertionError  # the sample config has it
    began = time.monotonic()
    mails_before = len(_mails(cloud))
    start = (datetime.now(UTC) - timedelta(hours=1)).replace(microsecond=177_000)
    say(f"three audit logs land: {ATTACKER} guesses a password, and uses what it got")
    for kind, text in _texts(start).items():
        name = f"{LOGS[kind]}.txt"
        log = landing(
            name,
            text.encode(),
            cluster="shop",
            region=cloud.config.region_in("local"),
            now=datetime.now(UTC),
        )
        land(cloud.clients, audit, log)
    findings = _wait(cloud, "the three findings", lambda: _found(cloud, start))
    took_s = time.monotonic() - began
    mails = _wait(cloud, "the mail", lambda: _mails(cloud)[mails_before:])
    for finding in findings:
        say(f"  {finding.title}: {finding.actor} from {finding.source}")
    return Act(
        data={
            "findings": [finding_data(each) for each in findings],
            "mails": [mail.subject for mail in mails],
            "seconds": round(took_s, 3),
        },
        lines=("", *_lines(findings), *(f"mail  {mail.subject}" for mail in mails)),
        figures=(
            f"{len(findings)} findings with actor and address, {len(mails)} mail,"
            f" log to finding {took_s:.1f} s"
        ),
    )


def _lines(findings: Sequence[Finding]) -> Iterator[str]:
    for each in findings:
        at = f"{each.at:%H:%M:%S}" if each.at else "-"
        yield f"audit {each.cluster}  {at}  {each.severity:<8}  {each.title}"
        yield f"    {each.actor} from {each.source} by {each.application}; account {each.user}"
        if each.statement:
            yield f"    {' '.join(each.statement.split())}"


def _found(cloud: LocalCloud, start: datetime) -> list[Finding]:
    """The three findings once they are all there, in the order in which it happened."""
    table = DynamoTable(cloud.clients.dynamodb, f"{cloud.stack}-state")
    store = FindingStore(table, retention_s=0)
    days = {start.date().isoformat(), datetime.now(UTC).date().isoformat()}
    kept = [each.finding for day in sorted(days) for each in store.day(day)]
    shown = [
        each
        for each in kept
        if each.rule in SHOWN and (each.rule != "user-changed" or each.user == DROPPED)
    ]
    found = [each for each in shown if each.actor and each.source]
    return found if len(found) == len(SHOWN) else []


def _mails(cloud: LocalCloud) -> list[Mail]:
    mails = Mailbox(cloud.addresses["aws"]).read()
    return [mail for mail in mails if ATTACKER in mail.text]


def _wait(cloud: LocalCloud, what: str, look: Callable[[], Sequence[T]]) -> Sequence[T]:
    """Wait until there is something. Raises Unavailable when there never is."""
    end = time.monotonic() + PATIENCE_S
    while not (found := look()):
        if time.monotonic() > end:
            raise Unavailable(f"{what} did not come within {PATIENCE_S:.0f} s")
        fallen = cloud.fallen()
        if fallen is not None:
            raise Unavailable(f"{fallen} ended by itself while waiting for: {what}")
        time.sleep(LOOK_EVERY_S)
    return found


# ---- the logs, as Redshift writes them ----


def _texts(start: datetime) -> dict[LogKind, str]:
    pid, xid = 1_073_742_045, 245_578
    rows = [
        _connection("authentication failure", start + timedelta(seconds=20 * n), pid - n - 1)
        for n in range(FAILURES)
    ]
    login = start + timedelta(seconds=20 * FAILURES)
    rows += [_connection(event, login, pid) for event in ("authenticated", "initiating session")]
    made, dropped = login + timedelta(seconds=40), login + timedelta(seconds=90)
    return {
        "connection": "".join(rows),
        "activity": _statement(made, pid, xid, "CREATE USER mallory CREATEUSER\nPASSWORD 'pa55'")
        + _statement(dropped, pid, xid + 1, f"DROP/**/USER {DROPPED}"),
        "user": _change(made, pid, xid, "create", "mallory", superuser=1)
        + _change(dropped, pid, xid + 1, "drop", DROPPED, superuser=0),
    }


def _connection(event: str, at: datetime, pid: int) -> str:
    fields = [
        *(f"{event} ", _time(at), f"::ffff:{ATTACKER} ", "50443 ", str(pid), "dev ", "awsuser "),
        *("password ", "0", "TLSv1.2 ", "ECDHE-RSA-AES256-GCM-SHA384 ", "0", " ", " ", " "),
        *("psql ", "Linux 5.10 amd64 ", "libpq 16.4 ", "none ", "0"),
        f"da9edc00-a1e6-44e0-8274-{pid:012}",
    ]
    return "|".join(fields) + "\n"


def _change(at: datetime, pid: int, xid: int, action: str, user: str, *, superuser: int) -> str:
    no_expiry = 2**63 - 1
    return f"104|{user} | |{action} |0|{superuser}|0|{no_expiry}|{pid}|{xid}|{_time(at)}\n"


def _statement(at: datetime, pid: int, xid: int, statement: str) -> str:
    who = f"db=dev user=awsuser pid={pid} userid=100 xid={xid}"
    return f"'{at:%Y-%m-%dT%H:%M:%S}Z UTC [ {who} ]' LOG: {statement}\n"


def _time(at: datetime) -> str:
    return f"{at:%a}, {at.day} {at:%b %Y %H:%M:%S}:{at.microsecond // 1000:03}"
