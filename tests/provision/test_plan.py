from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tests.provision.conftest import (
    DEPLOYED,
    MINUTE,
    NOW_MS,
    PROVISIONED,
    S,
    make_build,
    make_jenkins,
    make_machine,
    make_member,
    make_named,
    make_seen,
    make_state,
)
from tests.provision.world import make_group
from triggerfish.durations import Duration
from triggerfish.notice import Notice
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
from triggerfish.provision.members import Member, Memory, Slot
from triggerfish.provision.observation import HookView, Listed, QueuedItem, SeenBuild
from triggerfish.provision.plan import kind_of, plan_group
from triggerfish.templates import Template

if TYPE_CHECKING:
    from triggerfish.provision.config import ProvisionGroup
    from triggerfish.provision.instructions import Instruction
    from triggerfish.provision.observation import Machine, Observation

WEB = make_group(timeout=Duration(1800), attempts=2)
HOOKED = make_group(hook="provision", timeout=Duration(1800), attempts=2)
SEARCH = make_group(mode="stateful", size=1, hook="provision", timeout=Duration(1800))
WAITING = {"i-1": "Pending:Wait"}
HOOK = HookView(heartbeat_timeout_s=300)
LATE: dict[str, Any] = {"started_ms": NOW_MS - 30 * MINUTE - 1}


def decided(
    *members: Member,
    seen: Observation | None = None,
    group: ProvisionGroup = WEB,
    slots: tuple[Slot, ...] = (),
    memory: Memory | None = None,
) -> Plan:
    return plan_group(group, make_state(*members, slots=slots, memory=memory), seen or make_seen())


def only(plan: Plan) -> Instruction:
    (instruction,) = plan.instructions
    return instruction


def make_verifying(**changes: Any) -> Member:
    return make_named(**{"phase": "verifying", "builds": (PROVISIONED, DEPLOYED), **changes})


def make_ready(instance: str = "i-1", **changes: Any) -> Member:
    return make_named(instance, **{"phase": "ready", "builds": (PROVISIONED, DEPLOYED), **changes})


def make_failed(**changes: Any) -> Member:
    return make_named(
        **{"phase": "failed", "reason": "infra/provision #7 ended FAILURE", **changes}
    )


def saved(member: Member, cause: str, **changes: Any) -> Save:
    return Save(Change(member, replace(member, **changes), cause))


def kinds(plan: Plan) -> list[str]:
    return [type(instruction).__name__ for instruction in plan.instructions]


# --- at rest -----------------------------------------------------------------------------------


def test_a_group_of_5000_members_at_rest_plans_nothing() -> None:
    members = [make_ready(f"i-{n}", number=n) for n in range(1, 5001)]
    seen = make_seen({member.instance: "InService" for member in members}, machines={})
    assert decided(*members, seen=seen) == Plan((), None)


def test_a_group_without_members_plans_nothing() -> None:
    assert decided(seen=make_seen({})) == Plan((), None)


def test_a_member_in_standby_rests() -> None:
    member = make_ready(lifecycle="standby")
    assert decided(member, seen=make_seen({"i-1": "Standby"}, machines={})) == Plan((), None)


def test_a_failed_member_that_is_kept_rests() -> None:
    assert decided(make_failed(told=True)) == Plan((), None)


@pytest.mark.parametrize(
    ("lifecycle", "kind"),
    [
        ("InService", ""),
        ("Pending", ""),
        ("Pending:Wait", ""),
        ("Standby", "standby"),
        ("StandBy", "standby"),
        ("EnteringStandby", "standby"),
        ("Detaching", "detached"),
        ("Detached", "detached"),
        ("Warmed:Pending:Wait", "pool"),
        ("Warmed:Stopped", "pool"),
        ("ReplacingRootVolume:Wait", "root-volume"),
        ("RootVolumeReplaced", "root-volume"),
    ],
)
def test_what_a_lifecycle_state_means(lifecycle: str, kind: str) -> None:
    assert kind_of(Listed(lifecycle, "eu-west-1a")) == kind


def test_an_instance_that_no_group_lists_is_detached() -> None:
    assert kind_of(None) == "detached"


# --- newcomers ---------------------------------------------------------------------------------


def test_an_instance_seen_for_the_first_time_gets_a_number_at_once() -> None:
    assign = only(decided())
    member = Member(
        group="web",
        instance="i-1",
        phase="numbered",
        seen_ms=NOW_MS,
        since_ms=NOW_MS,
        started_ms=NOW_MS,
        number=1,
        name="web-01",
        domain="web-01.internal.example.com",
        address="192.0.2.4",
        zone="eu-west-1a",
    )
    assert assign == Assign(
        Change(None, member, "number 1 was the lowest free"),
        None,
        Slot(number=1, instance="i-1", generation=1, zone="eu-west-1a"),
    )


def test_an_instance_that_ec2_does_not_show_yet_gets_a_number_too() -> None:
    plan = decided(seen=make_seen({"i-1": "Pending"}, machines={}, asked=frozenset({"i-1"})))
    assert kinds(plan) == ["Assign"]


@pytest.mark.parametrize("lifecycle", ["Terminating", "Terminating:Wait", "Warmed:Terminating"])
def test_an_instance_first_seen_on_its_way_out_gets_no_number(lifecycle: str) -> None:
    assert decided(seen=make_seen({"i-1": lifecycle})) == Plan((), None)


@pytest.mark.parametrize("state", ["shutting-down", "terminated"])
def test_an_instance_first_seen_dead_gets_no_number(state: str) -> None:
    seen = make_seen(machines={"i-1": make_machine(state=state)})
    assert decided(seen=seen) == Plan((), None)


def test_an_instance_of_the_warm_pool_gets_its_number_there() -> None:
    assign = only(decided(seen=make_seen({"i-1": "Warmed:Stopped"})))
    assert isinstance(assign, Assign)
    assert assign.change.after.lifecycle == "pool"
    assert assign.change.after.pooled is True


# --- stateful: waiting for a number ------------------------------------------------------------

DYING = make_named(
    "i-old", phase="leaving", recorded=None, reason="the group lists it as Terminating"
)
REASON = "waits for a free number of 1..1: 1 is held by i-old"


def make_waiting(**changes: Any) -> Member:
    nameless = {"number": None, "name": "", "domain": "", "reason": REASON}
    return make_member(**{"phase": "seen", **nameless, **changes})


def overlap(state: str = "shutting-down", lifecycle: str | None = "Terminating") -> Observation:
    """The replacement is there, and the one it replaces not yet gone."""
    listed = {"i-1": "Pending:Wait"} | ({"i-old": lifecycle} if lifecycle else {})
    machines = {"i-1": make_machine(), "i-old": make_machine(state=state)}
    return make_seen(listed, machines=machines)


def test_a_replacement_waits_for_proof_that_the_old_one_is_dead() -> None:
    plan = decided(DYING, seen=overlap(), group=SEARCH)
    save = only(plan)
    assert isinstance(save, Save)
    assert (save.change.after.instance, save.change.after.number) == ("i-1", None)
    assert (save.change.after.phase, save.change.after.reason) == ("seen", REASON)
    assert plan.wake_s == 5


@pytest.mark.parametrize(
    ("state", "lifecycle"),
    [("shutting-down", None), ("terminated", "Terminating:Proceed"), ("stopped", None)],
    ids=["EC2 says not yet", "the group says not yet", "detached and stopped, it may come back"],
)
def test_a_replacement_gets_no_number_before_both_agree(state: str, lifecycle: str | None) -> None:
    plan = decided(DYING, make_waiting(), seen=overlap(state, lifecycle), group=SEARCH)
    assert not any(isinstance(i, Assign | Release) for i in plan.instructions)


def test_a_replacement_waits_without_saying_so_again() -> None:
    assert decided(DYING, make_waiting(), seen=overlap(), group=SEARCH) == Plan((), 5)


@pytest.mark.parametrize("slots", [(), (Slot(number=1, version=3),)], ids=["lost", "rolled back"])
def test_the_number_of_a_dying_server_is_known_by_its_tag_when_the_table_is_lost(
    slots: tuple[Slot, ...],
) -> None:
    machines = {
        "i-1": make_machine(),
        "i-old": make_machine(tags={"triggerfish:member": "web/1"}),
    }
    seen = make_seen({"i-1": "Pending:Wait", "i-old": "Terminating"}, machines=machines)
    save = only(decided(seen=seen, slots=slots, group=SEARCH))
    assert isinstance(save, Save)
    assert (save.change.after.number, save.change.after.reason) == (None, REASON)
    machines["i-old"] = make_machine(state="terminated", tags={"triggerfish:member": "web/1"})
    assert kinds(decided(seen=replace_machines(seen, machines), slots=slots, group=SEARCH)) == [
        "Assign"
    ]


def replace_machines(seen: Observation, machines: dict[str, Machine]) -> Observation:
    return dataclasses.replace(seen, machines=machines)


def test_a_tag_takes_no_number_from_a_member_that_has_it() -> None:
    machines = {
        "i-1": make_machine(),
        "i-2": make_machine(),
        "i-old": make_machine(tags={"triggerfish:member": "web/1"}),
    }
    listed = {"i-1": "InService", "i-2": "InService", "i-old": "Terminating"}
    plan = decided(make_ready(), seen=make_seen(listed, machines=machines))
    (assign,) = plan.instructions
    assert isinstance(assign, Assign)
    assert (assign.change.after.instance, assign.change.after.number) == ("i-2", 2)


def test_a_replacement_says_whom_it_waits_for_now() -> None:
    member = make_waiting(reason="waits for a free number of 1..1: 1 is held by i-older")
    assert only(decided(DYING, member, seen=overlap(), group=SEARCH)) == saved(
        member, REASON, reason=REASON
    )


def test_once_the_old_one_is_gone_its_replacement_takes_number_and_name() -> None:
    seen = overlap("terminated", None)
    plan = decided(DYING, make_waiting(), seen=seen, group=SEARCH)
    (release,) = plan.instructions
    assert isinstance(release, Release)
    assert release.slot_after is not None
    freed = decided(make_waiting(), seen=seen, slots=(release.slot_after,), group=SEARCH)
    assign = only(freed)
    assert isinstance(assign, Assign)
    assert (assign.change.after.number, assign.change.after.name) == (1, "web-01")


def test_a_replacement_that_waits_too_long_is_told_to_people() -> None:
    member = make_waiting(**LATE)
    tell = only(decided(DYING, member, seen=overlap(), group=SEARCH))
    assert tell == Tell(
        Change(member, replace(member, told=True), REASON),
        Notice(
            key="provision/web/i-1/seen",
            severity="critical",
            title="i-1 of web waits for a number",
            facts=(
                ("Group", "web"),
                ("Number", "none"),
                ("Instance", "i-1"),
                ("Zone", "eu-west-1a"),
                ("Reason", REASON),
            ),
        ),
    )
    assert decided(DYING, replace(member, told=True), seen=overlap(), group=SEARCH) == Plan((), 5)


def test_the_hook_is_kept_alive_while_a_replacement_waits_for_its_number() -> None:
    """Else its timer runs out, the group kills the replacement and launches another."""
    member = make_waiting(seen_ms=NOW_MS - 100 * S)
    seen = make_seen(
        {"i-1": "Pending:Wait", "i-old": "Terminating"},
        machines={"i-1": make_machine(), "i-old": make_machine(state="shutting-down")},
        hook=HOOK,
    )
    plan = decided(DYING, member, seen=seen, group=SEARCH)
    beat = Beat(Change(member, replace(member, beat_ms=NOW_MS), "hook's timer restarted"))
    assert plan.instructions == (beat,)


# --- the name ----------------------------------------------------------------------------------


def test_the_name_is_made_before_anything_is_built() -> None:
    member = make_member()
    after = replace(
        member, phase="named", address="192.0.2.4", recorded="192.0.2.4", since_ms=NOW_MS
    )
    assert only(decided(member)) == Point(
        Change(member, after, "web-01.internal.example.com points at 192.0.2.4"),
        "web-01.internal.example.com",
        "192.0.2.4",
        None,
    )


def test_a_name_replaces_only_the_address_it_is_known_to_hold() -> None:
    point = only(decided(make_member(recorded="192.0.2.99")))
    assert isinstance(point, Point)
    assert point.previous == "192.0.2.99"


def test_a_name_that_holds_the_address_already_is_not_written_again() -> None:
    save = only(decided(make_member(recorded="192.0.2.4")))
    assert isinstance(save, Save)
    assert save.change.after.phase == "named"


@pytest.mark.parametrize("machines", [{}, {"i-1": make_machine(address=None)}])
def test_an_instance_without_an_address_is_neither_lost_nor_looped_over(
    machines: dict[str, Machine],
) -> None:
    member = make_member()
    seen = make_seen({"i-1": "Pending"}, machines=machines, asked=frozenset({"i-1"}))
    plan = decided(member, seen=seen)
    explained = saved(member, "EC2 shows no address yet", reason="EC2 shows no address yet")
    assert plan == Plan((explained,), 2)
    again = decided(replace(member, reason="EC2 shows no address yet"), seen=seen)
    assert again == Plan((), 2)


def burst(count: int, *, launched: int, seen_ms: int) -> Plan:
    members = [make_member(f"i-{n}", number=n, seen_ms=seen_ms) for n in range(1, count + 1)]
    seen = make_seen({member.instance: "InService" for member in members}, desired=launched)
    return decided(*members, seen=seen)


def test_the_names_of_a_burst_wait_for_the_rest_of_it() -> None:
    """Each change of a zone holds up the next, so one batch is the quickest."""
    assert burst(20, launched=21, seen_ms=NOW_MS - 5 * S + 1) == Plan((), 1)


@pytest.mark.parametrize(
    ("count", "launched", "seen_ms"),
    [(19, 21, NOW_MS), (20, 20, NOW_MS), (20, 21, NOW_MS - 5 * S)],
    ids=["a few don't wait", "all are there", "it takes too long"],
)
def test_names_do_not_wait_in_vain(count: int, launched: int, seen_ms: int) -> None:
    assert kinds(burst(count, launched=launched, seen_ms=seen_ms)) == ["Point"] * count


# --- building ----------------------------------------------------------------------------------


def test_once_it_has_its_name_the_first_job_is_asked_for() -> None:
    trigger = only(decided(make_named()))
    assert isinstance(trigger, Trigger)
    assert trigger.build.job == "infra/provision"


def test_after_the_first_job_the_second_is_asked_for() -> None:
    trigger = only(decided(make_named(phase="building", builds=(PROVISIONED,))))
    assert isinstance(trigger, Trigger)
    assert trigger.build.job == "app/deploy"


def test_after_the_last_job_the_member_is_verified() -> None:
    member = make_named(phase="building", builds=(PROVISIONED, DEPLOYED))
    save = saved(member, "every job succeeded", phase="verifying", since_ms=NOW_MS)
    assert only(decided(member)) == save


def test_a_jenkins_that_is_away_is_said_once_and_asked_again_later() -> None:
    member = make_named()
    fault = "jenkins: can't be reached in 3 s"
    seen = make_seen(jenkins=None, jenkins_fault=fault)
    plan = decided(member, seen=seen)
    assert plan.instructions == (saved(member, fault, reason=fault),)
    assert decided(replace(member, reason=fault), seen=seen).instructions == ()
    other = replace(member, reason="jenkins: can't be reached in 13 s")
    assert decided(other, seen=seen).instructions == ()


def test_the_reason_a_build_waits_for_is_kept_once() -> None:
    member = make_named(phase="building", builds=(make_build(queue_id=17),))
    why = "In the quiet period. Expires in 4.9 sec"
    queue = {"i-1.g1.infra/provision.a1": QueuedItem(17, why)}
    seen = make_seen(jenkins=make_jenkins(queue=queue))
    save = saved(member, "In the quiet period", reason="In the quiet period")
    assert only(decided(member, seen=seen)) == save
    assert decided(save.change.after, seen=seen).instructions == ()


def test_a_failed_build_is_tried_again() -> None:
    trigger = only(decided(make_named(phase="building", builds=(make_build(result="FAILURE"),))))
    assert isinstance(trigger, Trigger)
    assert trigger.build.attempt == 2


@pytest.mark.parametrize(
    ("build", "reason", "why"),
    [
        (
            {"number": 9, "result": "FAILURE"},
            "",
            "infra/provision #9 ended FAILURE, attempt 2 of 2",
        ),
        ({"result": "CANCELLED"}, "", "infra/provision #- ended CANCELLED, attempt 2 of 2"),
        (
            {"result": "REFUSED"},
            "trigger infra/provision: the job is disabled",
            (
                "Jenkins refused infra/provision, attempt 2 of 2: "
                "trigger infra/provision: the job is disabled"
            ),
        ),
    ],
    ids=["failed", "cancelled by somebody", "refused, in the words of Jenkins"],
)
def test_after_the_last_attempt_the_member_has_failed(
    build: dict[str, Any], reason: str, why: str
) -> None:
    last = make_build(attempt=2, request_id="i-1.g1.infra/provision.a2", **build)
    member = make_named(
        phase="building", builds=(make_build(result="FAILURE"), last), reason=reason
    )
    save = saved(member, why, phase="failed", since_ms=NOW_MS, reason=why)
    assert only(decided(member)) == save


@pytest.mark.parametrize(
    ("waited_s", "wake_s"), [(0, 1), (19, 1), (20, 2), (60, 6), (149, 14), (1000, 15)]
)
def test_a_build_is_looked_at_often_at_first_and_then_less(waited_s: int, wake_s: int) -> None:
    build = make_build(queue_id=17)
    member = make_named(phase="building", builds=(build,), since_ms=NOW_MS - waited_s * S)
    queue = {build.request_id: QueuedItem(17)}
    assert decided(member, seen=make_seen(jenkins=make_jenkins(queue=queue))) == Plan((), wake_s)


# --- tags --------------------------------------------------------------------------------------


def test_name_configured_tags_and_the_copy_of_the_number_are_tagged_while_it_builds() -> None:
    group = make_group(tags={"Role": Template("{group}"), "Dns": Template("{domain}={address}")})
    member = make_named(phase="building", tagged=False, builds=(make_build(queue_id=17),))
    queue = {"i-1.g1.infra/provision.a1": QueuedItem(17)}
    seen = make_seen(jenkins=make_jenkins(queue=queue))
    assert only(decided(member, seen=seen, group=group)) == Tag(
        Change(member, replace(member, tagged=True), "tagged"),
        {
            "Name": "web-01",
            "Role": "web",
            "Dns": "web-01.internal.example.com=192.0.2.4",
            "triggerfish:member": "web/1",
        },
    )


def test_nothing_is_ready_without_its_tags() -> None:
    seen = make_seen(health={"i-1": ("healthy",)})
    assert kinds(decided(make_verifying(tagged=False), seen=seen)) == ["Tag"]


# --- done --------------------------------------------------------------------------------------


def test_a_member_is_ready_when_every_target_group_calls_it_healthy() -> None:
    member = make_verifying()
    seen = make_seen(target_groups=("a", "b"), health={"i-1": ("healthy", "healthy")})
    save = saved(member, "healthy in every target group", phase="ready", since_ms=NOW_MS)
    assert only(decided(member, seen=seen)) == save


@pytest.mark.parametrize(
    ("lifecycle", "states", "reason"),
    [
        ("InService", (), "healthy in 0 of 2 target groups (unknown)"),
        ("InService", ("healthy",), "healthy in 1 of 2 target groups (unknown)"),
        ("InService", ("healthy", "initial"), "healthy in 1 of 2 target groups (initial)"),
        ("InService", ("draining", "healthy"), "healthy in 1 of 2 target groups (draining)"),
        ("Pending:Proceed", ("healthy", "healthy"), "the group lists it as Pending:Proceed"),
    ],
)
def test_what_a_member_still_lacks_is_its_reason(
    lifecycle: str, states: tuple[str, ...], reason: str
) -> None:
    member = make_verifying()
    seen = make_seen({"i-1": lifecycle}, target_groups=("a", "b"), health={"i-1": states})
    assert decided(member, seen=seen) == Plan((saved(member, reason, reason=reason),), 1)


def test_without_target_groups_being_in_service_is_enough() -> None:
    assert kinds(decided(make_verifying(), seen=make_seen(target_groups=()))) == ["Save"]


def test_finish_built_asks_for_no_health() -> None:
    member = make_verifying()
    save = saved(member, "built", phase="ready", since_ms=NOW_MS)
    assert only(decided(member, group=make_group(finish="built"))) == save


# --- the lifecycle hook ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ago_s", "beats"), [(99, False), (100, True), (299, True)], ids=["early", "due", "late"]
)
def test_the_hook_gets_a_heartbeat_at_a_third_of_its_timer(ago_s: int, *, beats: bool) -> None:
    member = make_named(
        phase="building", builds=(make_build(queue_id=17),), beat_ms=NOW_MS - ago_s * S
    )
    queue = {"i-1.g1.infra/provision.a1": QueuedItem(17)}
    seen = make_seen(WAITING, hook=HOOK, jenkins=make_jenkins(queue=queue))
    beat = Beat(Change(member, replace(member, beat_ms=NOW_MS), "hook's timer restarted"))
    assert decided(member, seen=seen, group=HOOKED).instructions == ((beat,) if beats else ())


def test_the_first_heartbeat_is_due_a_third_after_the_member_was_seen() -> None:
    seen = make_seen(WAITING, hook=HOOK)
    assert kinds(decided(make_named(seen_ms=NOW_MS - 99 * S), seen=seen, group=HOOKED)) == [
        "Trigger"
    ]
    assert kinds(decided(make_named(seen_ms=NOW_MS - 100 * S), seen=seen, group=HOOKED)) == ["Beat"]


@pytest.mark.parametrize(
    ("listed", "changes"),
    [({"i-1": "InService"}, {}), ({"i-1": "Pending"}, {}), (WAITING, {"hook_done": True})],
    ids=["in service", "not yet waiting", "completed"],
)
def test_there_is_no_heartbeat_without_a_hook_that_waits(
    listed: dict[str, str], changes: dict[str, Any]
) -> None:
    member = make_named(beat_ms=NOW_MS - 200 * S, **changes)
    plan = decided(member, seen=make_seen(listed, hook=HOOK), group=HOOKED)
    assert kinds(plan) == ["Trigger"]


def test_the_hook_continues_after_the_last_build_and_before_health() -> None:
    """The group puts it into its target groups only afterwards."""
    member = make_verifying(beat_ms=NOW_MS)
    plan = decided(member, seen=make_seen(WAITING, hook=HOOK), group=HOOKED)
    after = replace(member, hook_done=True)
    assert only(plan) == Complete(Change(member, after, "hook provision: CONTINUE"), "CONTINUE")


def test_an_instance_about_to_wait_for_its_hook_is_waited_for() -> None:
    seen = make_seen({"i-1": "Pending"}, hook=HOOK)
    assert decided(make_verifying(), seen=seen, group=HOOKED) == Plan((), 1)


def test_a_hook_that_was_not_waited_for_keeps_nobody_from_service() -> None:
    seen = make_seen(health={"i-1": ("healthy",)}, hook=HOOK)
    (save,) = decided(make_verifying(), seen=seen, group=HOOKED).instructions
    assert isinstance(save, Save)
    assert save.change.after.phase == "ready"


def test_entering_the_warm_pool_does_not_wait_for_the_hook_until_it_kills() -> None:
    """The launch hook holds an instance on its way into the pool too (`Warmed:Pending:Wait`)."""
    member = make_member(lifecycle="pool", pooled=True, tagged=True, beat_ms=NOW_MS)
    seen = make_seen({"i-1": "Warmed:Pending:Wait"}, hook=HOOK)
    (complete,) = decided(member, seen=seen, group=HOOKED).instructions
    assert isinstance(complete, Complete)
    assert complete.result == "CONTINUE"


# --- time --------------------------------------------------------------------------------------


def test_a_member_that_is_not_in_service_in_time_has_failed() -> None:
    member = make_verifying(reason="healthy in 0 of 1 target groups (unhealthy)", **LATE)
    why = "not in service after 30m; last: healthy in 0 of 1 target groups (unhealthy)"
    save = saved(member, why, phase="failed", since_ms=NOW_MS, reason=why)
    assert only(decided(member)) == save


def test_a_member_on_time_has_not_failed() -> None:
    member = make_named(started_ms=NOW_MS - 30 * MINUTE)
    assert kinds(decided(member)) == ["Trigger"]


def test_time_in_standby_and_in_the_warm_pool_does_not_count() -> None:
    standby = make_verifying(lifecycle="standby", **LATE)
    pooled = make_member(lifecycle="pool", pooled=True, tagged=True, **LATE)
    for member, lifecycle in ((standby, "Standby"), (pooled, "Warmed:Stopped")):
        plan = decided(member, seen=make_seen({"i-1": lifecycle}))
        assert "failed" not in {
            i.change.after.phase for i in plan.instructions if isinstance(i, Save)
        }


@pytest.mark.parametrize("kind", ["pool", "standby"])
def test_the_time_begins_anew_when_a_member_comes_out_of_pool_or_standby(kind: str) -> None:
    """It may have been there for days."""
    member = make_member(lifecycle=kind, **LATE)
    save = only(decided(member))
    assert isinstance(save, Save)
    after = save.change.after
    assert after.lifecycle == ""
    assert kinds(decided(replace(after, version=2))) == ["Point"]


# --- standby, attach, detach -------------------------------------------------------------------


def test_entering_standby_is_noted_and_changes_nothing_else() -> None:
    member = make_ready()
    save = saved(member, "the group lists it as Standby", lifecycle="standby")
    assert only(decided(member, seen=make_seen({"i-1": "Standby"}))) == save


def test_a_return_from_standby_provisions_nothing_again() -> None:
    member = make_ready(lifecycle="standby")
    plan = decided(member)
    cause = "back from standby: what was provisioned stays so"
    assert only(plan) == saved(
        member,
        cause,
        lifecycle="",
        standby_returns=1,
        return_activity="unannounced",
        started_ms=NOW_MS,
    )
    assert decided(make_ready(standby_returns=1)) == Plan((), None)


def test_a_detached_member_that_lives_keeps_its_number() -> None:
    member = make_ready()
    seen = make_seen({}, machines={"i-1": make_machine()})
    save = saved(member, "detached, and alive", lifecycle="detached")
    assert only(decided(member, seen=seen)) == save
    assert decided(save.change.after, seen=seen) == Plan((), None)


def test_a_member_that_is_attached_again_provisions_nothing_again() -> None:
    member = make_ready(lifecycle="detached")
    save = saved(member, "the group lists it as InService", lifecycle="")
    assert only(decided(member)) == save


def test_a_retained_member_keeps_its_number() -> None:
    member = make_ready(phase="leaving")
    plan = decided(member, seen=make_seen({"i-1": "Terminating:Retained"}))
    assert plan.instructions == ()


# --- generations -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("pool", "back from the warm pool: generation 2"),
        ("root-volume", "back from a root-volume replacement: generation 2"),
    ],
)
def test_the_same_instance_is_a_new_server_out_of_the_pool_or_on_a_new_root_volume(
    kind: str, cause: str
) -> None:
    member = make_ready(lifecycle=kind, hook_done=True, told=True)
    after = replace(
        member,
        lifecycle="",
        generation=2,
        phase="numbered",
        since_ms=NOW_MS,
        started_ms=NOW_MS,
        hook_done=False,
        told=False,
    )
    slot = Slot(number=1, instance="i-1", generation=1, zone="eu-west-1a", version=1)
    assert only(decided(member)) == Assign(
        Change(member, after, cause), slot, replace(slot, generation=2)
    )


def test_a_new_generation_takes_no_number_from_whoever_has_it() -> None:
    member = make_ready(lifecycle="pool")
    other = Slot(number=1, instance="i-2", generation=1, version=3)
    assert kinds(decided(member, slots=(other,))) == ["Save"]


def test_a_new_generation_is_built_again() -> None:
    trigger = only(decided(make_ready(phase="named", generation=2)))
    assert isinstance(trigger, Trigger)
    assert trigger.build.request_id == "i-1.g2.infra/provision.a1"


def test_in_the_warm_pool_a_member_gets_its_tags_and_no_build() -> None:
    member = make_member(lifecycle="pool", pooled=True)
    seen = make_seen({"i-1": "Warmed:Stopped"})
    assert kinds(decided(member, seen=seen)) == ["Tag"]
    assert decided(replace(member, tagged=True), seen=seen) == Plan((), None)


def test_what_was_only_numbered_in_the_pool_is_provisioned_in_its_first_generation() -> None:
    member = make_member(lifecycle="pool", pooled=True, tagged=True)
    save = only(decided(member))
    assert isinstance(save, Save)
    assert (save.change.after.generation, save.change.after.lifecycle) == (1, "")
    assert save.change.cause == "the group lists it as InService"


# --- on the way out ----------------------------------------------------------------------------


def test_a_member_that_the_group_terminates_is_leaving() -> None:
    member = make_ready()
    why = "the group lists it as Terminating"
    save = saved(member, why, phase="leaving", since_ms=NOW_MS, reason=why)
    assert only(decided(member, seen=make_seen({"i-1": "Terminating"}))) == save


def test_death_during_provisioning_stops_the_build() -> None:
    build = make_build(number=7)
    member = make_named(phase="leaving", builds=(build,))
    builds = {build.request_id: SeenBuild("infra/provision", 7, False, None)}
    seen = make_seen({"i-1": "Terminating"}, jenkins=make_jenkins(builds=builds))
    cancel = only(decided(member, seen=seen))
    assert isinstance(cancel, Cancel)
    assert cancel.number == 7


def test_what_is_gone_loses_its_record_and_then_its_number() -> None:
    member = make_ready(phase="leaving")
    seen = make_seen({}, machines={"i-1": make_machine(state="terminated")})
    assert kinds(decided(member, seen=seen)) == ["Unpoint"]
    assert kinds(decided(replace(member, recorded=None), seen=seen)) == ["Release"]


def test_a_member_that_nobody_shows_is_noted_once_and_looked_for_again() -> None:
    member = make_ready()
    seen = make_seen({}, asked=frozenset({"i-1"}))
    save = saved(member, "neither EC2 nor the group shows it", absent_ms=NOW_MS)
    assert decided(member, seen=seen) == Plan((save,), 10)
    assert decided(make_ready(absent_ms=NOW_MS - MINUTE), seen=seen) == Plan((), 10)


def test_a_member_that_is_shown_again_was_never_away() -> None:
    member = make_ready(absent_ms=NOW_MS - MINUTE)
    assert only(decided(member)) == saved(member, "the group lists it as InService", absent_ms=0)


@pytest.mark.parametrize(
    ("changes", "phase"),
    [
        ({}, "numbered"),
        ({"builds": (PROVISIONED, DEPLOYED)}, "verifying"),
        ({"number": None}, "seen"),
    ],
    ids=["not provisioned", "provisioned", "without a number"],
)
def test_a_member_that_lives_after_all_goes_on_where_it_was(
    changes: dict[str, Any], phase: str
) -> None:
    """EC2 and Auto Scaling answer from copies that lag."""
    member = make_named(phase="leaving", reason="the group lists it as Terminating", **changes)
    save = saved(member, "the group lists it as alive", phase=phase, reason="")
    assert only(decided(member)) == save


# --- failure -----------------------------------------------------------------------------------


def test_a_failure_is_told_to_people_once() -> None:
    member = make_failed()
    tell = only(decided(member))
    assert tell == Tell(
        Change(member, replace(member, told=True), "told a person"),
        Notice(
            key="provision/web/i-1/failed",
            severity="warning",
            title="web-01 of web was not provisioned",
            facts=(
                ("Group", "web"),
                ("Number", "1"),
                ("Instance", "i-1"),
                ("Zone", "eu-west-1a"),
                ("Reason", "infra/provision #7 ended FAILURE"),
            ),
        ),
    )


def test_a_failure_in_a_stateful_group_is_critical() -> None:
    tell = only(decided(make_failed(), group=make_group(mode="stateful", size=3)))
    assert isinstance(tell, Tell)
    assert tell.notice.severity == "critical"


def test_the_build_of_a_failed_member_is_cancelled() -> None:
    build = make_build(queue_id=17)
    member = make_failed(told=True, builds=(build,))
    seen = make_seen(jenkins=make_jenkins(queue={build.request_id: QueuedItem(17)}))
    assert kinds(decided(member, seen=seen)) == ["Cancel"]
    assert decided(member, seen=make_seen(jenkins=None)) == Plan((), 10)


def test_on_failure_keep_keeps_the_hook_alive_for_a_person() -> None:
    member = make_failed(told=True, beat_ms=NOW_MS - 100 * S)
    assert kinds(decided(member, seen=make_seen(WAITING, hook=HOOK), group=HOOKED)) == ["Beat"]


def test_on_failure_abandon_abandons_the_lifecycle_action() -> None:
    group = make_group(hook="provision", on_failure="abandon")
    member = make_failed(told=True)
    after = replace(member, hook_done=True)
    plan = decided(member, seen=make_seen(WAITING, hook=HOOK), group=group)
    assert plan.instructions == (
        Complete(Change(member, after, "hook provision: ABANDON"), "ABANDON"),
        Remember(Memory(), Memory(failures=1)),
    )


def test_nothing_is_abandoned_where_no_hook_waits() -> None:
    group = make_group(hook="provision", on_failure="abandon")
    assert decided(make_failed(told=True), group=group) == Plan((), None)


def test_on_failure_terminate_terminates_it_in_its_group() -> None:
    group = make_group(on_failure="terminate")
    member = make_failed(told=True)
    after = replace(member, hook_done=True)
    assert decided(member, group=group).instructions == (
        Terminate(Change(member, after, "terminated: it was not provisioned")),
        Remember(Memory(), Memory(failures=1)),
    )


def test_a_member_is_given_up_once() -> None:
    group = make_group(on_failure="terminate")
    member = make_failed(told=True, hook_done=True)
    assert decided(member, group=group, memory=Memory(failures=1)) == Plan((), None)


def test_a_loop_of_launching_and_killing_ends_with_one_that_is_kept_and_told() -> None:
    group = make_group(on_failure="terminate", attempts=2)
    member = make_failed(told=True)
    tell = only(decided(member, group=group, memory=Memory(failures=2, version=2)))
    assert isinstance(tell, Tell)
    assert tell.change.cause == "kept: 2 members before it failed in a row"
    assert tell.notice.title == "web-01 of web was kept"
    assert tell.notice.facts[-1] == (
        "Reason",
        "infra/provision #7 ended FAILURE; kept: 2 members before it failed in a row",
    )
    assert decided(tell.change.after, group=group, memory=Memory(failures=2)) == Plan((), None)


def test_one_that_is_kept_keeps_its_hook_alive() -> None:
    """Else the timer runs out, the group kills it and launches another: the loop goes on."""
    group = make_group(hook="provision", on_failure="abandon", attempts=2)
    memory = Memory(failures=2)
    tell = only(
        decided(
            make_failed(told=True), seen=make_seen(WAITING, hook=HOOK), group=group, memory=memory
        )
    )
    assert isinstance(tell, Tell)
    kept = replace(tell.change.after, beat_ms=NOW_MS - 100 * S)
    plan = decided(kept, seen=make_seen(WAITING, hook=HOOK), group=group, memory=memory)
    assert kinds(plan) == ["Beat"]


def test_several_that_fail_at_once_are_counted_one_by_one() -> None:
    group = make_group(on_failure="terminate", attempts=2)
    members = [make_failed(instance=f"i-{n}", number=n, told=True) for n in (1, 2, 3)]
    plan = decided(
        *members, group=group, seen=make_seen(dict.fromkeys(["i-1", "i-2", "i-3"], "InService"))
    )
    assert kinds(plan) == ["Terminate", "Terminate", "Tell", "Remember"]
    assert plan.instructions[-1] == Remember(Memory(), Memory(failures=2))


def test_one_that_gets_ready_ends_the_row_of_failures() -> None:
    seen = make_seen(health={"i-1": ("healthy",)})
    plan = decided(make_verifying(), seen=seen, memory=Memory(failures=2, version=5))
    assert plan.instructions[-1] == Remember(Memory(failures=2, version=5), Memory(version=5))


# --- a whole life ------------------------------------------------------------------------------


def test_unpointing_names_the_address_it_removes() -> None:
    member = make_ready(phase="leaving")
    seen = make_seen({}, machines={"i-1": make_machine(state="terminated")})
    unpoint = only(decided(member, seen=seen))
    assert isinstance(unpoint, Unpoint)
    assert (unpoint.domain, unpoint.address) == ("web-01.internal.example.com", "192.0.2.4")
