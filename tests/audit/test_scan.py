from __future__ import annotations

import gzip
import re
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audit.conftest import (
    ACTIVITY_LOG,
    CONNECTION_LOG,
    FEED,
    USER_LOG,
    Matching,
    Pieces,
    Spotting,
    calls,
    connection_line,
    head,
)
from triggerfish.audit import kinds
from triggerfish.audit.cut import Records
from triggerfish.audit.parse import HEAD_START
from triggerfish.audit.prefilter import hyperscan_is_there
from triggerfish.audit.scan import Options, scan
from triggerfish.audit.stream import STANDARD, Caps, isal

if TYPE_CHECKING:
    from pathlib import Path

    from triggerfish.audit.records import Finding, LogKind
    from triggerfish.audit.scan import FileReport

ALL = rb"[^\n]"
ENGINES = (False, True) if hyperscan_is_there() else (False,)
HEADS = re.compile(rb"^(?=" + HEAD_START + rb")", re.MULTILINE)


def scanned(
    data: bytes | str,
    rules: Spotting,
    *,
    name: str = "log",
    sizes: tuple[int, ...] = (1 << 20,),
    state: list[tuple[int, list[bytes]]] | None = None,
    options: Options | None = None,
) -> FileReport:
    source = Pieces(data if isinstance(data, bytes) else data.encode(), sizes)
    return scan(source, name, rules, state=[] if state is None else state, options=options)


def problems(report: FileReport) -> list[tuple[str, int]]:
    return [(each.kind, each.offset) for each in report.problems]


def statements(report: FileReport) -> list[tuple[str, str]]:
    return [(each.statement, dict(each.facts)["verified"]) for each in report.findings]


# ---- the sample logs ----


@pytest.mark.parametrize(
    ("path", "kind", "records"),
    [(CONNECTION_LOG, "connection", 9), (USER_LOG, "user", 4), (ACTIVITY_LOG, "activity", 8)],
)
def test_sample_is_read_whole_plain_and_in_several_members(
    path: Path, kind: LogKind, records: int
) -> None:
    plain = scanned(path.read_bytes(), Spotting(ALL), name=path.name)
    packed = scanned(path.with_name(path.name + ".gz").read_bytes(), Spotting(ALL), name=path.name)
    assert (plain.kind, plain.records, plain.problems) == (kind, records, ())
    assert (plain.file.cluster, plain.bytes) == ("shop", path.stat().st_size)
    assert (packed.records, packed.bytes) == (plain.records, plain.bytes)
    assert packed.findings == plain.findings
    assert packed.compressed_bytes == path.with_name(path.name + ".gz").stat().st_size
    assert len(plain.findings) == records
    assert plain.resume_at is None


def test_sample_of_statements() -> None:
    report = scanned(ACTIVITY_LOG.read_bytes(), Spotting(rb"drop"), name=ACTIVITY_LOG.name)
    assert statements(report) == [
        ("/* DROP USER hidden */ select '\\xff\\xfe',\r 1", "True"),
        ("DROP USER alice\n*/", "False"),
        ("DROP/**/USER bob", "True"),
    ]
    assert [each.user for each in report.findings] == ["john smith", "rdsdb", "rdsdb"]
    data = ACTIVITY_LOG.read_bytes()
    assert [data[each.offset :][:2] for each in report.findings] == [b" '", b"'2", b"'2"]


def test_last_record_needs_no_newline() -> None:
    report = scanned(CONNECTION_LOG.read_bytes(), Spotting(rb"the last one"))
    assert [each.user for each in report.findings] == ["the last one"]


# ---- records ----


def test_only_newlines_part_records() -> None:
    line = connection_line(application="a\rb\x0bc\x0cd\x1ce\x85f\u2028g")
    report = scanned(f"{line}\n{line}\r\n", Spotting(ALL))
    assert (report.records, report.problems) == (2, ())
    assert [each.application for each in report.findings] == ["a\rb\x0bc\x0cd\x1ce\x85f\u2028g"] * 2


def test_blank_lines_are_no_records() -> None:
    line = connection_line()
    report = scanned(f"\n{line}\n\n \r\n{line}\n\n", Spotting(rb"authenticated"))
    assert (report.records, report.problems, len(report.findings)) == (2, (), 2)


def test_rows_are_fed_as_they_stand() -> None:
    """Seven columns split, the rest as it is; what is fed is found by `feeds` alone."""
    lines = [connection_line(user="one", application="a|b"), connection_line(host="[local]"),
             connection_line(event="authentication failure", user="two")]  # fmt: skip
    state: list[tuple[int, list[bytes]]] = []
    report = scanned("\n".join(lines), Spotting(feeds=(FEED,)), state=state)
    assert report.findings == ()
    assert [(offset, row[0], row[6]) for offset, row in state] == [
        (0, b"authenticated ", b"one "),
        (len(lines[0]) + len(lines[1]) + 2, b"authentication failure ", b"two "),
    ]
    assert b"|".join(state[0][1]).decode() == lines[0]


def test_many_rows_are_fed_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "ROWS_AT_ONCE", 10)
    lines = [connection_line(user=f"u{number}") for number in range(35)]
    state: list[tuple[int, list[bytes]]] = []
    scanned("\n".join(lines), Spotting(feeds=(FEED,)), state=state, sizes=(333,))
    assert [row[6] for _, row in state] == [f"u{number} ".encode() for number in range(35)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("tail", "kind"),
    [("connection", "connection"), ("user", "user"), ("activity", "activity"), ("none", None)],
)
def test_first_line_says_the_kind_where_the_name_does_not(
    tail: str, kind: str | None, *, engine: bool
) -> None:
    path = {"connection": CONNECTION_LOG, "user": USER_LOG, "activity": ACTIVITY_LOG}.get(tail)
    data = b"\n" + path.read_bytes() if path else b"hello"
    report = scanned(data, Spotting(ALL), name="-", options=Options(use_hyperscan=engine))
    assert report.kind == kind
    assert problems(report) == ([] if kind else [("unknown-file", 0)])


def test_options_say_kind_and_cluster() -> None:
    options = Options(kind="user", cluster="reporting")
    report = scanned(USER_LOG.read_bytes(), Spotting(), name="x", options=options)
    assert [each.cluster for each in report.findings] == ["reporting"] * 4


# ---- what can't be parsed ----


@pytest.mark.parametrize("engine", ENGINES)
def test_what_cannot_be_parsed_is_said_and_the_rest_is_read(*, engine: bool) -> None:
    lines = [
        connection_line(user="first"),
        "cut off",
        connection_line(event="logged out"),
        connection_line(time="yesterday"),
        connection_line(user="last"),
    ]
    report = scanned("\n".join(lines), Spotting(rb"\|"), options=Options(use_hyperscan=engine))
    at = [sum(len(line) + 1 for line in lines[:number]) for number in range(5)]
    assert problems(report) == [
        ("too-few-fields", at[1]), ("unknown-event", at[2]), ("bad-time", at[3]),
    ]  # fmt: skip
    assert report.problems[0].sample == "cut off"
    assert [each.user for each in report.findings] == ["first", "ana", "ana", "last"]


@pytest.mark.parametrize("engine", ENGINES)
def test_foreign_lines_are_found_anywhere_in_a_large_file(
    monkeypatch: pytest.MonkeyPatch, *, engine: bool
) -> None:
    monkeypatch.setattr(kinds, "LOOKED_AT_WHOLE_BYTES", 0)
    monkeypatch.setattr(kinds, "LOOKED_AT_OF", 1 << 40)
    lines = [connection_line()] * 3000
    lines[1500:1500] = ["Authenticated |x", "", "disc|nnecting", "\x00"]
    data = "\n".join(lines).encode()
    report = scanned(
        data, Spotting(), name="connectionlog", options=Options(use_hyperscan=engine), sizes=(777,)
    )
    start = 1500 * (len(lines[0]) + 1)
    assert problems(report) == [
        ("too-few-fields", start),
        ("too-few-fields", start + len(lines[1500]) + 2 + len(lines[1502]) + 1),
    ]
    assert report.records == 3003


def test_samples_of_a_kind_are_few_and_all_are_counted() -> None:
    data = connection_line() + "\nbad" * 50
    report = scanned(data, Spotting())
    assert (len(report.problems), report.problem_counts) == (5, {"too-few-fields": 50})


@pytest.mark.parametrize(
    ("data", "name", "wanted"),
    [
        (b"", "connectionlog.gz", []),
        (b"garbage\n", "connectionlog", [("no-records", 0), ("too-few-fields", 0)]),
        (b"\n\n", "connectionlog", [("no-records", 0)]),
        (b"garbage", "useractivitylog", [("no-head", 0), ("no-records", 0)]),
        (b"garbage", "userlog", [("no-records", 0), ("too-few-fields", 0)]),
        (connection_line().encode(), "connectionlog.gz", [("not-gzip", 0)]),
        (gzip.compress(connection_line().encode())[:-1], "connectionlog.gz",
         [("truncated", len(connection_line()))]),
        (gzip.compress(connection_line().encode()) + b"more", "connectionlog.gz",
         [("bad-gzip", len(connection_line()))]),
    ],
)  # fmt: skip
def test_file_is_judged(data: bytes, name: str, wanted: list[tuple[str, int]]) -> None:
    report = scanned(data, Spotting(ALL), name=name)
    assert problems(report) == wanted
    if b"|" in data or name.endswith(".gz"):
        assert report.records == len(report.findings)


def test_text_before_the_first_head_is_said_and_evaluated() -> None:
    data = "drop user lost\n" + head() + "select 1\n"
    report = scanned(data, Spotting(rb"drop"), name="useractivitylog")
    assert problems(report) == [("no-head", 0)]
    assert statements(report) == [("drop user lost", "False")]


def test_head_without_its_end_is_said() -> None:
    data = head() + "a\n" + head()[:60] + "\ndrop user x\n"
    report = scanned(data, Spotting(rb"drop"), name="useractivitylog")
    assert problems(report) == [("no-head", len(head()) + 2)]
    assert len(report.findings) == 1


def test_bomb_is_cut_off_and_said() -> None:
    data = gzip.compress((connection_line() + "\n").encode() * 200_000, 9)
    caps = Caps(ratio=50, ratio_from_bytes=1_000_000)
    report = scanned(data, Spotting(), options=Options(caps=caps))
    assert report.problems[-1].kind == "too-large"
    assert report.problems[-1].offset == report.bytes
    assert report.bytes < 5_000_000


# ---- records of unverified origin ----

ANA, EVE = head(), head("eve", pid=800, user_id=105)
ADMIN = head("awsuser", pid=900, user_id=100)


@pytest.mark.parametrize(
    ("before", "verified"),
    [
        ("", True),
        (f"{ADMIN}select 1\n", True),
        (f"{ADMIN}select 'a', \"b\", $$c$$, $x$ $$ $x$ -- d ' /*\n /* e ' \" */;\n", True),
        (f"{ADMIN}select 1\n{EVE}select 2 /*\n", False),
        (f"{ADMIN}select 1\n{EVE}select 2 /* /* */\n", False),
        (f"{ADMIN}select 1\n{EVE}select 2 /*\n{EVE}select 3\n", False),
        (f"{ADMIN}select 1\n{EVE}select 2 /*\n{EVE}x\n*/ select 3\n", True),
        (f'{ADMIN}select 1\n{EVE}select "\n', False),
        (f"{ADMIN}select 1\n{EVE}select $$\n", False),
        (f"{ADMIN}select 1\n{EVE}select $a$ $$ $b$\n", False),
        (f"{ADMIN}select 1\n{EVE}select '\n", False),
        (f"{ADMIN}select 1\n{EVE}select E'\\'\n", False),
        (f"{ADMIN}select 1\n{EVE}select '\\' /* '\n", False),
        (f"{ADMIN}select 1\n{EVE}select /*\n{EVE}it's\n*/ x /*\n", False),
        (f"{ADMIN}select 1\n{EVE}select '\n{EVE}it's\n", False),
        (f"{ADMIN}select 1\n{EVE}select a$b$c, it's\n{EVE}select 2\n", True),
        (f"{EVE}select 1\n", False),
        (f"{head('awsuser', pid=901, user_id=100)}select 1\n", False),
        (f"{head('awsuser', pid=900, user_id=101)}select 1\n", False),
        (f"{EVE}select ' user=awsuser pid=900 userid=100 xid=1 ]'' LOG: ';\n", False),
    ],
)  # fmt: skip
def test_record_is_verified_unless_another_may_have_carried_it(
    before: str, *, verified: bool
) -> None:
    report = scanned(f"{before}{ADMIN}DROP USER bob\n", Spotting(rb"drop user"))
    assert statements(report)[-1] == ("DROP USER bob", str(verified))


def test_connection_log_vouches_for_a_session() -> None:
    options = Options(knows_session=lambda pid, user: (pid, user) == (900, "awsuser"))
    data = f"{EVE}select 1\n{ADMIN}drop user a\n{ANA}drop user b\n{EVE}/*\n{ADMIN}drop user c\n"
    report = scanned(data, Spotting(rb"drop"), options=options)
    assert statements(report) == [
        ("drop user a", "True"), ("drop user b", "False"), ("drop user c", "False"),
    ]  # fmt: skip


@pytest.mark.parametrize("sizes", [(1 << 20,), (1000, 77)])
def test_carried_record_is_known_across_pieces(sizes: tuple[int, ...]) -> None:
    filler = f"{EVE}select 1\n" * 200
    data = f"{ADMIN}select 1\n{EVE}select /*\n{filler}{ADMIN}drop user bob\n*/\n{filler}"
    assert statements(scanned(data, Spotting(rb"drop"), sizes=sizes)) == [
        ("drop user bob\n*/", "False")
    ]


def test_blank_text_hides_no_comment() -> None:
    data = f"{ADMIN}select 1\n{EVE}select /*{' ' * 150_000}\n{ADMIN}drop user a\n"
    assert statements(scanned(data, Spotting(rb"drop"))) == [("drop user a", "False")]


def test_many_records_in_an_open_comment_are_told_apart() -> None:
    """One after the other, over window borders."""
    carried = f"{ADMIN}drop user no\n" * 1400
    data = f"{ADMIN}x\n" * 500 + f"{EVE}/* '\n{carried}*/ '\n" + f"{ADMIN}drop user yes\n" * 1400
    found = statements(scanned(data, Spotting(rb"drop"), sizes=(5000,)))
    assert found[:600] == [("drop user no", "False")] * 600
    assert found[-1000:] == [("drop user yes", "True")] * 1000


def test_long_statement_before_leaves_a_record_unverified() -> None:
    long = "select '" + "x" * 140_000 + "'\n"
    data = f"{ADMIN}select 1\n{EVE}{long}{ADMIN}drop user a\n{ADMIN}drop user b\n"
    assert statements(scanned(data, Spotting(rb"drop"))) == [
        ("drop user a", "False"), ("drop user b", "True"),
    ]  # fmt: skip


# ---- too large ----


@pytest.mark.parametrize("engine", ENGINES)
def test_statement_that_is_too_large_is_read_in_parts(*, engine: bool) -> None:
    large = f"{EVE}create user x;" + " " * 9_000_000 + "drop user y;\n"
    data = f"{ADMIN}select 1\n{large}{ADMIN}drop user z"
    rules = Spotting(rb"drop user", rb"create user")
    report = scanned(data, rules, options=Options(use_hyperscan=engine))
    start = len(f"{ADMIN}select 1\n")
    assert problems(report) == [("too-large", start)]
    assert report.records == 3
    assert {each.offset for each in report.findings} == {start, start + len(large)}
    users = [getattr(each, "user", "") for each in rules.records]
    assert users == ["eve", "eve", "awsuser"]
    assert "drop user y" in getattr(rules.records[1], "statement", "")


def test_line_that_is_too_large_is_read_to_a_limit() -> None:
    large = connection_line(user="large", application="x" * 3_000_000)
    data = f"{connection_line()}\n{large}\n{connection_line(user='last')}"
    for sizes in ((1 << 20,), (100_000,)):
        report = scanned(data, Spotting(rb"authenticated"), sizes=sizes)
        assert problems(report) == [("too-large", len(connection_line()) + 1)]
        assert [each.user for each in report.findings] == ["ana", "large", "last"]
        assert report.findings[2].offset == len(data) - len(connection_line(user="last"))


@given(
    st.lists(st.sampled_from(["x" * 90, "ab\n", "0123456789" * 30, "'"]), max_size=12),
    st.lists(st.integers(1, 200), min_size=1, max_size=3),
)
def test_parts_do_not_depend_on_pieces(texts: list[str], sizes: list[int]) -> None:
    data = "".join(f"{ANA}{text}\n" if "x" in text else text for text in texts).encode()

    def blocks(sizes: list[int]) -> list[tuple[bytes, int]]:
        cutter = Records(0, most=500, overlap=50)
        source = Pieces(data, sizes)
        whole: dict[int, bytes] = {}
        parts = []
        while piece := source.read(1 << 20):
            parts += list(cutter.cut(piece))
        for block in [*parts, *cutter.finish()]:
            if block.is_part:
                whole[-block.offset - 1] = whole.get(-block.offset - 1, b"") + block.data
                continue
            starts = sorted({0, *(head.start() for head in HEADS.finditer(block.data))})
            for start, end in zip(starts, [*starts[1:], len(block.data)], strict=True):
                whole[block.offset + start] = block.data[start:end]
        return sorted((data, offset) for offset, data in whole.items())

    assert blocks(sizes) == blocks([200])


# ---- going on later ----


@pytest.mark.parametrize("path", [CONNECTION_LOG, USER_LOG, ACTIVITY_LOG])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_scan_stops_behind_a_record_and_goes_on_there(path: Path, suffix: str) -> None:
    data = path.with_name(path.name + suffix).read_bytes()
    whole = scanned(data, Spotting(ALL), name=path.name)
    rules, records, size, at = Spotting(ALL), 0, 0, 0
    found: list[Finding] = []
    while True:
        options = Options(keep_going=calls(0), resume_at=at)
        part = scanned(data, rules, name=path.name, sizes=(100,), options=options)
        records, size = records + part.records, size + part.bytes
        found += part.findings
        if part.resume_at is None:
            break
        assert part.resume_at > at
        at = part.resume_at
    assert (records, size, tuple(found)) == (whole.records, whole.bytes, whole.findings)


def test_scan_stops_when_there_are_many_findings() -> None:
    lines = "\n".join(connection_line(user=f"u{number}") for number in range(5000))
    report = scanned(lines, Spotting(ALL), options=Options(most_findings=100))
    assert report.resume_at is not None
    assert 100 <= len(report.findings) < 2000
    assert report.bytes == report.resume_at


def test_source_that_fails_is_not_silenced() -> None:
    class Failing(BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise OSError("gone")

    for parallel in (False, True):
        with pytest.raises(OSError, match="gone"):
            scan(Failing(), "userlog", Spotting(), state=[], options=Options(parallel=parallel))


# ---- the same findings by any way ----

FRAGMENTS = st.sampled_from(
    [
        ANA, EVE, ADMIN, head("jos\u00e9"), " " + ANA, ANA.replace("T", " ").replace("Z", ""),
        ANA.replace("10:00", "99:99"), ANA.lower(), ANA[:50], "x" + ANA, "\x01" + ANA,
        ANA.replace("UTC", "U\x01C"), "'2026-03-02T10:00:01Z \x01TC [ db=",
        "DROP USER bob", "drop", "/**/", " ", "\n", "\n\n", "\r\n", "\r", "user", "'", '"', "$$",
        "/*", "*/", "--", ";", "select 1", "\x00", "\u2028", "x" * 500, "|",
    ]
)  # fmt: skip
LINES = st.sampled_from(
    [
        connection_line(), connection_line(event="authentication failure", user="drop user"),
        connection_line(application="drop|user"), connection_line(host="[local]"),
        connection_line(event="logged out"), "\n", "\r", "|", "authenticated |", "x", " drop user ",
        "\n" + connection_line()[:60], "\u2028", "inX",
    ]
)  # fmt: skip


def ways(
    data: bytes, name: str, sizes: tuple[int, ...]
) -> tuple[list[FileReport], list[list[tuple[int, list[bytes]]]]]:
    reports, states = [], []
    packed = gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :])
    for source, inflate, engine, of, parallel in (
        (data, STANDARD, False, (1 << 20,), False),
        (data, STANDARD, ENGINES[-1], sizes, False),
        (packed, STANDARD, False, sizes, False),
        (packed, isal(), ENGINES[-1], (1 << 20,), True),
    ):
        rules = Matching("drop", b"drop", rb"drop(?:\s|/\*.*?\*/|--[^\n]*\n)+user")
        rules.fed = (FEED,)
        state: list[tuple[int, list[bytes]]] = []
        options = Options(inflate=inflate, use_hyperscan=engine, parallel=parallel)
        reports.append(scanned(source, rules, name=name, sizes=of, state=state, options=options))
        states.append(state)
    return reports, states


def comparable(report: FileReport) -> tuple[object, ...]:
    return (
        report.kind, report.records, report.bytes, report.problems, report.problem_counts,
        report.findings,
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(FRAGMENTS, max_size=60), st.lists(st.integers(1, 300), min_size=1, max_size=4))
def test_activity_log_gives_the_same_by_any_way(texts: list[str], sizes: list[int]) -> None:
    data = "".join(texts).encode()
    reports, _ = ways(data, "useractivitylog", tuple(sizes))
    assert [comparable(each) for each in reports[1:]] == [comparable(reports[0])] * 3
    starts = sorted({0, *(found.start() for found in HEADS.finditer(data))})
    ends = [*starts[1:], len(data)]
    wanted = [s for s, e in zip(starts, ends, strict=True) if b"drop" in data[s:e].lower()]
    assert [each.offset for each in reports[0].findings] == wanted


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAGMENTS, max_size=60))
def test_origin_does_not_depend_on_which_records_were_looked_at(texts: list[str]) -> None:
    data = f"{ANA}x\n{EVE}x\n{ADMIN}x\n" + "".join(texts)
    some = scanned(data, Matching("drop", rb"drop"), name="useractivitylog")
    every = scanned(data, Matching("drop", ALL), name="useractivitylog")
    assert some.findings == every.findings


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, max_size=30), st.lists(st.integers(1, 300), min_size=1, max_size=4))
def test_connection_log_gives_the_same_by_any_way(texts: list[str], sizes: list[int]) -> None:
    data = "\n".join(texts).encode()
    reports, states = ways(data, "connectionlog", tuple(sizes))
    assert [comparable(each) for each in reports[1:]] == [comparable(reports[0])] * 3
    assert states[1:] == [states[0]] * 3
    lines = data.split(b"\n")
    assert reports[0].records == sum(1 for line in lines if line.strip())
    assert [each.offset for each in reports[0].findings] == [
        sum(len(line) + 1 for line in lines[:number])
        for number, line in enumerate(lines)
        if b"drop" in line.lower()
    ]
