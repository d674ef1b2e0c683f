"""Jenkins as the planner sees it: our requests, wherever in Jenkins they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.provision.observation import JenkinsView, QueuedItem, SeenBuild

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from triggerfish.provision.builds import Build as JenkinsBuild
    from triggerfish.provision.builds import Snapshot
    from triggerfish.provision.jenkins import Jenkins
    from triggerfish.provision.members import Build

FIRST_DEPTH = 100
DEEPEST = 5_000
MARGIN_MS = 10 * 60 * 1000
"""Builds are read back to this long before the oldest request, whatever Jenkins' clock says."""

LOOKED_UP_ALONE = 100
"""At most this many requests a look are searched one by one; the rest wait for the next look."""

NOT_FOUND = "NOT_FOUND"
"""The result of a build that ran and that Jenkins has since thrown away."""


class JenkinsDoor:
    """`JenkinsPort` on the real client."""

    def __init__(self, jenkins: Jenkins) -> None:
        self._jenkins = jenkins

    def look(self, jobs: Sequence[str], builds: Sequence[Build]) -> JenkinsView:
        snapshot = self._deep_enough(jobs, builds)
        queue = {
            item.request_id: QueuedItem(item.id, item.why or "", item.cancelled)
            for item in snapshot.items
            if item.request_id is not None
        }
        seen = {
            build.request_id: _seen(build)
            for build in snapshot.builds
            if build.request_id is not None
        }
        missing = [b for b in builds if b.request_id not in queue and b.request_id not in seen]
        known = [build for build in missing if build.number or build.queue_id]
        for build in known[:LOOKED_UP_ALONE]:
            self._find(build, snapshot, queue, seen)
        return JenkinsView(
            queue=queue,
            builds=seen,
            complete_since_ms={
                job: _complete_since_ms(snapshot, job)
                for job in jobs
                if job not in snapshot.refused
            },
            unsearched=frozenset(build.request_id for build in known[LOOKED_UP_ALONE:]),
        )

    def trigger(self, job: str, parameters: Mapping[str, str]) -> int:
        return self._jenkins.trigger(job, parameters).queue_id

    def cancel(self, build: Build, *, queue_id: int | None, number: int | None) -> None:
        if number is not None:
            self._jenkins.stop(build.job, number)
        elif queue_id is not None and not self._jenkins.cancel(queue_id):
            item = self._jenkins.queue_item(queue_id)
            if item is not None and item.build is not None:
                self._jenkins.stop(build.job, item.build)

    def _deep_enough(self, jobs: Sequence[str], builds: Sequence[Build]) -> Snapshot:
        """A snapshot that reaches back to before the oldest request that is still open."""
        depth = FIRST_DEPTH + 2 * len(builds)
        oldest_ms = min((build.intended_ms for build in builds), default=None)
        while True:
            snapshot = self._jenkins.snapshot(jobs, depth)
            if oldest_ms is None or depth >= DEEPEST:
                return snapshot
            late = [
                job
                for job in snapshot.truncated
                if _complete_since_ms(snapshot, job) > oldest_ms - MARGIN_MS
            ]
            if not late:
                return snapshot
            depth *= 4

    def _find(
        self,
        build: Build,
        snapshot: Snapshot,
        queue: dict[str, QueuedItem],
        seen: dict[str, SeenBuild],
    ) -> None:
        """Look for one request that carries no REQUEST_ID any more, by number or queue id."""
        number = build.number
        if number is None and build.queue_id is not None:
            by_item = snapshot.build_of_item(build.job, build.queue_id)
            if by_item is not None and by_item.request_id is None:
                seen[build.request_id] = _seen(by_item)
                return
            item = snapshot.item(build.queue_id) or self._jenkins.queue_item(build.queue_id)
            if item is None or item.request_id not in {None, build.request_id}:
                return
            number = item.build
            if number is None:
                queue[build.request_id] = QueuedItem(item.id, item.why or "", item.cancelled)
                return
        if number is not None:
            found = self._jenkins.build(build.job, number)
            seen[build.request_id] = (
                _seen(found)
                if found is not None
                else SeenBuild(job=build.job, number=number, done=True, result=NOT_FOUND)
            )


def _seen(build: JenkinsBuild) -> SeenBuild:
    return SeenBuild(job=build.job, number=build.number, done=build.done, result=build.result)


def _complete_since_ms(snapshot: Snapshot, job: str) -> int:
    """The moment from which no build of the job is missing in the snapshot; 0: from its first.

    Jenkins throws old builds away, so a short list need not be the whole history: it is only when
    it holds build 1, or nothing at all.
    """
    builds = [build for build in snapshot.builds if build.job == job]
    if not builds:
        return 0
    oldest = min(builds, key=lambda build: build.number)
    if oldest.number == 1 and job not in snapshot.truncated:
        return 0
    return int(oldest.started_at.timestamp() * 1000)
