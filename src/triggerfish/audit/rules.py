"""What a rule is: a TOML file that says what to find, how bad it is and what to do. Pure data.

`rule_files` reads the files, `evaluate` applies the rules. The function reads the same classes from
its baked settings, so this module stays quick to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct
from msgspec import field as field_of

from triggerfish.audit.records import ProblemKind, Severity  # noqa: TC001  msgspec reads them
from triggerfish.durations import Duration  # noqa: TC001  msgspec reads it

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from triggerfish.audit.config import Audit

Text = Annotated[str, Meta(min_length=1)]
Texts = tuple[Text, ...]
Facts = dict[str, str]
RuleId = Annotated[str, Meta(pattern="^[a-z][a-z0-9-]{0,63}$")]
Source = Literal["connection", "user", "activity", "cloudtrail", "files"]
Capability = Literal["superuser", "create_db", "catalog_update"]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]

PRIVATE_NETWORKS = (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8",
    "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10",
)  # fmt: skip
"""RFC 1918, RFC 6598, RFC 4193, loopback and link-local: where logins come from by default."""
INTERNAL_USERS = frozenset({"rdsdb"})
"""Redshift's own user. What it does by itself, on the cluster, is no news."""


class Where(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A condition on one field or captured fact; texts are globs, `@name` stands for a list."""

    field: Text
    is_: Annotated[tuple[str, ...], Meta(min_length=1)] | None = field_of(default=None, name="is")
    """One may be empty: a field without anything in it."""
    not_: Annotated[Texts, Meta(min_length=1)] | None = field_of(default=None, name="not")
    outside: Annotated[Texts, Meta(min_length=1)] | None = None
    """Networks: the address is in none of them."""
    empty: bool | None = None


class _Match(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True,
             tag_field="find"):  # fmt: skip
    """What all matches have."""


class ConnectionMatch(_Match, tag="connection", frozen=True, kw_only=True):
    """A line of the connection log. Unless `remote` is false, the cluster's own are left out."""

    event: Annotated[Texts, Meta(min_length=1)]
    remote: bool = True
    where: tuple[Where, ...] = ()


class ChangeMatch(_Match, tag="change", frozen=True, kw_only=True):
    """A line of the user log: what became of an account.

    `gained`: a flag that it has now and had not before. `unchanged`: it is known to have the flags
    that it had, so something else changed (the log doesn't say what: password, expiry).
    """

    action: Annotated[tuple[Literal["create", "alter", "drop", "rename"], ...], Meta(min_length=1)]
    gained: tuple[Capability, ...] = ()
    unchanged: bool = False
    off_hours: bool = False
    where: tuple[Where, ...] = ()
    set: Facts = {}


class StatementMatch(_Match, tag="statement", frozen=True, kw_only=True):
    """A statement that one of `statements` occurs in (see `sql_patterns`).

    `inside`: only in SQL that this verb carries as text, as UNLOAD does. `gained`: not when the
    account is known to have the flag.
    """

    statements: Annotated[Texts, Meta(min_length=1)]
    inside: Text | None = None
    gained: Capability | None = None
    off_hours: bool = False
    where: tuple[Where, ...] = ()
    set: Facts = {}


class SecretMatch(_Match, tag="secret", frozen=True, kw_only=True):
    """A statement with a secret in it, of these kinds."""

    kinds: Annotated[
        tuple[Literal["key", "credentials", "password", "other"], ...], Meta(min_length=1)
    ]


class CallMatch(_Match, tag="call", frozen=True, kw_only=True):
    """A call in a CloudTrail log."""

    calls: Annotated[Texts, Meta(min_length=1)]
    where: tuple[Where, ...] = ()
    set: Facts = {}


class BurstMatch(_Match, tag="burst", frozen=True, kw_only=True):
    """`threshold` failed logins within `window`, of one user or from one address."""

    threshold: Count
    window: Duration


class BurstLoginMatch(_Match, tag="burst-login", frozen=True, kw_only=True):
    """A login after such a burst, of the same user or from the same address, within `window`."""

    threshold: Count
    window: Duration


class SprayMatch(_Match, tag="spray", frozen=True, kw_only=True):
    """Failed logins of `threshold` users from one address within `window`."""

    threshold: Count
    window: Duration


class NewNetworkMatch(_Match, tag="new-network", frozen=True, kw_only=True):
    """A login from a network that the account, known for `window`, was never seen in."""

    window: Duration


class DormantMatch(_Match, tag="dormant", frozen=True, kw_only=True):
    """A login of an account whose last one is longer ago than `window`."""

    window: Duration


class DroppedMatch(_Match, tag="dropped-login", frozen=True, kw_only=True):
    """A login of an account that the user log says was dropped."""


class RepeatMatch(_Match, tag="repeat", frozen=True, kw_only=True):
    """`threshold` such statements within `window` of one user, or in one transaction."""

    statements: Annotated[Texts, Meta(min_length=1)]
    threshold: Count
    window: Duration
    where: tuple[Where, ...] = ()


class SilenceMatch(_Match, tag="silence", frozen=True, kw_only=True):
    """Logs that should be there and aren't; decided by `silence` from which files arrived."""

    what: Literal["connection", "activity", "gap"]
    set: Facts = {}


class UnreadMatch(_Match, tag="unread", frozen=True, kw_only=True):
    """What could not be read of a file, and records of unverified origin."""

    kinds: tuple[ProblemKind | Literal["unverified"], ...] = ()
    """None: all of them."""


RecordMatch = ConnectionMatch | ChangeMatch | StatementMatch | SecretMatch | CallMatch
LoginMatch = (
    BurstMatch | BurstLoginMatch | SprayMatch | NewNetworkMatch | DormantMatch | DroppedMatch
)
StatefulMatch = LoginMatch | RepeatMatch
Match = RecordMatch | StatefulMatch | SilenceMatch | UnreadMatch


class Controls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an auditor asks after."""

    pci: Texts = ()
    """Requirements of PCI DSS 4.0."""
    cis: Texts = ()
    """Safeguards of the CIS Critical Security Controls, version 8."""
    nist: Texts = ()
    """Controls of NIST SP 800-53, revision 5."""

    def tags(self) -> Iterator[str]:
        """`PCI DSS 10.2.1.4`, `CIS 8.11`, `NIST AC-7`."""
        yield from (f"PCI DSS {each}" for each in self.pci)
        yield from (f"CIS {each}" for each in self.cis)
        yield from (f"NIST {each}" for each in self.nist)


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule without its cases. `title` may hold `{fact}` of facts that the rule itself sets."""

    id: RuleId
    title: Text
    severity: Severity
    needs: Annotated[tuple[Source, ...], Meta(min_length=1)]
    controls: Controls
    runbook: Text
    """Two sentences: what to check first, what to do then."""
    lists: dict[str, Texts] = {}
    """Lists that this rule brings; a list of that name in `[audit]` takes their place."""
    match: Annotated[tuple[Match, ...], Meta(min_length=1)]


_STATEFUL = (
    BurstMatch, BurstLoginMatch, SprayMatch, NewNetworkMatch, DormantMatch, DroppedMatch,
    RepeatMatch,
)  # fmt: skip
_SETTING_LISTS = (
    "allowed_networks", "admin_users", "trusted_users", "sensitive_tables", "protected_objects",
    "unload_buckets",
)  # fmt: skip
NUMBERS = ("threshold", "window")
"""What a team may change of a match."""
LIST_NAMES = (*_SETTING_LISTS, "log_buckets")


def lists_of(rule: Rule, audit: Audit) -> dict[str, tuple[str, ...]]:
    """The lists that `@name` may stand for in `rule`."""
    lists: dict[str, tuple[str, ...]] = dict.fromkeys(LIST_NAMES, ())
    lists["allowed_networks"] = PRIVATE_NETWORKS
    lists |= rule.lists
    lists |= {name: found for name in _SETTING_LISTS if (found := getattr(audit, name))}
    if audit.bucket is not None:
        lists["log_buckets"] = (audit.bucket,)
    return lists


def is_stateful(match: Match) -> bool:
    """Whether it remembers: such a match sees every login, or every statement of a kind."""
    return isinstance(match, _STATEFUL)


def record_rules_only(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """The rules that one record decides, without those that count and remember."""
    kept = ((rule, tuple(m for m in rule.match if not is_stateful(m))) for rule in rules)
    return tuple(_with(rule, match=match) for rule, match in kept if match)


def in_force(rules: tuple[Rule, ...], audit: Audit) -> tuple[Rule, ...]:
    """The rules as the team wants them: some off, some with other numbers."""
    return tuple(
        _changed(rule, audit) for rule in rules if rule.id not in audit.rules or _is_on(rule, audit)
    )


def _is_on(rule: Rule, audit: Audit) -> bool:
    return audit.rules[rule.id].on


def _changed(rule: Rule, audit: Audit) -> Rule:
    change = audit.rules.get(rule.id)
    if change is None:
        return rule
    numbers = {name: value for name in NUMBERS if (value := getattr(change, name)) is not None}
    return _with(
        rule,
        severity=change.severity or rule.severity,
        match=tuple(_with_numbers(match, numbers) for match in rule.match),
    )


def _with_numbers(match: Match, numbers: Mapping[str, object]) -> Match:
    from msgspec.structs import replace  # noqa: PLC0415  only a team that changes a rule pays for it

    fitting = {name: value for name, value in numbers.items() if name in match.__struct_fields__}
    return replace(match, **fitting) if fitting else match


def _with(rule: Rule, **changes: object) -> Rule:
    from msgspec.structs import replace  # noqa: PLC0415  as above

    return replace(rule, **changes)
