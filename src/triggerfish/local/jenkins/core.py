"""The queue and the builds of Jenkins as a state machine with an explicit clock. No IO.

    trigger -> waiting --+--> blocked
                         |       |
                         +--> buildable --> pending --> left (executable or cancelled)

Source: hudson.model.Queue and ParametersAction.shouldSchedule, jenkinsci/jenkins, 2026.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from typing import TYPE_CHECKING

from triggerfish.local.jenkins.model import (
    LEFT_ITEMS_KEPT_S,
    QUIET_PERIOD_S,
    Build,
    Item,
    Job,
    Key,
    Mode,
    Notification,
    Outcome,
    Parameters,
    Rejected,
    Settings,
    Triggered,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BuildKey = tuple[str, int]


class Core:
    """One Jenkins. Every method that acts does so at `now`, which `advance` moves.

    `changes` collects what a shell has to store; a user of the core alone may ignore it.
    """

    def __init__(
        self,
        *,
        executors: int = 8,
        quiet_period_s: float = QUIET_PERIOD_S,
        handoff_s: float = 0.0,
        now: float = 0.0,
    ) -> None:
        self.executors = executors
        self.quiet_period_s = quiet_period_s
        self.handoff_s = handoff_s
        self.now = now
        self.settings = Settings()
        self.jobs: dict[str, Job] = {}
        self.queue: dict[int, Item] = {}
        """Items that have not left, oldest first."""
        self.left: dict[int, Item] = {}
        self.running: dict[BuildKey, Build] = {}
        self.outbox: dict[BuildKey, Notification] = {}
        self.changes: set[Key] = set()
        self._builds: dict[str, dict[int, Build]] = {}
        self._times: list[float] = []
        self._moved = False

    # --- what an owner sets up ---------------------------------------------------------------

    def put_job(self, job: Job) -> None:
        self.jobs[job.name] = job
        self._builds.setdefault(job.name, {})
        self.changes.add(("job", job.name, 0))

    def delete_job(self, name: str) -> None:
        """Delete the job with its builds; its queue items are cancelled, as in Jenkins."""
        for item in [item for item in self.queue.values() if item.job == name]:
            self.cancel(item.id)
        for number in self._builds.pop(name, {}):
            self.running.pop((name, number), None)
            self.changes.add(("build", name, number))
        self.jobs.pop(name, None)
        self.changes.add(("job", name, 0))

    def configure(self, **changes: object) -> None:
        """Change fields of `settings`: what is refused, forbidden or lost from now on."""
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]
        self.changes.add(("settings", "", 0))

    def decide(self, outcome: Outcome) -> None:
        """Make the next builds that match end otherwise than in success."""
        self.configure(outcomes=(*self.settings.outcomes, outcome))

    def load(
        self,
        *,
        settings: Settings,
        jobs: Iterable[Job],
        items: Iterable[Item],
        builds: Iterable[Build],
        notifications: Iterable[Notification],
    ) -> None:
        """Take up stored state. The caller then calls `restart`, which is what has happened."""
        self.settings = settings
        self.jobs = {job.name: job for job in jobs}
        self._builds = {name: {} for name in self.jobs}
        for item in sorted(items, key=lambda item: item.id):
            (self.left if item.state == "left" else self.queue)[item.id] = item
            self._wake_at(item.due_at)
        for build in sorted(builds, key=lambda build: build.number):
            self._builds.setdefault(build.job, {})[build.number] = build
            if build.in_progress:
                self.running[build.job, build.number] = build
                self._wake_for(build)
        self.outbox = {(one.job, one.build): one for one in notifications}

    # --- what a caller asks ------------------------------------------------------------------

    def trigger(
        self, job: str, parameters: Mapping[str, str], *, delay_s: float | None = None
    ) -> Triggered:
        """Queue a build, or find the equal item that is queued already.

        Undeclared parameters are dropped, missing ones take their default.
        An equal item is one of the same job with the same set of parameters that waits, is blocked
        or is buildable; pending items and running builds are not compared.
        """
        known = self._accepting(job)
        values = tuple(
            (name, parameters.get(name, value)) for name, value in known.parameters or ()
        )
        wait_s = delay_s if delay_s is not None else known.quiet_period_s
        due_at = self.now + (self.quiet_period_s if wait_s is None else wait_s)
        equal = self._equal_item(job, values)
        if equal is not None:
            if equal.state == "waiting" and due_at < equal.due_at:
                self._put(replace(equal, due_at=due_at))
        else:
            item = Item(
                id=self.settings.next_item,
                job=job,
                parameters=values,
                state="waiting",
                since=self.now,
                due_at=due_at,
            )
            self.configure(next_item=item.id + 1)
            self._put(item)
        number = equal.id if equal else self.settings.next_item - 1
        self._step()
        return Triggered(self.queue.get(number) or self.left[number], merged=equal is not None)

    def item(self, number: int) -> Item | None:
        return self.queue.get(number) or self.left.get(number)

    def builds(self, job: str | None = None) -> list[Build]:
        """The builds of one job, or all of them, newest first."""
        names = [job] if job is not None else list(self._builds)
        found = [build for name in names for build in self._builds.get(name, {}).values()]
        return sorted(found, key=lambda build: (build.started_at, build.number), reverse=True)

    def build(self, job: str, number: int) -> Build | None:
        return self._builds.get(job, {}).get(number)

    def cancel(self, number: int) -> bool:
        """Cancel a queue item. False when it has left or never was."""
        item = self.queue.get(number)
        if item is None:
            return False
        if self.settings.forbidding:
            raise Rejected("forbidden", "no permission to cancel")
        self._leave(replace(item, cancelled=True))
        self._step()
        return True

    def stop(self, job: str, number: int) -> bool:
        """Stop a build if it is running. False when there is no such build."""
        build = self.build(job, number)
        if build is None:
            return False
        if build.building:
            self._keep(replace(build, ends_at=self.now, outcome="ABORTED"))
            self._step()
        return True

    def delivered(self, job: str, number: int) -> None:
        """Whoever `on_success` names has been told of the build."""
        if self.outbox.pop((job, number), None) is not None:
            self.changes.add(("notification", job, number))

    # --- time and calamity -------------------------------------------------------------------

    def next_event_at(self) -> float | None:
        """When `advance` next has something to do; None while nothing is under way."""
        if self.settings.mode != "up":
            return self.settings.until
        return self._times[0] if self._times else None

    def advance(self, now: float) -> None:
        """Let time pass until `now`, in order: an executor freed on the way is used on the way."""
        while (at := self.next_event_at()) is not None and at <= now:
            self.now = max(self.now, at)
            if self.settings.mode == "up":
                self._step()
            else:
                self.restart(forget_queue=self.settings.forget_queue)
        self.now = max(self.now, now)
        self._step()

    def enter(self, mode: Mode, *, until: float | None = None, forget_queue: bool = False) -> None:
        """Go down, restart or come back. Nothing proceeds while the mode is not "up"."""
        if mode == "up":
            self.restart(forget_queue=forget_queue or self.settings.forget_queue)
        else:
            self.configure(mode=mode, until=until, forget_queue=forget_queue)

    def restart(self, *, forget_queue: bool = False, reuse_ids: bool = False) -> None:
        """What a restart does: running builds go on, items that left are not known any more.

        `forget_queue` is a crash inside the 60 s for which the queue is not yet on disk.
        The counter of queue ids is saved with the queue, so such a crash may also turn it back:
        `reuse_ids` gives the ids of forgotten items to the next ones.
        """
        for number in list(self.left):
            self._forget(number)
        forgotten = list(self.queue) if forget_queue else []
        for number in forgotten:
            self._forget(number)
        for item in list(self.queue.values()):
            if item.state == "pending":
                self._put(replace(item, state="buildable"))
        next_item = self.settings.next_item
        self.configure(
            mode="up",
            until=None,
            forget_queue=False,
            quieting_down=False,
            next_item=min(forgotten, default=next_item) if reuse_ids else next_item,
        )
        self._step()

    def reset(self, *, jobs: bool = False) -> None:
        """Forget every item, build and fault, and with `jobs` the jobs too."""
        for number in [*self.queue, *self.left]:
            self._forget(number)
        for build in self.builds():
            self.changes.add(("build", build.job, build.number))
        for job, number in list(self.outbox):
            self.delivered(job, number)
        self._builds = {name: {} for name in self.jobs}
        self.running.clear()
        self._times.clear()
        if jobs:
            for name in list(self.jobs):
                self.delete_job(name)
        self.settings = Settings()
        self.changes.add(("settings", "", 0))

    # --- the machine -------------------------------------------------------------------------

    def _accepting(self, name: str) -> Job:
        job = self.jobs.get(name)
        if job is None:
            raise Rejected("absent", f"No such job: {name}")
        if self.settings.forbidding:
            raise Rejected("forbidden", "is missing the Job/Build permission")
        if job.disabled:
            raise Rejected("disabled", f"{name} is not buildable")
        if self.settings.refusing:
            raise Rejected("vetoed", f"{name} was not queued")
        return job

    def _equal_item(self, job: str, parameters: Parameters) -> Item | None:
        wanted = frozenset(parameters)
        for item in self.queue.values():
            if item.job == job and item.state != "pending" and wanted == set(item.parameters):
                return item
        return None

    def _step(self) -> None:
        """Do all that is due at `now`, and what that makes possible."""
        if self.settings.mode != "up":
            return
        self._moved = True
        while self._moved:
            self._moved = False
            self._pass()
        while self._times and self._times[0] <= self.now:
            heapq.heappop(self._times)

    def _pass(self) -> None:
        for build in list(self.running.values()):
            self._finish(build)
        for item in list(self.queue.values()):
            if item.state in {"waiting", "blocked"}:
                self._release(item)
        if not self.settings.quieting_down:
            self._hand_out_executors()
        for item in list(self.queue.values()):
            if item.state == "pending" and item.due_at <= self.now:
                self._start(item)
        for item in list(self.left.values()):
            if item.left_at is not None and item.left_at + LEFT_ITEMS_KEPT_S <= self.now:
                self._forget(item.id)

    def _hand_out_executors(self) -> None:
        free = self.executors - sum(build.building for build in self.running.values())
        free -= sum(item.state == "pending" for item in self.queue.values())
        buildable = [item for item in self.queue.values() if item.state == "buildable"]
        for item in buildable[: max(0, free)]:
            self._put(replace(item, state="pending", due_at=self.now + self.handoff_s))

    def _release(self, item: Item) -> None:
        if item.due_at > self.now or item.job not in self.jobs:
            return
        if self._is_blocked(item):
            if item.state == "waiting":
                self._put(replace(item, state="blocked"))
            return
        self._put(replace(item, state="buildable", buildable_since=self.now))

    def _is_blocked(self, item: Item) -> bool:
        if self.jobs[item.job].concurrent:
            return False
        running = any(job == item.job for job, _ in self.running)
        return running or any(
            other.job == item.job and other.state in {"buildable", "pending"}
            for other in self.queue.values()
        )

    def _start(self, item: Item) -> None:
        job = self.jobs[item.job]
        outcome = self._take_outcome(item) or Outcome(result="SUCCESS")
        duration_s = job.duration_s if outcome.duration_s is None else outcome.duration_s
        number = max(self._builds[job.name], default=0) + 1
        build = Build(
            job=job.name,
            number=number,
            queue_id=item.id,
            parameters=item.parameters,
            started_at=self.now,
            ends_at=None if outcome.hang else self.now + duration_s,
            outcome=outcome.result,
            finishing_s=job.finishing_s,
        )
        self._keep(build)
        self._leave(replace(item, build=number))
        self._finish(build)

    def _take_outcome(self, item: Item) -> Outcome | None:
        outcomes = list(self.settings.outcomes)
        for place, outcome in enumerate(outcomes):
            if outcome.matches(item.job, item.parameters):
                if outcome.count > 1:
                    outcomes[place] = replace(outcome, count=outcome.count - 1)
                else:
                    del outcomes[place]
                self.configure(outcomes=tuple(outcomes))
                return outcome
        return None

    def _finish(self, build: Build) -> None:
        if build.ends_at is None or build.ends_at > self.now:
            return
        over = build.ends_at + build.finishing_s <= self.now
        if not build.building and not over:
            return
        ended = replace(
            build,
            result=build.outcome,
            building=False,
            in_progress=not over,
            ended_at=build.ends_at,
        )
        self._keep(ended)
        url = self.jobs[build.job].on_success
        if over and ended.result == "SUCCESS" and url is not None:
            self.outbox[build.job, build.number] = Notification(
                url=url, job=build.job, build=build.number, parameters=build.parameters
            )
            self.changes.add(("notification", build.job, build.number))

    def _put(self, item: Item) -> Item:
        self.queue[item.id] = item
        self._moved = True
        self.changes.add(("item", "", item.id))
        if item.due_at > self.now:
            self._wake_at(item.due_at)
        return item

    def _leave(self, item: Item) -> None:
        del self.queue[item.id]
        self.left[item.id] = replace(item, state="left", left_at=self.now)
        self.changes.add(("item", "", item.id))
        self._wake_at(self.now + LEFT_ITEMS_KEPT_S)

    def _forget(self, number: int) -> None:
        self.queue.pop(number, None)
        self.left.pop(number, None)
        self.changes.add(("item", "", number))

    def _keep(self, build: Build) -> None:
        key = (build.job, build.number)
        self._builds[build.job][build.number] = build
        self._moved = True
        if build.in_progress:
            self.running[key] = build
            self._wake_for(build)
        else:
            self.running.pop(key, None)
        self.changes.add(("build", build.job, build.number))

    def _wake_for(self, build: Build) -> None:
        if build.ends_at is not None:
            self._wake_at(build.ends_at)
            self._wake_at(build.ends_at + build.finishing_s)

    def _wake_at(self, at: float) -> None:
        heapq.heappush(self._times, at)
