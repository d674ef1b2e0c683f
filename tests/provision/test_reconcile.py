"""Whole runs, and whole lives of members, on a small world."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.provision.world import AutoScalingSide, World, make_group
from triggerfish.durations import Duration
from triggerfish.errors import Refused, Unavailable
from triggerfish.local.jenkins.model import Job, Outcome
from triggerfish.provision.describe import describe
from triggerfish.provision.observation import HookView
from triggerfish.provision.reconcile import dry_run, reconcile
from triggerfish.provision.store import GroupStore, history
from triggerfish.runtime.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.provision.world import Server
    from triggerfish.provision.members import Member
    from triggerfish.provision.observation import GroupView
    from triggerfish.provision.ports import Ports

ONE_JOB = make_group(jobs=("infra/provision",))
STATEFUL = make_group(jobs=("infra/provision",), mode="stateful", size=3)


def run(
    world: World,
    *,
    name: str = "run-x",
    may_go_on: Callable[[], bool] = lambda: True,
    wake_at_least_s: int | None = None,
    ports: Ports | None = None,
) -> None:
    reconcile(
        world.group,
        ports or world.ports(),
        run=name,
        may_go_on=may_go_on,
        wake_at_least_s=wake_at_least_s,
    )


def pass_s(world: World, seconds: int) -> None:
    for _ in range(seconds):
        world.advance(1)


def follow(world: World, seconds: int) -> None:
    """Let time pass with a run each second, whatever is quiet."""
    for _ in range(seconds):
        world.run()
        world.advance(1)


def member(world: World, server: Server) -> Member:
    return world.members()[server.instance]


def story(world: World, server: Server) -> list[str]:
    return [entry.cause for entry in history(world.table, server.instance)]


def phases(world: World) -> list[str]:
    return [each.phase for each in world.members().values()]


# --- from launch to ready ----------------------------------------------------------------------


def test_a_launched_server_is_numbered_named_built_tagged_and_ready() -> None:
    world = World()
    (server,) = world.launch()
    world.settle()
    assert story(world, server) == [
        "number 1 was the lowest free",
        "web-01.internal.example.com points at 10.0.0.5",
        "asked for infra/provision, attempt 1",
        "infra/provision is queue item 1",
        "tagged",
        "infra/provision #1 runs",
        "infra/provision #1 ended: SUCCESS",
        "asked for app/deploy, attempt 1",
        "app/deploy is queue item 2",
        "app/deploy #1 runs",
        "app/deploy #1 ended: SUCCESS",
        "every job succeeded",
        "healthy in every target group",
    ]
    assert world.records == {"web-01.internal.example.com": "10.0.0.5"}
    assert server.tags == {"Name": "web-01", "triggerfish:member": "web/1"}
    assert world.notices == []


def test_the_first_run_gets_as_far_as_the_queued_build() -> None:
    world = World(ONE_JOB)
    world.launch()
    world.run()
    (found,) = world.members().values()
    assert (found.phase, found.builds[0].queue_id) == ("building", 1)


def test_the_name_exists_before_the_build_starts() -> None:
    world = World(ONE_JOB)
    (server,) = world.launch()
    world.run()
    (build,) = world.jenkins.builds()
    assert dict(build.parameters)["DOMAIN"] == "web-01.internal.example.com"
    assert dict(build.parameters)["ADDRESS"] == server.address
    assert list(world.records) == ["web-01.internal.example.com"]


def test_a_run_that_finds_nothing_new_writes_nothing() -> None:
    world = World(ONE_JOB)
    world.launch(3)
    world.settle()
    before, _ = world.saved()
    world.run()
    assert world.saved()[0] == before


def test_an_instance_that_ec2_does_not_show_for_a_while_gets_ready_all_the_same() -> None:
    world = World(ONE_JOB)
    world.ec2_lag_s = 40
    (server,) = world.launch()
    world.settle()
    assert member(world, server).phase == "ready"
    assert story(world, server)[:3] == [
        "number 1 was the lowest free",
        "EC2 shows no address yet",
        "web-01.internal.example.com points at 10.0.0.5",
    ]


def test_a_launch_that_no_event_announced_is_found_by_the_sweep() -> None:
    world = World(ONE_JOB)
    world.run()
    (server,) = world.launch()
    assert world.wakes_s == []
    world.settle()
    assert member(world, server).phase == "ready"


# --- numbers -----------------------------------------------------------------------------------


def test_a_number_rests_for_the_ttl_and_is_then_the_lowest_free() -> None:
    world = World(make_group(jobs=("infra/provision",), ttl=Duration(60)))
    first, _ = world.launch(2)
    world.settle()
    world.terminate(first)
    world.desired -= 1
    follow(world, 5)
    (early,) = world.launch()
    world.settle()
    (late,) = world.launch()
    pass_s(world, 60)
    world.settle()
    assert (member(world, early).number, member(world, late).number) == (3, 1)


def test_a_number_stays_through_standby_detaching_and_failing() -> None:
    world = World(ONE_JOB)
    standby, detached, failed, last = world.launch(4)
    world.settle()
    numbers = world.numbers()
    standby.lifecycle, detached.lifecycle, failed.lifecycle = "Standby", None, "EnteringStandby"
    follow(world, 200)
    assert world.numbers() == numbers
    (newcomer,) = world.launch()
    world.run()
    assert member(world, newcomer).number == 5
    assert member(world, last).number == 4


def test_the_number_of_a_dead_server_is_not_given_while_the_group_still_lists_it() -> None:
    world = World(STATEFUL)
    servers = world.launch(3)
    world.settle()
    servers[1].state = "terminated"
    servers[1].lifecycle = "Terminating:Wait"
    (newcomer,) = world.launch()
    follow(world, 100)
    assert member(world, newcomer).number is None
    servers[1].lifecycle = None
    world.settle()
    assert member(world, newcomer).number == 2


def test_a_replacement_in_a_stateful_group_takes_number_name_and_record() -> None:
    world = World(STATEFUL)
    world.terminating_s = 40
    servers = world.launch(3)
    world.settle()
    replacement = world.replace(servers[1])
    world.run()
    waiting = member(world, replacement)
    assert (waiting.phase, waiting.number) == ("seen", None)
    assert waiting.reason.startswith("waits for a free number of 1..3: ")
    world.settle()
    found = member(world, replacement)
    assert (found.phase, found.number, found.name) == ("ready", 2, "web-02")
    assert world.records["web-02.internal.example.com"] == replacement.address


def test_copied_tags_give_no_two_servers_one_number() -> None:
    """Launched "like this one", with its tags, or from a launch template that carries them."""
    world = World(ONE_JOB)
    for server in world.launch(3):
        server.tags["triggerfish:member"] = "web/2"
    world.settle()
    assert sorted(world.numbers()) == [1, 2, 3]
    assert phases(world) == ["ready"] * 3


# --- standby and attach ------------------------------------------------------------------------


def test_a_server_back_from_standby_is_not_built_again() -> None:
    world = World(ONE_JOB)
    (server,) = world.launch()
    world.settle()
    server.lifecycle = "Standby"
    world.run()
    server.lifecycle = "InService"
    world.run()
    found = member(world, server)
    assert (found.phase, found.standby_returns, found.number) == ("ready", 1, 1)
    assert sum(world.builds_of_requests().values()) == 1


def test_one_return_from_standby_is_counted_once_however_it_is_learnt() -> None:
    """A wake-up saw it first; then the LAUNCH of "out of Standby" arrives, twice."""
    world = World(ONE_JOB)
    (server,) = world.launch()
    world.settle()
    server.lifecycle = "Standby"
    world.run()
    server.lifecycle = "InService"
    world.run()
    for _ in range(2):
        reconcile(
            world.group,
            world.ports(),
            run="run-event",
            may_go_on=lambda: True,
            returns={server.instance: "activity-1"},
        )
    assert member(world, server).standby_returns == 1


def test_a_return_from_standby_that_only_the_event_showed_is_counted_once() -> None:
    world = World(ONE_JOB)
    (server,) = world.launch()
    world.settle()
    for run_name in ("run-a", "run-b"):
        reconcile(
            world.group,
            world.ports(),
            run=run_name,
            may_go_on=lambda: True,
            returns={server.instance: "activity-1"},
        )
    assert member(world, server).standby_returns == 1


def test_a_server_that_is_detached_and_attached_again_is_not_built_again() -> None:
    world = World(ONE_JOB)
    (server,) = world.launch()
    world.settle()
    server.lifecycle = None
    follow(world, 3)
    server.lifecycle = "InService"
    follow(world, 3)
    assert (member(world, server).phase, member(world, server).number) == ("ready", 1)
    assert sum(world.builds_of_requests().values()) == 1


def test_a_server_out_of_the_warm_pool_is_built_once_in_its_new_generation() -> None:
    world = World(ONE_JOB)
    (server,) = world.launch()
    world.settle()
    server.lifecycle = "Warmed:Stopped"
    follow(world, 3)
    pass_s(world, 7200)
    server.lifecycle = "InService"
    follow(world, 60)
    found = member(world, server)
    assert (found.phase, found.number, found.generation) == ("ready", 1, 2)
    assert world.builds_of_requests() == {
        f"{server.instance}.g1.infra/provision.a1": 1,
        f"{server.instance}.g2.infra/provision.a1": 1,
    }


def test_a_server_first_seen_in_the_warm_pool_is_provisioned_when_it_leaves_it() -> None:
    world = World(ONE_JOB)
    (server,) = world.launch()
    server.lifecycle = "Warmed:Stopped"
    follow(world, 3)
    assert server.tags["Name"] == "web-01"
    assert world.builds_of_requests() == {}
    pass_s(world, 7200)
    server.lifecycle = "InService"
    world.settle()
    assert member(world, server).phase == "ready"


# --- death -------------------------------------------------------------------------------------


def test_death_during_a_build_stops_it_and_frees_the_number() -> None:
    world = World(ONE_JOB)
    (server,) = world.launch()
    world.run()
    world.terminate(server)
    follow(world, 5)
    assert [build.result for build in world.jenkins.builds()] == ["ABORTED"]
    assert world.members() == {}
    assert world.records == {}
    assert world.state().slots[1].instance == ""


def test_death_in_the_queue_takes_the_request_out_of_it() -> None:
    world = World(ONE_JOB)
    world.jenkins.executors = 0
    (server,) = world.launch()
    world.run()
    world.terminate(server)
    follow(world, 5)
    assert world.jenkins.queue == {}
    assert world.builds_of_requests() == {}
    assert world.members() == {}


def test_a_termination_of_a_server_already_replaced_changes_nothing() -> None:
    world = World(STATEFUL)
    servers = world.launch(3)
    world.settle()
    replacement = world.replace(servers[0])
    world.settle()
    before, _ = world.saved()
    world.run()
    assert world.saved()[0] == before
    assert world.numbers()[1] == replacement.instance


def test_a_record_that_somebody_changed_is_not_removed_with_the_server() -> None:
    world = World(ONE_JOB)
    (server,) = world.launch()
    world.settle()
    world.records["web-01.internal.example.com"] = "203.0.113.7"
    world.terminate(server)
    follow(world, 5)
    assert world.members() == {}
    assert world.records == {"web-01.internal.example.com": "203.0.113.7"}


def test_an_instance_that_ec2_forgot_is_gone_after_ten_minutes() -> None:
    world = World(ONE_JOB)
    (server,) = world.launch()
    world.settle()
    server.lifecycle, server.visible_s = None, world.now_s + 99_999
    follow(world, 590)
    assert world.members() != {}
    follow(world, 30)
    assert world.members() == {}


# --- Jenkins -----------------------------------------------------------------------------------


def test_a_forgotten_queue_item_is_asked_for_again_after_20_seconds_and_not_before() -> None:
    world = World(ONE_JOB)
    world.jenkins.executors = 0
    world.launch()
    world.run()
    world.jenkins.restart(forget_queue=True)
    world.advance(1)
    follow(world, 19)
    assert world.jenkins.queue == {}
    follow(world, 2)
    assert [dict(i.parameters)["REQUEST_ID"] for i in world.jenkins.queue.values()] == [
        "i-00000000000000001.g1.infra/provision.a1"
    ]


def test_a_request_whose_answer_was_lost_is_found_and_not_repeated() -> None:
    world = World(ONE_JOB)
    world.launch()
    world.lose_answers = 1
    world.settle()
    assert world.builds_of_requests() == {"i-00000000000000001.g1.infra/provision.a1": 1}


def test_a_jenkins_that_is_away_delays_and_fails_nobody() -> None:
    world = World(ONE_JOB)
    (server,) = world.launch()
    world.jenkins_up = False
    follow(world, 600)
    found = member(world, server)
    assert found.phase == "named"
    assert found.reason == "Jenkins at jenkins.example.com can't be reached"
    world.jenkins_up = True
    world.settle()
    assert member(world, server).phase == "ready"


def test_a_build_that_fails_is_tried_as_often_as_attempts_say() -> None:
    world = World(make_group(jobs=("infra/provision",), attempts=3))
    world.jenkins.decide(Outcome(result="FAILURE", count=2))
    (server,) = world.launch()
    world.settle()
    found = member(world, server)
    assert found.phase == "ready"
    assert [(b.attempt, b.result) for b in found.builds] == [
        (1, "FAILURE"),
        (2, "FAILURE"),
        (3, "SUCCESS"),
    ]


def test_a_member_whose_builds_all_fail_is_told_to_people_once() -> None:
    world = World(make_group(jobs=("infra/provision",), attempts=2))
    world.jenkins.decide(Outcome(result="UNSTABLE", count=9))
    (server,) = world.launch()
    world.settle()
    follow(world, 100)
    found = member(world, server)
    assert (found.phase, found.reason) == (
        "failed",
        "infra/provision #2 ended UNSTABLE, attempt 2 of 2",
    )
    assert [notice.title for notice in world.notices] == ["web-01 of web was not provisioned"]


def test_a_job_that_jenkins_refuses_fails_the_member_in_jenkins_words() -> None:
    world = World(ONE_JOB)
    world.jenkins.put_job(Job(name="infra/provision", disabled=True))
    (server,) = world.launch()
    world.settle()
    assert member(world, server).reason == (
        "Jenkins refused infra/provision, attempt 2 of 2: infra/provision is not buildable"
    )
    assert len(world.notices) == 1


# --- time --------------------------------------------------------------------------------------


def test_a_member_that_never_gets_healthy_fails_after_the_timeout_and_is_told_once() -> None:
    world = World(make_group(jobs=("infra/provision",), timeout=Duration(300)), target_groups=2)
    world.heals = False
    (server,) = world.launch()
    follow(world, 320)
    found = member(world, server)
    assert (found.phase, found.reason) == (
        "failed",
        "not in service after 5m; last: healthy in 0 of 2 target groups (unhealthy)",
    )
    assert [notice.facts[-1] for notice in world.notices] == [("Reason", found.reason)]


def test_a_name_that_a_stranger_holds_is_not_taken_and_people_are_told() -> None:
    world = World(make_group(jobs=("infra/provision",), timeout=Duration(120)))
    world.records["web-01.internal.example.com"] = "203.0.113.7"
    (server,) = world.launch()
    world.settle()
    assert world.records == {"web-01.internal.example.com": "203.0.113.7"}
    assert member(world, server).phase == "failed"
    (notice,) = world.notices
    assert notice.facts[-1] == (
        "Reason",
        (
            "not in service after 2m; last: web-01.internal.example.com holds 203.0.113.7, "
            "which isn't ours: not taken"
        ),
    )
    assert world.builds_of_requests() == {}
    assert world.record_requests < 20


# --- hooks and giving up -----------------------------------------------------------------------


def hooked(**changes: object) -> World:
    world = World(make_group(jobs=("infra/provision",), hook="provision", **changes))
    world.hook = HookView(heartbeat_timeout_s=30)
    return world


def test_a_hook_gets_heartbeats_while_it_builds_and_continue_at_the_end() -> None:
    world = hooked()
    (server,) = world.launch()
    world.settle()
    beat = f"beat {server.instance}"
    assert world.actions == [beat, beat, f"CONTINUE {server.instance}"]
    assert member(world, server).phase == "ready"


def test_a_hook_whose_member_failed_is_abandoned() -> None:
    world = hooked(on_failure="abandon", attempts=1)
    world.jenkins.decide(Outcome(result="FAILURE"))
    first, *_ = world.launch()
    follow(world, 60)
    assert f"ABANDON {first.instance}" in world.actions
    assert [notice.key for notice in world.notices] == [f"provision/web/{first.instance}/failed"]


@pytest.mark.parametrize("on_failure", ["abandon", "terminate"])
def test_a_loop_of_launching_and_killing_is_stopped(on_failure: str) -> None:
    world = hooked(on_failure=on_failure, attempts=2)
    world.jenkins.decide(Outcome(result="FAILURE", count=99))
    world.launch()
    follow(world, 900)
    killed = [action for action in world.actions if not action.startswith("beat ")]
    assert len(killed) == 2
    assert len(world.servers) == 3
    assert world.notices[-1].title == "web-03 of web was kept"
    assert sum(world.builds_of_requests().values()) == 6


def test_on_failure_keep_kills_nothing() -> None:
    world = hooked(on_failure="keep", attempts=1)
    world.jenkins.decide(Outcome(result="FAILURE", count=99))
    (server,) = world.launch()
    follow(world, 300)
    assert set(world.actions) == {f"beat {server.instance}"}
    assert len(world.servers) == 1


# --- one run at a time -------------------------------------------------------------------------


def test_a_run_that_finds_the_group_taken_leaves_it_to_its_holder() -> None:
    world = World(ONE_JOB)
    world.launch()
    holder = Lease(world.table, "group#web", "holder", world.clock)
    assert holder.take()
    world.run()
    assert world.members() == {}
    assert not holder.end()


def test_the_holder_looks_again_for_whoever_found_the_group_taken() -> None:
    """The second server is launched, and its event comes, while the first run is under way."""
    world = World(ONE_JOB)
    world.launch()
    launched: list[Server] = []

    class Meanwhile(AutoScalingSide):
        def view(self, group: str) -> GroupView:
            view = super().view(group)
            if not launched:
                launched.extend(world.launch())
                run(world, name="run-2")
            return view

    run(world, name="run-1", ports=replace(world.ports(), auto_scaling=Meanwhile(world)))
    assert phases(world) == ["building", "building"]


def test_a_run_without_time_to_look_again_wakes_the_next_at_once() -> None:
    world = World(ONE_JOB)

    class Meanwhile(AutoScalingSide):
        def view(self, group: str) -> GroupView:
            run(world, name="run-2")
            return super().view(group)

    ports = replace(world.ports(), auto_scaling=Meanwhile(world))
    run(world, name="run-1", may_go_on=lambda: False, ports=ports)
    assert world.wakes_s == [world.now_s]
    assert world.table.get("group#web", "lease") is None


def test_a_run_out_of_time_ends_after_its_round_and_wakes_the_next() -> None:
    world = World(ONE_JOB)
    world.launch()
    run(world, may_go_on=lambda: False)
    assert phases(world) == ["numbered"]
    assert world.wakes_s == [world.now_s]


def test_a_group_that_is_not_there_is_refused_and_given_back() -> None:
    class NoGroup(AutoScalingSide):
        def view(self, group: str) -> GroupView:
            raise Refused("there is no Auto Scaling group web in this region and account")

    world = World(ONE_JOB)
    with pytest.raises(Refused, match="no Auto Scaling group web"):
        run(world, ports=replace(world.ports(), auto_scaling=NoGroup(world)))
    assert world.table.get("group#web", "lease") is None


def test_an_aws_that_is_away_is_tried_later_and_the_group_given_back() -> None:
    class Away(AutoScalingSide):
        def view(self, group: str) -> GroupView:
            raise Unavailable("autoscaling:DescribeAutoScalingGroups: Throttling")

    world = World(ONE_JOB)
    with pytest.raises(Unavailable, match="Throttling"):
        run(world, ports=replace(world.ports(), auto_scaling=Away(world)))
    assert world.table.get("group#web", "lease") is None


# --- wake-ups ----------------------------------------------------------------------------------


def test_while_a_member_is_on_its_way_one_wake_up_is_ahead() -> None:
    world = World(ONE_JOB)
    world.launch()
    world.run()
    assert world.wakes_s == [world.now_s + 1]
    world.run()
    world.run()
    assert world.wakes_s == [world.now_s + 1]


def test_a_group_at_rest_wakes_nobody() -> None:
    world = World(ONE_JOB)
    world.launch()
    world.settle()
    world.wakes_s.clear()
    pass_s(world, 60)
    world.run()
    assert world.wakes_s == []


def test_an_event_ahead_of_what_aws_shows_makes_us_look_again() -> None:
    world = World(ONE_JOB)
    run(world, wake_at_least_s=5)
    assert world.wakes_s == [world.now_s + 5]


def test_what_could_not_be_done_now_is_tried_again_soon_although_others_went_on() -> None:
    """The zone is busy; the members that need nothing of it get on, and so does the run."""

    class Busy(World):
        def change(self, *args: object, **settings: object) -> dict[str, str | None]:
            raise Unavailable("route53:ChangeResourceRecordSets: PriorRequestNotComplete")

    world = Busy(ONE_JOB)
    world.launch()
    world.run()
    assert world.wakes_s == [world.now_s + 10]


# --- dry run -----------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_done_and_does_nothing() -> None:
    world = World(ONE_JOB)
    (server,) = world.launch()
    plan = dry_run(world.group, world.ports())
    assert [describe(i) for i in plan.instructions] == [f"give {server.instance} number 1"]
    assert world.state().members == {}
    assert world.table.query("group#web") == []


def test_what_is_written_survives_the_worker() -> None:
    """Another worker goes on from the table alone."""
    world = World(ONE_JOB)
    world.launch(2)
    world.run(kill_at=25)
    world.advance(31)
    world.settle()
    store = GroupStore(world.table, "web", world.clock)
    assert sorted(slot for slot in store.read().slots) == [1, 2]
    assert phases(world) == ["ready", "ready"]
