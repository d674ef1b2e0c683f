"""Every key of a TOML document is found on the line it is written on."""

import random
import tomllib
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.config.lines import lines_of
from triggerfish.faults import KeyPath


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param("# only = 1", {}, id="comment without an end of line"),
        pytest.param("a = 1\n\n# b = 2\nc = 3", {("a",): 1, ("c",): 4}, id="comments and blanks"),
        pytest.param("a = 1\r\nb = 2\r\n", {("a",): 1, ("b",): 2}, id="windows line ends"),
        pytest.param("[t]\nk = 1", {("t",): 1, ("t", "k"): 2}, id="table"),
        pytest.param(
            "[a.b]\nk = 1\n[a]\nj = 1",
            {("a",): 3, ("a", "b"): 1, ("a", "b", "k"): 2, ("a", "j"): 4},
            id="table after the table in it",
        ),
        pytest.param(
            "[[t]]\nk = 1\n[[t]]\nk = 2\n[t.u]\nk = 3",
            {
                ("t",): 1,
                ("t", 0): 1,
                ("t", 0, "k"): 2,
                ("t", 1): 3,
                ("t", 1, "k"): 4,
                ("t", 1, "u"): 5,
                ("t", 1, "u", "k"): 6,
            },
            id="array of tables with a table in its last element",
        ),
        pytest.param(
            "[[t]]\n[[t.u]]\n[[t.u]]\n[[t]]\n[[t.u]]",
            {
                ("t",): 1,
                ("t", 0): 1,
                ("t", 0, "u"): 2,
                ("t", 0, "u", 0): 2,
                ("t", 0, "u", 1): 3,
                ("t", 1): 4,
                ("t", 1, "u"): 5,
                ("t", 1, "u", 0): 5,
            },
            id="arrays of tables in arrays of tables",
        ),
        pytest.param(
            "a . \"b.c\" . 'd' = 1",
            {("a",): 1, ("a", "b.c"): 1, ("a", "b.c", "d"): 1},
            id="dotted and quoted keys",
        ),
        pytest.param('"\\u0061 \\"" = 1', {('a "',): 1}, id="escapes in a key"),
        pytest.param(
            'a = """\nb = 1\n\\""" [c]"""\nd = 1', {("a",): 1, ("d",): 4}, id="multi-line string"
        ),
        pytest.param("a = '''\n'' b = 1 '''\nd = 1", {("a",): 1, ("d",): 3}, id="literal lines"),
        pytest.param('a = """"b"""""\nd = 1', {("a",): 1, ("d",): 2}, id="quotes at the quotes"),
        pytest.param("a = ''\nb = \"\"\nc = 1", {("a",): 1, ("b",): 2, ("c",): 3}, id="no text"),
        pytest.param("a = \"# \\\\\"\nb = '\\'\nc = 1", {("a",): 1, ("b",): 2, ("c",): 3}, id="\\"),
        pytest.param(
            "a = [ # ]\n  1,\n  [2,\n  3],\n]\nb = 1",
            {
                ("a",): 1,
                ("a", 0): 2,
                ("a", 1): 3,
                ("a", 1, 0): 3,
                ("a", 1, 1): 4,
                ("b",): 6,
            },
            id="array over lines with comments",
        ),
        pytest.param(
            "a = [\n{b = 1, c.d = [1]},\n{}]",
            {
                ("a",): 1,
                ("a", 0): 2,
                ("a", 0, "b"): 2,
                ("a", 0, "c"): 2,
                ("a", 0, "c", "d"): 2,
                ("a", 0, "c", "d", 0): 2,
                ("a", 1): 3,
            },
            id="inline tables in an array",
        ),
        pytest.param("a = 1979-05-27 07:32:00Z # b\nc = 1", {("a",): 1, ("c",): 2}, id="date"),
    ],
)
def test_keys_are_found(text: str, lines: dict[KeyPath, int]) -> None:
    tomllib.loads(text)
    assert lines_of(text) == lines


SCALARS = st.one_of(
    st.integers(-(10**9), 10**9),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.datetimes(),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=20),
)
KEYS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=3),
        st.lists(st.dictionaries(KEYS, inner, max_size=3), min_size=1, max_size=3),
    ),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, max_size=5), st.randoms(use_true_random=False))
def test_every_layout_of_every_document_is_followed(
    document: dict[str, object], choices: random.Random
) -> None:
    writer = _Writer(choices)
    writer.table((), document)
    assert tomllib.loads(writer.text) == document
    found = lines_of(writer.text)
    assert found.keys() == set(_paths(document))
    assert {path: found[path] for path in writer.lines} == writer.lines


def _paths(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))
    if isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _paths(inner, (*path, position))


class _Writer:
    """Writes a document in one of the many ways TOML has, and notes where each key went."""

    def __init__(self, choices: random.Random) -> None:
        self._choices = choices
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def table(self, path: KeyPath, table: Mapping[str, object], header: str = "") -> None:
        own: dict[str, object] = {}
        others: dict[str, object] = {}
        for key, value in table.items():
            as_table = _is_table(value) or _is_array_of_tables(value)
            (others if as_table and self._choices.random() < 0.7 else own)[key] = value
        for key, value in own.items():
            self._noise()
            self._pair((*path, key), _quoted(key), value)
            self._put(self._choices.choice(["\n", " # a = 1\n", "\r\n"]))
        for key, value in others.items():
            self._noise()
            name = f"{header}.{_quoted(key)}" if header else _quoted(key)
            for position, each in enumerate(value if isinstance(value, list) else [value]):
                begin, end = ("[[", "]]") if isinstance(value, list) else ("[", "]")
                inner = (*path, key, position) if isinstance(value, list) else (*path, key)
                self.lines[inner] = self._line()
                self._put(f"{begin} {name} {end}\n")
                assert isinstance(each, dict)
                self.table(inner, each, name)

    def _pair(self, path: KeyPath, written: str, value: object) -> None:
        self.lines[path] = self._line()
        if isinstance(value, dict) and len(value) == 1 and self._choices.random() < 0.5:
            ((key, inner),) = value.items()
            self._pair((*path, key), f"{written} . {_quoted(key)}", inner)
            return
        self._put(f"{written} = ")
        self._value(path, value)

    def _value(self, path: KeyPath, value: object) -> None:
        match value:
            case dict():
                self._put("{ ")
                for position, (key, inner) in enumerate(value.items()):
                    self._put(", " if position else "")
                    self._pair((*path, key), _quoted(key), inner)
                self._put(" }")
            case list():
                self._put("[")
                for position, inner in enumerate(value):
                    self._put(", " if position else "")
                    self._put(self._choices.choice(["", "\n", " # ] , [\n"]))
                    self.lines[(*path, position)] = self._line()
                    self._value((*path, position), inner)
                self._put("\n]")
            case bool():
                self._put(str(value).lower())
            case str():
                self._put(self._string(value))
            case _:
                self._put(str(value))

    def _string(self, text: str) -> str:
        if self._choices.random() < 0.5:
            return _quoted(text)
        return '"""\n{}"""'.format(_quoted(text, keep="\n")[1:-1])

    def _noise(self) -> None:
        self._put(self._choices.choice(["", "\n", "# [a]\n", "\t\n  "]))

    def _put(self, text: str) -> None:
        self.text += text

    def _line(self) -> int:
        return self.text.count("\n") + 1


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _is_array_of_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_table, value))


def _quoted(text: str, keep: str = "") -> str:
    return '"{}"'.format("".join(each if each in keep else _escaped(each) for each in text))


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    is_control = ord(character) < 32 or ord(character) == 127
    return f"\\u{ord(character):04X}" if is_control else character
