"""Mail through SES, version 2 of its API: a raw message, so that headers and parts are ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.blueprint import Call
from triggerfish.errors import Error, Refused
from triggerfish.notices.config import MAIL
from triggerfish.notices.mail import build
from triggerfish.runtime import log
from triggerfish.runtime.aws import calling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from types_boto3_sesv2 import SESV2Client

    from triggerfish.notices.deliver import Outgoing
    from triggerfish.types import Clock

LOOK_AGAIN_MS = 3_600_000
"""How long an address that isn't suppressed is taken not to be."""


def mail_calls(sender: str, to: Sequence[str]) -> Iterator[Call]:
    """Say which calls a mail takes, on the identities that SES may ask about, for this sender only.

    SES authorizes a raw message as `ses:SendRawEmail` also where SendEmail of version 2 is called.
    It asks about the most specific identity that it has verified, an address or its domain, and in
    an account where the recipients are identities too, as in its sandbox, about theirs.
    """
    parties = dict.fromkeys(
        identity for address in (sender, *to) for identity in (address, address.partition("@")[2])
    )
    only = (("StringEquals", "ses:FromAddress", (sender,)),)
    home = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity"
    for identity in parties:
        yield Call("ses:SendEmail", f"{home}/{identity}", only)
        yield Call("ses:SendRawEmail", f"{home}/{identity}", only)
    yield Call("ses:GetSuppressedDestination", "*")


class SesMail:
    """The channel `mail`."""

    name = MAIL

    def __init__(self, ses: SESV2Client, clock: Clock, *, sender: str, to: Sequence[str]) -> None:
        self._ses = ses
        self._clock = clock
        self._sender = sender
        self._to = tuple(to)
        self._fine_until_ms: dict[str, int] = {}

    def send(self, outgoing: Outgoing) -> str:
        """Send, and return the Message-ID that readers of the mail see. Raises Error."""
        to = [address for address in self._to if not self._suppressed(address)]
        if not to:
            raise Refused(
                f"every recipient is on SES's suppression list: {', '.join(self._to)}",
                hint="remove it with `aws sesv2 delete-suppressed-destination` once it is right",
            )
        raw = build(
            outgoing.message,
            sender=self._sender,
            to=to,
            thread=outgoing.thread,
            number=outgoing.number,
            ids=outgoing.mail_ids,
        )
        with calling("ses:SendEmail", f"mail to {', '.join(to)}"):
            answer = self._ses.send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": to},
                Content={"Raw": {"Data": raw}},
            )
        return self._header_of(answer["MessageId"])

    def _suppressed(self, address: str) -> bool:
        """SES takes a mail to a suppressed address and throws it away: that would be silence.

        What can't be looked up is not taken to be suppressed.
        https://docs.aws.amazon.com/ses/latest/dg/sending-email-suppression-list.html
        """
        now_ms = int(self._clock.now().timestamp() * 1000)
        if self._fine_until_ms.get(address, 0) > now_ms:
            return False
        found = False
        try:
            with calling("ses:GetSuppressedDestination", address):
                try:
                    self._ses.get_suppressed_destination(EmailAddress=address)
                    found = True
                except self._ses.exceptions.NotFoundException:
                    self._fine_until_ms[address] = now_ms + LOOK_AGAIN_MS
        except Error as error:
            log.warning("can't tell whether an address is suppressed", error=error)
            self._fine_until_ms[address] = now_ms + LOOK_AGAIN_MS
        if found:
            log.error("an address is on SES's suppression list: it gets no mail", address=address)
        return found

    def _header_of(self, message_id: str) -> str:
        """SES's Message-ID header; the domain is `email` in its first region."""
        if "@" in message_id:
            return f"<{message_id}>"
        region = self._ses.meta.region_name
        return f"<{message_id}@{'email' if region == 'us-east-1' else region}.amazonses.com>"
