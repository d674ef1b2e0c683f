from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from triggerfish.blueprint import Call
from triggerfish.errors import InputError, Unavailable
from triggerfish.notice import Notice, rank
from triggerfish.runtime.notices import CALLS, NoticeQueue, fit, from_message, to_message

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
WHOLE = Notice(
    key="audit/shop/user-created",
    severity="high",
    title="bob was created",
    facts=(("User", "bob"), ("Actor", "eve")),
    evidence=("CREATE USER bob\n  PASSWORD DISABLE",),
    link="https://example.com/x",
    trigger="audit",
    at=NOON,
    incident_start=NOON,
    id="file:17",
)
LEAST = Notice(key="k", severity="info", title="t")


class Sqs:
    def __init__(self, fails: Exception | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self._fails = fails

    def send_message(self, **request: Any) -> None:
        if self._fails is not None:
            raise self._fails
        self.sent.append(request)


def message(**changes: object) -> str:
    content = json.loads(to_message(WHOLE))["notice"]
    return json.dumps({"notice": {**content, **changes}})


@pytest.mark.parametrize("notice", [WHOLE, LEAST])
def test_a_notice_is_read_back_as_it_was(notice: Notice) -> None:
    assert from_message(to_message(notice)) == notice


def test_a_notice_goes_onto_the_queue() -> None:
    sqs = Sqs()
    NoticeQueue(sqs, "http://queue").send(LEAST)  # type: ignore[arg-type]
    assert sqs.sent == [{"QueueUrl": "http://queue", "MessageBody": to_message(LEAST)}]


def test_a_queue_that_is_not_there_is_said() -> None:
    queue = NoticeQueue(Sqs(EndpointConnectionError(endpoint_url="http://queue")), "")  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match=r"^sqs:SendMessage, notice k\\u202e: "):
        queue.send(Notice(key="k\u202e", severity="info", title="t"))


def test_handing_over_takes_one_call_on_one_queue() -> None:
    (call,) = CALLS
    assert call == Call("sqs:SendMessage", "${NoticesQueue.Arn}")


def test_the_trigger_is_the_first_part_of_the_key_unless_it_is_said() -> None:
    assert Notice(key="provision/web/i-1", severity="info", title="t").source == "provision"
    assert Notice(key="a/b", severity="info", title="t", trigger="audit").source == "audit"


def test_severities_are_ordered() -> None:
    assert [rank(s) for s in ("info", "low", "medium", "warning", "high", "critical")] == [
        0,
        1,
        2,
        3,
        4,
        5,
    ]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("not json", "^the notice is not JSON: "),
        ("[]", "^the message holds no notice$"),
        ('{"notice": 1}', "^the message holds no notice$"),
        (message(severity="urgent"), "^the notice's severity is none of info, low, medium, "),
        (message(key=None), "^the notice has no key$"),
        (message(title=7), "^the notice has no title$"),
        (message(facts="x"), "^the notice's facts is not a list$"),
        (message(facts=[["a"]]), "^a fact of the notice is not a pair of label and value$"),
        (message(evidence={"a": 1}), "^the notice's evidence is not a list$"),
    ],
)
def test_what_is_no_notice_is_refused_with_the_reason(body: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        from_message(body)


def test_what_is_odd_but_clear_is_taken() -> None:
    odd = from_message(message(at="soon", incident_start=7, link=7, evidence=[1], trigger=None))
    assert (odd.at, odd.incident_start, odd.link) == (None, None, None)
    assert (odd.evidence, odd.trigger) == (("1",), "")


def test_an_empty_title_or_key_does_not_stop_a_notice() -> None:
    fitted = fit(Notice(key="", severity="info", title=""))
    assert (fitted.key, fitted.title) == ("notice", "notice")


def test_half_a_character_is_shown_and_travels() -> None:
    assert fit(Notice(key="k", severity="info", title="a\ud800b")).title == "a\\ud800b"


def test_times_are_utc_to_the_millisecond() -> None:
    there = datetime(2026, 11, 24, 14, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=2)))
    assert fit(Notice(key="k", severity="info", title="t", at=there)).at == datetime(
        2026, 11, 24, 12, 0, 0, 123_000, tzinfo=UTC
    )


def test_long_texts_are_cut_and_say_so() -> None:
    fitted = fit(Notice(key="k", severity="info", title="t", facts=(("a", "x" * 9_000),)))
    ((_, value),) = fitted.facts
    assert len(value) == 8_000
    assert value.endswith("xxx... (9,000 characters)")


def test_long_names_stay_different() -> None:
    one, two = (
        fit(Notice(key="k" * 2000 + end, severity="info", title="t", id="i" * 2000 + end))
        for end in "ab"
    )
    assert one.key != two.key
    assert one.id != two.id
    assert len(one.key) == len(one.id) == 1000


def test_many_facts_and_much_evidence_are_cut_and_say_so() -> None:
    fitted = fit(
        Notice(
            key="k",
            severity="info",
            title="t",
            facts=tuple((f"{n}", "v") for n in range(50)),
            evidence=tuple(f"{n}" for n in range(30)),
        )
    )
    assert (len(fitted.facts), fitted.facts[-1]) == (40, ("More", "11 left out"))
    assert (len(fitted.evidence), fitted.evidence[-1]) == (20, "(11 more, left out)")


def test_the_largest_notice_fits_the_queue_and_the_table() -> None:
    huge = Notice(
        key="\u0001" * 5000,
        severity="info",
        title="\U0001f600" * 5000,
        facts=tuple(("\u0001" * 500, "\u0001" * 20_000) for _ in range(100)),
        evidence=("\U0001f600" * 20_000,) * 100,
        link="\u0001" * 5000,
        trigger="\u0001" * 5000,
        id="\u0001" * 5000,
    )
    assert len(to_message(huge)) < 1024 * 1024
    table = json.dumps(json.loads(to_message(huge)), ensure_ascii=False)
    assert len(table.encode()) < 350_000
    assert fit(fit(huge)) == fit(huge)
