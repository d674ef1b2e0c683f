"""What the fleet remembers beside moto's own resources. All of it is in every snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from triggerfish.local.fleet.throttle import DEFAULT_LIMITS, Limit
from triggerfish.local.fleet.timers import Timers

if TYPE_CHECKING:
    from triggerfish.local.fleet.messages import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """How long things take here, in seconds. AWS takes from seconds to minutes for each."""

    boot_s: float = 0.2
    shutdown_s: float = 0.2
    drain_s: float = 0.2
    health_s: float = 0.2
    standby_s: float = 0.2
    notice_s: float = 0.3
    """Until a group notices that EC2 lost one of its instances."""
    retry_s: float = 1.0
    """Until a group tries again after a launch failed."""
    remember_s: float = 3600.0
    """Terminated instances stay visible "usually less than one hour"."""


@dataclass(slots=True, kw_only=True)
class NotificationFaults:
    """How badly SNS behaves: `drop` is a probability, `shuffle_s` a window to mix messages in."""

    duplicate: int = 1
    shuffle_s: float = 0.0
    drop: float = 0.0
    delay_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class Failure:
    """The next `count` launches (or terminations) of a group fail, for `reason`."""

    count: int
    reason: str | None = None


@dataclass(slots=True, kw_only=True)
class Faults:
    describe_lag_s: float = 0.0
    """How long a new instance can't be seen in EC2: its APIs are eventually consistent."""
    launch: dict[str, Failure] = field(default_factory=dict)
    terminate: dict[str, Failure] = field(default_factory=dict)
    limits: dict[str, Limit] = field(default_factory=lambda: dict(DEFAULT_LIMITS))
    notifications: NotificationFaults = field(default_factory=NotificationFaults)


@dataclass(slots=True, kw_only=True)
class Undelivered:
    """A message on its way to SNS; it leaves once the snapshot `version` is on disk."""

    id: int
    message: Message
    not_before: float
    version: int
    created_at: float
    attempts: int = 0


@dataclass(slots=True, kw_only=True)
class FleetState:
    timers: Timers = field(default_factory=Timers)
    outbox: dict[int, Undelivered] = field(default_factory=dict)
    sequence: int = 0
    provisioned_at: dict[str, float] = field(default_factory=dict)
    last_launch: dict[str, tuple[Message, ...]] = field(default_factory=dict)
    """By group: the most recent LAUNCH, once for each topic, to be published again on request."""
    faults: Faults = field(default_factory=Faults)
    published: int = 0
