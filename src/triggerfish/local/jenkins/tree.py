"""The `tree` filter of Jenkins: `jobs[name,url],builds[number]{0,10}`.

Source: org.kohsuke.stapler.export.TreePruner. Unknown fields are ignored, `_class` is always given,
and a range takes from its first index up to but not including its last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, overload

T = TypeVar("T")

_TOKEN = re.compile(r"\s*([^\s,\[\]{}]+|[,\[\]{}])")
_MAX_DEPTH = 20


class MalformedTreeError(ValueError):
    """The text is not a tree."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The fields asked for. No fields at all is a leaf: a value, or an object's `_class` alone."""

    fields: Mapping[str, Tree] = field(default_factory=dict)
    first: int = 0
    last: int | None = None


class Rendered(Sequence[object]):
    """A list whose elements are made when they are asked for: most never are."""

    def __init__(self, items: Sequence[T], render: Callable[[T], object]) -> None:
        self._items: Sequence[object] = items
        self._render: Callable[[object], object] = render  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> object: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[object]: ...

    def __getitem__(self, index: int | slice) -> object:
        if isinstance(index, slice):
            return [self._render(item) for item in self._items[index]]
        return self._render(self._items[index])


def parse(text: str) -> Tree:
    tokens = [match.group(1) for match in _TOKEN.finditer(text)]
    if "".join(tokens) != "".join(text.split()):
        raise MalformedTreeError(f"Unrecognized tree: {text}")
    fields, rest = _fields(tokens, 0)
    if rest != len(tokens):
        raise MalformedTreeError(f"Unexpected {tokens[rest]!r} in tree: {text}")
    return Tree(fields)


def prune(document: object, tree: Tree) -> object:
    """The document with nothing but the fields of the tree."""
    if isinstance(document, Mapping):
        kept = {"_class": document["_class"]} if "_class" in document else {}
        for name, inner in tree.fields.items():
            if name in document:
                value = document[name]
                kept[name] = prune(value() if callable(value) else value, inner)
        return kept
    if isinstance(document, Sequence) and not isinstance(document, str):
        return [prune(element, tree) for element in document[tree.first : tree.last]]
    return document


def _fields(tokens: Sequence[str], at: int, depth: int = 0) -> tuple[dict[str, Tree], int]:
    if depth > _MAX_DEPTH:
        raise MalformedTreeError("The tree is too deep")
    fields: dict[str, Tree] = {}
    while at < len(tokens) and tokens[at] not in {"]", "}"}:
        name = tokens[at]
        if name in {",", "[", "{"}:
            raise MalformedTreeError(f"Unexpected {name!r} in tree")
        inner: dict[str, Tree] = {}
        at += 1
        if _is(tokens, at, "["):
            inner, at = _fields(tokens, at + 1, depth + 1)
            if not _is(tokens, at, "]"):
                raise MalformedTreeError("The tree ends inside '['")
            at += 1
        first, last, at = _range(tokens, at)
        fields[name] = Tree(inner, first, last)
        if not _is(tokens, at, ","):
            break
        at += 1
    return fields, at


def _range(tokens: Sequence[str], at: int) -> tuple[int, int | None, int]:
    """`{m,n}`, `{m,}`, `{,n}` or `{n}`, which is the one element."""
    if not _is(tokens, at, "{"):
        return 0, None, at
    if "}" not in tokens[at:]:
        raise MalformedTreeError("The tree ends inside '{'")
    end = tokens.index("}", at)
    text = "".join(tokens[at + 1 : end])
    match = re.fullmatch(r"(\d*)(,?)(\d*)", text)
    if match is None or text in {"", ","}:
        raise MalformedTreeError(f"Malformed range in tree: {{{text}}}")
    first = int(match.group(1) or 0)
    if not match.group(2):
        return first, first + 1, end + 1
    return first, int(match.group(3)) if match.group(3) else None, end + 1


def _is(tokens: Sequence[str], at: int, token: str) -> bool:
    return at < len(tokens) and tokens[at] == token
