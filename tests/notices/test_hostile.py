"""No field of a notice, whatever is in it, stops the alert, reaches a header or becomes markup."""

from __future__ import annotations

import email.policy
import json
import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.notices.hostile import PIECES, notices
from tests.notices.world import World, make_notice, make_settings
from triggerfish.notice import Notice
from triggerfish.notices.digest import Kept, Memory, remembered, summarise
from triggerfish.notices.escaping import safe_link
from triggerfish.notices.mail import build
from triggerfish.notices.message import Held, Message, compose
from triggerfish.runtime.notices import fit, from_message, to_message

HEADERS = {
    "From",
    "To",
    "Subject",
    "Message-ID",
    "References",
    "In-Reply-To",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "X-Triggerfish-Severity",
    "Importance",
    "MIME-Version",
    "Content-Type",
}
TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "div",
    "p",
    "pre",
    "table",
    "tr",
    "td",
    "a",
}
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def message_of(*some: Notice) -> Message:
    kept = [Kept(sk=f"{n}", at_ms=1000 * n, notice=fit(notice)) for n, notice in enumerate(some)]
    memory = remembered(
        Memory(),
        summarise(kept[:1], Memory()),
        [make_notice()],
        told_ms=1,
        parcel="p",
    )
    digests = [summarise(kept, memory), summarise(kept[:1], Memory())]
    held = Held(limit=30, notices=3, since=NOON, waiting=4)
    return compose(digests, stack="shop-local", held=held, failed={"slack": some[0].title})


def mail_of(message: Message) -> EmailMessage:
    raw = build(
        message,
        sender="triggerfish@example.com",
        to=("ops@example.com",),
        thread="0" * 32,
        number=1,
        ids=("<a@example.net>",),
    )
    raw.decode("ascii")
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    return message_from_bytes(raw, EmailMessage, policy=email.policy.default)


@settings(deadline=None)
@given(st.lists(notices(), min_size=1, max_size=3))
def test_any_notice_becomes_a_whole_mail(some: list[Notice]) -> None:
    mail = mail_of(message_of(*some))
    assert {*mail.keys()} <= HEADERS
    assert len(mail.keys()) == len({*mail.keys()})
    assert mail["To"] == "ops@example.com"
    assert str(mail["Subject"]).isprintable()
    assert len(str(mail["Subject"])) < 200
    parts = [part.get_content_type() for part in mail.walk()]
    assert parts == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "application/json",
    ]
    assert [part.defects for part in mail.walk()] == [[]] * 5
    (attachment,) = mail.iter_attachments()
    json.loads(attachment.get_content())


@settings(deadline=None)
@given(st.lists(notices(), min_size=1, max_size=3))
def test_any_notice_is_text_in_html_and_nothing_else(some: list[Notice]) -> None:
    page = Page()
    page.feed(message_of(*some).html)
    page.close()
    assert page.open == []
    assert page.tags <= TAGS
    assert not {name for name in page.attributes if name.startswith("on")}
    assert all(safe_link(link) == link for link in page.links)
    assert "src" not in page.attributes
    hidden = [each for each in page.text if not each.isprintable() and each != "\n"]
    assert hidden == []


@settings(deadline=None)
@given(st.lists(notices(), min_size=1, max_size=3))
def test_any_notice_is_dead_in_a_chat(some: list[Notice]) -> None:
    message = message_of(*some)
    lines = [*message.chat.splitlines(), message.chat_title]
    links = {notice.link for notice in some}
    for line in lines:
        assert line.isprintable()
        if line not in links:
            assert not set("<>@`") & set(line)
            assert not re.search(r"https?://", line, re.IGNORECASE)
    assert len(message.chat) <= 1800


@settings(deadline=None)
@given(st.lists(notices(), min_size=1, max_size=3))
def test_no_line_of_the_plain_text_is_forged(some: list[Notice]) -> None:
    """A value can't begin a line: what looks like a line of ours is one."""
    text = message_of(*some).text
    assert all(line.isprintable() for line in text.split("\n"))
    counted = sum(line.startswith("Triggerfish, stack ") for line in text.split("\n"))
    assert counted == 1


@settings(deadline=None)
@given(notices())
def test_no_secret_is_in_any_part(notice: Notice) -> None:
    message = message_of(notice, make_notice(title="x", facts=(("y", "PASSWORD 'hunter2secret'"),)))
    for part in (message.text, message.html, message.chat, message.subject, message.data.decode()):
        assert "PASSWORD 'hunter2secret'" not in part
        assert "PASSWORD &#x27;hunter2secret" not in part


@settings(deadline=None)
@given(notices())
def test_any_notice_travels_over_the_queue(notice: Notice) -> None:
    body = to_message(notice)
    assert body.isascii()
    assert len(body) < 1_000_000
    assert from_message(body) == fit(notice)


@settings(deadline=None, max_examples=60)
@given(st.lists(notices(st.sampled_from(["a", "b"])), min_size=1, max_size=4))
def test_any_notice_is_told(some: list[Notice]) -> None:
    world = World(make_settings())
    world.tell(*some)
    world.settle(8000, every=600)
    assert (world.waiting(), world.parcels(), world.dead, world.refused) == (0, 0, [], [])
    assert world.sent


@pytest.mark.parametrize("piece", PIECES)
def test_each_field_may_hold_it(piece: str) -> None:
    notice = Notice(
        key=piece,
        severity="critical",
        title=piece,
        facts=((piece, piece),),
        evidence=(piece,),
        link=piece,
        trigger=piece,
        id=piece,
    )
    mail_of(message_of(notice))
    world = World()
    world.tell(notice)
    assert len(world.sent) == 1
