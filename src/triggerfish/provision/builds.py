"""Jenkins' queue and builds as values. Pure: `triggerfish.provision.jenkins` fetches them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote, urlsplit

import msgspec

REQUEST_ID = "REQUEST_ID"
"""The parameter that makes every request its own, so that a repeat finds the first."""

ITEM_TREE = "id,task[url],why,stuck,cancelled,executable[number],actions[parameters[name,value]]"
BUILD_TREE = "number,queueId,building,inProgress,result,timestamp,actions[parameters[name,value]]"
"""The fields the parsers below read, as Jenkins' `tree` filter."""

Json = Mapping[str, object]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Triggered(msgspec.Struct, frozen=True):
    queue_id: int
    merged: bool
    """An equal request was queued already; `queue_id` is that one's."""


class QueueItem(msgspec.Struct, frozen=True, kw_only=True):
    """A queue item. One that left has a build, or was cancelled, or (rarely) neither yet."""

    id: int
    job: str
    """Empty for what isn't the build of a job, such as a step of a pipeline."""
    request_id: str | None
    why: str | None = None
    stuck: bool = False
    cancelled: bool = False
    left: bool = False
    build: int | None = None


class Build(msgspec.Struct, frozen=True, kw_only=True):
    job: str
    number: int
    queue_id: int
    request_id: str | None
    building: bool
    in_progress: bool
    result: str | None
    """SUCCESS, UNSTABLE, FAILURE, NOT_BUILT or ABORTED. It can be set, and get worse, meanwhile."""
    started_at: datetime

    @property
    def done(self) -> bool:
        return not self.building and not self.in_progress and self.result is not None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The queue, and the newest builds read after it: what left the one is in the other.

    Where several builds carry one request id (a person pressed Rebuild), the newest is found.
    """

    items: tuple[QueueItem, ...] = ()
    builds: tuple[Build, ...] = ()
    truncated: frozenset[str] = frozenset()
    """Jobs with more builds than were read: a build that isn't found may still be there."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Jobs that could not be read, and why."""
    _items: dict[tuple[str, str], QueueItem] = field(init=False, repr=False, compare=False)
    _builds: dict[tuple[str, str], Build] = field(init=False, repr=False, compare=False)
    _by_queue_id: dict[tuple[str, int], Build] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        builds = sorted(self.builds, key=lambda build: build.number)
        requested = {(one.job, one.request_id): one for one in builds if one.request_id}
        queued = {(one.job, one.request_id): one for one in self.items if one.request_id}
        object.__setattr__(self, "_builds", requested)
        object.__setattr__(self, "_items", queued)
        object.__setattr__(self, "_by_queue_id", {(one.job, one.queue_id): one for one in builds})

    def item_for(self, job: str, request_id: str) -> QueueItem | None:
        return self._items.get((job, request_id))

    def build_for(self, job: str, request_id: str) -> Build | None:
        return self._builds.get((job, request_id))

    def item(self, queue_id: int) -> QueueItem | None:
        return next((item for item in self.items if item.id == queue_id), None)

    def build_of_item(self, job: str, queue_id: int) -> Build | None:
        """The build a queue item became.

        A Jenkins that crashed may give a queue id out again, so prefer `build_for`.
        """
        return self._by_queue_id.get((job, queue_id))


def queue_item_from(entry: Json) -> QueueItem:
    """Raises KeyError, TypeError or ValueError for what isn't a queue item."""
    executable = entry.get("executable")
    why = entry.get("why")
    return QueueItem(
        id=_integer(entry["id"]),
        job=job_of_url(str(mapping(entry["task"]).get("url", ""))),
        request_id=_request_id(entry),
        why=why if isinstance(why, str) else None,
        stuck=entry.get("stuck") is True,
        cancelled=entry.get("cancelled") is True,
        left=str(entry.get("_class", "")).endswith("$LeftItem"),
        build=_integer(mapping(executable)["number"]) if executable is not None else None,
    )


def build_from(job: str, entry: Json) -> Build:
    """Raises KeyError, TypeError or ValueError for what isn't a build."""
    result = entry.get("result")
    return Build(
        job=job,
        number=_integer(entry["number"]),
        queue_id=_integer(entry["queueId"]),
        request_id=_request_id(entry),
        building=entry.get("building") is True,
        in_progress=entry.get("inProgress") is True,
        result=result if isinstance(result, str) else None,
        started_at=_EPOCH + timedelta(milliseconds=_integer(entry["timestamp"])),
    )


def entries(document: Json, name: str) -> Iterator[Json]:
    """The objects in a list field; Jenkins puts empty ones where a plugin exports nothing."""
    found = document.get(name) or ()
    if not isinstance(found, list | tuple):
        raise TypeError(f"{name} is not a list")
    return (entry for entry in found if isinstance(entry, Mapping))


def job_of_url(url: str) -> str:
    """`http://any/prefix/job/infra/job/feature%252Fx/` is the job `infra/feature%2Fx`."""
    parts = [part for part in urlsplit(url).path.split("/") if part]
    if "job" not in parts:
        return ""
    parts = parts[parts.index("job") :]
    if len(parts) % 2 or any(part != "job" for part in parts[::2]):
        return ""
    return "/".join(unquote(part) for part in parts[1::2])


def _request_id(entry: Json) -> str | None:
    for action in entries(entry, "actions"):
        for parameter in entries(action, "parameters"):
            value = parameter.get("value")
            if parameter.get("name") == REQUEST_ID and isinstance(value, str) and value:
                return value
    return None


def mapping(value: object) -> Json:
    if not isinstance(value, Mapping):
        raise TypeError("not an object")
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not a whole number")
    return value
