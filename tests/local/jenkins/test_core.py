"""The rules of Jenkins' queue, with the clock in hand."""

from __future__ import annotations

import pytest

from triggerfish.local.jenkins.core import Core
from triggerfish.local.jenkins.model import Job, Notification, Outcome, Rejected
from triggerfish.local.jenkins.pages import why


def core_with(*jobs: Job, executors: int = 8, handoff_s: float = 0.0) -> Core:
    core = Core(executors=executors, handoff_s=handoff_s)
    for job in jobs:
        core.put_job(job)
    return core


PROVISION = Job(
    name="infra/provision", parameters=(("REQUEST_ID", ""), ("SIZE", "small")), duration_s=10.0
)


def test_an_item_waits_out_the_quiet_period_then_builds() -> None:
    core = core_with(PROVISION)
    item = core.trigger("infra/provision", {"REQUEST_ID": "r1"}).item
    assert (item.state, item.due_at, why(core, item)) == (
        "waiting",
        5.0,
        "In the quiet period. Expires in 5.0 sec",
    )
    core.advance(4.99)
    assert core.builds() == []
    core.advance(5.0)
    build = core.build("infra/provision", 1)
    assert build is not None
    assert (build.started_at, build.queue_id, build.building, build.result) == (5.0, 1, True, None)
    core.advance(15.0)
    build = core.build("infra/provision", 1)
    assert build is not None
    assert (build.building, build.in_progress, build.result) == (False, False, "SUCCESS")


def test_undeclared_parameters_are_dropped_and_missing_ones_take_their_default() -> None:
    core = core_with(PROVISION)
    item = core.trigger("infra/provision", {"REQUEST_ID": "r1", "ROOT": "yes"}).item
    assert item.parameters == (("REQUEST_ID", "r1"), ("SIZE", "small"))


def test_an_equal_request_merges_while_it_waits_and_takes_the_earlier_time() -> None:
    core = core_with(PROVISION)
    core.trigger("infra/provision", {"REQUEST_ID": "r1"}, delay_s=60)
    again = core.trigger("infra/provision", {"REQUEST_ID": "r1"}, delay_s=20)
    assert (again.merged, again.item.id, again.item.due_at) == (True, 1, 20.0)
    later = core.trigger("infra/provision", {"REQUEST_ID": "r1"}, delay_s=40)
    assert (later.merged, later.item.due_at) == (True, 20.0)


def test_a_different_request_never_merges() -> None:
    core = core_with(PROVISION)
    core.trigger("infra/provision", {"REQUEST_ID": "r1"})
    other = core.trigger("infra/provision", {"REQUEST_ID": "r2"})
    assert (other.merged, other.item.id) == (False, 2)


def test_an_equal_request_merges_while_it_is_buildable() -> None:
    core = core_with(PROVISION, executors=0)
    core.trigger("infra/provision", {"REQUEST_ID": "r1"}, delay_s=0)
    item = core.item(1)
    assert item is not None
    assert (item.state, why(core, item)) == ("buildable", "Waiting for next available executor")
    assert core.trigger("infra/provision", {"REQUEST_ID": "r1"}, delay_s=0).merged


def test_a_pending_item_is_not_compared_so_the_repeat_builds_again() -> None:
    core = core_with(PROVISION, handoff_s=1.0)
    first = core.trigger("infra/provision", {"REQUEST_ID": "r1"}, delay_s=0)
    assert first.item.state == "pending"
    assert not core.trigger("infra/provision", {"REQUEST_ID": "r1"}, delay_s=0).merged
    core.advance(1.0)
    assert [build.queue_id for build in core.builds()] == [2, 1]


def test_a_running_build_is_not_compared_so_the_repeat_builds_again() -> None:
    core = core_with(PROVISION)
    core.trigger("infra/provision", {"REQUEST_ID": "r1"}, delay_s=0)
    assert not core.trigger("infra/provision", {"REQUEST_ID": "r1"}, delay_s=0).merged
    assert len(core.builds()) == 2


def test_a_job_without_concurrent_builds_blocks_and_its_blocked_items_merge() -> None:
    core = core_with(Job(name="one", parameters=(("N", ""),), duration_s=10, concurrent=False))
    core.trigger("one", {"N": "1"}, delay_s=0)
    core.trigger("one", {"N": "2"}, delay_s=0)
    item = core.item(2)
    assert item is not None
    assert (item.state, why(core, item)) == ("blocked", "A build is already in progress")
    assert core.trigger("one", {"N": "2"}, delay_s=0).merged
    core.trigger("one", {"N": "3"}, delay_s=0)
    core.advance(40)
    starts = [(build.number, build.started_at) for build in core.builds()]
    assert starts == [(3, 20.0), (2, 10.0), (1, 0.0)]


def test_executors_are_handed_out_in_order_and_reused_at_the_moment_they_free() -> None:
    core = core_with(PROVISION, executors=2)
    for number in range(5):
        core.trigger("infra/provision", {"REQUEST_ID": f"r{number}"}, delay_s=0)
    core.advance(1000)
    assert [(build.queue_id, build.started_at) for build in core.builds()] == [
        (5, 20.0),
        (4, 10.0),
        (3, 10.0),
        (2, 0.0),
        (1, 0.0),
    ]


def test_builds_that_take_no_time_do_not_stall_the_queue() -> None:
    core = core_with(Job(name="quick", parameters=(("N", ""),), duration_s=0), executors=1)
    for number in range(5):
        core.trigger("quick", {"N": str(number)}, delay_s=1)
    core.advance(1)
    assert [build.result for build in core.builds()] == ["SUCCESS"] * 5


def test_a_left_item_is_known_for_five_minutes() -> None:
    core = core_with(PROVISION)
    core.trigger("infra/provision", {}, delay_s=0)
    core.advance(299.9)
    left = core.item(1)
    assert left is not None
    assert (left.state, left.build) == ("left", 1)
    core.advance(300)
    assert core.item(1) is None
    assert core.next_event_at() is None


def test_cancelling_leaves_an_item_without_a_build() -> None:
    core = core_with(PROVISION)
    core.trigger("infra/provision", {"REQUEST_ID": "r1"})
    assert core.cancel(1)
    assert not core.cancel(1)
    left = core.item(1)
    assert left is not None
    assert (left.state, left.cancelled, left.build) == ("left", True, None)
    core.advance(100)
    assert core.builds() == []


def test_stopping_aborts_a_running_build_and_leaves_a_finished_one_alone() -> None:
    core = core_with(PROVISION)
    core.trigger("infra/provision", {}, delay_s=0)
    core.advance(3)
    assert core.stop("infra/provision", 1)
    assert core.stop("infra/provision", 1)
    assert not core.stop("infra/provision", 2)
    build = core.build("infra/provision", 1)
    assert build is not None
    assert (build.result, build.ended_at) == ("ABORTED", 3.0)


def test_the_result_can_be_there_while_the_build_is_still_in_progress() -> None:
    core = core_with(Job(name="slow-end", duration_s=10, finishing_s=5))
    core.trigger("slow-end", {}, delay_s=0)
    core.advance(12)
    build = core.build("slow-end", 1)
    assert build is not None
    assert (build.building, build.in_progress, build.result) == (False, True, "SUCCESS")
    core.advance(15)
    build = core.build("slow-end", 1)
    assert build is not None
    assert not build.in_progress


def test_outcomes_apply_to_the_next_builds_that_match() -> None:
    core = core_with(PROVISION)
    core.decide(Outcome(result="FAILURE", parameters=(("REQUEST_ID", "bad"),), count=2))
    core.decide(Outcome(hang=True, parameters=(("REQUEST_ID", "stuck"),)))
    for request in ("good", "bad", "bad", "bad", "stuck"):
        core.trigger("infra/provision", {"REQUEST_ID": request}, delay_s=0)
        core.advance(core.now + 10)
    core.advance(10_000)
    results = [build.result for build in core.builds()]
    assert results == [None, "SUCCESS", "FAILURE", "FAILURE", "SUCCESS"]
    assert core.stop("infra/provision", 5)


@pytest.mark.parametrize(
    ("changes", "job", "reason"),
    [
        ({}, "absent", "absent"),
        ({}, "off", "disabled"),
        ({"refusing": True}, "infra/provision", "vetoed"),
        ({"forbidding": True}, "infra/provision", "forbidden"),
    ],
)
def test_a_request_that_is_not_queued_says_why(
    changes: dict[str, bool], job: str, reason: str
) -> None:
    core = core_with(PROVISION, Job(name="off", disabled=True))
    core.configure(**changes)
    with pytest.raises(Rejected) as caught:
        core.trigger(job, {})
    assert caught.value.reason == reason
    assert not core.queue


def test_quieting_down_accepts_requests_and_starts_nothing() -> None:
    core = core_with(PROVISION)
    core.configure(quieting_down=True)
    item = core.trigger("infra/provision", {}, delay_s=0).item
    core.advance(100)
    assert core.builds() == []
    assert why(core, item) == "Jenkins is about to shut down"


def test_a_restart_keeps_the_queue_and_the_running_builds_and_forgets_what_left() -> None:
    core = core_with(PROVISION, executors=1)
    core.trigger("infra/provision", {"REQUEST_ID": "r1"}, delay_s=0)
    core.trigger("infra/provision", {"REQUEST_ID": "r2"}, delay_s=0)
    core.restart()
    assert (list(core.queue), list(core.left), len(core.running)) == ([2], [], 1)
    core.advance(20)
    assert [build.result for build in core.builds()] == ["SUCCESS", "SUCCESS"]


def test_a_crash_may_forget_the_queue_and_give_its_ids_out_again() -> None:
    core = core_with(PROVISION)
    core.trigger("infra/provision", {"REQUEST_ID": "r1"})
    core.trigger("infra/provision", {"REQUEST_ID": "r2"})
    core.restart(forget_queue=True)
    assert core.trigger("infra/provision", {"REQUEST_ID": "r3"}).item.id == 3
    core.restart(forget_queue=True, reuse_ids=True)
    assert core.trigger("infra/provision", {"REQUEST_ID": "r4"}).item.id == 3


def test_nothing_proceeds_while_jenkins_restarts_and_it_comes_back_by_itself() -> None:
    core = core_with(PROVISION)
    core.trigger("infra/provision", {})
    core.enter("restarting", until=50.0)
    core.advance(49)
    assert core.builds() == []
    core.advance(51)
    assert core.settings.mode == "up"
    assert [build.started_at for build in core.builds()] == [50.0]


def test_a_restart_that_was_asked_to_forgets_the_queue_when_it_ends() -> None:
    core = core_with(PROVISION)
    core.trigger("infra/provision", {})
    core.enter("restarting", forget_queue=True)
    core.enter("up")
    core.advance(100)
    assert core.builds() == []


def test_only_a_success_is_told_to_whom_the_job_names_and_until_it_is_delivered() -> None:
    url = "http://127.0.0.1:9/provisioned"
    core = core_with(Job(name="deploy", parameters=(("I", ""),), on_success=url))
    core.decide(Outcome(parameters=(("I", "i-2"),)))
    core.trigger("deploy", {"I": "i-1"}, delay_s=0)
    core.trigger("deploy", {"I": "i-2"}, delay_s=0)
    core.advance(10)
    told = Notification(url=url, job="deploy", build=1, parameters=(("I", "i-1"),))
    assert core.outbox == {("deploy", 1): told}
    core.delivered("deploy", 1)
    assert not core.outbox


def test_deleting_a_job_takes_its_queue_and_its_builds_with_it() -> None:
    core = core_with(PROVISION, executors=1)
    core.trigger("infra/provision", {"REQUEST_ID": "r1"}, delay_s=0)
    core.trigger("infra/provision", {"REQUEST_ID": "r2"}, delay_s=0)
    core.delete_job("infra/provision")
    core.advance(100)
    assert (core.jobs, core.queue, core.builds(), core.running) == ({}, {}, [], {})


def test_a_reset_keeps_the_jobs_unless_told_otherwise() -> None:
    core = core_with(PROVISION)
    core.trigger("infra/provision", {}, delay_s=0)
    core.configure(refusing=True)
    core.reset()
    assert core.trigger("infra/provision", {}, delay_s=0).item.id == 1
    core.reset(jobs=True)
    assert core.jobs == {}
