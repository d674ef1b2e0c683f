"""What the user writes for the audit trigger: `[audit]` and `[audit.rules.NAME]`.

The function reads the same classes from its baked settings, so this module stays quick to import.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from triggerfish.audit.records import Severity
from triggerfish.audit.rules import Rule
from triggerfish.durations import Duration

DAY_S = 86_400
RULES_FOLDER = "audit-rules"

BucketName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        extra={"wanted": 'the name of a bucket such as "example-audit-logs"'},
    ),
]
Prefix = Annotated[
    str,
    Meta(
        pattern=r"^([^/\x00-\x1f].*[^/]|[^/\x00-\x1f])?$",
        max_length=512,
        extra={"wanted": "a key prefix that neither begins nor ends with a slash"},
    ),
]
LogGroup = Annotated[
    str,
    Meta(
        pattern=r"^/aws/redshift/(cluster/)?[A-Za-z0-9-]{1,64}/(connectionlog|userlog|useractivitylog)$",
        extra={
            "wanted": 'a log group of Redshift such as "/aws/redshift/shop/connectionlog"',
        },
    ),
]
Network = Annotated[
    str,
    Meta(
        pattern=r"^[0-9A-Fa-f:.]{2,39}(/[0-9]{1,3})?$",
        extra={"wanted": 'a network such as "198.51.100.0/24"'},
    ),
]
Text = Annotated[str, Meta(min_length=1)]
ClusterName = Annotated[
    str,
    Meta(
        pattern="^[a-z][a-z0-9-]{0,62}$",
        extra={"wanted": "the name of a cluster or namespace"},
    ),
]
RuleName = Annotated[
    str,
    Meta(pattern="^[a-z][a-z0-9-]{0,63}$", extra={"wanted": 'a rule such as "brute-force"'}),
]
Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
DAYS: tuple[Day, ...] = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)


class RuleChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a team changes of one rule; what isn't written stays as the rule has it."""

    on: Annotated[bool, Meta(description="Whether the rule is used.")] = True
    severity: Annotated[
        Severity | None, Meta(description="Another severity than the rule's own.")
    ] = None
    threshold: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)] | None,
        Meta(description="How many it takes, for rules that count."),
    ] = None
    window: Annotated[
        Duration | None,
        Meta(
            description="Within how long, in the log's own time, for rules that count.",
            extra={"least": Duration(1), "most": Duration(366 * DAY_S)},
        ),
    ] = None


class Audit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    bucket: Annotated[
        BucketName | None,
        Meta(description="The bucket that Redshift writes its audit logs to."),
    ] = None
    prefix: Annotated[
        Prefix, Meta(description="The S3 key prefix that audit logging is set up with.")
    ] = ""
    log_groups: Annotated[
        tuple[LogGroup, ...],
        Meta(description="Log groups of CloudWatch, for Redshift Serverless or instead of S3."),
    ] = ()
    clusters: Annotated[
        tuple[ClusterName, ...],
        Meta(description="Only these clusters or namespaces; none: all whose logs are there."),
    ] = ()
    allowed_networks: Annotated[
        tuple[Network, ...],
        Meta(description="Where logins may come from; none: private addresses."),
    ] = ()
    admin_users: Annotated[
        tuple[Text, ...], Meta(description="The shared accounts that nobody should work with.")
    ] = ()
    trusted_users: Annotated[
        tuple[Text, ...],
        Meta(description="Who may read the sensitive tables and change the protected objects."),
    ] = ()
    sensitive_tables: Annotated[
        tuple[Text, ...], Meta(description="Tables that few people should read: `schema.table`.")
    ] = ()
    protected_objects: Annotated[
        tuple[Text, ...],
        Meta(description="Tables and schemas that nobody should drop or truncate."),
    ] = ()
    unload_buckets: Annotated[
        tuple[BucketName, ...],
        Meta(description="The buckets data may be unloaded to; none: any UNLOAD is told."),
    ] = ()
    rules_folder: Annotated[
        Text,
        Meta(description="The folder with your own rule files, beside triggerfish.toml."),
    ] = RULES_FOLDER
    rules: Annotated[
        dict[RuleName, RuleChange], Meta(description="What you change of single rules.")
    ] = {}
    join_window: Annotated[
        Duration,
        Meta(
            description="How long a finding waits for the log that names who did it. It goes out"
            " at once all the same, and is completed when that log arrives.",
            extra={"least": Duration(60), "most": Duration(7 * DAY_S)},
        ),
    ] = field(default_factory=lambda: Duration(6 * 3600))
    silence_after: Annotated[
        Annotated[int, Meta(ge=2, le=168)],
        Meta(description="How many hours without a connection log are silence."),
    ] = 3
    office_hours: Annotated[
        Annotated[
            str,
            Meta(
                pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$",
                extra={"wanted": 'hours such as "08:00-18:00"'},
            ),
        ]
        | None,
        Meta(description="When administrators work; none: at any hour."),
    ] = None
    office_days: Annotated[
        tuple[Day, ...], Meta(description="On which days they work; not written: Monday to Friday.")
    ] = DAYS[:5]
    timezone: Annotated[
        Text, Meta(description="The time zone of `office_hours`, as `Europe/Berlin`.")
    ] = "UTC"
    retention: Annotated[
        Duration,
        Meta(
            description="How long findings, and what was read, are kept.",
            extra={"least": Duration(14 * DAY_S), "most": Duration(3660 * DAY_S)},
        ),
    ] = field(default_factory=lambda: Duration(400 * DAY_S))
    report_day: Annotated[
        Day, Meta(description="On which day the weekly report is made, at 06:00 UTC.")
    ] = "monday"

    def __len__(self) -> int:
        """How many places logs come from."""
        return len(self.log_groups) + (self.bucket is not None)


class OwnRule(Struct, frozen=True, kw_only=True):
    """A rule file of the team's: its name and what is in it."""

    file: str
    text: str


class LoadedAudit(Audit, frozen=True, kw_only=True):
    """`[audit]` with the team's rule files, as `config_rules.with_files` read them."""

    own_rules: tuple[OwnRule, ...] = ()


class AuditSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is baked into the audit function: the rules as the team wants them, too."""

    audit: Audit
    rules: tuple[Rule, ...]
