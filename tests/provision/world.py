"""A small AWS with a Jenkins, in one process and on one clock, that can be late, down or forgetful.

It drives the trigger's own code (`reconcile`) through the same ports as production. A run can be
killed at any of its calls, before or after the call took effect; from then on nothing of that run
reaches the world, as with a killed function.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from triggerfish.durations import Duration
from triggerfish.errors import Refused, Unavailable
from triggerfish.local.fakes.clock import ManualClock
from triggerfish.local.fakes.table import MemoryTable
from triggerfish.local.jenkins.core import Core
from triggerfish.local.jenkins.model import Job, Rejected
from triggerfish.provision.config import ProvisionGroup
from triggerfish.provision.observation import (
    GroupView,
    HookView,
    JenkinsView,
    Listed,
    Machine,
    QueuedItem,
    SeenBuild,
)
from triggerfish.provision.ports import Ports, RecordChange
from triggerfish.provision.reconcile import reconcile
from triggerfish.provision.store import GroupStore
from triggerfish.runtime.pace import TokenBucket
from triggerfish.templates import Template

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from triggerfish.notice import Notice
    from triggerfish.provision.members import Build, GroupState, Member
    from triggerfish.runtime.table import Item, Write

ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")


class Killed(BaseException):
    """The function was killed here."""


def make_group(**changes: object) -> ProvisionGroup:
    settings: dict[str, object] = {
        "group": "web",
        "name": Template("web-{number:02}"),
        "domain": Template("web-{number:02}.internal.example.com"),
        "zone": "internal.example.com",
        "jenkins": "main",
        "jobs": ("infra/provision", "app/deploy"),
        **changes,
    }
    return ProvisionGroup(**settings)  # type: ignore[arg-type]


@dataclass
class Server:
    """An instance as it really is. `visible_s` is when EC2 begins to show it."""

    instance: str
    zone: str
    address: str
    launched_s: float
    visible_s: float
    state: str = "running"
    lifecycle: str | None = "InService"
    healthy: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    ends_s: float = 0.0
    """When a server that shuts down has terminated."""

    @property
    def alive(self) -> bool:
        return self.state not in {"shutting-down", "terminated"}


class KillableTable(MemoryTable):
    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def get(self, pk: str, sk: str) -> Item | None:
        self._world.step()
        return super().get(pk, sk)

    def before_write(self, writes: Sequence[Write]) -> None:
        self._world.step()

    def after_write(self, writes: Sequence[Write]) -> None:
        self._world.step()


class World:
    """Everything outside of the trigger, and the queue that wakes it."""

    def __init__(self, group: ProvisionGroup | None = None, *, target_groups: int = 1) -> None:
        self.group = group or make_group()
        self.clock = ManualClock()
        self.start_s = self.clock.now().timestamp()
        self.table = KillableTable(self)
        self.servers: dict[str, Server] = {}
        self.desired = 0
        self.target_groups = tuple(f"target-group-{n}" for n in range(target_groups))
        self.hook: HookView | None = None
        self.records: dict[str, str] = {}
        self.record_requests = 0
        self.tag_calls_s: list[float] = []
        self.wakes_s: list[float] = []
        self.notices: list[Notice] = []
        self.actions: list[str] = []
        self.jenkins = Core(quiet_period_s=0, now=self.start_s)
        for job in self.group.jobs:
            self.jenkins.put_job(Job(name=job, parameters=_PARAMETERS, duration_s=20))
        self.jenkins_up = True
        self.lose_answers = 0
        self.late_s = 0.0
        self.ec2_lag_s = 0.0
        self.kill_at: int | None = None
        self.killed = False
        self.overlap_at: int | None = None
        self.arriving: list[tuple[float, str, dict[str, str]]] = []
        self.terminating_s = 1.0
        self.heals = True
        self.runs = 0
        self.lock = Lock()
        """Around what several threads of one run change: the counters and Jenkins."""

    def saved(self) -> tuple[object, dict[str, str]]:
        return deepcopy(self.table._partitions), dict(self.records)

    def restore(self, saved: tuple[object, dict[str, str]]) -> None:
        """Lose every write to the table and the zone since `saved`; nothing else is undone."""
        self.table._partitions, self.records = saved  # type: ignore[assignment]

    # --- time and death

    def step(self) -> None:
        """A moment at which the run may be killed: before and after each of its calls."""
        if self.killed:
            raise Killed
        if self._overlaps():
            self._overlap()
        with self.lock:
            if self.kill_at is not None:
                self.kill_at -= 1
                self.killed |= self.kill_at < 0
        if self.killed:
            raise Killed

    def _overlaps(self) -> bool:
        with self.lock:
            if self.overlap_at is None:
                return False
            self.overlap_at -= 1
            if self.overlap_at >= 0:
                return False
            self.overlap_at = None
            return True

    def _overlap(self) -> None:
        """Another run, from its beginning to its end, while this one stands still."""
        with self.lock:
            kill_at, self.kill_at = self.kill_at, None
        self.runs += 1
        self._reconcile(may_go_on=True)
        self.kill_at = kill_at

    @property
    def now_s(self) -> float:
        return self.clock.now().timestamp()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        if self.jenkins_up:
            self.jenkins.advance(self.now_s)
            self._arrive()
            self._deliver_results()
        for server in self.servers.values():
            if server.state == "shutting-down" and self.now_s >= server.ends_s:
                server.state = "terminated"
                server.lifecycle = None

    def _arrive(self) -> None:
        """Requests whose caller gave up waiting reach Jenkins all the same."""
        due = [one for one in self.arriving if one[0] <= self.now_s]
        self.arriving = [one for one in self.arriving if one[0] > self.now_s]
        for _, job, parameters in due:
            self.jenkins.trigger(job, parameters)

    def _deliver_results(self) -> None:
        """A server is healthy once its last job has succeeded, unless nothing helps."""
        for build in self.jenkins.builds(self.group.jobs[-1]):
            if build.result == "SUCCESS" and self.heals:
                server = self.servers[dict(build.parameters)["INSTANCE_ID"]]
                server.healthy = server.alive

    # --- what happens in the group

    def launch(self, count: int = 1, *, zone: str | None = None) -> list[Server]:
        launched = []
        self.desired += count
        for _ in range(count):
            n = len(self.servers) + 1
            server = Server(
                instance=f"i-{n:017x}",
                zone=zone or ZONES[n % 3],
                address=f"10.0.{n // 250}.{n % 250 + 4}",
                launched_s=self.now_s,
                visible_s=self.now_s + self.ec2_lag_s,
                lifecycle="Pending:Wait" if self.hook else "InService",
            )
            self.servers[server.instance] = server
            launched.append(server)
        return launched

    def terminate(self, server: Server) -> None:
        server.state = "shutting-down"
        server.ends_s = self.now_s + self.terminating_s
        if server.lifecycle is not None:
            server.lifecycle = "Terminating"

    def replace(self, server: Server) -> Server:
        """The group terminates a server and launches another in its zone."""
        self.terminate(server)
        self.desired -= 1
        return self.launch(zone=server.zone)[0]

    # --- running the trigger

    def run(
        self,
        *,
        kill_at: int | None = None,
        overlap_at: int | None = None,
        may_go_on: bool = True,
    ) -> bool:
        """One run of the trigger; False when it was killed on the way."""
        self.runs += 1
        self.overlap_at = overlap_at
        self.kill_at, self.killed = kill_at, False
        try:
            self._reconcile(may_go_on=may_go_on)
        except Killed:
            return False
        finally:
            self.kill_at, self.killed, self.overlap_at = None, False, None
        return True

    def _reconcile(self, *, may_go_on: bool) -> None:
        with suppress(Unavailable):
            reconcile(self.group, self.ports(), run=f"run-{self.runs}", may_go_on=lambda: may_go_on)

    def settle(self, seconds: float = 900) -> None:
        """Let wake-ups and the sweep do their work until nobody is on the way any more."""
        until_s = self.now_s + seconds
        next_sweep_s = self.now_s
        while self.now_s < until_s and not self.quiet():
            due_s = [due for due in self.wakes_s if due <= self.now_s]
            if due_s or self.now_s >= next_sweep_s:
                self.wakes_s = [due for due in self.wakes_s if due > self.now_s]
                if self.now_s >= next_sweep_s:
                    next_sweep_s = self.now_s + 60
                self.run()
            self.advance(1)

    def quiet(self) -> bool:
        members = self.members()
        listed = {s.instance for s in self.servers.values() if s.lifecycle is not None}
        return listed == members.keys() and all(
            member.phase in {"ready", "failed"} and (member.tagged or member.phase == "failed")
            for member in members.values()
        )

    # --- what the table says

    def state(self) -> GroupState:
        self.kill_at, self.killed = None, False
        return GroupStore(self.table, self.group.group, self.clock).read()

    def members(self) -> dict[str, Member]:
        return self.state().members

    def numbers(self) -> dict[int, str]:
        """Who has which number, by the table; raises where two have one."""
        held: dict[int, str] = {}
        for member in self.members().values():
            if member.number is not None:
                assert member.number not in held, f"two members have number {member.number}"
                held[member.number] = member.instance
        return held

    def builds_of_requests(self) -> Counter[str]:
        return Counter(dict(b.parameters)["REQUEST_ID"] for b in self.jenkins.builds())

    def successes(self) -> Counter[tuple[str, str]]:
        """How often each job succeeded on each instance."""
        return Counter(
            (dict(build.parameters)["INSTANCE_ID"], build.job)
            for build in self.jenkins.builds()
            if build.result == "SUCCESS"
        )

    # --- ports

    def ports(self) -> Ports:
        return Ports(
            auto_scaling=AutoScalingSide(self),
            machines=self,
            balancers=self,
            records=self,
            jenkins=lambda _: JenkinsSide(self),
            table=self.table,
            clock=self.clock,
            wake=self._wake,
            tell=self._tell,
            tag_pace=TokenBucket(self.table, "ec2:CreateTags", self.clock),
            zone_pace=lambda zone: TokenBucket(self.table, f"route53:{zone}", self.clock),
        )

    def _wake(self, group: str, seconds: int) -> None:
        assert group == self.group.group
        self.step()
        self.wakes_s.append(self.now_s + seconds)

    def _tell(self, notice: Notice) -> None:
        self.step()
        self.notices.append(notice)

    def describe(self, instances: Collection[str]) -> dict[str, Machine]:
        self.step()
        return {
            server.instance: Machine(
                state=server.state,
                address=server.address,
                zone=server.zone,
                launched_ms=int(server.launched_s * 1000),
                tags=dict(server.tags),
            )
            for instance in instances
            if (server := self.servers.get(instance)) and server.visible_s <= self.now_s
        }

    def tag(self, instance: str, tags: Mapping[str, str]) -> None:
        self.step()
        self.tag_calls_s.append(self.now_s)
        self.servers[instance].tags.update(tags)
        self.step()

    def health(
        self, target_groups: Sequence[str], instances: Collection[str]
    ) -> dict[str, tuple[str, ...]]:
        self.step()
        return {
            instance: tuple(
                "healthy" if self.servers[instance].healthy else "unhealthy" for _ in target_groups
            )
            for instance in instances
            if self.servers[instance].lifecycle == "InService"
        }

    def change(
        self, zone: str, changes: Sequence[RecordChange], *, ttl_s: int
    ) -> dict[str, str | None]:
        assert zone == self.group.zone
        self.step()
        self.record_requests += 1
        left_alone: dict[str, str | None] = {}
        for change in changes:
            holds = self.records.get(change.domain)
            if holds not in {None, change.previous, change.address}:
                left_alone[change.domain] = holds
            elif change.address is None:
                self.records.pop(change.domain, None)
            else:
                self.records[change.domain] = change.address
        self.step()
        return left_alone


_PARAMETERS = tuple(
    (name, "")
    for name in ("REQUEST_ID", "INSTANCE_ID", "GROUP", "NUMBER", "NAME", "DOMAIN", "ADDRESS")
)


class AutoScalingSide:
    def __init__(self, world: World) -> None:
        self._world = world

    def view(self, group: str) -> GroupView:
        assert group == self._world.group.group
        self._world.step()
        return GroupView(
            desired=self._world.desired,
            instances={
                server.instance: Listed(server.lifecycle, server.zone)
                for server in self._world.servers.values()
                if server.lifecycle is not None
            },
            target_groups=self._world.target_groups,
        )

    def hook(self, group: str, name: str) -> HookView | None:
        assert (group, name) == (self._world.group.group, self._world.group.hook)
        return self._world.hook

    def beat(self, group: str, hook: str, instance: str) -> None:
        self._act(f"beat {instance}")

    def complete(self, group: str, hook: str, instance: str, result: str) -> None:
        self._act(f"{result} {instance}")
        server = self._world.servers[instance]
        if server.lifecycle == "Pending:Wait":
            server.lifecycle = "InService"
            if result == "ABANDON":
                self._world.replace(server)
        self._world.step()

    def terminate(self, instance: str) -> None:
        self._act(f"terminate {instance}")
        self._world.replace(self._world.servers[instance])
        self._world.step()

    def _act(self, action: str) -> None:
        self._world.step()
        self._world.actions.append(action)


class JenkinsSide:
    """`JenkinsPort` on the state machine of the stand-in."""

    def __init__(self, world: World) -> None:
        self._world = world

    def look(self, jobs: Sequence[str], builds: Sequence[Build]) -> JenkinsView:
        self._reach()
        with self._world.lock:
            return self._look(jobs, self._world.jenkins)

    def _look(self, jobs: Sequence[str], core: Core) -> JenkinsView:
        queue = {
            dict(item.parameters)["REQUEST_ID"]: QueuedItem(item.id, "waiting")
            for item in core.queue.values()
        } | {
            dict(item.parameters)["REQUEST_ID"]: QueuedItem(item.id, "", cancelled=True)
            for item in core.left.values()
            if item.cancelled
        }
        seen = {
            dict(build.parameters)["REQUEST_ID"]: SeenBuild(
                job=build.job,
                number=build.number,
                done=not build.in_progress,
                result=build.result,
            )
            for build in reversed(core.builds())
        }
        return JenkinsView(queue=queue, builds=seen, complete_since_ms=dict.fromkeys(jobs, 0))

    def trigger(self, job: str, parameters: Mapping[str, str]) -> int:
        self._reach()
        with self._world.lock:
            if self._world.late_s:
                self._world.arriving.append(
                    (self._world.now_s + self._world.late_s, job, dict(parameters))
                )
                self._world.late_s = 0.0
                raise Unavailable("jenkins: read timed out")
            try:
                item = self._world.jenkins.trigger(job, parameters).item
            except Rejected as error:
                raise Refused(str(error)) from error
        self._world.step()
        with self._world.lock:
            if self._world.lose_answers:
                self._world.lose_answers -= 1
                raise Unavailable("jenkins: read timed out")
        return item.id

    def cancel(self, build: Build, *, queue_id: int | None, number: int | None) -> None:
        self._reach()
        core = self._world.jenkins
        with self._world.lock:
            if number is not None:
                core.stop(build.job, number)
            elif queue_id is not None:
                core.cancel(queue_id)
        self._world.step()

    def _reach(self) -> None:
        self._world.step()
        if not self._world.jenkins_up:
            raise Unavailable("Jenkins at jenkins.example.com can't be reached")


def duration(text: str) -> Duration:
    return Duration.parse(text)
