"""Every mail that SES accepted in the local cloud, as a person would have received it."""

from __future__ import annotations

import base64
import email.policy
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.utils import getaddresses
from typing import TYPE_CHECKING, Any

from triggerfish.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One accepted mail. `at` is when SES took it, in UTC.

    Sender and recipients are bare addresses. `bcc` holds who got the mail and isn't named in it.
    """

    id: str
    at: datetime
    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    subject: str
    text: str
    html: str | None = None
    attachments: tuple[str, ...] = ()
    """Their file names."""


class Mailbox:
    """Reads the emulator at `url`."""

    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/_ministack/ses/messages"

    def read(self) -> tuple[Mail, ...]:
        """All mails, oldest first.

        Raises: Unavailable when the local cloud doesn't answer.
        """
        try:
            with urllib.request.urlopen(self._url, timeout=TIMEOUT_S) as response:
                told = json.load(response)
        except (urllib.error.URLError, TimeoutError, ValueError) as error:
            raise Unavailable(
                f"the local cloud's mailbox at {self._url} does not answer: {error}",
                hint="is `triggerfish up` running?",
            ) from error
        accounts: Mapping[str, list[dict[str, Any]]] = told["messages"]
        mails = [mail_from(message) for messages in accounts.values() for message in messages]
        return tuple(sorted(mails, key=lambda mail: mail.at))


def mail_from(message: Mapping[str, Any]) -> Mail:
    """A mail from what the emulator keeps of it: the raw message if it has one, else its fields."""
    at = datetime.fromtimestamp(float(message["Timestamp"]), tz=UTC)
    raw = message.get("Raw")
    if raw:
        return _from_raw(message, at, base64.b64decode(raw))
    return Mail(
        id=message["MessageId"],
        at=at,
        sender=_first(addresses([message.get("Source")])),
        to=addresses(message.get("To") or []),
        cc=addresses(message.get("CC") or []),
        bcc=addresses(message.get("BCC") or []),
        subject=message.get("Subject") or "",
        text=message.get("BodyText") or "",
        html=message.get("BodyHtml") or None,
    )


def _from_raw(message: Mapping[str, Any], at: datetime, raw: bytes) -> Mail:
    parsed = message_from_bytes(raw, EmailMessage, policy=email.policy.default)
    to, cc = _header(parsed, "To"), _header(parsed, "Cc")
    named = {*to, *cc}
    given = (*(message.get("Destinations") or ()), *(message.get("BCC") or ()))
    hidden = dict.fromkeys((*_header(parsed, "Bcc"), *addresses(given)))
    sender = _header(parsed, "From") or addresses([message.get("Source")])
    return Mail(
        id=message["MessageId"],
        at=at,
        sender=_first(sender),
        to=to,
        cc=cc,
        bcc=tuple(address for address in hidden if address not in named),
        subject=str(parsed.get("Subject", "")),
        text=_body(parsed, "plain") or "",
        html=_body(parsed, "html"),
        attachments=tuple(part.get_filename() or "" for part in parsed.iter_attachments()),
    )


def addresses(values: Iterable[object]) -> tuple[str, ...]:
    """The bare addresses in header values such as `Ops <ops@example.com>, b@example.com`."""
    texts = [str(value) for value in values if value]
    return tuple(address for _name, address in getaddresses(texts) if address)


def _header(message: EmailMessage, name: str) -> tuple[str, ...]:
    return addresses(message.get_all(name, []))


def _body(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body(preferencelist=(kind,))
    if part is None:
        return None
    content = part.get_content()
    return content if isinstance(content, str) else None


def _first(found: tuple[str, ...]) -> str:
    return found[0] if found else ""
