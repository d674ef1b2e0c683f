"""The `where` of a rule: one condition on one field, compiled with its lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.audit.networks import Networks, glob_to_bytes
from triggerfish.audit.sql_words import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime, tzinfo

    from triggerfish.audit.config import Audit
    from triggerfish.audit.rules import Where

    Lists = Mapping[str, Sequence[str]]

_TELLING = 3
"""Letters that a text begins with for a scan to look for it alone."""
_MOST_KNOWN, _MOST_LETTERS = 16_384, 256
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def expanded(texts: Iterable[str], lists: Lists) -> list[str]:
    """`@name` replaced by what is in the list."""
    found: list[str] = []
    for text in texts:
        found += lists[text[1:]] if text.startswith("@") else [text]
    return found


class Condition:
    __slots__ = ("_empty", "_is", "_known", "_not", "_outside", "field")

    def __init__(self, where: Where, lists: Lists) -> None:
        self.field = where.field
        self._is = None if where.is_ is None else [fold(t) for t in expanded(where.is_, lists)]
        self._not = [fold(each) for each in expanded(where.not_ or (), lists)]
        self._outside = None if where.outside is None else Networks(expanded(where.outside, lists))
        self._empty = where.empty
        self._known: dict[str, bool] = {}

    @property
    def may_be_empty(self) -> bool:
        return bool(self._empty) or (self._is is not None and "" in self._is)

    @property
    def is_inert(self) -> bool:
        """Whether nothing can meet it, because its list is empty."""
        return self._is is not None and not self._is

    def holds(self, value: str) -> bool:
        known = self._known.get(value)
        if known is None:
            known = self._looked_at(value)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            if len(value) <= _MOST_LETTERS:
                self._known[value] = known
        return known

    def _looked_at(self, value: str) -> bool:
        if self._empty is not None and (not value.strip()) is not self._empty:
            return False
        if self._outside is not None and not self._outside.excludes(value):
            return False
        folded = fold(value)
        if self._is is not None and not any(matches_glob(folded, each) for each in self._is):
            return False
        return not any(matches_glob(folded, each) for each in self._not)

    def column(self) -> bytes | None:
        """Bytes of the connection log's column (see `scan.Rules`); None where any will do."""
        if self._outside is not None:
            return self._outside.outside_pattern()
        return rb"[ \r]*" if self._empty or self._is == [""] else None

    def named(self) -> list[bytes] | None:
        """Bytes of one column each, for the texts wanted; None where the texts don't tell."""
        if not self._is or any(len(each.partition("*")[0]) < _TELLING for each in self._is if each):
            return None
        return [glob_to_bytes(each) for each in self._is if each]


def all_hold(conditions: Iterable[Condition], value_of: Callable[[str], str]) -> bool:
    return all(each.holds(value_of(each.field)) for each in conditions)


def matches_glob(text: str, glob: str) -> bool:
    """Each piece at its first place, the last at the end: linear, whoever wrote `text`."""
    first, *rest = glob.split("*")
    if not rest:
        return text == first
    if not text.startswith(first):
        return False
    at = len(first)
    for piece in rest[:-1]:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(text) - at >= len(rest[-1]) and text.endswith(rest[-1])


class OfficeHours:
    """When administrators work; without hours in the config, nothing is ever off them."""

    __slots__ = ("_begin", "_days", "_end", "_zone")

    def __init__(self, audit: Audit) -> None:
        begin, _, end = (audit.office_hours or "").partition("-")
        self._begin, self._end = begin, end
        self._days = audit.office_days
        self._zone: tzinfo | None = _zone(audit.timezone) if begin else None

    @property
    def are_set(self) -> bool:
        return bool(self._begin)

    def are_off(self, at: datetime | None) -> bool:
        """Whether nobody works `at` that time.

        Hours may pass midnight; the day is the one that they began on.
        """
        if at is None or not self._begin:
            return False
        here = at.astimezone(self._zone)
        clock = f"{here:%H:%M}"
        today, yesterday = here.weekday(), here.weekday() - 1
        if self._begin < self._end:
            works = self._begin <= clock < self._end and _DAYS[today] in self._days
        else:
            works = (clock >= self._begin and _DAYS[today] in self._days) or (
                clock < self._end and _DAYS[yesterday] in self._days
            )
        return not works


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        from datetime import UTC  # noqa: PLC0415  beside the other zone

        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415  only whoever has a zone pays for it

    return ZoneInfo(name)
