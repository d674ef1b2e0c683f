"""Puts the parts of the notices function together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.notices.channels import AppriseChannel
from triggerfish.notices.config import MAIL
from triggerfish.notices.deliver import Outbox
from triggerfish.notices.ses import SesMail
from triggerfish.notices.store import NoticeStore
from triggerfish.runtime.notices import to_data
from triggerfish.runtime.secrets import Secrets

if TYPE_CHECKING:
    from triggerfish.notice import Notice
    from triggerfish.notices.config import Notices
    from triggerfish.notices.deliver import Channel
    from triggerfish.runtime.aws import Clients
    from triggerfish.runtime.dead_letters import DeadLetters
    from triggerfish.runtime.table import Table
    from triggerfish.types import Clock


def outbox(
    settings: Notices,
    stack: str,
    clients: Clients,
    table: Table,
    clock: Clock,
    *,
    dead_letters: DeadLetters,
) -> Outbox:
    def dead_letter(notice: Notice, reason: str) -> None:
        dead_letters.send_event(to_data(notice), reason)

    return Outbox(
        settings=settings,
        stack=stack,
        store=NoticeStore(table, clock),
        table=table,
        clock=clock,
        channels=channels(settings, clients, clock),
        dead_letter=dead_letter,
    )


def channels(settings: Notices, clients: Clients, clock: Clock) -> dict[str, Channel]:
    made: dict[str, Channel] = {}
    if settings.sender is not None:
        ses = clients.client("sesv2")
        made[MAIL] = SesMail(ses, clock, sender=settings.sender, to=settings.to)
    secrets = Secrets(clients, clock)
    for channel in settings.channels:
        made[channel.name] = AppriseChannel(channel, secrets)
    return made
