"""What a log's name says. Pure.

Only the base name counts: copies lose the folders, and the date folder may differ from the file's.
Source: https://docs.aws.amazon.com/redshift/latest/mgmt/db-auditing.html (bucket structure, log
groups), read 2026-07.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from triggerfish.audit.records import LogFile

if TYPE_CHECKING:
    from triggerfish.audit.records import LogKind

# `start_node` is how the activity log of older clusters is called.
KINDS: dict[str, LogKind] = {
    "connectionlog": "connection",
    "useractivitylog": "activity",
    "userlog": "user",
    "start_node": "activity",
}
KIND = re.compile("connectionlog|useractivitylog|userlog|start_node")
# A colon is not a character for file names everywhere: copies carry `_`, `-` or `.` for it.
WHOLE = re.compile(
    r"(?P<account>\d{12})_redshift_(?P<region>[a-z]{2}(?:-[a-z]+)+-\d+)_(?P<cluster>.+?)_"
    r"(?:connectionlog|useractivitylog|userlog|start_node)_"
    r"(?P<date>\d{4}-\d\d-\d\d)T(?P<hour>\d\d)[:_.-]?(?P<minute>\d\d)"
)
LOG_GROUP = re.compile(
    r"/aws/redshift/(?:cluster/)?(?P<cluster>[^/]+)/(?P<kind>connectionlog|useractivitylog|userlog)"
)


def log_file(path: str) -> LogFile:
    """Read a path, key or file name."""
    name = path.replace("%3A", ":").replace("%3a", ":").replace("\\", "/").rpartition("/")[2]
    kind = KIND.search(name)
    whole = WHOLE.search(name)
    if kind is None:
        return LogFile(name=name, kind=None)
    if whole is None:
        return LogFile(name=name, kind=KINDS[kind[0]])
    return LogFile(
        name=name,
        kind=KINDS[kind[0]],
        cluster=whole["cluster"],
        account=whole["account"],
        region=whole["region"],
        at=_moment(f"{whole['date']}T{whole['hour']}:{whole['minute']}"),
    )


def log_group(group: str) -> LogFile:
    """Read a CloudWatch Logs group, which Redshift Serverless writes instead of files."""
    found = LOG_GROUP.fullmatch(group)
    if found is None:
        return LogFile(name=group, kind=None)
    return LogFile(name=group, kind=KINDS[found["kind"]], cluster=found["cluster"])


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None
