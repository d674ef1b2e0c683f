"""What must never happen, whatever is repeated, lost, late or killed; and what must happen.

Each example is a list of events. After each of them the promises of `triggerfish.provision.plan`
are checked, then all faults stop and every live member has to get ready.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.provision.world import World, make_group
from triggerfish.local.jenkins.model import Outcome
from triggerfish.provision.act import Actor
from triggerfish.provision.observe import observe
from triggerfish.provision.plan import plan_group
from triggerfish.provision.store import GroupStore

EVENTS = st.one_of(
    st.tuples(st.just("launch"), st.integers(1, 4)),
    st.tuples(st.just("terminate"), st.integers(0, 9)),
    st.tuples(st.just("standby"), st.integers(0, 9)),
    st.tuples(st.just("return"), st.integers(0, 9)),
    st.tuples(st.just("replace"), st.integers(0, 9)),
    st.tuples(st.just("run"), st.integers(1, 3)),
    st.tuples(st.just("killed run"), st.integers(0, 60)),
    st.tuples(st.just("wait"), st.sampled_from([1, 5, 25, 90])),
    st.tuples(st.just("jenkins down"), st.just(0)),
    st.tuples(st.just("jenkins up"), st.booleans()),
    st.tuples(st.just("jenkins restarts"), st.booleans()),
    st.tuples(st.just("answer lost"), st.integers(1, 3)),
    st.tuples(st.just("request late"), st.integers(1, 12)),
    st.tuples(st.just("overlapping runs"), st.integers(0, 60)),
    st.tuples(st.just("state rolled back"), st.integers(1, 3)),
    st.tuples(st.just("build fails"), st.just(0)),
    st.tuples(st.just("ec2 lag"), st.sampled_from([0, 3, 40])),
)


def happen(world: World, event: str, value: int) -> None:  # noqa: C901, PLR0912 - one case each
    servers = [s for s in world.servers.values() if s.alive and s.lifecycle is not None]
    chosen = servers[value % len(servers)] if servers else None
    match event:
        case "launch":
            world.launch(value)
        case "terminate" if chosen:
            world.terminate(chosen)
            world.desired -= 1
        case "replace" if chosen:
            world.replace(chosen)
        case "standby" if chosen and chosen.lifecycle == "InService":
            chosen.lifecycle = "Standby"
        case "return" if chosen and chosen.lifecycle == "Standby":
            chosen.lifecycle = "InService"
        case "run":
            for _ in range(value):
                world.run()
        case "killed run":
            world.run(kill_at=value)
        case "overlapping runs":
            world.run(overlap_at=value)
        case "state rolled back":
            # What a killed emulator does: its last writes are lost, the world stays as it is.
            saved = world.saved()
            for _ in range(value):
                world.run()
            for _ in range(30):  # it's back later than any request can still be on its way
                world.advance(1)
            world.restore(saved)
        case "request late":
            world.late_s = value
        case "wait":
            for _ in range(value):
                world.advance(1)
        case "jenkins down":
            world.jenkins_up = False
            world.arriving.clear()
        case "jenkins up" | "jenkins restarts":
            world.jenkins.restart(forget_queue=bool(value))
            world.jenkins_up = True
        case "answer lost":
            world.lose_answers = value
        case "build fails":
            world.jenkins.decide(Outcome(result="FAILURE"))
        case "ec2 lag":
            world.ec2_lag_s = value
        case _:
            pass


def check_promises(world: World) -> None:
    numbers = world.numbers()
    state = world.state()
    for number, instance in numbers.items():
        assert state.slots[number].instance == instance, f"slot {number} names another holder"
    for slot in state.slots.values():
        if slot.instance:
            assert numbers.get(slot.number) == slot.instance, f"slot {slot.number} has no member"
    twice = {request: n for request, n in world.builds_of_requests().items() if n > 1}
    assert not twice, f"built more than once: {twice}"
    assert max(world.successes().values(), default=1) == 1, "a server was provisioned twice"
    running = Counter(
        dict(build.parameters)["INSTANCE_ID"]
        for build in world.jenkins.builds()
        if build.in_progress
    )
    assert max(running.values(), default=1) == 1, "two builds run on one server"
    owners = {server.address: server.instance for server in world.servers.values()}
    for domain, address in world.records.items():
        number = int(domain.removeprefix("web-").split(".")[0])
        holder = numbers.get(number)
        assert holder is None or owners[address] == holder, f"{domain} points at a stranger"


def make_calm(world: World) -> None:
    world.jenkins_up = True
    world.lose_answers = 0
    world.ec2_lag_s = 0
    world.jenkins.configure(outcomes=())
    for server in world.servers.values():
        if server.lifecycle == "Standby":
            server.lifecycle = "InService"


def play(world: World, events: list[tuple[str, int]], *, servers: int = 0) -> None:
    """Start with some servers in service, let the events happen, then let all faults end."""
    world.launch(servers)
    world.settle()
    for event, value in events:
        happen(world, event, value)
        check_promises(world)
    make_calm(world)
    world.settle(3_600)
    check_promises(world)
    stuck = {
        member.instance: (member.phase, member.reason)
        for member in world.members().values()
        if member.phase not in {"ready", "failed"}
    }
    assert not stuck, f"never got ready: {stuck}"
    for server in world.servers.values():
        if server.lifecycle is not None:
            member = world.members()[server.instance]
            if member.phase == "failed":
                assert "ended FAILURE" in member.reason or "CANCELLED" in member.reason
                assert any(server.instance in notice.key for notice in world.notices)
            else:
                assert world.records[member.domain] == server.address
                assert server.tags["Name"] == member.name


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=25))
def test_an_elastic_group_keeps_its_promises_through_any_faults(
    events: list[tuple[str, int]],
) -> None:
    play(World(make_group(jobs=("infra/provision",))), events)


@settings(max_examples=100, deadline=None)
@given(st.lists(EVENTS, max_size=15), st.integers(1, 3), st.sampled_from([1.0, 70.0]))
def test_servers_in_service_stay_provisioned_once_through_any_faults(
    events: list[tuple[str, int]], servers: int, terminating_s: float
) -> None:
    world = World(make_group(jobs=("infra/provision",)))
    world.terminating_s = terminating_s
    play(world, events, servers=servers)


@settings(max_examples=100, deadline=None)
@given(st.lists(EVENTS, max_size=20))
def test_two_jobs_run_in_order_through_any_faults(events: list[tuple[str, int]]) -> None:
    world = World()
    play(world, events)
    ends = {(dict(b.parameters)["INSTANCE_ID"], b.job): b for b in world.jenkins.builds()}
    for (instance, job), build in ends.items():
        first = ends.get((instance, "infra/provision"))
        if job == "app/deploy":
            assert first is not None
            assert first.ended_at is not None
            assert first.ended_at <= build.started_at


@settings(max_examples=100, deadline=None)
@given(st.lists(EVENTS.filter(lambda event: event[0] != "launch"), max_size=20))
def test_a_stateful_group_never_gives_a_number_to_two_living_servers(
    events: list[tuple[str, int]],
) -> None:
    world = World(make_group(jobs=("infra/provision",), mode="stateful", size=3))
    world.terminating_s = 40
    world.launch(3)
    for event, value in events:
        happen(world, event, value)
        check_promises(world)
        assert set(world.numbers()) <= {1, 2, 3}
        held = Counter(
            server.tags.get("triggerfish:member")
            for server in world.servers.values()
            if server.state != "terminated" and server.tags
        )
        assert max(held.values(), default=1) == 1, f"one number, two living servers: {held}"
    make_calm(world)
    world.settle(3_600)
    check_promises(world)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 200), st.integers(0, 200))
def test_a_run_killed_twice_anywhere_builds_once(first: int, second: int) -> None:
    world = World(make_group(jobs=("infra/provision",)))
    world.launch(3)
    world.run(kill_at=first)
    world.advance(31)
    world.run(kill_at=second)
    world.settle()
    assert sorted(world.numbers()) == [1, 2, 3]
    assert sorted(world.builds_of_requests().values()) == [1, 1, 1]
    assert {m.phase for m in world.members().values()} == {"ready"}


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(2, 4))
def test_workers_that_decide_from_the_same_state_never_share_a_number(
    servers: int, workers: int
) -> None:
    """The lease keeps runs apart; without it the conditions of the writes still hold.

    Each worker sees the group at another moment, so they give the same number to different servers.
    """
    world = World()
    store = GroupStore(world.table, "web", world.clock)
    actors = []
    for worker in range(workers):
        world.launch(servers)
        if worker:
            hidden = list(world.servers.values())[:worker]
            for server in hidden:
                server.lifecycle = None
        state = store.read()
        seen = observe(world.group, state, world.ports(), f"worker-{worker}")
        plan = plan_group(world.group, state, seen)
        actors.append((Actor(world.group, world.ports(), store, state, lambda: None), plan))
        for server in world.servers.values():
            server.lifecycle = "InService"
    threads = [Thread(target=actor.carry_out, args=(plan,)) for actor, plan in actors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_promises(world)
    world.settle()
    assert sorted(world.numbers()) == list(range(1, servers * workers + 1))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_burst_of_500_gets_500_numbers_and_builds_with_two_dns_changes(seed: int) -> None:
    """Every notification comes twice and shuffled: most of the wake-ups are for nothing."""
    world = World(make_group(jobs=("infra/provision",)))
    world.jenkins.executors = 500
    world.launch(200)
    world.run()
    world.advance(1)
    world.launch(300)
    for _ in range(40 * seed):
        world.run()
    world.settle()
    members = world.members().values()
    assert sorted(world.numbers()) == list(range(1, 501))
    assert {member.phase for member in members} == {"ready"}
    assert len(world.builds_of_requests()) == 500
    assert set(world.builds_of_requests().values()) == {1}
    assert world.record_requests <= 2
    assert len(world.tag_calls_s) == 500
    assert most_in_a_second(world.tag_calls_s) <= 110


def most_in_a_second(times_s: list[float]) -> int:
    """The most calls within any second: the burst of 100 and what ten a second refills."""
    counts = Counter(int(time_s) for time_s in times_s)
    assert all(later <= 11 for _, later in pairwise(counts.values()))
    return max(counts.values())
