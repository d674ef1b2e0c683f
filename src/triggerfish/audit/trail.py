"""CloudTrail's records of what was done to the auditing itself. Pure.

Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
A file is `{"Records": [...]}`; an event of EventBridge carries one record as its `detail`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SOURCES = frozenset({"redshift.amazonaws.com", "redshift-serverless.amazonaws.com",
                     "s3.amazonaws.com", "logs.amazonaws.com"})  # fmt: skip
_MOST_PARAMETERS = 64


class CallRecord(Struct, frozen=True, kw_only=True):
    """One call to AWS. `parameters` are the request's, nested names without what is around them."""

    event: str
    at: datetime | None
    actor: str
    source: str
    agent: str
    cluster: str
    error: str
    parameters: tuple[tuple[str, str], ...]
    file: str
    offset: int


def calls_in(document: object, file: str) -> Iterator[CallRecord]:
    """The calls in a CloudTrail file or EventBridge event that auditing may hang on."""
    if not isinstance(document, dict):
        return
    detail = document.get("detail")
    records = document.get("Records", [document if detail is None else detail])
    for number, each in enumerate(records if isinstance(records, list) else []):
        if isinstance(each, dict) and each.get("eventSource") in SOURCES:
            yield _call(each, file, number)


def _call(record: Mapping[str, object], file: str, number: int) -> CallRecord:
    parameters = dict(_flat(record.get("requestParameters")))
    return CallRecord(
        event=_text(record, "eventName"),
        at=_moment(_text(record, "eventTime")),
        actor=_actor(record.get("userIdentity")),
        source=_text(record, "sourceIPAddress"),
        agent=_text(record, "userAgent"),
        cluster=parameters.get("clusterIdentifier", parameters.get("namespaceName", "")),
        error=_text(record, "errorCode"),
        parameters=tuple(parameters.items())[:_MOST_PARAMETERS],
        file=file,
        offset=number,
    )


def _flat(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """`{"parameters": [{"parameterName": "a", "parameterValue": "b"}]}` has `a` as `b`."""
    if isinstance(value, dict):
        if "parameterName" in value:
            yield str(value["parameterName"]), _shown(value.get("parameterValue"))
            return
        for key, inner in value.items():
            yield from _flat(inner, str(key))
    elif isinstance(value, list):
        plain = [each for each in value if not isinstance(each, dict | list)]
        if plain:
            yield name, ", ".join(_shown(each) for each in plain)
        for each in value:
            if isinstance(each, dict | list):
                yield from _flat(each, name)
    elif name:
        yield name, _shown(value)


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _text(record: Mapping[str, object], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else ""


def _actor(identity: object) -> str:
    if not isinstance(identity, dict):
        return ""
    return _text(identity, "arn") or _text(identity, "userName") or _text(identity, "invokedBy")


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None
