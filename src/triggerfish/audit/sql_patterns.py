"""The little language in which rules say what SQL they look for, and its two forms.

`create|alter user {user} ... createuser` reads: one of the words, a word, a name that becomes the
fact `user`, anything up to the `;`, a word. The parts:

    word, a|b, sys:role   words of SQL, in any case; `a|b` is either
    (  )  ,  =            themselves
    {fact}  {fact*}       a name, or each of a comma list of names
    <fact>                a text in quotes
    @list                 a name in the list: `table` in any schema, `schema.table`, `sales_*`
    [ ... ]               what may be left out
    ...                   anything within the statement
    ^                     the statement's beginning

The exact form looks at the code of a `sql.Reading`. The loose form is a pattern of bytes for the
raw log, which finds every record that the exact form may match: where a comment may hide what
follows a word, the word and the comment are enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

from triggerfish.audit.sql_words import (
    WORD,
    WORD_OR_QUOTE,
    fold,
    quoted_as_word,
    shown,
    word_class,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from triggerfish.audit.sql import Reading

_WORD_QUOTE_DOT = word_class('".')
_PART = rf'"?{WORD}++'
_NAME = rf"{_PART}(?:\.{_PART})*+"
_BEFORE = rf"(?<!{WORD_OR_QUOTE})"
_BEFORE_NAME = rf"(?<!{_WORD_QUOTE_DOT})"
_AFTER = rf"(?!{WORD})"
_BLANK = rb"(?:\s|\\[nrtf])"
_LONGEST_RUN = 3
_TELLING = 3
_RARE = 9
"""Letters of a word that is rare enough by itself."""
_COMMON = frozenset(
    {
        "select",
        "insert",
        "update",
        "delete",
        "create",
        "drop",
        "alter",
        "set",
        "from",
        "with",
        "into",
        "table",
        "on",
        "to",
    }
)
_HIDING = rb"/\*|--"
RUN_TEXT = rb"execute" + _BLANK + rb"*(?:['($]|" + _HIDING + rb")"
"""Text that is run as SQL may be put together from parts: each EXECUTE of a text is looked at."""

_ELEMENT = re.compile(
    r"(?P<gap>\.\.\.)|(?P<start>\^)|(?P<open>\[)|(?P<close>\])|(?P<mark>[(),=])"
    r"|\{(?P<name>[a-z_]+)(?P<many>\*)?\}|<(?P<text>[a-z_]+)>|@(?P<list>[a-z_]+)"
    r"|(?P<word>[a-z0-9_$:*|]+)|(?P<wrong>\S+)"
)


class PatternError(ValueError):
    """A pattern that isn't one; says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class _Element:
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """Where a pattern matched: its facts, and the list's name that was met."""

    facts: tuple[tuple[str, str], ...]


class Pattern:
    """A compiled pattern. The expressions are compiled when first needed."""

    def __init__(self, source: str, lists: Mapping[str, Sequence[str]]) -> None:
        """Raises `PatternError`."""
        self.source = source
        self._lists = lists
        self._many: frozenset[str] = frozenset(re.findall(r"\{([a-z_]+)\*\}", source))
        self._alternatives = [list(_segments(each)) for each in _expanded(source, lists)]
        self._compiled: list[list[re.Pattern[str]]] | None = None

    @property
    def is_inert(self) -> bool:
        """Whether it can't match, because a list in it is empty."""
        return all(
            any(e.kind == "list" and not self._lists[e.text] for segment in each for e in segment)
            for each in self._alternatives
        )

    def check(self) -> None:
        """Raises `PatternError` when the expressions don't compile: a fact named twice, say."""
        try:
            for each in self._alternatives:
                for segment in each:
                    re.compile(self._exact(segment))
        except re.error as error:
            raise PatternError(f"{self.source!r}: {error.msg}") from error

    def find(self, reading: Reading) -> Iterator[Found]:
        """The first place each way of writing matches at; several for a list of names."""
        if self._compiled is None:
            self._compiled = [
                [re.compile(self._exact(segment)) for segment in each]
                for each in self._alternatives
            ]
        for segments in self._compiled:
            facts = _facts(segments, reading)
            if facts is not None:
                yield from self._one_by_one(facts)
                return

    def _one_by_one(self, facts: dict[str, str]) -> Iterator[Found]:
        """Names of a comma list each make a finding; other names stay as they are."""
        for name in self._many & facts.keys():
            for each in facts[name].split(","):
                yield Found(tuple({**facts, name: shown(each.strip(" "))}.items()))
            return
        yield Found(tuple(facts.items()))

    def _exact(self, segment: Sequence[_Element]) -> str:
        parts: list[str] = []
        wordy = False
        for element in segment:
            if element.kind == "start":
                parts.append(r"\A")
                continue
            if element.kind == "mark":
                parts.append(re.escape(element.text))
                wordy = False
                continue
            parts += [" " if wordy else "", self._exact_word(element)]
            wordy = True
        return "".join(parts)

    def _exact_word(self, element: _Element) -> str:
        match element.kind:
            case "name":
                return f"{_BEFORE_NAME}(?P<{element.text}>{_NAME})"
            case "many":
                return f"{_BEFORE_NAME}(?P<{element.text}>{_NAME}(?:,{_NAME})*+)"
            case "text":
                return rf"(?P<{element.text}>'\d+)"
            case "list":
                names = "|".join(_exact_name(each) for each in self._lists[element.text])
                return f"{_BEFORE_NAME}(?P<object>{names}){_AFTER}(?!\\.)"
            case _:
                words = "|".join(_exact_literal(each) for each in element.text.split("|"))
                return f"{_BEFORE}(?:{words}){_AFTER}"

    def loose(self) -> list[bytes]:
        """Patterns of bytes (see `scan.Rules`), one of which is in every text that matches."""
        if self.is_inert:
            return []
        runs = {run for segments in self._alternatives for run in self._loosest(segments)}
        begun = {run for run in runs if any(run[:length] in runs for length in range(1, len(run)))}
        return shortest(map(_loose_run, runs - begun))

    def _loosest(self, segments: Sequence[Sequence[_Element]]) -> Iterator[tuple[str, ...]]:
        """By what is rarest in a log: an uncommon word, then a list's names, then other words."""
        elements = [element for segment in segments for element in segment]
        rare = [element.text for element in elements if _is_rare(element)]
        names = next((self._pieces(e) for e in elements if e.kind == "list"), [])
        if rare:
            yield from ((word,) for word in max(rare, key=len).split("|"))
        elif names:
            yield from ((name,) for name in names)
        else:
            runs = [run for segment in segments for run in _runs(segment)]
            best = max(runs, key=_rank, default=())
            yield from product(*(each.split("|") for each in best))

    def _pieces(self, element: _Element) -> list[str]:
        """What of a list's names is in any text that holds one; nothing if that is too little."""
        pieces = [_longest_piece(each) for each in self._lists[element.text]]
        return pieces if min(map(len, pieces), default=0) >= _TELLING else []

    @cached_property
    def _needs(self) -> list[tuple[str, ...]]:
        """Of each of these, one is in the code of what matches."""
        needs = []
        for element in self._alternatives[-1]:  # the one without what may be left out
            for each in element:
                if each.kind == "word" and not set("*:") & set(each.text):
                    needs.append(tuple(each.text.split("|")))
                elif each.kind == "list" and (pieces := self._pieces(each)):
                    needs.append(tuple(pieces))
        return needs

    @cached_property
    def key(self) -> str:
        """One text that is in the code of whatever matches; may be empty."""
        return max((needed[0] for needed in self._needs if len(needed) == 1), key=len, default="")

    def may_be_in(self, text: str) -> bool:
        """Whether a folded text that runs no other text may hold a match: a quick look."""
        return all(any(each in text for each in needed) for needed in self._needs)


def _expanded(source: str, lists: Mapping[str, Sequence[str]]) -> list[list[_Element]]:
    """The pattern with and without each of its `[ ... ]`."""
    choices: list[list[list[_Element]]] = [[[]]]
    optional = False
    for element in _elements(source, lists):
        match element.kind, optional:
            case "open", False:
                choices.append([[], []])
                optional = True
            case "close", True:
                choices.append([[]])
                optional = False
            case (("open" | "close"), _):
                raise PatternError(f"{source!r}: the brackets don't pair")
            case _:
                choices[-1][-1].append(element)
    if optional:
        raise PatternError(f"{source!r}: the brackets don't pair")
    ways = [[e for part in way for e in part] for way in product(*choices)]
    for way in ways:
        if not any(e.kind == "list" or (e.kind == "word" and e.text.strip("*|")) for e in way):
            raise PatternError(f"{source!r}: a word or a list has to be in it")
    return sorted(ways, key=len, reverse=True)


def _elements(source: str, lists: Mapping[str, Sequence[str]]) -> Iterator[_Element]:
    for found in _ELEMENT.finditer(fold(source)):
        kind = str(found.lastgroup)
        text = found[kind]
        match kind:
            case "wrong":
                raise PatternError(f"{source!r}: {text!r} means nothing here")
            case "many":
                yield _Element("many", found["name"])
            case "list" if text not in lists:
                raise PatternError(f"{source!r}: there is no list @{text}")
            case _:
                yield _Element(kind, text)


def _segments(elements: Sequence[_Element]) -> Iterator[list[_Element]]:
    segment: list[_Element] = []
    for element in elements:
        if element.kind == "gap":
            if segment:
                yield segment
            segment = []
        else:
            segment.append(element)
    if segment:
        yield segment


def _facts(segments: Sequence[re.Pattern[str]], reading: Reading) -> dict[str, str] | None:
    """Each segment at the first place after the one before: if that fails, all others would."""
    facts: dict[str, str] = {}
    at = 0
    for segment in segments:
        found = segment.search(reading.code, at)
        if found is None:
            return None
        at = found.end()
        for name, value in found.groupdict().items():
            if value is None:
                continue
            if value.startswith("'"):
                facts[name] = reading.string(value)
            else:
                facts[name] = value if "," in value else shown(value)
    return facts


def _exact_literal(word: str) -> str:
    plain = _glob(word)
    if ":" not in word:
        return plain
    return f'(?:{plain}|"{"".join(_moved(c) for c in word)})'


def _moved(character: str) -> str:
    """As `sql` has the characters of quoted names; `*` stays what it is."""
    return character if character == "*" else quoted_as_word(character)


def _exact_name(name: str) -> str:
    parts = ['"?' + _glob("".join(map(_moved, part))) for part in fold(name).split(".")]
    return rf"(?:{_PART}\.)*" + r"\.".join(parts)


def _glob(text: str) -> str:
    """Where `*` stands for letters; each piece at its first place, so never tried twice."""
    first, *rest = (re.escape(piece) for piece in text.split("*"))
    if not rest:
        return first
    *between, last = rest
    middle = "".join(f"(?>{WORD}*?{piece})" for piece in between if piece)
    return f"{first}{middle}{WORD}*+" + (f"(?<={last})" if last else "")


def _runs(segment: Sequence[_Element]) -> Iterator[tuple[str, ...]]:
    """Words that stand together, three at most; one with a colon may be quoted, so it's alone."""
    run: tuple[str, ...] = ()
    for element in segment:
        if element.kind == "word" and ":" in element.text:
            yield (element.text,)
        elif element.kind == "word":
            run = (*run, element.text)[:_LONGEST_RUN]
            continue
        if run:
            yield run
        run = ()
    if run:
        yield run


def _is_rare(element: _Element) -> bool:
    """A word that a scan may as well look for alone."""
    words = element.text.split("|")
    return element.kind == "word" and all(
        "*" not in word and ("_" in word or len(word) >= _RARE) for word in words
    )


def _rank(run: tuple[str, ...]) -> tuple[bool, int]:
    first = run[0].split("|")[0]
    return first not in _COMMON and len(first) > _TELLING, len(run)


def _loose_run(words: Sequence[str]) -> bytes:
    """Plain text first: a scan without hyperscan looks for that before anything else."""
    if not words:
        return rb"\S"
    pattern = _loose_word(words[-1])
    for word in reversed(words[:-1]):
        hidden = _BLANK + b"*(?:" + _HIDING + b")"
        pattern = _loose_word(word) + b"(?:" + _BLANK + b"+" + pattern + b"|" + hidden + b")"
    return pattern


def shortest(patterns: Iterable[bytes]) -> list[bytes]:
    """Without those that begin with all of another: `grant(?:...)` beside `grant`."""
    kept: list[bytes] = []
    for pattern in sorted(set(patterns), key=len):
        if not any(pattern.startswith(each + b"(") for each in kept):
            kept.append(pattern)
    return sorted(kept)


def _loose_word(word: str) -> bytes:
    return rb"\S*".join(re.escape(piece.encode()) for piece in word.split("*"))


def _longest_piece(name: str) -> str:
    """What of a listed name is in the log however its parts are quoted."""
    return max(re.split(r"[*.\"']", fold(name)), key=len)
