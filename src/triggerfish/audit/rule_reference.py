"""The detections of docs/reference/detections.md, made from the rule files.

`python -m triggerfish.audit.rule_reference PAGE` writes them below the marker of PAGE.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from triggerfish.audit.rule_files import built_in
from triggerfish.audit.rules import LIST_NAMES, NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from triggerfish.audit.rule_files import RuleFile

MARKER = "<!-- made by triggerfish.audit.rule_reference from here on -->\n"
_WORST_FIRST = ("critical", "high", "medium", "low")


def reference() -> str:
    """Markdown: a table of all detections, then a section for each."""
    rules = sorted(built_in(), key=lambda rule: (_WORST_FIRST.index(rule.severity), rule.id))
    rows = "".join(
        f"| [`{rule.id}`](#{rule.id}) | {rule.severity} | {_plain_title(rule)} |\n"
        for rule in rules
    )
    table = f"\n| rule | severity | finds |\n| --- | --- | --- |\n{rows}"
    return table + "".join("\n".join(_section(rule)) + "\n" for rule in rules)


def updated(page: str) -> str:
    """`page` with the present detections below its marker."""
    return page.partition(MARKER)[0] + MARKER + reference()


def _section(rule: RuleFile) -> Iterator[str]:
    yield f"\n### {rule.id}\n"
    yield f"{_plain_title(rule)}: {rule.severity}.\n"
    yield f"* Needs: {', '.join(rule.needs)}."
    yield f"* Controls: {', '.join(rule.controls.tags())}."
    for numbers in _numbers(rule):
        yield f"* Counts: {numbers}."
    for name, values in rule.lists.items():
        shown = ", ".join(f"`{value}`" for value in values)
        unless = ", unless you set it" if name in LIST_NAMES else ""
        yield f"* `{name}` is{unless}: {shown}."
    yield f"* Runbook: {rule.runbook}"


def _numbers(rule: RuleFile) -> Iterator[str]:
    for match in rule.match:
        found = [f"`{name}` {value}" for name in NUMBERS if (value := getattr(match, name, None))]
        if found:
            yield ", ".join(found)


def _plain_title(rule: RuleFile) -> str:
    for name in ("action", "what"):
        ways = dict.fromkeys(way for match in rule.match if (way := _way(match, name)))
        rule_title = rule.title.replace(f"{{{name}}}", " or ".join(ways))
        if rule_title != rule.title:
            return rule_title
    return rule.title


def _way(match: object, name: str) -> str:
    return str(getattr(match, "set", {}).get(name, ""))


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(updated(path.read_text("utf-8")), "utf-8")
