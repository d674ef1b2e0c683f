"""What notices need in AWS, and which calls they make there.

triggers --> queue --> function <-- every minute, and each Monday the canary
               ^---- wake-ups ---'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from triggerfish.blueprint import Blueprint, Call, Function, Queue, QueueSource, ScheduleSource
from triggerfish.codec import encode
from triggerfish.notices.config import NoticesSettings
from triggerfish.notices.ses import mail_calls
from triggerfish.runtime.dead_letters import dead_letter_calls
from triggerfish.runtime.event_bridge import schedule_input
from triggerfish.runtime.notices import CALLS as QUEUE_CALLS
from triggerfish.runtime.secrets import secret_calls
from triggerfish.runtime.table import CALLS as TABLE_CALLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from triggerfish.notices.config import Notices

MEMORY_MB = 256
TIMEOUT_S = 120
CANARY = "notices-canary"
OUTBOX = "notices-outbox"


class FunctionPart(Protocol):
    @property
    def memory(self) -> int | None: ...


class ConfigPart(Protocol):
    """The part of the config that this trigger reads."""

    @property
    def name(self) -> str: ...
    @property
    def functions(self) -> FunctionPart: ...
    @property
    def notices(self) -> Notices | None: ...


def blueprint(config: ConfigPart, stage: str) -> Blueprint:
    """The queue and the function that tells people; nothing where nobody is to be told."""
    if config.notices is None:
        return Blueprint()
    stack = f"{config.name}-{stage}"
    return Blueprint(
        functions=(_function(config, config.notices, stack, stage),),
        queues=(Queue(id="Notices", name=f"{stack}-notices", visibility_timeout_s=6 * TIMEOUT_S),),
        outputs=(("NoticesQueue", "${NoticesQueue}"),),
    )


def _function(config: ConfigPart, notices: Notices, stack: str, stage: str) -> Function:
    return Function(
        id="Notices",
        name=f"{stack}-notices",
        handler="triggerfish.notices.handler.handler",
        description="Tells people: the first notice of a matter at once, then digests.",
        memory_mb=config.functions.memory or MEMORY_MB,
        timeout_s=TIMEOUT_S,
        calls=tuple(_calls(notices)),
        # One message is sent at a time, so more than a few at once would only wait for each other.
        sources=(
            QueueSource(queue="Notices", batch_size=10, maximum_concurrency=4),
            *_schedules(notices),
        ),
        settings=encode(NoticesSettings(notices=notices)),
        requirements=("msgspec", "apprise") if notices.channels else ("msgspec",),
        environment=(
            ("TRIGGERFISH_STAGE", stage),
            ("TRIGGERFISH_STACK", stack),
            ("TRIGGERFISH_TABLE", "${StateTable}"),
            ("TRIGGERFISH_QUEUE_URL", "${NoticesQueue}"),
            ("TRIGGERFISH_DEAD_LETTER_QUEUE_URL", "${NoticesDeadLetterQueue}"),
        ),
        wakes_itself=True,
    )


def _schedules(notices: Notices) -> Iterator[ScheduleSource]:
    yield ScheduleSource(
        id="NoticesOutbox", expression="rate(1 minute)", input=schedule_input(OUTBOX)
    )
    if notices.canary:
        yield ScheduleSource(
            id="NoticesCanary",
            expression="cron(0 8 ? * MON *)",
            input=schedule_input(CANARY),
        )


def _calls(notices: Notices) -> Iterator[Call]:
    yield from TABLE_CALLS
    yield from QUEUE_CALLS
    yield from dead_letter_calls("Notices")
    if notices.sender is not None:
        yield from mail_calls(notices.sender, notices.to)
    for channel in notices.channels:
        yield from secret_calls(channel.url)
