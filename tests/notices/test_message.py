"""What people read, word for word."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tests.notices.world import make_notice
from triggerfish.notices.digest import Digest, Kept, Memory, remembered, summarise
from triggerfish.notices.message import Held, Message, bare, compose

if TYPE_CHECKING:
    from triggerfish.notice import Notice

NOON_MS = 1_795_521_600_000
NOTHING_HELD = Held(limit=30)


def digest(*of: Notice, memory: Memory | None = None) -> Digest:
    kept = [
        Kept(sk=f"{n:03}", at_ms=NOON_MS + n * 60_000, notice=notice) for n, notice in enumerate(of)
    ]
    return summarise(kept, memory or Memory())


def told(*of: Notice, **changes: object) -> Message:
    return compose([digest(*of)], stack="shop-prod", held=NOTHING_HELD, failed={})


GRANTED = make_notice(
    key="audit/shop/superuser-granted",
    severity="critical",
    title="bob was made a superuser",
    facts=(("User", "bob"), ("Actor", "eve"), ("Source", "198.51.100.7")),
    evidence=("ALTER USER bob\n  CREATEUSER PASSWORD 'S3cret';",),
    link="https://console.aws.amazon.com/redshiftv2/home?region=eu-central-1",
    incident_start=datetime(2026, 11, 24, 11, 30, tzinfo=UTC),
)


def test_one_notice_in_plain_text() -> None:
    assert told(GRANTED).text == (
        "[critical] bob was made a superuser\n"
        "audit, 2026-11-24 12:00:00 UTC, incident since 2026-11-24 11:30:00 UTC\n"
        "\n"
        "  User:   bob\n"
        "  Actor:  eve\n"
        "  Source: 198.51.100.7\n"
        "\n"
        "  | ALTER USER bob\n"
        "  |   CREATEUSER PASSWORD '***';\n"
        "\n"
        "More: https://console.aws.amazon.com/redshiftv2/home?region=eu-central-1\n"
        "Key: audit/shop/superuser-granted\n"
        "\n"
        "-- \n"
        "Triggerfish, stack shop-prod\n"
    )


def test_one_notice_in_a_chat() -> None:
    message = told(GRANTED)
    assert message.chat_title == "[critical] bob was made a superuser"
    assert message.chat == (
        "audit, 2026-11-24 12:00:00 UTC, incident since 2026-11-24 11:30:00 UTC\n"
        "User: bob\n"
        "Actor: eve\n"
        "Source: 198.51.100.7\n"
        "| ALTER USER bob\n"
        "|   CREATEUSER PASSWORD '***';\n"
        "https://console.aws.amazon.com/redshiftv2/home?region=eu-central-1"
    )


def test_html_has_a_button_only_for_a_link_that_may_be_followed() -> None:
    href = 'href="https://console.aws.amazon.com/redshiftv2/home?region=eu-central-1"'
    assert href in told(GRANTED).html
    odd = told(make_notice(link="http://evil.example/")).html
    assert "<a " not in odd
    assert "hxxp://evil.example/" in odd


def test_a_digest_says_how_often_what_is_new_and_what_is_frequent() -> None:
    bob, eve = make_notice(facts=(("User", "bob"),)), make_notice(facts=(("User", "eve"),))
    memory = remembered(Memory(), digest(bob), [bob], told_ms=NOON_MS - 3_600_000, parcel="p")
    message = compose(
        [digest(bob, bob, eve, memory=memory)], stack="shop-prod", held=NOTHING_HELD, failed={}
    )
    assert message.text == (
        "[high] A login to shop failed\n"
        "audit, 2026-11-24 12:02:00 UTC\n"
        "Happened 3 times since the last message of 2026-11-24 11:00:00 UTC;"
        " first 2026-11-24 12:00:00 UTC, last 2026-11-24 12:02:00 UTC; 4 in all\n"
        "\n"
        "The latest:\n"
        "  User: eve\n"
        "\n"
        "New since the last message:\n"
        "  User: eve\n"
        "\n"
        "Most often:\n"
        "  User: bob (2), eve (1)\n"
        "Key: audit/shop/failed-login\n"
        "\n"
        "-- \n"
        "Triggerfish, stack shop-prod\n"
    )


def test_a_thread_keeps_its_subject_while_titles_change() -> None:
    first = digest(make_notice(title="A"))
    memory = remembered(Memory(subject=""), first, [], told_ms=NOON_MS, parcel="p")
    memory = replace(memory, subject="[high] A")
    later = digest(make_notice(title="B"), memory=memory)
    message = compose([later], stack="s", held=NOTHING_HELD, failed={})
    assert message.subject == "Re: [high] A"
    worse = digest(make_notice(title="B", severity="critical"), memory=memory)
    assert compose([worse], stack="s", held=NOTHING_HELD, failed={}).subject == "Re: [critical] B"


def test_several_matters_are_one_message_the_most_severe_first() -> None:
    low = make_notice(key="l", severity="low", title="Low")
    message = compose(
        [digest(low), digest(GRANTED), digest(make_notice())],
        stack="shop-prod",
        held=NOTHING_HELD,
        failed={},
    )
    assert message.subject == "[critical] bob was made a superuser and 2 other matters"
    assert message.severity == "critical"
    titles = [line for line in message.text.splitlines() if line.startswith("[")]
    assert titles == [
        "[critical] bob was made a superuser",
        "[high] A login to shop failed",
        "[low] Low",
    ]


def test_of_very_many_matters_the_rest_is_told_by_title() -> None:
    many = [digest(make_notice(key=f"k{n}", title=f"Title {n}")) for n in range(40)]
    message = compose(many, stack="s", held=NOTHING_HELD, failed={})
    assert "Key: k24\n" in message.text
    assert "Key: k25\n" not in message.text
    assert "\n[high] Title 39\n" in message.text
    assert "[high] Title 39" in message.html
    assert "and 30 other matters" in message.chat


def test_what_the_limit_and_the_channels_did_is_said() -> None:
    held = Held(limit=30, notices=1, since=datetime(2026, 11, 24, 11, tzinfo=UTC), waiting=1200)
    message = compose([digest(GRANTED)], stack="s", held=held, failed={"mail": "no <b>way</b>"})
    assert (
        "The limit of 30 messages an hour held 1 notice back since 2026-11-24 11:00:00 UTC;"
        " told here.\n\n"
        "The limit of 30 messages an hour holds 1,200 notices back;"
        " to be told when the hour has room.\n\n"
        "The channel mail did not take this message: no <b>way</b>\n"
    ) in message.text
    assert "no &lt;b&gt;way&lt;/b&gt;" in message.html


def test_the_attachment_holds_the_facts_without_secrets() -> None:
    assert json.loads(told(GRANTED).data) == {
        "stack": "shop-prod",
        "matters": [
            {
                "key": "audit/shop/superuser-granted",
                "trigger": "audit",
                "severity": "critical",
                "title": "bob was made a superuser",
                "count": 1,
                "total": 1,
                "first": "2026-11-24T12:00:00+00:00",
                "last": "2026-11-24T12:00:00+00:00",
                "incident_start": "2026-11-24T11:30:00+00:00",
                "top": [],
                "new": [],
                "notices": [
                    {
                        "title": "bob was made a superuser",
                        "severity": "critical",
                        "at": None,
                        "facts": [["User", "bob"], ["Actor", "eve"], ["Source", "198.51.100.7"]],
                        "evidence": ["ALTER USER bob\n  CREATEUSER PASSWORD '***';"],
                        "link": (
                            "https://console.aws.amazon.com/redshiftv2/home?region=eu-central-1"
                        ),
                    }
                ],
                "notices_left_out": 0,
            }
        ],
    }


def test_the_attachment_stays_small_and_says_what_it_leaves_out() -> None:
    wide = [make_notice(facts=(("A", f"{n}" + "x" * 8000),) * 3) for n in range(60)]
    message = compose([digest(*wide)] * 20, stack="s", held=NOTHING_HELD, failed={})
    assert len(message.data) < 2_000_000
    assert json.loads(message.data)["matters"][0]["notices_left_out"] == 59


def test_long_evidence_says_that_there_is_more() -> None:
    text = told(make_notice(evidence=("\n".join(f"line {n}" for n in range(60)),))).text
    assert "  | line 39\n  | (20 more lines are attached)\n" in text
    assert "line 40" not in text


def test_the_bare_message_repeats_nothing() -> None:
    message = bare([digest(make_notice(key="a\r\n<b>", title="<script>"))], stack="shop-prod")
    assert message.text.startswith("[high] 1 notices that could not be shown.\n")
    assert "<script>" not in message.html
    assert json.loads(message.data) == {"stack": "shop-prod", "keys": ["a\\r\\n<b>"]}
