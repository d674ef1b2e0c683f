"""What the keys of `[audit]` may be together, and the team's own rule files.

Read by `triggerfish.config.load`, never by a function.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from triggerfish.audit.config import RULES_FOLDER, LoadedAudit, OwnRule
from triggerfish.faults import Fault, did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from triggerfish.audit.config import Audit
    from triggerfish.faults import KeyPath

MOST_RULE_BYTES = 256 * 1024


class AuditConfig(Protocol):
    """What these rules read of the whole config."""

    @property
    def audit(self) -> Audit | None: ...


def audit_rules(config: AuditConfig, _stage: str) -> Iterator[Iterable[Fault]]:
    audit = config.audit
    if audit is None:
        return
    yield _logs_come_from_somewhere(audit)
    yield _networks_are_networks(audit)
    yield _hours_begin_and_end(audit)
    yield _timezone_exists(audit)
    yield _groups_differ(audit)


RULES = (audit_rules,)


def _logs_come_from_somewhere(audit: Audit) -> Iterator[Fault]:
    if audit.bucket is None and not audit.log_groups:
        yield Fault(("audit",), "no place that logs come from", "`bucket` or `log_groups`")
    if audit.bucket is None and audit.prefix:
        yield Fault(("audit", "prefix"), quoted(audit.prefix), "no prefix without a `bucket`")


def _networks_are_networks(audit: Audit) -> Iterator[Fault]:
    for position, network in enumerate(audit.allowed_networks):
        try:
            ip_network(network)
        except ValueError as error:
            where = ("audit", "allowed_networks", position)
            hint = _network_around(network) if "host bits" in str(error) else None
            yield Fault(where, quoted(network), 'a network such as "198.51.100.0/24"', hint)


def _network_around(text: str) -> str:
    return f'did you mean "{ip_network(text, strict=False)}"?'


def _hours_begin_and_end(audit: Audit) -> Iterator[Fault]:
    if audit.office_hours is not None:
        begin, _, end = audit.office_hours.partition("-")
        if begin == end:
            found = quoted(audit.office_hours)
            yield Fault(("audit", "office_hours"), found, "hours that begin and end")
    if not audit.office_days:
        yield Fault(("audit", "office_days"), "no day", "a day at least")


def _timezone_exists(audit: Audit) -> Iterator[Fault]:
    try:
        ZoneInfo(audit.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        wanted = 'a time zone such as "Europe/Berlin"'
        yield Fault(("audit", "timezone"), quoted(audit.timezone), wanted)


def _groups_differ(audit: Audit) -> Iterator[Fault]:
    for position, group in enumerate(audit.log_groups):
        if group in audit.log_groups[:position]:
            where = ("audit", "log_groups", position)
            yield Fault(where, f"{quoted(group)} a second time", "each log group once")


# ---- rule files ----


def with_files(
    config: AuditConfig, folder: Path, lines_of: Callable[[str], Mapping[KeyPath, int]]
) -> tuple[Audit | None, list[Fault]]:
    """`[audit]` with the rule files of the team, and what is wrong in it for that.

    Called once the table itself is right. Raises ConfigError with what is wrong in the files.
    """
    from triggerfish.audit.rule_files import rules_of  # noqa: PLC0415  only for a whole table

    audit = config.audit
    if audit is None:
        return None, []
    faults: list[Fault] = []
    place = folder / audit.rules_folder
    own: list[OwnRule] = []
    if place.is_dir():
        for path in sorted(place.glob("*.toml")):
            own += _read(path, f"{audit.rules_folder}/{path.name}", faults)
    elif audit.rules_folder != RULES_FOLDER:
        found = f"{quoted(audit.rules_folder)}, which isn't there"
        faults.append(Fault(("audit", "rules_folder"), found, "a folder beside triggerfish.toml"))
    names = {name: getattr(audit, name) for name in audit.__struct_fields__}
    loaded = LoadedAudit(**{**names, "own_rules": tuple(own)})
    known = [rule.id for rule in rules_of(own, lines_of)]
    return loaded, faults + list(_unknown_rules(audit, known))


def _read(path: Path, name: str, faults: list[Fault]) -> list[OwnRule]:
    try:
        data = path.read_bytes()
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        faults.append(_file_fault(name, f"that can't be read: {type(error).__name__}"))
        return []
    if len(data) > MOST_RULE_BYTES:
        faults.append(_file_fault(name, f"of {len(data)} bytes"))
        return []
    return [OwnRule(file=name, text=text)]


def _file_fault(name: str, why: str) -> Fault:
    return Fault(("audit", "rules_folder"), f"{name}, {why}", "a rule file")


def _unknown_rules(audit: Audit, known: Sequence[str]) -> Iterator[Fault]:
    """Changes of rules that there are none of."""
    for name in audit.rules:
        if name not in known:
            hint = did_you_mean(name, known)
            yield Fault(("audit", "rules", name), f"no rule {quoted(name)}", "a rule", hint)
