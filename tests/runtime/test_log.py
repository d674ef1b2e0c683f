from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triggerfish.runtime import log
from triggerfish.runtime.secrets import Secret


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.split("\n")[:-1]]


def test_a_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    with log.bind(trigger="provision", request_id="r-1"):
        log.info("numbered", group="web", number=7)

    (line,) = lines(capsys)
    assert datetime.fromisoformat(line.pop("time")).tzinfo is UTC
    assert line == {
        "level": "info",
        "message": "numbered",
        "trigger": "provision",
        "request_id": "r-1",
        "group": "web",
        "number": 7,
    }


def test_bound_fields_end_with_their_block(capsys: pytest.CaptureFixture[str]) -> None:
    with log.bind(request_id="r-1"):
        with log.bind(member="i-1"):
            log.warning("inner")
        log.warning("outer")
    log.error("outside")

    inner, outer, outside = lines(capsys)
    assert (inner["request_id"], inner["member"], inner["level"]) == ("r-1", "i-1", "warning")
    assert "member" not in outer
    assert "request_id" not in outside
    assert outside["level"] == "error"


def test_text_from_outside_stays_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """No line ends, no other line begins, and no terminal is driven."""
    hostile = 'a"}\n{"level":"info"}\r\u2028\u0085\x1b[31m\x9b31m\x00\ud800'
    fields = {"fie\nld": hostile}
    log.info(hostile, **fields)

    out = capsys.readouterr().out
    assert out.isascii()
    assert [letter for letter in out if ord(letter) < 32] == ["\n"]
    assert json.loads(out)["fie\nld"] == hostile


def test_fields_can_not_replace_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    forged = dict.fromkeys(["message", "level", "time"], "forged")
    log.info("said", **forged)
    (line,) = lines(capsys)
    assert (line["message"], line["level"]) == ("said", "info")
    assert (line["message_"], line["level_"], line["time_"]) == ("forged", "forged", "forged")


def failing() -> None:
    raise ValueError("boom")


def test_an_exception_is_its_type_message_and_stack(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        try:
            failing()
        except ValueError as cause:
            raise RuntimeError("while working") from cause
    except RuntimeError as error:
        log.error("failed", error=error)

    (line,) = lines(capsys)
    assert line["error"]["type"] == "RuntimeError"
    assert line["error"]["message"] == "while working"
    assert len(line["error"]["stack"]) == 1
    inner = line["error"]["cause"]
    assert (inner["type"], inner["message"]) == ("ValueError", "boom")
    assert [frame.rpartition(" in ")[2] for frame in inner["stack"]] == [
        "test_an_exception_is_its_type_message_and_stack",
        "failing",
    ]


def test_secrets_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    log.info("read", secret=Secret("hunter2"), among=[Secret("hunter2")])
    out = capsys.readouterr().out
    assert "hunter2" not in out
    assert json.loads(out)["secret"] == "***"


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (b"\x00secret", "<7 bytes>"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (1.5, 1.5),
        (10**30, "<a huge integer>"),
        ({1: (2, None, True)}, {"1": [2, None, True]}),
        (Unshowable(), "<Unshowable>"),
        ({Unshowable(): 1}, {"<Unshowable>": 1}),
        ("x" * 9000, "x" * 8192 + "... (808 more characters)"),
        (list(range(200)), list(range(100))),
    ],
    ids=["time", "bytes", "nan", "inf", "float", "huge", "map", "object", "key", "long", "many"],
)
def test_values(capsys: pytest.CaptureFixture[str], value: object, written: object) -> None:
    log.info("m", value=value)
    assert lines(capsys)[0]["value"] == written


def test_what_contains_itself_ends(capsys: pytest.CaptureFixture[str]) -> None:
    endless: list[object] = []
    endless.append(endless)
    log.info("m", value=endless)
    assert lines(capsys)[0]["value"] == [[[[[["[[...]]"]]]]]]


def test_a_line_too_long_for_cloudwatch_loses_its_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.info("big", many=["x" * 8000] * 100)
    (line,) = lines(capsys)
    assert line["message"] == "big"
    assert "many" not in line
    assert line["dropped"].startswith("fields of 80")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none()
        | st.integers()
        | st.floats()
        | st.binary()
        | st.text(st.characters(exclude_categories=())),
        lambda inner: st.lists(inner) | st.dictionaries(st.integers() | st.text(), inner),
    )
)
def test_logging_never_fails(capsys: pytest.CaptureFixture[str], value: object) -> None:
    log.info("m", value=value)
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.count("\n") == 1
    json.loads(out, parse_constant=pytest.fail)


def test_libraries_write_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("provision")
    log.configure("provision")
    library = logging.getLogger("some.library")
    library.debug("not this")
    library.info("nor this")
    library.warning("pool is full: %s", "example.com")
    library.warning("wrong %d format", "text")
    try:
        failing()
    except ValueError:
        library.exception("it failed")

    full, wrong, failed = lines(capsys)
    full.pop("time")
    assert full == {
        "level": "warning",
        "message": "pool is full: example.com",
        "trigger": "provision",
        "logger": "some.library",
    }
    assert wrong["message"] == "wrong %d format"
    assert (failed["level"], failed["error"]["message"]) == ("error", "boom")


def test_the_trigger_is_named_in_every_thread(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("provision", request_id="r-1")
    thread = threading.Thread(target=log.info, args=("from a thread",))
    thread.start()
    thread.join()
    (line,) = lines(capsys)
    assert (line["trigger"], line["request_id"]) == ("provision", "r-1")


def test_a_library_asked_for_more_says_it_as_info(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("provision")
    library = logging.getLogger("some.talkative.library")
    library.setLevel(logging.DEBUG)
    library.debug("details")
    (line,) = lines(capsys)
    assert (line["level"], line["message"]) == ("info", "details")
