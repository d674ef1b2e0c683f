from __future__ import annotations

import base64
import json
import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from triggerfish.errors import Unavailable
from triggerfish.local.mailbox import Mail, Mailbox

if TYPE_CHECKING:
    from collections.abc import Iterator


def make_message(**changes: Any) -> dict[str, Any]:
    """What the emulator tells of a mail sent with fields."""
    return {
        "MessageId": "m-1",
        "Source": "Triggerfish <ops@example.com>",
        "To": ["a@example.com"],
        "CC": [],
        "BCC": [],
        "Subject": "web-3 failed",
        "BodyText": "It failed.",
        "BodyHtml": "",
        "Timestamp": 1_764_000_000.5,
        "Type": "SendEmail",
        "Raw": "",
        "Destinations": [],
        **changes,
    }


def make_raw(**headers: str) -> str:
    message = EmailMessage()
    for name, value in {
        "From": "Ops Team <ops@example.com>",
        "To": "Ann <a@example.com>, b@example.com",
        "Subject": "Übersicht",
        **headers,
    }.items():
        message[name] = value
    message.set_content("Klartext: ä")
    message.add_alternative("<p>ä</p>", subtype="html")
    message.add_attachment(b"1,2", maintype="text", subtype="csv", filename="members.csv")
    return base64.b64encode(message.as_bytes()).decode()


@contextmanager
def told(answer: bytes) -> Iterator[Mailbox]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/_ministack/ses/messages" else 404)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Mailbox(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


def read(*messages: dict[str, Any]) -> tuple[Mail, ...]:
    with told(json.dumps({"messages": {"123456789012": messages}}).encode()) as mailbox:
        return mailbox.read()


def test_a_mail_sent_with_fields() -> None:
    message = make_message(CC=["c@example.com"], BCC=["d@example.com"], BodyHtml="<p>x</p>")
    assert read(message) == (
        Mail(
            id="m-1",
            at=datetime(2025, 11, 24, 16, 0, 0, 500_000, tzinfo=UTC),
            sender="ops@example.com",
            to=("a@example.com",),
            cc=("c@example.com",),
            bcc=("d@example.com",),
            subject="web-3 failed",
            text="It failed.",
            html="<p>x</p>",
        ),
    )


def test_a_raw_mail_is_read_from_its_own_headers() -> None:
    """The emulator tells neither sender nor recipients of it."""
    message = make_message(Source="", To=[], Subject="", BodyText="", Raw=make_raw())
    (mail,) = read(message)
    assert mail == Mail(
        id="m-1",
        at=datetime(2025, 11, 24, 16, 0, 0, 500_000, tzinfo=UTC),
        sender="ops@example.com",
        to=("a@example.com", "b@example.com"),
        subject="Übersicht",
        text="Klartext: ä\n",
        html="<p>ä</p>\n",
        attachments=("members.csv",),
    )


def test_a_recipient_that_no_header_names_is_a_hidden_one() -> None:
    message = make_message(
        Raw=make_raw(Cc="c@example.com"),
        Destinations=["a@example.com", "c@example.com", "hidden@example.com"],
    )
    (mail,) = read(message)
    assert mail.to == ("a@example.com", "b@example.com")
    assert mail.cc == ("c@example.com",)
    assert mail.bcc == ("hidden@example.com",)


def test_a_raw_mail_without_headers_is_still_a_mail() -> None:
    raw = base64.b64encode(b"\r\nonly a body\r\n").decode()
    (mail,) = read(make_message(Raw=raw, Source="ops@example.com"))
    assert (mail.sender, mail.to, mail.subject) == ("ops@example.com", (), "")
    assert mail.text.strip() == "only a body"


def test_a_mail_that_is_all_html_has_no_text() -> None:
    message = EmailMessage()
    message["From"] = "ops@example.com"
    message.set_content("<p>x</p>", subtype="html")
    raw = base64.b64encode(message.as_bytes()).decode()
    (mail,) = read(make_message(Raw=raw))
    assert (mail.text, mail.html) == ("", "<p>x</p>\n")


def test_a_mail_from_nobody_to_nobody() -> None:
    (mail,) = read(make_message(Source="", To=[]))
    assert (mail.sender, mail.to) == ("", ())


def test_mails_come_oldest_first() -> None:
    later, sooner = (
        make_message(MessageId="b", Timestamp=2),
        make_message(MessageId="a", Timestamp=1),
    )
    assert [mail.id for mail in read(later, sooner)] == ["a", "b"]


def test_no_mail_is_an_empty_mailbox() -> None:
    with told(b'{"messages": {}}') as mailbox:
        assert mailbox.read() == ()


def test_a_local_cloud_that_is_down_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(Unavailable, match="is `triggerfish up` running"):
        Mailbox(url).read()


def test_an_answer_that_is_no_mailbox_says_so() -> None:
    with told(b"hello") as mailbox, pytest.raises(Unavailable):
        mailbox.read()
