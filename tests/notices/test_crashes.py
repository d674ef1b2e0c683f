"""A run may be killed before and after everything it does: nothing is lost, and what is sent twice
is sent twice once a kill at most.
"""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.notices.world import World, make_channel, make_notice, make_settings
from triggerfish.errors import Refused, Unavailable
from triggerfish.notice import SEVERITIES, Notice

CHANNELS = (make_channel("slack", severity="critical"),)


def ids_told(world: World) -> Counter[tuple[str, str]]:
    """How often each channel was told of each notice, by what the attached data says."""
    return Counter(
        (sent.channel, dict(notice.facts)["Id"])
        for sent in world.sent
        for notice in _notices(sent.outgoing.message.data)
    )


def _notices(data: bytes) -> list[Notice]:
    return [
        Notice(
            key=matter["key"],
            severity="info",
            title="",
            facts=tuple((label, value) for label, value in notice["facts"]),
        )
        for matter in json.loads(data)["matters"]
        for notice in matter["notices"]
    ]


def numbered(number: int, severity: str = "high", key: str = "k") -> Notice:
    return make_notice(key=key, severity=severity, id=f"{number}", facts=(("Id", f"{number}"),))


def steps_of_one_run() -> int:
    world = World(make_settings(channels=CHANNELS))
    world.tell(numbered(1, "critical"))
    return world.steps


@pytest.mark.parametrize("kill_at", range(steps_of_one_run()))
def test_a_run_that_dies_anywhere_tells_each_channel_once_or_twice(kill_at: int) -> None:
    world = World(make_settings(channels=CHANNELS))
    world.hand_over(numbered(1, "critical"))
    assert not world.run(kill_at=kill_at)
    world.settle(300, every=10)
    told = ids_told(world)
    assert {channel for channel, _ in told} == {"mail", "slack"}
    assert sum(told.values()) <= 3  # at most one of the two was repeated
    assert (world.waiting(), world.parcels(), world.dead) == (0, 0, [])
    assert world.store.due() == []


EVENTS = st.one_of(
    st.tuples(st.just("notice"), st.sampled_from(SEVERITIES), st.sampled_from(["a", "b", "c"])),
    st.tuples(st.just("run"), st.none(), st.none()),
    st.tuples(st.just("killed"), st.integers(0, 70), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([1, 30, 900, 4000]), st.none()),
    st.tuples(st.just("refused"), st.sampled_from(["mail", "slack"]), st.integers(1, 4)),
    st.tuples(st.just("unavailable"), st.sampled_from(["mail", "slack"]), st.integers(1, 6)),
    st.tuples(st.just("again"), st.integers(0, 20), st.none()),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=25), st.integers(2, 5))
def test_whatever_happens_every_notice_is_told_or_a_dead_letter(
    events: list[tuple[str, object, object]], limit: int
) -> None:
    world = World(make_settings(channels=CHANNELS, limit=limit))
    handed: list[Notice] = []
    kills = 0
    for what, first, second in events:
        match what, first, second:
            case "notice", str(severity), str(key):
                handed.append(numbered(len(handed), severity, key))
                world.hand_over(handed[-1])
            case "again", int(position), _ if position < len(handed):
                world.hand_over(handed[position])
            case "run", _, _:
                world.run()
            case "killed", int(kill_at), _:
                kills += not world.run(kill_at=kill_at)
            case "wait", int(seconds), _:
                world.advance(seconds)
            case "refused", str(name), int(times):
                world.channels[name].faults += [Refused("no")] * times
            case "unavailable", str(name), int(times):
                world.channels[name].faults += [Unavailable("later")] * times
            case _:
                pass
    world.settle(20_000, every=60)
    assert (world.waiting(), world.parcels(), world.queue, world.refused) == (0, 0, {}, [])
    told = ids_told(world)
    by_id = Counter(number for _, number in told)
    dead = {dict(notice.facts)["Id"] for notice, _ in world.dead}
    everyone = {dict(notice.facts)["Id"] for notice in handed}
    assert everyone == set(by_id) | dead
    repeats = sum(count - 1 for count in told.values())
    replayed = sum(f"{number}" in dead for number in range(len(handed)))
    if not replayed:
        assert repeats == 0 or _mails_twice(world) <= kills


def _mails_twice(world: World) -> int:
    """Messages that one channel got more than once."""
    texts = Counter((sent.channel, sent.outgoing.message.data) for sent in world.sent)
    return sum(count - 1 for count in texts.values())
