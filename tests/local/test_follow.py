"""What functions say is followed while logs grow, rotate and are cut, whatever they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from triggerfish.cli.cloud import event_line
from triggerfish.local.follow import Follower
from triggerfish.local.sandbox.logs import Event, LogFiles, Stream

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "2026-11-24T12:00:00.000Z 0badc0de "


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "shop-local-provision.log"


def write(log: Path, *lines: str) -> None:
    with log.open("a", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(lines)


def numbers(follower: Follower) -> list[object]:
    return [told.get("n") for told in follower.read()]


def test_each_line_is_told_once(tmp_path: Path, log: Path) -> None:
    follower = Follower(tmp_path)
    assert numbers(follower) == []
    write(log, HEAD + '{"n": 1}\n', HEAD + '{"n": 2}\n')
    assert numbers(follower) == [1, 2]
    assert numbers(follower) == []
    write(log, HEAD + '{"n": 3}\n')
    assert numbers(follower) == [3]


def test_what_was_said_before_is_passed_over(tmp_path: Path, log: Path) -> None:
    write(log, HEAD + '{"n": 1}\n')
    follower = Follower(tmp_path)
    follower.skip()
    write(log, HEAD + '{"n": 2}\n')
    assert numbers(follower) == [2]


def test_line_that_is_being_written_is_waited_for(tmp_path: Path, log: Path) -> None:
    follower = Follower(tmp_path)
    write(log, HEAD + '{"n": 1}\n' + HEAD + '{"n"')
    assert numbers(follower) == [1]
    write(log, ": 2")
    assert numbers(follower) == []
    write(log, "}\n")
    assert numbers(follower) == [2]


def test_log_that_is_put_aside_is_read_to_its_end(tmp_path: Path, log: Path) -> None:
    follower = Follower(tmp_path)
    write(log, HEAD + '{"n": 1}\n')
    assert numbers(follower) == [1]
    write(log, HEAD + '{"n": 2}\n')
    log.replace(tmp_path / "shop-local-provision.log.1")
    assert numbers(follower) == []
    write(log, HEAD + '{"n": 3}\n')
    assert numbers(follower) == [2, 3]
    assert numbers(follower) == []


def test_log_that_is_put_aside_twice_is_gone_and_that_is_all(tmp_path: Path, log: Path) -> None:
    follower = Follower(tmp_path)
    write(log, HEAD + '{"n": 1}\n')
    assert numbers(follower) == [1]
    for number in (2, 3, 4):
        log.replace(tmp_path / "shop-local-provision.log.1")
        write(log, HEAD + f'{{"n": {number}}}\n')
    assert numbers(follower) == [4]


def test_log_that_vanished_and_came_back_is_read_from_its_start(tmp_path: Path, log: Path) -> None:
    follower = Follower(tmp_path)
    write(log, HEAD + '{"n": 1}\n')
    assert numbers(follower) == [1]
    log.rename(tmp_path / "elsewhere")
    write(log, HEAD + '{"n": 2}\n')
    assert numbers(follower) == [2]


def test_log_that_is_cut_is_read_from_its_start(tmp_path: Path, log: Path) -> None:
    follower = Follower(tmp_path)
    write(log, HEAD + '{"n": 1, "long": true}\n')
    assert numbers(follower) == [1]
    log.write_text('{"n": 2}\n')
    assert numbers(follower) == [2]


def test_log_of_the_sandbox_is_what_is_read(tmp_path: Path) -> None:
    files, follower = LogFiles(tmp_path, cap_bytes=10), Follower(tmp_path)
    stream = Stream(
        region="eu-west-1", function="one", group="g", name="2026/11/24/[$LATEST]0badc0de1"
    )
    for number in (1, 2, 3):
        files.append([Event(stream, 1_795_521_600_000, f'{{"n": {number}}}')])
        assert numbers(follower) == [number]


def test_functions_are_followed_side_by_side(tmp_path: Path) -> None:
    follower = Follower(tmp_path)
    write(tmp_path / "b.log", '{"n": 2}\n')
    write(tmp_path / "a.log", '{"n": 1}\n')
    assert numbers(follower) == [1, 2]


def test_folder_that_is_not_there_yet_says_nothing(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "none")
    follower.skip()
    assert numbers(follower) == []


@pytest.mark.parametrize(
    "line",
    [
        "START RequestId: x Version: $LATEST",
        "",
        "no JSON {at all",
        "[1]",
        "{" * 200_000,
        '{"a":' * 200_000,
        '{"n": ' + "9" * 5_000 + "}",
        "\udcff\udcfe{\udc80",
        "{} and more",
    ],
    ids=["start", "empty", "broken", "list", "open", "deep", "huge", "bytes", "trailing"],
)
def test_line_that_is_not_ours_is_passed_over(tmp_path: Path, log: Path, line: str) -> None:
    write(log, line + "\n", '{"n": 1}\n')
    assert numbers(Follower(tmp_path)) == [1]


def test_member_is_told_with_its_number_and_its_instance_once() -> None:
    told: dict[str, object] = {
        "time": "2026-11-24T12:34:56.789Z",
        "message": "member",
        "group": "web",
        "number": 3,
        "instance": "i-1",
        "phase": "numbered",
        "cause": "number 3 was the lowest free",
    }
    assert event_line(told) == "12:34:56 web 3      numbered  number 3 was the lowest free (i-1)"
    told |= {"phase": "ready", "cause": "healthy"}
    assert event_line(told) == "12:34:56 web 3      ready     healthy"
    told["number"] = None
    assert event_line(told) == "12:34:56 web -      ready     healthy"


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"message": "notice", "title": "web-01 failed"}, " NOTICE web-01 failed"),
        ({"message": "m", "level": "warning", "reason": "r"}, " warning: m r"),
        ({"message": "m", "level": "error", "error": {"message": "e"}}, " error: m e"),
        ({"message": "m", "level": "error", "error": "text"}, " error: m"),
        ({"message": "m", "level": "info"}, None),
        ({}, None),
    ],
)
def test_what_a_person_needs_is_told(told: dict[str, object], line: str | None) -> None:
    assert event_line(told) == line


@pytest.mark.parametrize(
    "told",
    [
        {"message": "member"},
        {"message": "member", "phase": {"a": 1}, "number": [], "cause": None},
        {"message": ["member"], "level": ["warning"]},
        {"message": {}, "level": {}},
        {"message": "member", "phase": ["seen"], "time": 5},
    ],
)
def test_line_of_an_unexpected_shape_ends_nothing(told: dict[str, object]) -> None:
    line = event_line(told)
    assert line is None or "\n" not in line


@pytest.mark.parametrize(
    "told",
    [
        {"message": "member", "phase": "ready", "cause": "\x1b[2J\nweb 9 ready"},
        {"message": "notice", "title": "\x1b[2J\nweb 9 ready"},
        {"message": "failed", "level": "error", "reason": "\x1b[2J\nweb 9 ready"},
    ],
)
def test_words_of_others_can_neither_steer_the_terminal_nor_add_a_line(
    told: dict[str, object],
) -> None:
    line = event_line(told)
    assert line is not None
    assert "\\x1b[2J\\nweb 9 ready" in line
    assert line.isprintable()
