"""How findings are made: keys, facts, and what a finding says of the record it comes from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from triggerfish.audit.networks import address_of
from triggerfish.audit.records import Finding
from triggerfish.audit.sql_words import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from triggerfish.audit.records import ActivityRecord, ConnectionRecord, FileContext
    from triggerfish.audit.rules import Rule

MOST_FACT = 300
_MOST_KEY_PART = 120
_IAM = re.compile(r"IAM[RA]?:", re.IGNORECASE)
_TITLE_FACT = re.compile(r"\{([a-z_]+)\}")


def without_secrets(text: str) -> str:
    """`text` as it may be shown (see `masking`)."""
    from triggerfish.audit.masking import mask  # noqa: PLC0415  most files hold nothing to mask

    return mask(text)


def account(user: str) -> str:
    """The database user of `IAM:name`, as connections by IAM have it."""
    found = _IAM.match(user)
    return user[found.end() :] if found else user


def key_of(rule: str, cluster: str, parts: Iterable[object]) -> str:
    """One text; parts can't run into each other, and long ones are told apart by their digest."""
    return "/".join(_key_part(str(part)) for part in (rule, cluster, *parts))


def _key_part(part: str) -> str:
    escaped = part.replace("%", "%25").replace("/", "%2F")
    if len(escaped) <= _MOST_KEY_PART:
        return escaped
    from hashlib import sha256  # noqa: PLC0415  rarely needed

    digest = sha256(part.encode("utf-8", "backslashreplace")).hexdigest()
    return f"{escaped[:80]}~{digest[:16]}"


def title_of(rule: Rule, facts: Mapping[str, str]) -> str:
    """The rule's title; only facts that rules set are ever named in it, so no log writes it."""
    return _TITLE_FACT.sub(lambda found: facts.get(found.group(1), "changed"), rule.title)


def facts_of(facts: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Labels and values, as a reader wants them."""
    return tuple(
        (_label(name), value if len(value) <= MOST_FACT else value[: MOST_FACT - 1] + "…")
        for name, value in facts.items()
        if value
    )


def _label(name: str) -> str:
    plain = name.replace("_", " ")
    return plain[:1].upper() + plain[1:]


def from_connection(
    rule: Rule,
    record: ConnectionRecord,
    context: FileContext,
    key: Iterable[object],
    facts: Mapping[str, str],
) -> Finding:
    user = account(record.user)
    told = {"client": record.driver, "authentication": record.auth_method, **facts}
    return Finding(
        rule=rule.id,
        severity=rule.severity,
        title=title_of(rule, facts),
        at=record.at,
        cluster=context.cluster,
        database=record.database,
        user=user,
        actor=user if fold(record.event) == "authenticated" else "",
        source=address_of(record.host),
        application=record.application,
        statement="",
        file=record.file,
        offset=record.offset,
        key=key_of(rule.id, context.cluster, key),
        facts=facts_of(told),
    )


def from_activity(
    rule: Rule,
    record: ActivityRecord,
    context: FileContext,
    key: Iterable[object],
    facts: Mapping[str, str],
    *,
    statement: str,
) -> Finding:
    """`statement` is masked already; `user` is whom it concerns, where the statement names one."""
    rest = {name: value for name, value in facts.items() if name not in {"user", "bucket"}}
    if not record.verified:
        rest["origin"] = "unverified: another statement may have carried this text"
    return Finding(
        rule=rule.id,
        severity=rule.severity,
        title=title_of(rule, facts),
        at=record.at,
        cluster=context.cluster,
        database=record.database,
        user=facts.get("user") or record.user,
        actor=record.user,
        source="",
        application="",
        statement=statement,
        file=record.file,
        offset=record.offset,
        key=key_of(rule.id, context.cluster, key),
        facts=facts_of(rest),
    )
