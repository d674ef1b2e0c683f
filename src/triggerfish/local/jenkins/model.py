"""What Jenkins remembers: jobs, queue items, builds. Frozen, so that a change is a new value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LEFT_ITEMS_KEPT_S = 300.0
"""hudson.model.Queue.leftItems: a cache with expireAfterWrite of 5 minutes."""

QUIET_PERIOD_S = 5.0

Parameters = tuple[tuple[str, str], ...]
"""Pairs of name and value, in the order the job declares them."""

Result = Literal["SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED"]
State = Literal["waiting", "blocked", "buildable", "pending", "left"]
Mode = Literal["up", "loading", "restarting", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job. `parameters` are declared names with their defaults; None is "not parameterized"."""

    name: str
    parameters: Parameters | None = ()
    duration_s: float = 0.4
    finishing_s: float = 0.0
    """How long the build stays `inProgress` with its result after `building` is false."""
    quiet_period_s: float | None = None
    concurrent: bool = True
    disabled: bool = False
    on_success: str | None = None
    """A URL told of every build that succeeds, until it answers 2xx."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A queue item, from the request to five minutes after it left."""

    id: int
    job: str
    parameters: Parameters
    state: State
    since: float
    due_at: float
    """End of the quiet period; for a pending item, when its executor takes it."""
    buildable_since: float | None = None
    cancelled: bool = False
    left_at: float | None = None
    build: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    job: str
    number: int
    queue_id: int
    parameters: Parameters
    started_at: float
    ends_at: float | None
    """When it ends by itself; None for a build that hangs until it is stopped."""
    outcome: Result
    finishing_s: float
    result: Result | None = None
    building: bool = True
    in_progress: bool = True
    ended_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the next `count` builds that match will do instead of succeeding."""

    result: Result = "FAILURE"
    hang: bool = False
    job: str | None = None
    parameters: Parameters = ()
    """Every pair has to be among the build's parameters."""
    count: int = 1
    duration_s: float | None = None

    def matches(self, job: str, parameters: Parameters) -> bool:
        return self.job in {None, job} and set(self.parameters) <= set(parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A successful build that somebody still has to be told of."""

    url: str
    job: str
    build: int
    parameters: Parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is wrong with Jenkins now, and the counters that outlive a restart."""

    mode: Mode = "up"
    until: float | None = None
    """When `restarting` or `loading` ends by itself."""
    forget_queue: bool = False
    """Whether the restart that is under way forgets the queue."""
    refusing: bool = False
    """A QueueDecisionHandler vetoes everything."""
    quieting_down: bool = False
    forbidding: bool = False
    """The user lacks Job/Build and Job/Cancel."""
    lose_answers: int = 0
    """How many triggers are carried out without the answer reaching the caller."""
    next_item: int = 1
    outcomes: tuple[Outcome, ...] = ()


Key = tuple[Literal["job", "item", "build", "notification", "settings"], str, int]
"""What changed: the kind, a job's name, and a number."""

Reason = Literal["absent", "disabled", "not-parameterized", "vetoed", "forbidden"]


class Rejected(Exception):
    """Jenkins does not queue the build, and why."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class Triggered:
    item: Item
    merged: bool
