"""What the keys of `[notices]` may be together. Read by `triggerfish.config.load` only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from triggerfish.faults import Fault, quoted
from triggerfish.notices.config import MAIL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from triggerfish.notices.config import Notices


class NoticesConfig(Protocol):
    @property
    def notices(self) -> Notices | None: ...


def notices_rules(config: NoticesConfig, _stage: str) -> Iterator[Iterable[Fault]]:
    notices = config.notices
    if notices is None:
        return
    yield _somebody_is_told(notices)
    yield _mail_is_whole(notices)
    yield _names_differ(notices)


RULES = (notices_rules,)


def _somebody_is_told(notices: Notices) -> Iterator[Fault]:
    if notices.sender is None and not notices.to and not notices.channels:
        yield Fault(("notices",), "no channel", "`sender` and `to`, or [[notices.channels]]")


def _mail_is_whole(notices: Notices) -> Iterator[Fault]:
    if notices.to and notices.sender is None:
        yield Fault(("notices", "sender"), "no such key", "the address that mail comes from")
    if notices.sender is not None and not notices.to:
        yield Fault(("notices", "to"), "no such key", "the addresses that get the mail")
    if len(notices.to) > 50:  # https://docs.aws.amazon.com/ses/latest/dg/quotas.html
        yield Fault(("notices", "to"), f"{len(notices.to)} addresses", "at most 50: SES's limit")


def _names_differ(notices: Notices) -> Iterator[Fault]:
    taken = {MAIL}
    for position, channel in enumerate(notices.channels):
        if channel.name in taken:
            path = ("notices", "channels", position, "name")
            yield Fault(path, quoted(channel.name), "a name that no other channel has")
        taken.add(channel.name)
