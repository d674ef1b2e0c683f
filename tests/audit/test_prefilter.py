from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.audit.prefilter import (
    Lane,
    hyperscan_is_there,
    hyperscan_prefilter,
    required_literal,
    standard_prefilter,
)

GAP = rb"(?:\s|/\*.*?\*/|--[^\n]*\n)+"
PATTERNS = (
    b"drop" + GAP + b"user",
    rb"^authenticated *\|[^|\n]*\|[^|\n\[]",
    rb"\bgrant\b",
    rb"AKIA[0-9A-Z]{4}",
    rb"pass(?:word|wd)",
    rb"[uU]nload",
    rb"a|b+c",
    rb"\S\x41x",
)
needs_hyperscan = pytest.mark.skipif(not hyperscan_is_there(), reason="no hyperscan")


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        (b"drop", b"drop"),
        (b"DROP user", b"DROP user"),
        (rb"drop\s+database", b"database"),
        (rb"drop(?:\s|/\*)+user", b"drop"),
        (rb"colou?r", b"colo"),
        (rb"ab*c", b"a"),
        (rb"ab{0,2}cde", b"cde"),
        (rb"a+bcd", b"bcd"),
        (rb"one|two", b""),
        (rb"(one|two) three", b" three"),
        (rb"((a)|b)xyz", b"xyz"),
        (rb"[a-z|(]xy", b"xy"),
        (rb"[^]|]xy", b"xy"),
        (rb"\|TLSv1\.1 \|", b"|TLSv1.1 |"),
        (rb"\bgrant\b", b"grant"),
        (rb"^auth.*fail$", b"auth"),
        (rb"\x41bc", b"bc"),
        (rb"\d\d", b""),
        (rb"", b""),
    ],
)
def test_literal_that_a_pattern_needs(pattern: bytes, literal: bytes) -> None:
    assert required_literal(pattern) == literal


@pytest.mark.parametrize(
    ("block", "ends"),
    [
        (b"DROP USER bob", [9]),
        (b"x drop/* why */user y", [19]),
        (b"drop -- why\n user", [17]),
        (b"drop /* drop user */ user", [17, 25]),
        (b"dropuser", []),
    ],
)
def test_pattern_is_found_in_any_case_and_inside_a_longer_match(
    block: bytes, ends: list[int]
) -> None:
    """What begins in a match that goes on must not be hidden by it."""
    lanes = (Lane(PATTERNS[:1]),)
    assert standard_prefilter(lanes).hits(block) == [ends]
    if hyperscan_is_there():
        assert hyperscan_prefilter(lanes).hits(block) == [ends]


def test_lanes_are_kept_apart_and_may_be_empty() -> None:
    lanes = (Lane(), Lane((b"one", b"ONE")), Lane((b"One",), caseless=False))
    for found in (
        standard_prefilter(lanes).hits(b"one One"),
        hyperscan_prefilter(lanes).hits(b"one One")
        if hyperscan_is_there()
        else standard_prefilter(lanes).hits(b"one One"),
    ):
        assert found == [[], [3, 3, 7, 7], [7]]


def test_no_pattern_finds_nothing() -> None:
    lanes = (Lane(), Lane())
    assert standard_prefilter(lanes).hits(b"text") == [[], []]
    if hyperscan_is_there():
        assert hyperscan_prefilter(lanes).hits(b"text") == [[], []]


words = st.sampled_from(
    [b"drop", b"DROP", b" ", b"\n", b"/*", b"*/", b"--", b"user", b"grant", b"authenticated |",
     b"|", b"[", b"akia", b"AKIA0123", b"passwd", b"Unload", b"ab", b"bbc", b"zAx",
     b"\xff", b"\x00"]
)  # fmt: skip


@needs_hyperscan
@given(st.lists(words, max_size=40).map(b"".join))
def test_both_engines_find_every_line_that_a_pattern_occurs_in(block: bytes) -> None:
    lanes = (Lane(PATTERNS),)
    standard = standard_prefilter(lanes).hits(block)[0]
    fast = hyperscan_prefilter(lanes).hits(block)[0]
    assert standard == sorted(standard)
    assert fast == sorted(fast)
    flags = re.IGNORECASE | re.MULTILINE | re.DOTALL
    for line in re.finditer(rb"[^\n]+", block):
        wanted = any(re.search(pattern, line[0], flags) for pattern in PATTERNS)
        for ends in (standard, fast):
            assert not wanted or any(line.start() < end <= line.end() for end in ends)


def test_hyperscan_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hyperscan", None)
    assert not hyperscan_is_there()
