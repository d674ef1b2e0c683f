"""One run over the outbox: finish what is on its way, decide what goes out now, send it, record it.

The order is what makes it safe. A parcel is written down, then sent, then what the channel answered
is written down, then its notices are deleted. A run that dies anywhere is continued by the next:
what was sent and not yet recorded is sent once more, and nothing is ever lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from triggerfish.errors import Error, Refused
from triggerfish.notice import rank
from triggerfish.notices.config import MAIL
from triggerfish.notices.digest import due_ms, remembered, summarise, thread_of, worst_of
from triggerfish.notices.message import Held, Message, bare, compose
from triggerfish.notices.outbox import (
    HOUR_MS,
    Candidate,
    after_failure,
    after_success,
    make_parcel,
    parts_for,
    plan,
    uncovered,
)
from triggerfish.notices.store import OUTBOX
from triggerfish.runtime import log
from triggerfish.runtime.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from triggerfish.notice import Notice
    from triggerfish.notices.config import Notices
    from triggerfish.notices.digest import Digest, Kept, Memory
    from triggerfish.notices.outbox import Parcel, Part
    from triggerfish.notices.store import Due, NoticeStore
    from triggerfish.runtime.table import Table
    from triggerfish.types import Clock


SOON_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message, and where it stands in its thread of mails."""

    message: Message
    thread: str
    number: int
    mail_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A matter that is due, with its notices that are in no message yet."""

    candidate: Candidate
    due: Due
    kept: tuple[Kept, ...]


class Channel(Protocol):
    def send(self, outgoing: Outgoing) -> str:
        """Send it and return what names it there. Raises Error."""


class DeadLetter(Protocol):
    def __call__(self, notice: Notice, reason: str, /) -> None:
        """Keep a notice that no channel took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    settings: Notices
    stack: str
    store: NoticeStore
    table: Table
    clock: Clock
    channels: Mapping[str, Channel]
    dead_letter: DeadLetter

    def run(self, name: str, may_go_on: Callable[[], bool]) -> int | None:
        """Send what is due; gives in how many seconds to look again, None where nothing waits.

        Where another run is at it, that run looks once more. Raises Unavailable.
        """
        lease = Lease(self.table, OUTBOX, name, self.clock)
        if not lease.take():
            log.info("another run sends, and will look again")
            return None
        try:
            while True:
                again_ms = self._pass(name, lease.keep, may_go_on)
                if lease.end():
                    break
                if not may_go_on():
                    lease.abandon()
                    return 0
        except BaseException:
            lease.abandon()
            raise
        if again_ms is None:
            return None
        return max(-(-(again_ms - self._now_ms()) // 1000), 0)

    def _pass(
        self, name: str, keep: Callable[[], None], may_go_on: Callable[[], bool]
    ) -> int | None:
        """Gives when to look again."""
        for parcel in self.store.parcels():
            if not may_go_on():
                return self._now_ms()
            self._advance(parcel, keep)
        ready, behind = self._ready(keep)
        now_ms = self._now_ms()
        decided = plan(
            [one.candidate for one in ready.values()],
            self.store.sent_ms(),
            self.settings.limit,
            now_ms,
        )
        for number, (group, waiting) in enumerate(decided.parcels):
            if not may_go_on():
                return self._now_ms()
            keep()
            parcel_id = f"{now_ms:015}.{name}.{number:04}"
            parcel = make_parcel(parcel_id, group, self.settings, waiting=waiting + behind)
            contents = {one.matter: ready[one.matter].kept for one in group}
            opened = self.store.open(parcel, contents, self.store.sent_ms())
            for one in group:
                # The message settles what is left of the matter when it is done.
                self.store.wait(ready[one.matter].due, due_ms=now_ms + HOUR_MS, count=one.count)
            self._advance(opened, keep)
        for one in decided.held:
            self.store.wait(
                ready[one.matter].due,
                due_ms=decided.held_until_ms,
                count=one.count,
                held_since_ms=one.held_since_ms or now_ms,
            )
        return self._next_ms()

    def _ready(self, keep: Callable[[], None]) -> tuple[dict[str, Ready], int]:
        """The matters that are due, and how many notices of others the limit holds back."""
        now_ms = self._now_ms()
        again_ms = _on_the_way(self.store.parcels())
        ready: dict[str, Ready] = {}
        behind = 0
        for due in self.store.due():
            if due.due_ms > now_ms:
                behind += due.count if due.held_since_ms else 0
                continue
            keep()
            matter = self.store.matter(due.matter)
            on_the_way = again_ms.get(due.matter, {})
            kept = matter.outside(on_the_way)
            if not kept and not on_the_way:
                self.store.settle(due)
                continue
            when_ms = self._when_ms(kept, matter.memory, on_the_way)
            if when_ms > now_ms:
                self.store.wait(due, due_ms=when_ms, count=len(matter.kept))
                continue
            ready[due.matter] = Ready(candidate=_candidate(due, kept, when_ms), due=due, kept=kept)
        return ready, behind

    def _when_ms(self, kept: Sequence[Kept], memory: Memory, on_the_way: Mapping[str, int]) -> int:
        """When these are due; behind a message on its way all wait but the critical ones."""
        if on_the_way and not any(one.notice.severity == "critical" for one in kept):
            return max(*on_the_way.values(), self._now_ms() + SOON_MS)
        return due_ms(kept, memory, self.settings.window.seconds * 1000)

    def _next_ms(self) -> int | None:
        parcels = [parcel.again_ms() for parcel in self.store.parcels()]
        return min([due.due_ms for due in self.store.due()] + parcels, default=None)

    # --- one parcel

    def _advance(self, parcel: Parcel, keep: Callable[[], None]) -> None:
        """Send to the channels that are open and due; finish the parcel when none is left open."""
        tried: set[str] = set()
        while waiting := [name for name in parcel.open if name not in tried]:
            name = waiting[0]
            tried.add(name)
            attempt = parcel.attempts.get(name)
            if attempt is None or attempt.again_ms <= self._now_ms():
                keep()
                parcel = self.store.save(self._send(parcel, name))
        if not parcel.open:
            keep()
            self._finish(parcel)

    def _send(self, parcel: Parcel, name: str) -> Parcel:
        digests = self._digests(parcel, parts_for(name, parcel, self.settings))
        if not digests:
            return after_success(parcel, name, "")  # told and deleted: a run died in between
        try:
            answer = self._channel(name).send(self._outgoing(parcel, digests))
        except Error as error:
            refused = isinstance(error, Refused)
            return self._failed(parcel, name, error, error.message, refused=refused)
        except Exception as error:  # noqa: BLE001 - the next channel must get it, whatever it is
            reason = f"an error nobody foresaw, {type(error).__name__}"
            return self._failed(parcel, name, error, reason, refused=True)
        log.info(
            "told",
            channel=name,
            keys=[digest.key for digest in digests],
            severity=worst_of(digest.severity for digest in digests),
            notices=sum(digest.count for digest in digests),
        )
        return after_success(parcel, name, answer)

    def _channel(self, name: str) -> Channel:
        if name not in self.channels:
            raise Refused(f"the config has no channel {name} any more")
        return self.channels[name]

    def _failed(
        self, parcel: Parcel, name: str, error: Exception, reason: str, *, refused: bool
    ) -> Parcel:
        log.warning("a channel did not take a message", channel=name, error=error)
        now_ms = self._now_ms()
        return after_failure(parcel, name, reason, self.settings, now_ms=now_ms, refused=refused)

    def _outgoing(self, parcel: Parcel, digests: Sequence[Digest]) -> Outgoing:
        since = datetime.fromtimestamp(parcel.held_since_ms / 1000, UTC)
        held = Held(
            limit=self.settings.limit,
            notices=parcel.held,
            since=since if parcel.held_since_ms else None,
            waiting=parcel.waiting,
        )
        message = self._composed(digests, held, parcel.failed)
        if len(digests) > 1:
            return Outgoing(
                message=message, thread=thread_of(parcel.id, None), number=0, mail_ids=()
            )
        (digest,) = digests
        return Outgoing(
            message=message, thread=digest.thread, number=digest.mails, mail_ids=digest.mail_ids
        )

    def _composed(self, digests: Sequence[Digest], held: Held, failed: dict[str, str]) -> Message:
        try:
            return compose(digests, stack=self.stack, held=held, failed=failed)
        except Exception as error:  # noqa: BLE001 - no value, whatever it is, may stop an alert
            log.error("a message could not be composed; a bare one is sent", error=error)
            return bare(digests, stack=self.stack)

    def _digests(self, parcel: Parcel, parts: Sequence[Part]) -> list[Digest]:
        digests = []
        for part in parts:
            matter = self.store.matter(part.matter)
            kept = matter.inside(parcel.id)
            if kept:
                digests.append(summarise(kept, matter.memory))
        return digests

    def _finish(self, parcel: Parcel) -> None:
        """Remember what was told, keep as dead letters what no channel took, delete both."""
        untold = {part.matter for part in uncovered(parcel, self.settings)}
        for part in parcel.parts:
            matter = self.store.matter(part.matter)
            kept = matter.inside(parcel.id)
            if part.matter in untold:
                reasons = "; ".join(f"{name}: {why}" for name, why in parcel.failed.items())
                for one in kept:
                    self.dead_letter(one.notice, reasons)
            elif kept and matter.memory.parcel != parcel.id:
                self.store.remember(part.matter, self._memory(parcel, kept, matter.memory))
            self.store.drop(part.matter, kept, unsee=part.matter in untold)
            self._settle(part)
        self.store.close(parcel)

    def _memory(self, parcel: Parcel, kept: Sequence[Kept], before: Memory) -> Memory:
        digest = summarise(kept, before)
        notices = [one.notice for one in kept]
        memory = remembered(before, digest, notices, told_ms=self._now_ms(), parcel=parcel.id)
        if len(parcel.parts) > 1:
            return replace(memory, mails=digest.mails)  # that mail is in no thread of the matter's
        mail_id = parcel.sent.get(MAIL, "")
        ids = [*memory.mail_ids[:1], mail_id] if mail_id else list(memory.mail_ids)
        subject = self._composed([digest], Held(limit=0), {}).subject
        return replace(
            memory,
            mail_ids=tuple(dict.fromkeys(ids)),
            subject=subject.removeprefix("Re: "),
        )

    def _settle(self, part: Part) -> None:
        due = self.store.waiting(part.matter)
        if due is None:
            return
        left = len(self.store.matter(part.matter).kept)
        if left:
            self.store.wait(due, due_ms=0, count=left)
        else:
            self.store.settle(due)

    def _now_ms(self) -> int:
        return int(self.clock.now().timestamp() * 1000)


def _on_the_way(parcels: Sequence[Parcel]) -> dict[str, dict[str, int]]:
    """For each matter the messages it is in, and when they are tried next."""
    found: dict[str, dict[str, int]] = {}
    for parcel in parcels:
        for part in parcel.parts:
            found.setdefault(part.matter, {})[parcel.id] = parcel.again_ms()
    return found


def _candidate(due: Due, kept: Sequence[Kept], when_ms: int) -> Candidate:
    worst = max((one.notice for one in kept), key=lambda notice: rank(notice.severity))
    return Candidate(
        matter=due.matter,
        count=len(kept),
        severity=worst.severity,
        trigger=worst.source,
        due_ms=when_ms,
        held_since_ms=due.held_since_ms,
    )
