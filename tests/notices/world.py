"""The notices function's outbox with a queue, channels and a clock, any of which can fail.

A run can be killed before and after each write, each send and each dead letter; from then on
nothing of that run reaches the world, as with a killed function. What wasn't acknowledged comes
again, as SQS has it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from triggerfish.durations import Duration
from triggerfish.errors import Error, Refused, Unavailable
from triggerfish.local.fakes.clock import ManualClock
from triggerfish.local.fakes.table import MemoryTable
from triggerfish.notice import Notice
from triggerfish.notices.config import Channel, Notices
from triggerfish.notices.deliver import Outbox
from triggerfish.notices.outbox import all_channels
from triggerfish.notices.store import NoticeStore
from triggerfish.runtime.notices import from_message, to_message
from triggerfish.secret_reference import SecretReference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.notices.deliver import Outgoing
    from triggerfish.runtime.attribute_values import Item
    from triggerfish.runtime.table import Write


class Killed(BaseException):
    """The function was killed here."""


def make_channel(name: str, **changes: object) -> Channel:
    settings: dict[str, object] = {
        "name": name,
        "url": SecretReference.parse(f"ssm:/shop/{name}"),
        **changes,
    }
    return Channel(**settings)  # type: ignore[arg-type]


def make_settings(**changes: object) -> Notices:
    settings: dict[str, object] = {
        "sender": "triggerfish@example.com",
        "to": ("ops@example.com",),
        "window": Duration(3600),
        **changes,
    }
    return Notices(**settings)  # type: ignore[arg-type]


def make_notice(**changes: object) -> Notice:
    settings: dict[str, object] = {
        "key": "audit/shop/failed-login",
        "severity": "high",
        "title": "A login to shop failed",
        "facts": (("User", "bob"), ("Address", "198.51.100.7")),
        **changes,
    }
    return Notice(**settings)  # type: ignore[arg-type]


@dataclass
class Sent:
    """A message that a channel took."""

    channel: str
    outgoing: Outgoing
    at_s: float

    @property
    def subject(self) -> str:
        return self.outgoing.message.subject

    @property
    def text(self) -> str:
        return self.outgoing.message.text


@dataclass
class ChannelSide:
    """A channel; `faults` are what its next attempts raise, `always` what all of them do."""

    world: World
    name: str
    faults: list[Error] = field(default_factory=list)
    always: Error | None = None

    def send(self, outgoing: Outgoing) -> str:
        self.world.step()
        if self.faults:
            raise self.faults.pop(0)
        if self.always is not None:
            raise self.always
        self.world.sent.append(Sent(self.name, outgoing, self.world.now_s))
        self.world.step()
        return f"<{len(self.world.sent)}@example.net>"


class KillableTable(MemoryTable):
    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def get(self, pk: str, sk: str) -> Item | None:
        self._world.step()
        return super().get(pk, sk)

    def query(self, pk: str, sk_prefix: str = "") -> list[Item]:
        self._world.step()
        return super().query(pk, sk_prefix)

    def before_write(self, writes: Sequence[Write]) -> None:
        self._world.step()

    def after_write(self, writes: Sequence[Write]) -> None:
        self._world.step()


class World:
    def __init__(self, settings: Notices | None = None) -> None:
        self.settings = settings or make_settings()
        self.clock = ManualClock()
        self.table = KillableTable(self)
        self.sent: list[Sent] = []
        self.dead: list[tuple[Notice, str]] = []
        self.queue: dict[str, tuple[str, float]] = {}
        """Message id to body and when it was sent: what wasn't acknowledged."""
        self.refused: list[str] = []
        self.steps = 0
        self.kill_at: int | None = None
        self.killed = False
        self.runs = 0
        self.again_s: int | None = None
        self.channels = {name: ChannelSide(self, name) for name in all_channels(self.settings)}
        self._messages = 0

    @property
    def now_s(self) -> float:
        return self.clock.now().timestamp()

    @property
    def store(self) -> NoticeStore:
        return NoticeStore(self.table, self.clock)

    def outbox(self) -> Outbox:
        return Outbox(
            settings=self.settings,
            stack="shop-local",
            store=self.store,
            table=self.table,
            clock=self.clock,
            channels=self.channels,
            dead_letter=self._bury,
        )

    def _bury(self, notice: Notice, reason: str) -> None:
        self.step()
        self.dead.append((notice, reason))
        self.step()

    def step(self) -> None:
        if self.killed:
            raise Killed
        self.steps += 1
        if self.kill_at is not None:
            self.kill_at -= 1
            if self.kill_at < 0:
                self.killed = True
                raise Killed

    # --- what happens

    def hand_over(self, *notices: Notice) -> None:
        for notice in notices:
            self._messages += 1
            self.queue[f"m-{self._messages}"] = (to_message(notice), self.now_s)

    def tell(self, *notices: Notice) -> None:
        self.hand_over(*notices)
        self.run()

    def run(self, *, kill_at: int | None = None) -> bool:
        """One invocation with all that is in the queue; False when it was killed on the way."""
        self.runs += 1
        self.kill_at, self.killed = kill_at, False
        try:
            self._invoke()
        except Killed:
            return False
        finally:
            self.kill_at, self.killed = None, False
        return True

    def _invoke(self) -> None:
        kept = []
        for message_id, (body, sent_s) in self.queue.items():
            try:
                self.store.keep(from_message(body), message_id, int(sent_s * 1000))
            except Refused as error:
                self.refused.append(str(error))
            kept.append(message_id)
        with suppress(Unavailable):
            self.again_s = self.outbox().run(f"run-{self.runs}", lambda: True)
        for message_id in kept:
            del self.queue[message_id]

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def settle(self, seconds: float = 7200, every: float = 60) -> None:
        """Let the schedule run for a while."""
        until = self.now_s + seconds
        while self.now_s < until:
            self.run()
            self.advance(every)

    # --- what is left

    def subjects(self, channel: str = "mail") -> list[str]:
        return [sent.subject for sent in self.sent if sent.channel == channel]

    def waiting(self) -> int:
        partitions = self.table._partitions
        return sum(
            sk.startswith(b"item#")
            for pk, items in partitions.items()
            if pk.startswith(b"notice#")
            for sk in items
        )

    def parcels(self) -> int:
        return len(self.store.parcels())
