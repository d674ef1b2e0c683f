"""A message as the bytes of a mail. Pure but for the standard library's mail classes.

Headers hold what the config says, what `escaping.in_header` let through, and digests of keys.
"""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.notices.message import Message

ATTACHMENT = "notice.json"
NAME = "Triggerfish"

_PRIORITY = {"critical": "high", "high": "high", "low": "low", "info": "low"}


def build(
    message: Message,
    *,
    sender: str,
    to: Sequence[str],
    thread: str,
    number: int,
    ids: Sequence[str],
) -> bytes:
    """The mail, number `number` (from 0) of its thread, whose mails so far include `ids`.

    The root of the thread is an id that no mail has: SES puts its own Message-ID into every mail.
    All name the root first in References, so mail readers thread them whichever of them they have.
    https://docs.aws.amazon.com/ses/latest/dg/header-fields.html
    """
    domain = sender.rpartition("@")[2]
    root = f"<{thread}@{domain}>"
    mail = EmailMessage(policy=SMTP.clone(max_line_length=78, cte_type="7bit"))
    mail["From"] = f"{NAME} <{sender}>"
    mail["To"] = ", ".join(to)
    mail["Subject"] = message.subject
    mail["Message-ID"] = f"<{thread}.{number}@{domain}>"
    mail["References"] = " ".join([root, *ids])
    mail["In-Reply-To"] = ids[-1] if ids else root
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["X-Triggerfish-Severity"] = message.severity
    if message.severity in _PRIORITY:
        mail["Importance"] = _PRIORITY[message.severity]
    mail.set_content(message.text, cte="quoted-printable")
    mail.add_alternative(message.html, subtype="html", cte="quoted-printable")
    mail.add_attachment(message.data, maintype="application", subtype="json", filename=ATTACHMENT)
    return mail.as_bytes()
