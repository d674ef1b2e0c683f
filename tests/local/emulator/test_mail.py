from __future__ import annotations

import base64
import json
import urllib.request
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from tests.local.emulator import kit
from triggerfish.local.mailbox import Mail, Mailbox

if TYPE_CHECKING:
    from tests.local.emulator.kit import Emulator

pytestmark = pytest.mark.cloud


@pytest.fixture
def sender(emulator: Emulator) -> str:
    address = f"{kit.name('ops')}@example.com"
    emulator.client("ses").verify_email_identity(EmailAddress=address)
    return address


def mime(sender: str, subject: str) -> bytes:
    message = EmailMessage()
    message["From"] = f"Ops <{sender}>"
    message["To"] = "Ann <a@example.com>"
    message["Cc"] = "c@example.com"
    message["Subject"] = subject
    message.set_content("text")
    message.add_alternative("<p>text</p>", subtype="html")
    message.add_attachment(b"x", maintype="text", subtype="csv", filename="members.csv")
    return message.as_bytes()


def mail_named(emulator: Emulator, subject: str) -> Mail:
    (found,) = [mail for mail in Mailbox(emulator.url).read() if mail.subject == subject]
    return found


@pytest.mark.parametrize("version", [1, 2])
def test_a_raw_mail_arrives_whole(emulator: Emulator, sender: str, version: int) -> None:
    subject = kit.name("subject")
    raw = mime(sender, subject)
    if version == 1:
        emulator.client("ses").send_raw_email(
            RawMessage={"Data": raw}, Destinations=["a@example.com", "hidden@example.com"]
        )
    else:
        emulator.client("sesv2").send_email(
            Content={"Raw": {"Data": raw}},
            Destination={"BccAddresses": ["hidden@example.com"]},
        )
    mail = mail_named(emulator, subject)
    assert (mail.sender, mail.to, mail.cc) == (sender, ("a@example.com",), ("c@example.com",))
    assert mail.bcc == ("hidden@example.com",)
    assert (mail.text, mail.html) == ("text\n", "<p>text</p>\n")
    assert mail.attachments == ("members.csv",)


@pytest.mark.parametrize("version", [1, 2])
def test_a_mail_with_fields_arrives(emulator: Emulator, sender: str, version: int) -> None:
    subject = kit.name("subject")
    content = {"Subject": {"Data": subject}, "Body": {"Text": {"Data": "t"}, "Html": {"Data": "h"}}}
    to = {"ToAddresses": ["a@example.com"]}
    if version == 1:
        emulator.client("ses").send_email(Source=sender, Destination=to, Message=content)
    else:
        emulator.client("sesv2").send_email(
            FromEmailAddress=sender, Destination=to, Content={"Simple": content}
        )
    mail = mail_named(emulator, subject)
    assert (mail.sender, mail.to, mail.subject) == (sender, ("a@example.com",), subject)
    assert (mail.text, mail.html) == ("t", "h")


def test_an_unverified_sender_is_refused(emulator: Emulator) -> None:
    raw = mime("stranger@example.net", "s")
    with pytest.raises(ClientError) as caught:
        emulator.client("ses").send_raw_email(RawMessage={"Data": raw})
    error = caught.value.response["Error"]
    assert error["Code"] == "MessageRejected"
    assert error["Message"].startswith("Email address is not verified.")


def test_the_raw_message_is_kept_byte_for_byte(emulator: Emulator, sender: str) -> None:
    raw = mime(sender, kit.name("subject"))
    sent = emulator.client("ses").send_raw_email(RawMessage={"Data": raw})
    with urllib.request.urlopen(f"{emulator.url}/_ministack/ses/messages", timeout=5) as answer:  # noqa: S310 loopback
        told = json.load(answer)["messages"]["123456789012"]
    (kept,) = [each["Raw"] for each in told if each["MessageId"] == sent["MessageId"]]
    assert base64.b64decode(kept) == raw
