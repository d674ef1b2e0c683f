from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tests.provision.conftest import (
    MINUTE,
    NOW_MS,
    S,
    make_build,
    make_jenkins,
    make_machine,
    make_member,
    make_named,
    make_seen,
)
from tests.provision.world import make_group
from triggerfish.durations import Duration
from triggerfish.provision.departures import fate_of, plan_departure
from triggerfish.provision.instructions import Cancel, Change, Release, Save, Unpoint
from triggerfish.provision.members import Slot
from triggerfish.provision.observation import Listed, QueuedItem

if TYPE_CHECKING:
    from triggerfish.provision.departures import Fate
    from triggerfish.provision.instructions import Instruction
    from triggerfish.provision.members import Member

WEB = make_group(ttl=Duration(60), timeout=Duration(1800))
SEARCH = make_group(mode="stateful", size=3, ttl=Duration(60))
TERMINATED = "EC2 says terminated and the group no longer lists it"


def make_leaving(**changes: Any) -> Member:
    return make_named(**{"phase": "leaving", "recorded": None, "reason": TERMINATED, **changes})


def make_slot(**changes: Any) -> Slot:
    settings = {"number": 1, "instance": "i-1", "generation": 1, "zone": "eu-west-1a", "version": 6}
    return Slot(**{**settings, **changes})


def departure(
    member: Member,
    *,
    slot: Slot | None = None,
    stateful: bool = False,
    fate: Fate = "gone",
    **seen: Any,
) -> Instruction | None:
    slots = {1: slot or make_slot()}
    group = SEARCH if stateful else WEB
    return plan_departure(group, member, slots, make_seen({}, **seen), fate, TERMINATED)


# --- alive or not ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lifecycle", "state", "fate", "why"),
    [
        ("InService", "running", "here", ""),
        ("InService", None, "here", ""),
        ("Pending", None, "here", ""),
        ("Standby", "running", "here", ""),
        ("EnteringStandby", "running", "here", ""),
        ("Detaching", "running", "here", ""),
        ("Warmed:Stopped", "stopped", "here", ""),
        ("Warmed:Running", "running", "here", ""),
        ("InService", "stopped", "here", ""),
        ("Terminating", "running", "leaving", "the group lists it as Terminating"),
        ("Terminating:Wait", "running", "leaving", "the group lists it as Terminating:Wait"),
        (
            "Terminating:Retained",
            "stopped",
            "leaving",
            "the group lists it as Terminating:Retained",
        ),
        ("Warmed:Terminating", "running", "leaving", "the group lists it as Warmed:Terminating"),
        ("Terminated", "terminated", "leaving", "the group lists it as Terminated"),
        ("InService", "shutting-down", "leaving", "EC2 says shutting-down"),
        ("Standby", "terminated", "leaving", "EC2 says terminated"),
        (None, "running", "here", "detached"),
        (None, "stopped", "here", "detached"),
        (None, "shutting-down", "leaving", "EC2 says shutting-down"),
        (None, "terminated", "gone", TERMINATED),
        (None, None, "absent", "neither EC2 nor the group shows it"),
    ],
)
def test_only_what_the_group_does_not_list_and_ec2_calls_terminated_is_gone(
    lifecycle: str | None, state: str | None, fate: Fate, why: str
) -> None:
    listed = Listed(lifecycle, "eu-west-1a") if lifecycle else None
    machine = make_machine(state=state) if state else None
    seen = make_seen({}, asked=frozenset({"i-1"}))
    assert fate_of(make_member(), listed, machine, seen) == (fate, why)


def test_whoever_was_not_asked_about_is_not_missed() -> None:
    assert fate_of(make_member(), None, None, make_seen({})) == ("here", "not asked for")


@pytest.mark.parametrize(
    ("absent_ms", "fate"),
    [(NOW_MS - 10 * MINUTE + 1, "absent"), (NOW_MS - 10 * MINUTE, "gone")],
    ids=["just under ten minutes", "ten minutes"],
)
def test_an_instance_that_nobody_shows_for_ten_minutes_is_gone(absent_ms: int, fate: Fate) -> None:
    """EC2 forgets terminated instances, and doesn't show new ones at once."""
    seen = make_seen({}, asked=frozenset({"i-1"}))
    found, _ = fate_of(make_member(absent_ms=absent_ms), None, None, seen)
    assert found == fate


# --- step by step ------------------------------------------------------------------------------


def test_a_member_on_its_way_out_is_first_known_to_be_leaving() -> None:
    member = make_named(phase="ready")
    after = replace(member, phase="leaving", since_ms=NOW_MS, reason=TERMINATED)
    assert departure(member) == Save(Change(member, after, TERMINATED))


def test_a_member_that_still_lives_keeps_its_number_and_its_record() -> None:
    assert departure(make_leaving(recorded="192.0.2.4"), fate="leaving") is None


def test_the_record_of_the_dead_is_removed_before_its_number_is_freed() -> None:
    member = make_leaving(recorded="192.0.2.4")
    assert departure(member) == Unpoint(
        Change(
            member,
            replace(member, recorded=None),
            "web-01.internal.example.com no longer points at 192.0.2.4",
        ),
        "web-01.internal.example.com",
        "192.0.2.4",
    )


def test_in_an_elastic_group_a_freed_number_rests_for_the_ttl_of_its_record() -> None:
    member = make_leaving()
    gone = replace(member, phase="gone", since_ms=NOW_MS, reason=TERMINATED)
    assert departure(member) == Release(
        Change(member, gone, TERMINATED),
        make_slot(),
        Slot(number=1, free_ms=NOW_MS + 60 * S, zone="eu-west-1a", version=6),
    )


def test_in_a_stateful_group_a_freed_number_is_free_at_once() -> None:
    """Its replacement waits for it, and takes the name over with its record."""
    release = departure(make_leaving(), stateful=True)
    assert isinstance(release, Release)
    assert release.slot_after == Slot(number=1, free_ms=NOW_MS, zone="eu-west-1a", version=6)


@pytest.mark.parametrize(
    "slot",
    [
        make_slot(instance="i-new"),
        make_slot(generation=2),
        make_slot(instance=""),
        Slot(number=2, instance="i-1", generation=1),
    ],
    ids=["another holder", "another generation", "free already", "another number"],
)
def test_a_late_end_does_not_free_the_number_of_a_new_holder(slot: Slot) -> None:
    member = make_leaving()
    gone = replace(member, phase="gone", since_ms=NOW_MS, reason=TERMINATED)
    release = plan_departure(WEB, member, {slot.number: slot}, make_seen({}), "gone", TERMINATED)
    assert release == Release(Change(member, gone, TERMINATED), None, None)


def test_a_member_that_never_had_a_number_frees_none() -> None:
    member = make_leaving(number=None, domain="", name="")
    release = departure(member)
    assert isinstance(release, Release)
    assert (release.slot_before, release.slot_after) == (None, None)


# --- death during provisioning -----------------------------------------------------------------


def test_death_during_provisioning_cancels_the_queue_item() -> None:
    build = make_build(queue_id=17)
    member = make_leaving(builds=(build,))
    jenkins = make_jenkins(queue={build.request_id: QueuedItem(17)})
    cancelled = replace(member, builds=(replace(build, result="CANCELLED"),))
    assert departure(member, fate="leaving", jenkins=jenkins) == Cancel(
        Change(member, cancelled, "cancelled queue item 17: the member is leaving"), build, 17, None
    )


def test_no_number_is_freed_while_a_build_of_the_dead_may_still_run() -> None:
    member = make_leaving(builds=(make_build(queue_id=17),), since_ms=NOW_MS - 29 * MINUTE)
    assert departure(member, jenkins=None) is None


def test_a_jenkins_that_stays_away_holds_a_number_no_longer_than_a_build_may_take() -> None:
    member = make_leaving(builds=(make_build(queue_id=17),), since_ms=NOW_MS - 30 * MINUTE)
    assert isinstance(departure(member, jenkins=None), Release)
