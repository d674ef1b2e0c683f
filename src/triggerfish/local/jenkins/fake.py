"""The client of `triggerfish.provision.jenkins` over a core in the same process.

The same contract test runs on it and on the real client against the stand-in.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from triggerfish.errors import Refused, Unavailable
from triggerfish.local.jenkins.exchange import VERSION
from triggerfish.local.jenkins.model import Rejected
from triggerfish.local.jenkins.pages import why
from triggerfish.provision.builds import REQUEST_ID, Build, QueueItem, Snapshot, Triggered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from triggerfish.local.jenkins import model
    from triggerfish.local.jenkins.core import Core


class FakeJenkins:
    """Lets the core's time pass to `now()` before each call."""

    def __init__(self, core: Core, now: Callable[[], float]) -> None:
        self.core = core
        self._now = now

    def trigger(
        self, job: str, parameters: Mapping[str, str], *, delay_s: int | None = 0
    ) -> Triggered:
        self._answering()
        known = self.core.jobs.get(job)
        if known is not None and known.parameters is None:
            raise Refused(f"trigger {job}: the job takes no parameters")
        try:
            triggered = self.core.trigger(job, parameters, delay_s=delay_s)
        except Rejected as rejected:
            if rejected.reason == "vetoed":
                raise Unavailable(f"trigger {job}: {rejected}") from rejected
            raise Refused(f"trigger {job}: {rejected}") from rejected
        lost = self.core.settings.lose_answers
        if lost:
            self.core.configure(lose_answers=lost - 1)
            raise Unavailable(f"trigger {job}: the connection broke")
        return Triggered(triggered.item.id, merged=triggered.merged)

    def snapshot(self, jobs: Sequence[str], builds_per_job: int) -> Snapshot:
        self._answering()
        known = [job for job in dict.fromkeys(jobs) if job in self.core.jobs]
        found = {job: self.core.builds(job)[:builds_per_job] for job in known}
        return Snapshot(
            items=tuple(self._item(item) for item in self._queued() if item.job in jobs),
            builds=tuple(_build(build) for builds in found.values() for build in builds),
            truncated=frozenset(job for job in known if len(found[job]) >= builds_per_job),
            refused={
                job: f"builds of {job}: no such job" for job in jobs if job not in self.core.jobs
            },
        )

    def build(self, job: str, number: int) -> Build | None:
        self._answering()
        build = self.core.build(job, number)
        return None if build is None else _build(build)

    def queue_item(self, queue_id: int) -> QueueItem | None:
        self._answering()
        item = self.core.item(queue_id)
        return None if item is None else self._item(item)

    def cancel(self, queue_id: int) -> bool:
        self._answering()
        try:
            return self.core.cancel(queue_id)
        except Rejected as rejected:
            raise Refused(f"cancel queue item {queue_id}: {rejected}") from rejected

    def stop(self, job: str, number: int) -> bool:
        self._answering()
        if self.core.settings.forbidding:
            raise Refused(f"stop build {number} of {job}: no permission to cancel")
        return self.core.stop(job, number)

    def parameter_names(self, job: str) -> tuple[str, ...]:
        self._answering()
        known = self.core.jobs.get(job)
        if known is None:
            raise Refused(f"parameters of {job}: no such job")
        return tuple(name for name, _ in known.parameters or ())

    def version(self) -> str:
        self._answering()
        return VERSION

    def _answering(self) -> None:
        self.core.advance(self._now())
        if self.core.settings.mode != "up":
            raise Unavailable(f"Jenkins is {self.core.settings.mode}")

    def _queued(self) -> list[model.Item]:
        return list(self.core.queue.values())[::-1]

    def _item(self, item: model.Item) -> QueueItem:
        return QueueItem(
            id=item.id,
            job=item.job,
            request_id=_request_id(item.parameters),
            why=why(self.core, item),
            cancelled=item.cancelled,
            left=item.state == "left",
            build=item.build,
        )


def _build(build: model.Build) -> Build:
    return Build(
        job=build.job,
        number=build.number,
        queue_id=build.queue_id,
        request_id=_request_id(build.parameters),
        building=build.building,
        in_progress=build.in_progress,
        result=build.result,
        started_at=datetime.fromtimestamp(round(build.started_at, 3), tz=UTC),
    )


def _request_id(parameters: model.Parameters) -> str | None:
    return dict(parameters).get(REQUEST_ID) or None
