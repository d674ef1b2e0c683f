"""Rule files: TOML to `rules.Rule` with its cases, or every file's faults by file and key.

Commands and deploy read them; a function has its rules baked into its settings.
"""

from __future__ import annotations

import re
import tomllib
from datetime import datetime  # noqa: TC003  msgspec reads the annotations
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from triggerfish.audit import stateful
from triggerfish.audit.config import Audit
from triggerfish.audit.evaluate import RuleSet
from triggerfish.audit.matchers import CHANGE_FIELDS, CONNECTION_FIELDS
from triggerfish.audit.rules import (
    ChangeMatch,
    ConnectionMatch,
    RepeatMatch,
    Rule,
    StatementMatch,
    lists_of,
)
from triggerfish.audit.sql_patterns import Pattern, PatternError
from triggerfish.audit.statements import STATEMENT_FIELDS
from triggerfish.codec import from_text
from triggerfish.errors import ConfigError, Problem
from triggerfish.faults import Fault, described, did_you_mean, one_of, quoted, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from triggerfish.audit.config import OwnRule
    from triggerfish.audit.rules import Match, Where
    from triggerfish.faults import KeyPath

BUILT_IN = Path(__file__).parent / "detections"

_SENTENCE = re.compile(r"[.!?](?=\s|$)")
_AT = re.compile(r" - at (?:key in )?`\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d+|\.\.\.)\]")
_GOT = re.compile(r"^Expected (?P<wanted>.*?)(?:, got .*)?$")
_TYPES = {
    "str": "a string",
    "int": "an integer",
    "bool": "true or false",
    "array": "an array",
    "object": "a table",
    "null": "nothing",
}
_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]+)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>[^`]+)`$")


class CaseFinding(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of a finding a case says; `facts` are those that have to be there."""

    at: datetime | None = None
    title: str | None = None
    severity: str | None = None
    user: str | None = None
    actor: str | None = None
    source: str | None = None
    application: str | None = None
    statement: str | None = None
    facts: dict[str, str] = {}


class Case(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Records in, this rule's findings out: those that stand at the end, completed, in order."""

    name: Annotated[str, Meta(min_length=1)]
    records: Annotated[tuple[dict[str, Any], ...], Meta(min_length=1)]
    settings: dict[str, Any] = {}
    """Keys of `[audit]`."""
    now: datetime | None = None
    """For silence: when it is asked after."""
    findings: tuple[CaseFinding, ...] = ()


class RuleFile(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule as its file has it."""

    case: tuple[Case, ...] = ()

    def rule(self) -> Rule:
        """The rule without its cases: what a function needs."""
        return Rule(**{name: getattr(self, name) for name in Rule.__struct_fields__})


@lru_cache(maxsize=1)
def built_in() -> tuple[RuleFile, ...]:
    """The detections that come with Triggerfish, by file name."""
    files = {path.name: path.read_text("utf-8") for path in sorted(BUILT_IN.glob("*.toml"))}
    return load(files)


def load(
    files: Mapping[str, str],
    lines_of: Callable[[str], Mapping[KeyPath, int]] | None = None,
    *,
    taken: Iterable[str] = (),
) -> tuple[RuleFile, ...]:
    """The rules of TOML texts by file name.

    `lines_of` says on which line a key stands, for the errors; `taken` are ids of other rules.
    Raises ConfigError with what is wrong in every file.
    """
    problems: list[Problem] = []
    loaded: dict[str, RuleFile] = {}
    used = set(taken)
    for name, text in files.items():
        found = _parsed(name, text, problems)
        if found is None:
            continue
        faults = list(_faults(found, used))
        lines = lines_of(text) if lines_of and faults else {}
        problems += [_problem(name, fault, lines) for fault in faults]
        used.add(found.id)
        loaded[name] = found
    if problems:
        raise ConfigError(problems)
    return tuple(loaded.values())


def rules_of(
    own: Sequence[OwnRule] = (), lines_of: Callable[[str], Mapping[KeyPath, int]] | None = None
) -> tuple[RuleFile, ...]:
    """The built-in rules and the team's own. Raises ConfigError naming file, key, found, wanted."""
    ours = built_in()
    theirs = load({each.file: each.text for each in own}, lines_of, taken=[r.id for r in ours])
    return ours + theirs


def rule_names(own: Sequence[OwnRule] = ()) -> tuple[str, ...]:
    return tuple(rule.id for rule in rules_of(own))


def _parsed(name: str, text: str, problems: list[Problem]) -> RuleFile | None:
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        found = f"a syntax error, {str(error)[:1].lower()}{str(error)[1:]}"
        problems.append(Problem(file=name, line=0, path="the file", found=found, wanted="TOML"))
        return None
    try:
        return msgspec.convert(document, RuleFile, dec_hook=from_text)
    except msgspec.ValidationError as error:
        problems.append(_problem(name, _type_fault(str(error), document), {}))
        return None


def _type_fault(message: str, document: Mapping[str, object]) -> Fault:
    """What msgspec says in one sentence, taken apart."""
    at = _AT.search(message)
    path = _path(at["path"]) if at else ()
    what = _AT.sub("", message)
    missing, unknown = _MISSING.match(what), _UNKNOWN.match(what)
    if missing:
        return Fault((*path, missing["name"]), "no such key", "this key")
    if unknown:
        keys = [field.encode_name for field in msgspec.structs.fields(RuleFile)]
        hint = None if path else did_you_mean(unknown["name"], keys)
        wanted = f"a key of {show(path) or 'a rule file'}"
        return Fault((*path, unknown["name"]), "an unknown key", wanted, hint)
    got = _GOT.match(what)
    wanted = got["wanted"] if got else "one that there is" if what.startswith("Invalid") else what
    return Fault(path, described(_value_at(document, path)), _in_toml(wanted))


def _in_toml(wanted: str) -> str:
    for python, toml in _TYPES.items():
        wanted = wanted.replace(f"`{python}`", toml)
    return wanted


def _path(text: str) -> KeyPath:
    return tuple(
        name or (int(number) if number.isdigit() else 0) for name, number in _STEP.findall(text)
    )


def _value_at(value: object, path: KeyPath) -> object:
    for step in path:
        match value, step:
            case dict(), _ if step in value:
                value = value[step]
            case list(), int() if step < len(value):
                value = value[step]
            case _:
                return ""
    return value


def _problem(file: str, fault: Fault, lines: Mapping[KeyPath, int]) -> Problem:
    path = fault.path
    while path and path not in lines:
        path = path[:-1]
    return Problem(
        file=file,
        line=lines.get(path, 0),
        path=show(fault.path) or "the file",
        found=fault.found,
        wanted=fault.wanted,
        hint=fault.hint,
    )


def _faults(rule: RuleFile, used: set[str]) -> Iterator[Fault]:
    if rule.id in used:
        hint = "to change a built-in rule, write [audit.rules.NAME]"
        yield Fault(("id",), f"{quoted(rule.id)}, which another rule has", "an id of its own", hint)
    sentences = len(_SENTENCE.findall(rule.runbook))
    if sentences != 2:
        yield Fault(("runbook",), f"{sentences} sentences", "two: what to check, and what to do")
    named = set(re.findall(r"\{([a-z_]+)\}", rule.title))
    set_by_rules = {"action", *(key for m in rule.match for key in getattr(m, "set", {}))}
    for name in sorted(named - set_by_rules):
        yield Fault(("title",), f"{{{name}}}", f"a fact that the rule sets: {one_of(set_by_rules)}")
    for position, match in enumerate(rule.match):
        yield from _match_faults(rule, match, ("match", position))
    for position, case in enumerate(rule.case):
        yield from _case_faults(case, ("case", position))


def _match_faults(rule: Rule, match: Match, path: KeyPath) -> Iterator[Fault]:
    lists = lists_of(rule, Audit())
    for number, source in enumerate(getattr(match, "statements", ())):
        try:
            Pattern(source, lists).check()
        except PatternError as error:
            wanted = "a pattern of SQL, as docs/reference/detections.md describes it"
            yield Fault((*path, "statements", number), str(error), wanted)
    threshold, most = getattr(match, "threshold", 1), _most_threshold(match)
    if threshold > most:
        yield Fault((*path, "threshold"), described(threshold), f"at most {most}")
    known = _fields_of(match)
    for number, where in enumerate(getattr(match, "where", ())):
        inner = (*path, "where", number)
        if known and where.field not in known:
            hint = did_you_mean(where.field, known)
            yield Fault((*inner, "field"), quoted(where.field), one_of(sorted(known)), hint)
        yield from _list_faults(where, lists, inner)
        yield from _network_faults(where.outside or (), (*inner, "outside"))


def _fields_of(match: Match) -> set[str]:
    """What a `where` may name; empty where that is anything."""
    match match:
        case StatementMatch() | RepeatMatch():
            named = re.findall(r"[{<]([a-z_]+)\*?[}>]", " ".join(match.statements))
            return {*STATEMENT_FIELDS, "object", *named}
        case ConnectionMatch():
            return set(CONNECTION_FIELDS)
        case ChangeMatch():
            return set(CHANGE_FIELDS)
        case _:
            return set()


def _list_faults(where: Where, lists: Mapping[str, object], path: KeyPath) -> Iterator[Fault]:
    for key, names in (("is", where.is_), ("not", where.not_), ("outside", where.outside)):
        for name in names or ():
            if name.startswith("@") and name[1:] not in lists:
                hint = did_you_mean(name[1:], lists)
                yield Fault((*path, key), quoted(name), f"a list: {one_of(sorted(lists))}", hint)


def _most_threshold(match: Match) -> int:
    from triggerfish.audit.rules import SprayMatch  # noqa: PLC0415  beside its use

    return stateful.MOST_USERS if isinstance(match, SprayMatch) else stateful.MOST_TIMES


def _network_faults(networks: Iterable[str], path: KeyPath) -> Iterator[Fault]:
    from ipaddress import ip_network  # noqa: PLC0415  beside its use

    for each in networks:
        if each.startswith("@"):
            continue
        try:
            ip_network(each, strict=False)
        except ValueError:
            yield Fault(path, quoted(each), 'a network such as "198.51.100.0/24", or a list')


def _case_faults(case: Case, path: KeyPath) -> Iterator[Fault]:
    for number, record in enumerate(case.records):
        kinds = ("connection", "user", "activity", "cloudtrail", "file", "problem")
        if record.get("log") not in kinds:
            where = (*path, "records", number, "log")
            yield Fault(where, described(record.get("log", "")), one_of(kinds))


def rule_set(audit: Audit, rules: Sequence[RuleFile] | None = None) -> RuleSet:
    """The rules in force for a command: built in, unless given."""
    return RuleSet([each.rule() for each in (built_in() if rules is None else rules)], audit)
