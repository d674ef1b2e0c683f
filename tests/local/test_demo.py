"""What the demo tells of what happened, and how long it waits for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.provision.conftest import NOW_MS, make_build, make_member, make_named
from triggerfish.config.load import parse
from triggerfish.errors import Unavailable
from triggerfish.local import demo
from triggerfish.local.demo import provision
from triggerfish.local.fakes.clock import ManualClock
from triggerfish.local.fakes.table import MemoryTable
from triggerfish.provision.instructions import Change
from triggerfish.provision.store import GroupStore, HistoryEntry, Transition
from triggerfish.triggers import TRIGGERS

if TYPE_CHECKING:
    from triggerfish.provision.members import Member


def entry(at_ms: int, phase: str, cause: str) -> HistoryEntry:
    return HistoryEntry(
        at_ms=at_ms,
        group="web",
        instance="i-1",
        generation=1,
        number=1,
        from_phase="",
        to_phase=phase,
        cause=cause,
    )


STORY = [
    entry(NOW_MS, "numbered", "number 1 was the lowest free"),
    entry(NOW_MS + 1500, "ready", "healthy"),
]


def make_stage(*members: Member, fallen: str | None = None) -> provision._Stage:
    stage = provision._Stage.__new__(provision._Stage)
    table = MemoryTable()
    store = GroupStore(table, "web", ManualClock())
    store.save([Transition(change=Change(None, member, "sample")) for member in members])
    stage.table = cast("Any", table)
    stage.stores = [store]
    stage.cloud = cast("Any", SimpleNamespace(fallen=lambda: fallen))
    return stage


def test_every_trigger_has_an_act() -> None:
    """Notices play in the others': the audit act ends with the mail."""
    assert [*demo.ACTS, "notices"] == list(TRIGGERS)


def test_sample_that_is_played_is_the_one_that_init_writes() -> None:
    groups = {group.group: group for group in parse(demo._sample()).provision}
    assert groups[provision.ELASTIC].mode == "elastic"
    assert (groups[provision.STATEFUL].mode, groups[provision.STATEFUL].size) == ("stateful", 3)


def test_timeline_tells_what_happened_to_a_server() -> None:
    member = make_named(phase="ready", builds=(make_build(number=7, result="SUCCESS"),))
    assert provision._timeline([member], {"i-1": STORY}) == [
        "",
        "web 1  i-1  web-01.internal.example.com  192.0.2.4  ready",
        "    infra/provision #7 SUCCESS",
        "    12:00:00  numbered   number 1 was the lowest free",
        "    12:00:01  ready      healthy",
    ]


def test_time_to_ready_is_from_the_first_sight() -> None:
    assert provision._seconds_to_ready(STORY) == 1.5


def test_builds_of_members() -> None:
    builds: list[dict[str, object]] = [
        {"parameters": {"INSTANCE_ID": "i-1"}, "number": 1},
        {"parameters": {"INSTANCE_ID": "i-2"}, "number": 2},
        {"parameters": None, "number": 3},
    ]
    assert provision._builds_of(builds, [make_member()]) == builds[:1]


def test_what_never_happens_is_said_with_every_member(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "PATIENCE_S", 0.0)
    monkeypatch.setattr(provision, "LOOK_EVERY_S", 0.0)
    stage = make_stage(make_member(phase="building", reason="In the quiet period"))
    with pytest.raises(Unavailable) as caught:
        stage.wait("every server ready", lambda _: False)
    assert caught.value.message == (
        "every server ready did not happen within 0 s: i-1 building In the quiet period"
    )


def test_part_that_fell_is_not_waited_for() -> None:
    with pytest.raises(Unavailable) as caught:
        make_stage(fallen="fleet").wait("every server ready", lambda _: False)
    assert caught.value.message == "fleet ended by itself while waiting for: every server ready"


def test_what_has_happened_is_not_waited_for() -> None:
    member = make_member(phase="ready")
    found = make_stage(member).wait("every server ready", lambda found: len(found) == 1)
    assert [one.instance for one in found] == ["i-1"]
