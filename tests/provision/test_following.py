from __future__ import annotations

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
    make_named,
    make_seen,
)
from tests.provision.world import make_group
from triggerfish.provision.following import (
    failed_attempts,
    is_lost,
    look_up,
    next_job,
    parameters,
    plan_build,
    plan_cancel,
    with_build,
)
from triggerfish.provision.instructions import Cancel, Change, Save, Trigger
from triggerfish.provision.observation import QueuedItem, SeenBuild
from triggerfish.templates import Template

if TYPE_CHECKING:
    from triggerfish.provision.members import Build, Member

WEB = make_group()
ID = "i-1.g1.infra/provision.a1"


def make_building(*builds: Build, **changes: Any) -> Member:
    return make_named(**{"phase": "building", "builds": builds or (make_build(),), **changes})


def running(number: int = 7, *, done: bool = False, result: str | None = None) -> SeenBuild:
    return SeenBuild("infra/provision", number, done, result)


# --- jobs in a row -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("builds", "job"),
    [
        ((), "infra/provision"),
        ((make_build(result="FAILURE"),), "infra/provision"),
        ((PROVISIONED,), "app/deploy"),
        ((DEPLOYED,), "infra/provision"),
        ((PROVISIONED, DEPLOYED), None),
        ((replace(PROVISIONED, generation=0), DEPLOYED), "infra/provision"),
    ],
    ids=["none yet", "it failed", "the first", "only the last", "all", "of another generation"],
)
def test_the_next_job_is_the_first_that_has_not_succeeded(
    builds: tuple[Build, ...], job: str | None
) -> None:
    assert next_job(WEB, make_named(builds=builds)) == job


def test_a_job_is_asked_for_with_its_own_request_id_and_the_intention_first() -> None:
    member = make_named(reason="Jenkins is away")
    build = make_build(run="run-1", intended_ms=NOW_MS)
    after = replace(member, phase="building", since_ms=NOW_MS, reason="", builds=(build,))
    assert plan_build(WEB, member, "infra/provision", make_seen()) == Trigger(
        Change(member, after, "asked for infra/provision, attempt 1"),
        build,
        {
            "REQUEST_ID": "i-1.g1.infra/provision.a1",
            "INSTANCE_ID": "i-1",
            "GROUP": "web",
            "NUMBER": "1",
            "NAME": "web-01",
            "DOMAIN": "web-01.internal.example.com",
            "ADDRESS": "192.0.2.4",
        },
    )


def test_a_second_attempt_is_another_request() -> None:
    trigger = plan_build(
        WEB, make_building(make_build(result="FAILURE")), "infra/provision", make_seen()
    )
    assert isinstance(trigger, Trigger)
    assert (trigger.build.attempt, trigger.build.request_id) == (2, "i-1.g1.infra/provision.a2")


def test_a_new_generation_is_another_request() -> None:
    trigger = plan_build(
        WEB, make_building(PROVISIONED, generation=2), "infra/provision", make_seen()
    )
    assert isinstance(trigger, Trigger)
    assert trigger.build.request_id == "i-1.g2.infra/provision.a1"


@pytest.mark.parametrize(
    ("results", "attempts"),
    [
        ([], 0),
        ([None], 0),
        (["SUCCESS"], 0),
        (["LOST", "LOST"], 0),
        (["FAILURE", "UNSTABLE", "ABORTED", "NOT_BUILT"], 4),
        (["CANCELLED", "REFUSED", "NOT_FOUND", "UNKNOWN"], 4),
    ],
    ids=lambda value: ",".join(map(str, value)) if isinstance(value, list) else None,
)
def test_what_was_lost_is_no_failed_attempt(results: list[str | None], attempts: int) -> None:
    builds = tuple(make_build(request_id=str(n), result=r) for n, r in enumerate(results))
    assert failed_attempts(make_named(builds=builds), "infra/provision") == attempts


def test_config_parameters_come_over_ours_except_for_the_request_id() -> None:
    group = make_group(
        parameters={
            "NAME": Template("{name}.{az}"),
            "TARGET": Template("{instance}@{address}/{domain}"),
            "REQUEST_ID": Template("mine"),
        }
    )
    assert parameters(group, make_named(), make_build()) == {
        "REQUEST_ID": "i-1.g1.infra/provision.a1",
        "INSTANCE_ID": "i-1",
        "GROUP": "web",
        "NUMBER": "1",
        "NAME": "web-01.eu-west-1a",
        "DOMAIN": "web-01.internal.example.com",
        "ADDRESS": "192.0.2.4",
        "TARGET": "i-1@192.0.2.4/web-01.internal.example.com",
    }


# --- never twice -------------------------------------------------------------------------------


def test_what_a_killed_run_asked_for_is_taken_over_from_the_queue() -> None:
    member = make_named()
    jenkins = make_jenkins(queue={ID: QueuedItem(17)})
    found = make_build(run="run-1", intended_ms=NOW_MS, queue_id=17)
    after = replace(member, phase="building", since_ms=NOW_MS, builds=(found,))
    assert plan_build(WEB, member, "infra/provision", make_seen(jenkins=jenkins)) == Save(
        Change(member, after, f"found {ID} in Jenkins")
    )


def test_what_a_killed_run_asked_for_is_taken_over_from_the_builds() -> None:
    jenkins = make_jenkins(builds={ID: running(7, done=True, result="SUCCESS")})
    save = plan_build(WEB, make_named(), "infra/provision", make_seen(jenkins=jenkins))
    assert isinstance(save, Save)
    assert save.change.after.builds[0].number == 7
    assert save.change.after.builds[0].result == "SUCCESS"


def test_without_a_look_at_jenkins_nothing_is_asked_for() -> None:
    assert plan_build(WEB, make_named(), "infra/provision", make_seen(jenkins=None)) is None


def test_a_request_that_waits_in_the_queue_is_waited_for() -> None:
    build = make_build(queue_id=17)
    jenkins = make_jenkins(queue={ID: QueuedItem(17)})
    seen = make_seen(jenkins=jenkins)
    assert plan_build(WEB, make_building(build), "infra/provision", seen) is None


# --- progress ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "changes", "cause"),
    [
        ({"queue": {ID: QueuedItem(17)}}, {"queue_id": 17}, "infra/provision is queue item 17"),
        ({"builds": {ID: running()}}, {"number": 7}, "infra/provision #7 runs"),
        (
            {"builds": {ID: running(result="FAILURE")}},
            {"number": 7},
            "infra/provision #7 runs",
        ),
        (
            {"builds": {ID: running(done=True, result="FAILURE")}},
            {"number": 7, "result": "FAILURE"},
            "infra/provision #7 ended: FAILURE",
        ),
        (
            {"builds": {ID: running(done=True, result="SUCCESS")}},
            {"number": 7, "result": "SUCCESS"},
            "infra/provision #7 ended: SUCCESS",
        ),
        (
            {"builds": {ID: running(done=True)}},
            {"number": 7, "result": "UNKNOWN"},
            "infra/provision #7 ended: UNKNOWN",
        ),
        (
            {"queue": {ID: QueuedItem(17, cancelled=True)}},
            {"queue_id": 17, "result": "CANCELLED"},
            "infra/provision #- ended: CANCELLED",
        ),
        (
            {"queue": {ID: QueuedItem(17)}, "builds": {ID: running()}},
            {"number": 7},
            "infra/provision #7 runs",
        ),
    ],
    ids=[
        "queued",
        "running",
        "a result that may still get worse",
        "failed",
        "succeeded",
        "ended without a result",
        "cancelled in the queue",
        "left the queue while we looked",
    ],
)
def test_a_build_is_followed_to_its_result(
    view: dict[str, Any], changes: dict[str, Any], cause: str
) -> None:
    member = make_building()
    seen = make_seen(jenkins=make_jenkins(**view))
    after = replace(member, builds=(replace(make_build(), **changes),))
    expected = Save(Change(member, after, cause))
    assert plan_build(WEB, member, "infra/provision", seen) == expected


def test_the_newest_builds_are_kept() -> None:
    member = make_named()
    for n in range(30):
        member = with_build(member, make_build(request_id=f"r{n}"))
    assert [build.request_id for build in member.builds] == [f"r{n}" for n in range(10, 30)]


def test_a_build_replaces_what_was_known_of_it() -> None:
    member = make_building(make_build(), make_build(request_id="other"))
    kept = with_build(member, make_build(number=7)).builds
    assert kept == (make_build(request_id="other"), make_build(number=7))


# --- lost --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "view", "lost"),
    [
        ({"intended_ms": NOW_MS - 20 * S}, {}, True),
        ({"intended_ms": NOW_MS - 20 * S + 1}, {}, False),
        ({"run": "run-1"}, {}, False),
        ({"number": 7}, {}, False),
        ({}, {"queue": {ID: QueuedItem(17)}}, False),
        ({}, {"builds": {ID: running()}}, False),
        ({}, {"unsearched": frozenset({ID})}, False),
        ({}, {"complete_since_ms": {}}, False),
        ({}, {"complete_since_ms": {"infra/provision": NOW_MS - 2 * MINUTE + 1}}, False),
        ({}, {"complete_since_ms": {"infra/provision": NOW_MS - 2 * MINUTE}}, True),
    ],
    ids=[
        "asked 20 s ago",
        "asked less than 20 s ago, so it may still arrive",
        "asked by this run, after it looked",
        "it had a number",
        "it's in the queue",
        "it's a build",
        "there was no time to search for it",
        "the job's builds could not be read",
        "the look reaches back to less than a minute before it",
        "the look reaches back to a minute before it",
    ],
)
def test_a_request_is_lost_only_when_jenkins_would_have_shown_it(
    build: dict[str, Any], view: dict[str, Any], *, lost: bool
) -> None:
    jenkins = make_jenkins(**view)
    seen = make_seen(jenkins=jenkins)
    assert is_lost(make_build(**build), seen, jenkins) is lost


def test_a_lost_request_is_asked_again_as_the_same_request() -> None:
    member = make_building(make_build(queue_id=17))
    trigger = plan_build(WEB, member, "infra/provision", make_seen())
    assert isinstance(trigger, Trigger)
    assert trigger.build == make_build(run="run-1", intended_ms=NOW_MS)
    assert trigger.change.cause == f"Jenkins no longer knows {ID}: asked again"
    assert trigger.change.after.since_ms == member.since_ms


def test_a_request_that_may_still_arrive_is_waited_for() -> None:
    member = make_building(make_build(intended_ms=NOW_MS - 19 * S))
    assert plan_build(WEB, member, "infra/provision", make_seen()) is None


# --- cancelling --------------------------------------------------------------------------------


def cancelling(build: Build, **view: Any) -> Cancel | Save | None:
    return plan_cancel(
        make_building(build, phase="leaving"), make_seen(jenkins=make_jenkins(**view))
    )


def test_a_queued_request_is_taken_out_of_the_queue() -> None:
    cancel = cancelling(make_build(), queue={ID: QueuedItem(17)})
    assert isinstance(cancel, Cancel)
    assert (cancel.queue_id, cancel.number) == (17, None)
    assert cancel.change.cause == "cancelled queue item 17: the member is leaving"
    assert cancel.change.after.builds == (make_build(queue_id=17, result="CANCELLED"),)


def test_a_running_build_is_stopped() -> None:
    cancel = cancelling(make_build(queue_id=17), builds={ID: running()})
    assert isinstance(cancel, Cancel)
    assert (cancel.queue_id, cancel.number) == (None, 7)
    assert cancel.change.cause == "cancelled build infra/provision #7: the member is leaving"


def test_a_build_that_ended_by_itself_is_only_noted() -> None:
    save = cancelling(make_build(number=7), builds={ID: running(done=True, result="SUCCESS")})
    assert isinstance(save, Save)
    assert save.change.cause == "infra/provision #7 ended: SUCCESS"


def test_a_request_that_may_still_arrive_is_not_given_up() -> None:
    assert cancelling(make_build(intended_ms=NOW_MS - 5 * S)) is None


def test_a_lost_request_needs_no_cancelling() -> None:
    save = cancelling(make_build())
    assert isinstance(save, Save)
    assert save.change.after.builds == (make_build(result="LOST"),)
    assert save.change.cause == f"{ID} isn't in Jenkins: nothing to cancel"


def test_there_is_nothing_to_cancel_without_a_build_or_a_look() -> None:
    assert cancelling(PROVISIONED) is None
    assert plan_cancel(make_building(), make_seen(jenkins=None)) is None


def test_what_jenkins_does_not_show_stays_as_it_is() -> None:
    assert look_up(make_build(queue_id=17), make_jenkins()) == make_build(queue_id=17)
