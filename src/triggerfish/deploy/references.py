"""`${...}` in a blueprint, as CloudFormation writes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_REFERENCE = re.compile(r"\$\{([^!{}][^{}]*)\}")

PSEUDO_PARAMETERS = frozenset(
    {
        "AWS::AccountId",
        "AWS::NoValue",
        "AWS::NotificationARNs",
        "AWS::Partition",
        "AWS::Region",
        "AWS::StackId",
        "AWS::StackName",
        "AWS::URLSuffix",
    }
)


def expand(text: str) -> str | dict[str, object]:
    """`text` as a template value: plain, `Ref`, `Fn::GetAtt` or `Fn::Sub`, whichever is least.

    `${!Name}` stays what `Fn::Sub` makes of it: a literal `${Name}`.
    """
    whole = _REFERENCE.fullmatch(text)
    if whole:
        return reference(whole[1])
    return {"Fn::Sub": text} if "${" in text else text


def reference(name: str) -> dict[str, object]:
    """`StateTable` as `Ref`, `StateTable.Arn` as `Fn::GetAtt`."""
    resource, _, attribute = name.partition(".")
    return {"Fn::GetAtt": [resource, attribute]} if attribute else {"Ref": name}


def names_in(text: str) -> Iterator[str]:
    """The logical ids, parameters and pseudo parameters `text` refers to, without attributes."""
    for match in _REFERENCE.finditer(text):
        yield match[1].partition(".")[0]
