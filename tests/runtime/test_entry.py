from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.runtime.test_envelopes import make_record
from triggerfish.errors import (
    ConfigError,
    Conflict,
    Error,
    InputError,
    Problem,
    Refused,
    Unavailable,
)
from triggerfish.runtime import log
from triggerfish.runtime.entry import exit_code, grouped_batch, lambda_handler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.runtime.entry import BatchResponse, LambdaContext
    from triggerfish.runtime.envelopes import SqsRecord


class Context:
    aws_request_id = "r-1"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


class Group:
    """Runs groups of records named by their bodies, and fails where told to."""

    def __init__(self, **failures: Exception) -> None:
        self._failures = failures
        self.ran: list[tuple[str, list[str]]] = []
        self.dead: list[tuple[str, str]] = []

    def key(self, record: SqsRecord) -> str | None:
        if record.body == "nothing":
            return None
        if error := self._failures.get(f"key_{record.body}"):
            raise error
        return record.body

    def run(self, key: str, records: Sequence[SqsRecord]) -> None:
        self.ran.append((key, [record.message_id for record in records]))
        if error := self._failures.get(key):
            raise error

    def dead_letter(self, record: SqsRecord, reason: str) -> None:
        if error := self._failures.get("dead_letter"):
            raise error
        self.dead.append((record.message_id, reason))

    def batch(self, *records: SqsRecord) -> BatchResponse:
        return grouped_batch(records, key=self.key, run=self.run, dead_letter=self.dead_letter)


def failures(*ids: str) -> BatchResponse:
    return {"batchItemFailures": [{"itemIdentifier": each} for each in ids]}


WEB_1 = make_record("web", message_id="1")
API_2 = make_record("api", message_id="2")
WEB_3 = make_record("web", message_id="3")
NOTHING_4 = make_record("nothing", message_id="4")


def test_a_group_runs_once_with_all_its_records() -> None:
    group = Group()
    assert group.batch(WEB_1, API_2, WEB_3, NOTHING_4) == failures()
    assert group.ran == [("web", ["1", "3"]), ("api", ["2"])]
    assert group.dead == []


def test_a_malformed_record_is_a_dead_letter_and_the_rest_goes_on() -> None:
    group = Group(key_api=InputError("no group in the message"))
    assert group.batch(WEB_1, API_2, WEB_3) == failures()
    assert group.ran == [("web", ["1", "3"])]
    assert group.dead == [("2", "no group in the message")]


def test_a_group_that_is_unavailable_comes_again_and_the_others_do_not() -> None:
    group = Group(web=Unavailable("Jenkins is down"))
    assert group.batch(WEB_1, API_2, WEB_3) == failures("1", "3")
    assert group.ran == [("web", ["1", "3"]), ("api", ["2"])]
    assert group.dead == []


def test_a_lost_conditional_write_comes_again() -> None:
    assert Group(web=Conflict("changed")).batch(WEB_1) == failures("1")


def test_a_key_that_is_unavailable_comes_again() -> None:
    assert Group(key_web=Unavailable("not now")).batch(WEB_1, API_2) == failures("1")


def test_a_refused_group_is_dead_letters() -> None:
    group = Group(web=Refused("access denied"))
    assert group.batch(WEB_1, API_2, WEB_3) == failures()
    assert group.dead == [("1", "access denied"), ("3", "access denied")]


def test_an_error_nobody_foresaw_is_tried_again_four_times() -> None:
    group = Group(web=KeyError("boom"))
    fresh = make_record("web", message_id="fresh", receive_count=4)
    spent = make_record("web", message_id="spent", receive_count=5)
    assert group.batch(fresh, spent) == failures("fresh")
    assert group.dead == [("spent", "KeyError: 'boom'")]


def test_a_dead_letter_that_is_not_written_is_not_acknowledged() -> None:
    group = Group(web=Refused("no"), dead_letter=Unavailable("SQS is down"))
    assert group.batch(WEB_1, API_2) == failures("1")


def test_an_error_nobody_foresaw_is_logged_with_its_stack(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Group(web=KeyError("boom")).batch(WEB_1)
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["error"]["type"]) == ("error", "KeyError")
    assert line["error"]["stack"][-1].endswith("in Group.run")


def test_groups_that_can_not_be_begun_in_time_come_again() -> None:
    group = Group()
    remaining = iter([20_000, 4_999])
    response = grouped_batch(
        (WEB_1, API_2, WEB_3),
        key=group.key,
        run=group.run,
        dead_letter=group.dead_letter,
        remaining_ms=lambda: next(remaining),
    )
    assert response == failures("2")
    assert group.ran == [("web", ["1", "3"])]


def test_interrupts_are_not_caught() -> None:
    def interrupted(_key: str, _records: Sequence[SqsRecord]) -> None:
        raise KeyboardInterrupt

    group = Group()
    with pytest.raises(KeyboardInterrupt):
        grouped_batch([WEB_1], key=group.key, run=interrupted, dead_letter=group.dead_letter)


# ---- a whole invocation ----


def test_a_handler_returns_what_it_returns_and_logs_its_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def handle(event: object, context: LambdaContext) -> object:
        log.info("working")
        return event, context.get_remaining_time_in_millis()

    assert lambda_handler("provision", handle)({"a": 1}, Context()) == ({"a": 1}, 30_000)
    line = json.loads(capsys.readouterr().out)
    assert (line["request_id"], line["trigger"]) == ("r-1", "provision")


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (Unavailable("later"), "warning"),
        (InputError("wrong"), "error"),
        (Refused("no"), "error"),
        (KeyError("boom"), "error"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_invocation_without_dead_letters_raises(
    error: Exception, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever woke us keeps the event: returning would lose it."""

    def handle(_event: object, _context: LambdaContext) -> object:
        raise error

    with pytest.raises(type(error)) as failure:
        lambda_handler("provision", handle)({}, Context())
    assert failure.value is error
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["error"]["type"]) == (level, type(error).__name__)


@pytest.mark.parametrize("error", [InputError("wrong"), Refused("no")], ids=["input", "refused"])
def test_an_invocation_with_dead_letters_keeps_what_can_never_succeed(error: Error) -> None:
    kept: list[tuple[object, str]] = []

    def handle(_event: object, _context: LambdaContext) -> object:
        raise error

    handler = lambda_handler("p", handle, dead_letter=lambda *letter: kept.append(letter))
    assert handler({"a": 1}, Context()) == {
        "error": {"type": type(error).__name__, "message": error.message}
    }
    assert kept == [({"a": 1}, error.message)]


def test_an_invocation_with_dead_letters_still_raises_what_may_succeed() -> None:
    kept: list[tuple[object, str]] = []

    def handle(_event: object, _context: LambdaContext) -> object:
        raise Unavailable("later")

    with pytest.raises(Unavailable):
        lambda_handler("p", handle, dead_letter=lambda *letter: kept.append(letter))({}, Context())
    assert kept == []


PROBLEM = Problem(file="f", line=1, path="p", found="a", wanted="b")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError([PROBLEM]), 2),
        (Unavailable("later"), 3),
        (Conflict("changed"), 3),
        (Refused("no"), 1),
        (InputError("wrong"), 1),
        (Error("failed"), 1),
        (KeyError("boom"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exit_codes(error: Exception, code: int) -> None:
    assert exit_code(error) == code
