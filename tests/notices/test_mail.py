from __future__ import annotations

import email.policy
from email import message_from_bytes
from email.message import EmailMessage

from triggerfish.notices.mail import build
from triggerfish.notices.message import Message

THREAD = "0123456789abcdef0123456789abcdef"


def make_message(**changes: object) -> Message:
    settings: dict[str, object] = {
        "subject": "[high] Überraschung",
        "severity": "high",
        "text": "Klartext: ä\n",
        "html": "<p>ä</p>",
        "data": b'{"a": 1}',
        "chat_title": "",
        "chat": "",
        **changes,
    }
    return Message(**settings)  # type: ignore[arg-type]


def mail(*, number: int = 0, ids: tuple[str, ...] = (), **changes: object) -> EmailMessage:
    raw = build(
        make_message(**changes),
        sender="triggerfish@example.com",
        to=("a@example.com", "b@example.com"),
        thread=THREAD,
        number=number,
        ids=ids,
    )
    return message_from_bytes(raw, EmailMessage, policy=email.policy.default)


def test_a_mail_has_text_html_and_data() -> None:
    made = mail()
    assert (made["From"], made["To"]) == (
        "Triggerfish <triggerfish@example.com>",
        "a@example.com, b@example.com",
    )
    assert made["Subject"] == "[high] Überraschung"
    plain, page = made.get_body(("plain",)), made.get_body(("html",))
    assert plain is not None
    assert page is not None
    assert plain.get_content().splitlines() == ["Klartext: ä"]
    assert page.get_content().splitlines() == ["<p>ä</p>"]
    (attached,) = made.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("notice.json", b'{"a": 1}')


def test_all_mails_of_a_matter_name_one_root_and_those_before() -> None:
    """SES puts its own Message-ID into each: the root is one that no mail has."""
    first, third = mail(), mail(number=2, ids=("<a@eu.amazonses.com>", "<b@eu.amazonses.com>"))
    root = f"<{THREAD}@example.com>"
    assert (first["Message-ID"], first["References"], first["In-Reply-To"]) == (
        f"<{THREAD}.0@example.com>",
        root,
        root,
    )
    assert third["Message-ID"] == f"<{THREAD}.2@example.com>"
    assert third["References"].split() == [root, "<a@eu.amazonses.com>", "<b@eu.amazonses.com>"]
    assert third["In-Reply-To"] == "<b@eu.amazonses.com>"


def test_nobody_answers_a_machine() -> None:
    assert mail()["Auto-Submitted"] == "auto-generated"


def test_severity_is_a_header_to_filter_by() -> None:
    assert (mail()["X-Triggerfish-Severity"], mail()["Importance"]) == ("high", "high")
    assert mail(severity="medium")["Importance"] is None
