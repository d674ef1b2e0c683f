"""The executor, on a small world: what a peer refuses or can't do now holds up nobody else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace as altered

from tests.provision.conftest import make_build, make_member, make_named
from tests.provision.world import AutoScalingSide, JenkinsSide, World, make_group
from triggerfish.errors import Conflict, Refused, Unavailable
from triggerfish.notice import Notice
from triggerfish.provision.act import Actor
from triggerfish.provision.instructions import (
    Assign,
    Beat,
    Cancel,
    Change,
    Complete,
    Plan,
    Point,
    Release,
    Remember,
    Save,
    Tag,
    Tell,
    Terminate,
    Trigger,
    Unpoint,
)
from triggerfish.provision.members import Memory, Slot
from triggerfish.provision.store import GroupStore, Transition
from triggerfish.runtime.lease import LeaseLost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from triggerfish.provision.act import Outcome
    from triggerfish.provision.instructions import Instruction
    from triggerfish.provision.members import Member
    from triggerfish.provision.ports import Ports, RecordChange

WEB = make_group(hook="provision")


class Stage:
    """A world whose table holds these members, and an executor on it."""

    def __init__(self, *members: Member, world: World | None = None, **ports: Any) -> None:
        self.world = world or World(WEB)
        self.world.launch(len(members))
        self.store = GroupStore(self.world.table, "web", self.world.clock)
        born = [
            Transition(
                change=Change(None, altered(member, version=0), "born"),
                slot_after=Slot(number=member.number, instance=member.instance, generation=1)
                if member.number
                else None,
            )
            for member in members
        ]
        self.store.save(born)
        self.state = self.store.read()
        self.ports: Ports = replace(self.world.ports(), **ports)
        self.kept = 0
        self.actor = Actor(WEB, self.ports, self.store, self.state, self.keep)

    def keep(self) -> None:
        self.kept += 1

    def carry_out(self, *instructions: Instruction) -> Outcome:
        return self.actor.carry_out(Plan(instructions, None))

    def change(self, instance: str, cause: str = "because", **changes: Any) -> Change:
        before = self.state.members[instance]
        return Change(before, altered(before, **changes), cause)

    def now(self, instance: str) -> Member:
        """The member as the table has it, which is as the executor knows it."""
        member = self.store.read().members[instance]
        assert self.state.members[instance] == member
        return member


def members(count: int, **changes: Any) -> list[Member]:
    return [
        make_member(
            f"i-{n:017x}",
            number=n,
            name=f"web-{n:02}",
            domain=f"web-{n:02}.internal.example.com",
            **changes,
        )
        for n in range(1, count + 1)
    ]


ONE, TWO, THREE = (f"i-{n:017x}" for n in (1, 2, 3))


# --- transitions -------------------------------------------------------------------------------


def test_a_number_is_given_and_freed_with_its_member() -> None:
    stage = Stage()
    member = make_member(ONE, version=0)
    slot = Slot(number=1, instance=ONE, generation=1)
    assert stage.carry_out(Assign(Change(None, member, "born"), None, slot)).progress
    assert stage.now(ONE).version == 1
    assert stage.state.slots == {1: altered(slot, version=1)}
    free = Slot(number=1, free_ms=5, version=1)
    stage.carry_out(Release(stage.change(ONE, phase="gone"), stage.state.slots[1], free))
    assert stage.state.members == {}
    assert stage.state.slots == {1: altered(free, version=2)}
    assert stage.store.read().slots == stage.state.slots


def test_what_another_worker_overtook_is_left_to_the_next_look() -> None:
    stage = Stage(*members(2))
    stale = stage.change(ONE, phase="named")
    stage.store.save([Transition(change=stage.change(ONE, reason="by another worker"))])
    outcome = stage.carry_out(Save(stale), Save(stage.change(TWO, phase="named")))
    assert outcome.faults == ["1 transitions were overtaken"]
    assert outcome.wake_s == 1
    found = stage.store.read().members
    assert (found[ONE].phase, found[ONE].reason) == ("numbered", "by another worker")
    assert found[TWO].phase == "named"


def test_a_run_that_lost_its_lease_does_nothing_more() -> None:
    stage = Stage(*members(1))

    def lost() -> None:
        raise LeaseLost("group#web: another run took over")

    actor = Actor(WEB, stage.ports, stage.store, stage.state, lost)
    change = stage.change(ONE, phase="named")
    with pytest.raises(LeaseLost):
        actor.carry_out(
            Plan((Point(change, "web-01.internal.example.com", "10.0.0.5", None),), None)
        )
    assert stage.world.records == {}


# --- DNS ---------------------------------------------------------------------------------------


def point(stage: Stage, instance: str, address: str, previous: str | None = None) -> Point:
    member = stage.state.members[instance]
    change = stage.change(instance, phase="named", address=address, recorded=address)
    return Point(change, member.domain, address, previous)


def test_all_names_of_a_round_are_changed_in_one_request() -> None:
    stage = Stage(*members(3))
    gone = altered(make_named("i-gone", number=None, domain="old.internal.example.com"))
    stage.store.save([Transition(change=Change(None, altered(gone, version=0), "born"))])
    stage.state.members = stage.store.read().members
    stage.world.records["old.internal.example.com"] = "192.0.2.4"
    stage.carry_out(
        point(stage, ONE, "10.0.0.5"),
        point(stage, TWO, "10.0.0.6"),
        Unpoint(stage.change("i-gone", recorded=None), "old.internal.example.com", "192.0.2.4"),
    )
    assert stage.world.record_requests == 1
    assert stage.world.records == {
        "web-01.internal.example.com": "10.0.0.5",
        "web-02.internal.example.com": "10.0.0.6",
    }
    assert stage.now(ONE).phase == "named"


def test_a_record_that_is_not_ours_is_not_taken_and_the_reason_kept() -> None:
    stage = Stage(*members(2))
    stage.world.records["web-01.internal.example.com"] = "203.0.113.7"
    outcome = stage.carry_out(point(stage, ONE, "10.0.0.5"), point(stage, TWO, "10.0.0.6"))
    assert stage.world.records["web-01.internal.example.com"] == "203.0.113.7"
    assert stage.now(ONE).phase == "numbered"
    assert stage.now(ONE).reason == (
        "web-01.internal.example.com holds 203.0.113.7, which isn't ours: not taken"
    )
    assert stage.now(TWO).phase == "named"
    assert outcome.wake_s == 10


def test_a_record_that_is_not_ours_is_asked_for_once_a_run() -> None:
    stage = Stage(*members(1))
    stage.world.records["web-01.internal.example.com"] = "203.0.113.7"
    for _ in range(5):
        stage.carry_out(point(stage, ONE, "10.0.0.5"))
    assert stage.world.record_requests == 1
    assert stage.now(ONE).version == 2


def test_a_record_that_no_longer_holds_our_address_is_not_removed() -> None:
    stage = Stage(make_named(ONE, phase="leaving"))
    stage.world.records["web-01.internal.example.com"] = "10.0.0.9"
    change = stage.change(ONE, recorded=None)
    stage.carry_out(Unpoint(change, "web-01.internal.example.com", "192.0.2.4"))
    assert stage.world.records == {"web-01.internal.example.com": "10.0.0.9"}
    assert stage.now(ONE).recorded is None


def test_a_zone_is_changed_no_faster_than_its_pace() -> None:
    class NotNow:
        def take(self, wanted: int, /) -> int:
            return 0

    stage = Stage(*members(1), zone_pace=lambda _: NotNow())
    outcome = stage.carry_out(point(stage, ONE, "10.0.0.5"))
    assert stage.world.record_requests == 0
    assert (outcome.progress, outcome.wake_s) == (False, 3)


class BrokenZone:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def change(
        self, zone: str, changes: Sequence[RecordChange], *, ttl_s: int
    ) -> dict[str, str | None]:
        raise self.error


def test_a_zone_that_refuses_is_quoted_in_the_reason() -> None:
    stage = Stage(*members(1), records=BrokenZone(Refused("route53: AccessDenied: not allowed")))
    outcome = stage.carry_out(point(stage, ONE, "10.0.0.5"))
    assert stage.now(ONE).reason == "route53: AccessDenied: not allowed"
    assert outcome.faults == ["route53: AccessDenied: not allowed"]


def test_a_zone_that_is_busy_is_asked_again_later() -> None:
    stage = Stage(*members(1), records=BrokenZone(Unavailable("PriorRequestNotComplete")))
    outcome = stage.carry_out(point(stage, ONE, "10.0.0.5"))
    assert stage.now(ONE).reason == ""
    assert (outcome.progress, outcome.wake_s) == (False, 10)


def test_a_member_whose_instruction_failed_waits_for_the_next_run() -> None:
    stage = Stage(*members(1), records=BrokenZone(Unavailable("PriorRequestNotComplete")))
    stage.carry_out(point(stage, ONE, "10.0.0.5"))
    assert not stage.carry_out(Save(stage.change(ONE, phase="failed"))).progress
    assert stage.now(ONE).phase == "numbered"


# --- Jenkins -----------------------------------------------------------------------------------


def trigger(stage: Stage, instance: str, job: str = "infra/provision") -> Trigger:
    request = f"{instance}.g1.{job}.a1"
    build = make_build(job=job, request_id=request, run="run-1")
    change = stage.change(instance, phase="building", builds=(build,))
    return Trigger(change, build, {"REQUEST_ID": request, "INSTANCE_ID": instance})


def test_a_build_is_asked_for_and_its_queue_item_kept() -> None:
    stage = Stage(*members(1, phase="named"))
    outcome = stage.carry_out(trigger(stage, ONE))
    assert outcome.progress
    assert stage.world.builds_of_requests() == {f"{ONE}.g1.infra/provision.a1": 1}
    (build,) = stage.now(ONE).builds
    assert (build.queue_id, build.result) == (1, None)


def test_the_intention_is_written_before_jenkins_is_asked() -> None:
    stage = Stage(*members(1, phase="named"))
    stage.world.lose_answers = 1
    stage.carry_out(trigger(stage, ONE))
    (build,) = stage.now(ONE).builds
    assert (stage.now(ONE).phase, build.queue_id) == ("building", None)


def test_without_a_written_intention_jenkins_is_not_asked() -> None:
    stage = Stage(*members(1, phase="named"))
    stale = trigger(stage, ONE)
    stage.store.save([Transition(change=stage.change(ONE, reason="by another worker"))])
    stage.carry_out(stale)
    assert stage.world.builds_of_requests() == {}


def test_a_job_that_jenkins_refuses_fails_with_jenkins_own_words() -> None:
    stage = Stage(*members(2, phase="named"))
    stage.carry_out(trigger(stage, ONE, "infra/nothing"), trigger(stage, TWO))
    refused = stage.now(ONE)
    assert refused.reason == "No such job: infra/nothing"
    assert refused.builds[0].result == "REFUSED"
    assert stage.now(TWO).builds[0].queue_id == 1


def test_a_jenkins_that_goes_away_is_not_asked_for_the_rest() -> None:
    class Away(JenkinsSide):
        asked = 0

        def trigger(self, job: str, parameters: Mapping[str, str]) -> int:
            type(self).asked += 1
            raise Unavailable("POST jenkins: connection refused")

    world = World(WEB)
    stage = Stage(*members(20, phase="named"), jenkins=lambda _: Away(world))
    outcome = stage.carry_out(*(trigger(stage, name) for name in list(stage.state.members)))
    assert outcome.jenkins_fault == "POST jenkins: connection refused"
    assert outcome.wake_s == 10
    assert Away.asked == 4


def test_the_lease_is_kept_while_a_burst_is_asked_for() -> None:
    stage = Stage(*members(20, phase="named"))
    stage.carry_out(*(trigger(stage, name) for name in list(stage.state.members)))
    assert stage.kept >= 5


def cancel(stage: Stage, **ids: int | None) -> Cancel:
    (build,) = stage.now(ONE).builds
    cancelled = altered(build, result="CANCELLED")
    change = stage.change(ONE, builds=(cancelled,))
    return Cancel(change, build, ids.get("queue_id"), ids.get("number"))


def test_a_running_build_is_stopped() -> None:
    stage = Stage(*members(1, phase="named"))
    stage.carry_out(trigger(stage, ONE))
    stage.carry_out(cancel(stage, number=1))
    assert [build.result for build in stage.world.jenkins.builds()] == ["ABORTED"]
    assert stage.now(ONE).builds[0].result == "CANCELLED"


def test_a_queue_item_is_taken_out_of_the_queue() -> None:
    stage = Stage(*members(1, phase="named"))
    stage.world.jenkins.executors = 0
    stage.carry_out(trigger(stage, ONE))
    stage.carry_out(cancel(stage, queue_id=1))
    assert stage.world.jenkins.queue == {}
    assert stage.world.builds_of_requests() == {}


def test_what_cannot_be_cancelled_now_is_still_to_be_cancelled() -> None:
    stage = Stage(*members(1, phase="named"))
    stage.carry_out(trigger(stage, ONE))
    stage.world.jenkins_up = False
    outcome = stage.carry_out(cancel(stage, number=1))
    assert outcome.wake_s == 10
    assert stage.now(ONE).builds[0].result is None


# --- tags --------------------------------------------------------------------------------------


def tag(stage: Stage, instance: str) -> Tag:
    return Tag(stage.change(instance, tagged=True), {"Name": stage.state.members[instance].name})


def test_tags_are_written_no_faster_than_the_pace_grants() -> None:
    class TwoNow:
        def take(self, wanted: int, /) -> int:
            assert wanted == 3
            return 2

    stage = Stage(*members(3), tag_pace=TwoNow())
    outcome = stage.carry_out(*(tag(stage, name) for name in (ONE, TWO, THREE)))
    assert [stage.now(name).tagged for name in (ONE, TWO, THREE)] == [True, True, False]
    assert outcome.wake_s == 1
    assert stage.world.servers[ONE].tags == {"Name": "web-01"}
    assert stage.world.servers[THREE].tags == {}


def test_a_tag_that_is_refused_holds_up_no_other() -> None:
    class Refusing(World):
        def tag(self, instance: str, tags: Mapping[str, str]) -> None:
            if instance == ONE:
                raise Refused("ec2:CreateTags: UnauthorizedOperation")
            super().tag(instance, tags)

    stage = Stage(*members(2), world=Refusing(WEB))
    stage.carry_out(tag(stage, ONE), tag(stage, TWO))
    assert (stage.now(ONE).tagged, stage.now(ONE).reason) == (
        False,
        "ec2:CreateTags: UnauthorizedOperation",
    )
    assert stage.now(TWO).tagged


# --- one by one --------------------------------------------------------------------------------


def test_the_lifecycle_action_is_restarted_and_ended() -> None:
    stage = Stage(*members(2))
    stage.carry_out(
        Beat(stage.change(ONE, beat_ms=5)),
        Complete(stage.change(TWO, hook_done=True), "CONTINUE"),
    )
    assert stage.world.actions == [f"beat {ONE}", f"CONTINUE {TWO}"]
    assert (stage.now(ONE).beat_ms, stage.now(TWO).hook_done) == (5, True)


def test_an_instance_is_terminated_in_its_group() -> None:
    stage = Stage(*members(1))
    stage.carry_out(Terminate(stage.change(ONE, hook_done=True)))
    assert stage.world.servers[ONE].state == "shutting-down"
    assert stage.now(ONE).hook_done


NOTICE = Notice(key="provision/web/i-1/failed", severity="warning", title="it failed")


def test_people_are_told_before_it_is_written_that_they_were() -> None:
    stage = Stage(*members(1))
    stage.carry_out(Tell(stage.change(ONE, told=True), NOTICE))
    assert stage.world.notices == [NOTICE]
    assert stage.now(ONE).told


def test_a_notice_that_could_not_be_handed_over_is_still_to_be_told() -> None:
    def away(_: Notice) -> None:
        raise Unavailable("dynamodb:PutItem: throttled")

    stage = Stage(*members(1), tell=away)
    stage.carry_out(Tell(stage.change(ONE, told=True), NOTICE))
    assert not stage.now(ONE).told


def test_what_the_group_remembers_is_written() -> None:
    stage = Stage()
    stage.carry_out(Remember(Memory(), Memory(failures=1)))
    assert stage.state.memory == Memory(failures=1, version=1)
    assert stage.store.read().memory == Memory(failures=1, version=1)


def test_a_memory_that_another_run_wrote_ends_this_one() -> None:
    stage = Stage()
    stage.store.remember(Memory(), Memory(failures=1))
    with pytest.raises(Conflict):
        stage.carry_out(Remember(Memory(), Memory(failures=1)))


class Throttled(AutoScalingSide):
    def terminate(self, instance: str) -> None:
        raise Unavailable("autoscaling:TerminateInstanceInAutoScalingGroup: Throttling")


def test_a_failure_counts_only_when_the_member_was_given_up() -> None:
    """Else two throttled calls look like a loop, and the third member is kept for nothing."""
    stage = Stage(*members(1), auto_scaling=Throttled(World(WEB)))
    stage.carry_out(
        Terminate(stage.change(ONE, hook_done=True)), Remember(Memory(), Memory(failures=1))
    )
    assert not stage.now(ONE).hook_done
    assert stage.store.read().memory.failures == 0


def test_one_that_can_not_be_done_now_holds_up_no_other() -> None:
    stage = Stage(*members(2), auto_scaling=Throttled(World(WEB)))
    outcome = stage.carry_out(
        Terminate(stage.change(ONE, hook_done=True)), Tell(stage.change(TWO, told=True), NOTICE)
    )
    assert outcome.faults == ["autoscaling:TerminateInstanceInAutoScalingGroup: Throttling"]
    assert stage.now(TWO).told


def test_nothing_to_do_is_no_progress() -> None:
    outcome = Stage().carry_out()
    assert (outcome.progress, outcome.wake_s, outcome.faults) == (False, None, [])


def test_a_member_that_could_not_be_given_up_is_not_counted_in_any_round() -> None:
    stage = Stage(*members(1), auto_scaling=Throttled(World(WEB)))
    for _ in range(3):
        stage.carry_out(
            Terminate(stage.change(ONE, hook_done=True)),
            Remember(stage.state.memory, Memory(failures=stage.state.memory.failures + 1)),
        )
    assert stage.store.read().memory == Memory()


def test_those_that_were_given_up_count_although_another_was_not() -> None:
    class Once(AutoScalingSide):
        def terminate(self, instance: str) -> None:
            if instance == ONE:
                raise Unavailable("autoscaling:TerminateInstanceInAutoScalingGroup: Throttling")

    stage = Stage(*members(2), auto_scaling=Once(World(WEB)))
    stage.carry_out(
        Terminate(stage.change(ONE, hook_done=True)),
        Terminate(stage.change(TWO, hook_done=True)),
        Remember(Memory(), Memory(failures=2)),
    )
    assert stage.store.read().memory.failures == 1
